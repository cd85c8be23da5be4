"""`--output` named a folder with my data in it, and `--force` deleted everything.

Reported of tools with such an option: androguard/androguard#768 ("Why would it delete
files under output directory"), scilus/scilpy#55 ("Deletes files with no warning"),
isaacovercast/easySFS#34 ("removes existing directories").

Each case is a folder of somebody, and how the option names it. Compared are all bytes,
links, folders and rights before and after.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coloss.cli.app import app
from coloss.cli.errors import CliError, Exit
from coloss.cli.runs.claim import claim, claim_again, cleared
from coloss.run_folder import RunFolder
from tests.cli.mistakes import CONFIG


def snapshot(folder: Path) -> dict[str, object]:
    """Return everything below a folder: links, rights, and all bytes."""
    found: dict[str, object] = {}
    for root, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(root) / name
            if path.is_symlink():
                found[str(path)] = ("link", os.readlink(path))
            elif path.is_dir():
                found[str(path)] = ("folder", path.stat().st_mode)
            else:
                found[str(path)] = (path.read_bytes(), path.stat().st_mode)
    return found


def data(folder: Path) -> Path:
    """Write a folder of somebody: a configuration, data, years of work."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(CONFIG)
    (folder / "labels.csv").write_text("id,emotion\nclip,happy\n")
    (folder / "years").mkdir()
    (folder / "years" / "thesis.tex").write_text("years of work")
    return folder


def finished(folder: Path) -> RunFolder:
    """Write what a run leaves behind."""
    run = RunFolder(folder)
    run.write_config({"a": 1})
    run.write_json("environment.json", {"status": "finished"})
    run.write_table("history", [{"epoch": 0, "loss": 1.0}])
    run.append_log("end")
    with run.writing("models/acoustic.keras") as partial:
        partial.write_bytes(b"weights")
    events = run.growing("tensorboard/*events.out.tfevents.*").parent / "train"
    events.mkdir(parents=True)
    (events / "events.out.tfevents.1").write_bytes(b"events")
    return run


def current_folder(home):
    data(home)
    return ".", "config.toml"


def absolute_path(home):
    return str(data(home / "data").absolute()), "config.toml"


def folder_above(home):
    data(home)
    (home / "here").mkdir()
    os.chdir(home / "here")
    return "..", "config.toml"


def trailing_slash(home):
    data(home / "data")
    return "data/", "config.toml"


def through_another_folder(home):
    data(home / "data")
    finished(home / "run")
    return "run/../data", "config.toml"


def link_to_the_folder(home):
    data(home / "data")
    (home / "link").symlink_to("data")
    return "link", "config.toml"


def link_to_a_folder_above(home):
    data(home / "data")
    (home / "link").symlink_to("data")
    return "link/years", "thesis.tex"


def link_to_a_folder_inside_a_run(home):
    data(home / "data")
    run = finished(home / "run")
    (run.path / "inputs").symlink_to(home / "data")
    return "run", "inputs"


def link_in_place_of_a_file(home):
    data(home / "data")
    run = finished(home / "run")
    (run.path / "history.parquet").unlink()
    (run.path / "history.parquet").symlink_to(home / "data" / "labels.csv")
    return "run", "history.parquet"


def link_in_place_of_a_folder_of_the_run(home):
    run = finished(home / "run")
    shutil.move(run.path / "models", home / "models")
    (run.path / "models").symlink_to(home / "models")
    return "run", "models"


def nested_folder(home):
    data(home / "data")
    return "data/years", "thesis.tex"


def run_beside_a_file(home):
    run = finished(home / "run")
    (run.path / "notes.txt").write_text("mine")
    return "run", "notes.txt"


def run_beside_a_hidden_file(home):
    run = finished(home / "run")
    (run.path / ".gitignore").write_text("*")
    return "run", ".gitignore"


def run_with_data_in_a_folder(home):
    run = finished(home / "run")
    data(run.path / "data")
    return "run", "data"


def run_with_a_file_in_its_own_folder(home):
    run = finished(home / "run")
    (run.path / "models" / "best.keras").write_bytes(b"mine")
    return "run", "models/best.keras"


def run_with_a_file_among_its_events(home):
    run = finished(home / "run")
    (run.path / "tensorboard" / "train" / "notes.txt").write_bytes(b"mine")
    return "run", "tensorboard/train/notes.txt"


def run_with_an_empty_folder(home):
    run = finished(home / "run")
    (run.path / "figures").mkdir()
    return "run", "figures"


def run_inside_a_run(home):
    finished(home / "run")
    finished(home / "run" / "second")
    return "run", "second"


def run_whose_file_was_edited(home):
    run = finished(home / "run")
    (run.path / "config.toml").write_text("# mine now")
    return "run", "config.toml (changed)"


def run_whose_file_became_a_folder(home):
    run = finished(home / "run")
    (run.path / "history.parquet").unlink()
    data(run.path / "history.parquet")
    return "run", "history.parquet"


def configuration_only(home):
    (home / "run").mkdir()
    (home / "run" / "config.toml").write_text(CONFIG)
    return "run", "config.toml"


def hidden_file_only(home):
    (home / "run" / ".git").mkdir(parents=True)
    return "run", ".git"


def home_folder(home):
    data(home)
    for name in ("Documents", "Pictures"):
        (home / name).mkdir()
        (home / name / "file").write_text(name)
    return str(home), "Documents"


def like_the_root(home):
    for name in ("bin", "etc", "home", "usr"):
        (home / "root" / name).mkdir(parents=True)
        (home / "root" / name / "file").write_text(name)
    return "root/", "bin"


def file_in_its_place(home):
    (home / "run").write_text("years of work")
    return "run", "run"


def file_above(home):
    (home / "notes").write_text("years of work")
    return "notes/run", "notes"


def link_that_leads_nowhere(home):
    (home / "run").symlink_to("nowhere")
    return "run", "run"


def read_only_folder(home):
    data(home / "run")
    (home / "run").chmod(0o555)
    return "run", "run"


def run_of_an_earlier_version(home):
    run = finished(home / "run")
    (run.path / ".coloss.json").unlink()
    return "run", "config.toml"


def mark_that_is_broken(home):
    run = finished(home / "run")
    (run.path / ".coloss.json").write_text("{")
    return "run", ".coloss.json"


def mark_that_is_a_link(home):
    run = finished(home / "run")
    shutil.move(run.path / ".coloss.json", home / "mark")
    (run.path / ".coloss.json").symlink_to(home / "mark")
    return "run", ".coloss.json"


def mark_of_another_folder(home):
    data(home / "data")
    run = finished(home / "run")
    shutil.copy(run.path / ".coloss.json", home / "data")
    return "data", "config.toml (changed)"


CASES = [
    current_folder,
    absolute_path,
    folder_above,
    trailing_slash,
    through_another_folder,
    link_to_the_folder,
    link_to_a_folder_above,
    link_to_a_folder_inside_a_run,
    link_in_place_of_a_file,
    link_in_place_of_a_folder_of_the_run,
    nested_folder,
    run_beside_a_file,
    run_beside_a_hidden_file,
    run_with_data_in_a_folder,
    run_with_a_file_in_its_own_folder,
    run_with_a_file_among_its_events,
    run_with_an_empty_folder,
    run_inside_a_run,
    run_whose_file_was_edited,
    run_whose_file_became_a_folder,
    configuration_only,
    hidden_file_only,
    home_folder,
    like_the_root,
    file_in_its_place,
    file_above,
    link_that_leads_nowhere,
    read_only_folder,
    run_of_an_earlier_version,
    mark_that_is_broken,
    mark_that_is_a_link,
    mark_of_another_folder,
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return somebody's home, which is the current folder, too."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    yield home
    for path in [home, *home.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


@pytest.mark.parametrize("force", [True, False], ids=["force", "plain"])
@pytest.mark.parametrize("command", ["train", "study"])
@pytest.mark.parametrize("case", CASES, ids=lambda one: one.__name__)
def test_it_is_refused_and_nothing_is_touched(home, case, command, force):
    output, named = case(home)
    config = home.parent / "config.toml"
    config.write_text(CONFIG)
    before = snapshot(home.parent)
    options = ["--output", output, *(["--force"] if force else [])]
    result = CliRunner().invoke(app, [command, str(config), *options])
    assert snapshot(home.parent) == before
    assert result.exit_code == Exit.WRONG, result.output
    said = result.stderr.replace("\n", " ")
    assert named in said
    assert "--force" not in said, "it would be refused as well"


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.__name__)
def test_what_comes_while_data_is_read_is_seen(home, case):
    """`clear` is called minutes after `claim`, and looks again."""
    output, _ = case(home)
    before = snapshot(home)
    with pytest.raises(CliError), cleared(Path(output), force=True):
        pass
    assert snapshot(home) == before


def test_the_other_branch_of_a_study_that_goes_on(home):
    """A study goes on in its own folder; it replaces no file of somebody."""
    data(home)
    (home / "study.sqlite").write_text("mine")
    before = snapshot(home)
    result = CliRunner().invoke(app, ["study", "config.toml", "--output", "."])
    assert result.exit_code == Exit.WRONG
    assert snapshot(home) == before
    run = finished(home / "run-study")
    (run.path / "notes.txt").write_text("mine")
    claim_again(run.path)
    (run.path / "study_arms.parquet").write_bytes(b"mine")
    with pytest.raises(CliError, match="study_arms"):
        claim_again(run.path)


@pytest.mark.parametrize("through", ["run", "run/", "link"])
def test_a_run_is_replaced_and_what_lies_beside_it_stays(home, through):
    data(home)
    run = finished(home / "run")
    (home / "link").symlink_to("run")
    # What a kill leaves behind: a listed name without a file, half a file.
    (run.path / "history.parquet").unlink()
    (run.path / ".coloss-partial-12345678").mkdir()
    (run.path / ".coloss-partial-12345678" / "history.parquet").write_bytes(b"half")
    before = {k: v for k, v in snapshot(home).items() if "/run/" not in k}
    with pytest.raises(CliError, match="--force"):
        claim(Path(through), force=False)
    with cleared(Path(through), force=True):
        pass
    after = snapshot(home)
    assert {k: v for k, v in after.items() if "/run/" not in k} == before
    left = [Path(k).name for k in after if "/run/" in k]
    assert left == [".coloss.json"]
    claim(Path(through), force=False)  # Nothing is lost if a run begins here.


def test_a_list_cannot_lead_out_of_the_folder(home):
    data(home / "data")
    run = finished(home / "run")
    owned = run.owned
    listed = owned._listed()
    outside = ("../data/labels.csv", str(home / "data" / "config.toml"), "../data/*")
    owned._write({**listed, **dict.fromkeys(outside)})
    before = snapshot(home / "data")
    with cleared(run.path, force=True):
        pass
    assert snapshot(home / "data") == before


def test_no_file_of_somebody_is_written_over(home):
    """Also from Python, where nobody asked whether the folder is free."""
    data(home)
    run = RunFolder(home)
    before = snapshot(home)
    with pytest.raises(FileExistsError, match="did not write it"):
        run.write_config({})
    (home / "log.jsonl").symlink_to("labels.csv")
    with pytest.raises(FileExistsError):
        run.append_log("start")
    (home / "log.jsonl").unlink()
    assert snapshot(home) == before
