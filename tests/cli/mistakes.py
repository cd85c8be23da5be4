"""Wrong configurations, files and uses, each with a part of the message it gives.

Each starts from a case that is right; `docs/mistakes.md` is made from this list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coloss.run_folder import RunFolder

from .example import SMALL, write_files

CONFIG = """\
[data]
labels = "labels.csv"
id = "id"
label = "emotion"
group = "speaker"

[members.acoustic]
data = "acoustic.csv"
id = "name"
layers = [
    { kind = "dense", units = 4, name = "hidden" },
]

[members.visual]
data = "visual.parquet"

[members.text]
data = "text.npz"

[objective]
text = "acoustic + visual + w*distill(text >> acoustic)"
main = "acoustic"

[coefficients]
w = 0.5

[training]
epochs = 2
patience = 2

[study]
seeds = 2
controls = ["twin"]

[study.arms]
alone = "acoustic + visual"
taught = "acoustic + visual + w*distill(visual >> acoustic)"
"""


def write_case(folder: Path) -> None:
    """Write the right configuration and its files."""
    write_files(folder, rows=60, widths=SMALL)
    (folder / "config.toml").write_text(CONFIG)


@dataclass(frozen=True)
class Mistake:
    """Something that is refused.

    Attributes:
        what: is wrong, in words.
        said: part of the message.
        old, new: replaced in the configuration.
        spoil: does something to the folder.
        command: what is run there.
    """

    what: str
    said: str
    old: str = ""
    new: str = ""
    spoil: Callable[[Path], object] = lambda folder: None
    command: tuple[str, ...] = ("train", "config.toml")

    def make(self, folder: Path) -> None:
        """Write the wrong case."""
        write_case(folder)
        path = folder / "config.toml"
        assert self.old in CONFIG, self.old
        path.write_text(CONFIG.replace(self.old, self.new, 1))
        self.spoil(folder)


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text, old
        (folder / name).write_text(text.replace(old, new))

    return change


def arrays(**found: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: np.savez(folder / "text.npz", **found)


def run_folder(folder: Path) -> None:
    RunFolder(folder / "run").write_config({})


def other_folder(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "thesis.tex").write_text("years of work")


def run_with_notes(folder: Path) -> None:
    run_folder(folder)
    (folder / "run" / "notes.txt").write_text("what I thought of it")


def run_that_was_edited(folder: Path) -> None:
    run_folder(folder)
    (folder / "run" / "config.toml").write_text("# mine")


IDS = np.array([f"clip_{row:03d}" for row in range(60)])
FEATURES = np.zeros((60, 7), "float32")


def emotion_of(row: int) -> str:
    return "happy" if row % 2 else "sad"


CONFIGURATIONS = [
    Mistake("a key that does not exist", "data.labl is no key", "label = ", "labl = "),
    Mistake(
        "a table that does not exist", "trainig is no key", "[training]", "[trainig]"
    ),
    Mistake("no TOML", "is no TOML", "w = 0.5", "w ="),
    Mistake("a key twice", "Cannot overwrite a value", "w = 0.5", "w = 0.5\nw = 1"),
    Mistake(
        "text for a number",
        "must be a whole number; found '2'",
        "s = 2\np",
        's = "2"\np',
    ),
    Mistake(
        "a number out of range", "must be at least 1; found 0", "s = 2\np", "s = 0\np"
    ),
    Mistake("no finite number", "must be a finite number", "w = 0.5", "w = inf"),
    Mistake("a value of a list", "'adm'", "epochs = 2", 'optimizer = "adm"'),
    Mistake("a kind of layer", "has kind 'dens'", 'kind = "dense"', 'kind = "dens"'),
    Mistake("an option of a layer", "did you mean 'units'", "units = 4", "unit = 4"),
    Mistake(
        "a layer's name twice",
        "is taken: 'hidden'",
        "},\n]",
        '},\n    { kind = "dropout", rate = 0.1, name = "hidden" },\n]',
    ),
    Mistake(
        "no members",
        "members must be a table",
        CONFIG,
        'members = 3\ndata = { label = "x" }\n',
    ),
    Mistake(
        "a member's name",
        "no objective can say",
        "[members.text]",
        '[members."my text"]',
    ),
    Mistake(
        "a member with the name of a function",
        "has the name of a function",
        "[members.text]",
        "[members.distill]",
    ),
    Mistake("no file for a member", "needs `data`", 'data = "text.npz"', ""),
    Mistake(
        "inputs of a member",
        "did you mean 'acoustic'?",
        'data = "text.npz"',
        'inputs = ["acustic", "visual"]',
    ),
    Mistake(
        "a member's name in the objective",
        "did you mean 'visual'?",
        "+ visual + w",
        "+ visul + w",
    ),
    Mistake(
        "a coefficient without a value",
        "no member and no coefficient 'q7'",
        "w*distill(text",
        "q7*distill(text",
    ),
    Mistake(
        "a coefficient that nobody names",
        "is in no objective",
        "w = 0.5",
        "w = 0.5\nw9 = 1.0",
    ),
    Mistake(
        "a transfer term", "did you mean 'distill'", "w*distill(text", "w*distil(text"
    ),
    Mistake(
        "an objective that ends early",
        "at column",
        "distill(text >> acoustic)",
        "distill(text >>",
    ),
    Mistake(
        "a layer in the objective",
        "names no layer of 'acoustic': 'hiden'; did you mean 'hidden'?",
        "w*distill(text >> acoustic)",
        "w*cka(text.hidden >> acoustic.hiden)",
    ),
    Mistake(
        "the main member",
        "did you mean 'acoustic'",
        'main = "acoustic"',
        'main = "acustic"',
    ),
    Mistake(
        "a schedule",
        '"ramp", "cosine" or "steps"',
        "w = 0.5",
        'w = { schedule = "rmp" }',
    ),
    Mistake(
        "steps that do not fit their values",
        "is no schedule",
        "w = 0.5",
        'w = { schedule = "steps", at = [3, 5], values = [1, 2] }',
    ),
    Mistake(
        "fractions that leave no row",
        "leaves no row to train on",
        'group = "speaker"',
        "fractions = { validation = 0.5, test = 0.5 }",
    ),
    Mistake(
        "a split twice",
        "must be left out where `split`",
        'group = "speaker"',
        'split = "speaker"\nfractions = { test = 0.2 }',
    ),
    Mistake("a loss that does not fit", "does not fit", "epochs = 2", 'loss = "huber"'),
    Mistake(
        "what to monitor",
        "did you mean 'acoustic_accuracy'",
        "epochs = 2",
        'monitor = "val_acoustic_acuracy"',
    ),
    Mistake(
        "a network and layers",
        "exclude each other",
        'id = "name"',
        'id = "name"\nmodel = "a.keras"',
    ),
    Mistake(
        "a baseline", "study.baseline names no arm", "seeds = 2", 'baseline = "alon"'
    ),
    Mistake(
        "recorded predictions that have a network",
        "is not for a member with `outputs`",
        'data = "text.npz"',
        'outputs = "text.npz"\nfrozen = true',
    ),
    Mistake("a control", "did you mean 'twin'", '["twin"]', '["twins"]'),
    Mistake(
        "a control that is an arm",
        "is an arm already: 'alone'",
        '["twin"]',
        '["alone"]',
    ),
    Mistake(
        "streaming of several files",
        "needs `table`, a Parquet file",
        'group = "speaker"',
        "stream = true",
    ),
]

FILES = [
    Mistake("a file that is not there", "does not exist", "text.npz", "txt.npz"),
    Mistake(
        "a format that is not read",
        "has the suffix '.xlsx'",
        "text.npz",
        "text.xlsx",
        write("text.xlsx", ""),
    ),
    Mistake("the id column", "has no column 'idd'", 'id = "id"', 'id = "idd"'),
    Mistake(
        "the label column",
        "did you mean 'emotion'",
        'label = "emotion"',
        'label = "emotio"',
    ),
    Mistake(
        "an id twice",
        "1 id more than once: 'clip_003'",
        spoil=edit("labels.csv", "clip_002", "clip_003"),
    ),
    Mistake(
        "an id that has no label row",
        "1 id has no row among the labels: 'clip_007'",
        spoil=edit("labels.csv", '"clip_007"', '"another"'),
    ),
    Mistake(
        "ids in capitals",
        "(capital and small letters; 60 ids)",
        spoil=edit("labels.csv", "clip_", "CLIP_"),
    ),
    Mistake(
        "ids with the ending of a file",
        "members.acoustic: your ids are written differently: 'clip_",
        spoil=lambda folder: relabeled(folder, emotion_of, ending=".wav"),
    ),
    Mistake(
        "a split without rows for validation",
        "fractions = { validation = 0.15 } takes them from the rows for train",
        'group = "speaker"',
        'split = "speaker"',
        lambda folder: relabeled(folder, emotion_of, speaker="train"),
    ),
    Mistake(
        "labels in no file",
        "no member's file has a column 'emotion'",
        'labels = "labels.csv"\n',
        "",
    ),
    Mistake(
        "a row without an id",
        "1 row without an id",
        spoil=edit("labels.csv", '"clip_002"', ""),
    ),
    Mistake(
        "a row with a cell too many",
        "CSV parse error",
        spoil=edit("labels.csv", '"clip_002"', '"clip_002","x"'),
    ),
    Mistake("an empty file", "has no header line", spoil=write("labels.csv", "")),
    Mistake(
        "no rows", "has no rows", spoil=write("labels.csv", "id,emotion,speaker\n")
    ),
    Mistake(
        "no labels",
        "has no label at all",
        spoil=lambda folder: relabeled(folder, lambda row: ""),
    ),
    Mistake(
        "one class",
        "has one class only, 'sad'",
        spoil=lambda folder: relabeled(folder, lambda row: "sad"),
    ),
    Mistake(
        "numbers as classes",
        'data.task = "regression"',
        spoil=lambda folder: relabeled(folder, lambda row: f"{row / 7}"),
    ),
    Mistake(
        "classes as numbers",
        "which is no number",
        'group = "speaker"',
        'task = "regression"',
    ),
    Mistake(
        "a class that is not listed",
        "labels that are not listed in data.classes: 'sad'",
        'group = "speaker"',
        'classes = ["angry", "happy", "neutral"]',
    ),
    Mistake(
        "a split that is unknown",
        "expected train, validation, test",
        'group = "speaker"',
        'split = "speaker"',
    ),
    Mistake(
        "too few groups",
        "no labeled row is left",
        spoil=lambda folder: relabeled(folder, None),
    ),
    Mistake(
        "infinite features",
        "values infinite, or too large",
        spoil=arrays(id=IDS, features=FEATURES + np.inf),
    ),
    Mistake(
        "single missing values",
        'fill = "mean"',
        spoil=arrays(id=IDS, features=np.where(np.arange(7) == 3, np.nan, FEATURES)),
    ),
    Mistake(
        "ids of another number than rows",
        "60 rows and 59 ids",
        spoil=arrays(id=IDS[:59], features=FEATURES),
    ),
    Mistake(
        "an array without ids",
        "has no ids to join by 'id'",
        spoil=arrays(features=FEATURES),
    ),
    Mistake(
        "several arrays",
        "say which: `array`",
        spoil=arrays(id=IDS, a=FEATURES, b=FEATURES),
    ),
    Mistake(
        "Python objects in a file",
        "Python objects",
        spoil=arrays(id=IDS, features=np.array([[object()]])),
    ),
    Mistake(
        "text for numbers",
        "no column of numbers",
        spoil=write("acoustic.csv", "name,F0\nclip_000,loud\n"),
    ),
    Mistake(
        "columns that fit no pattern",
        "has no column that fits 'G*'",
        'id = "name"',
        'id = "name"\ncolumns = ["G*"]',
    ),
    Mistake(
        "a saved network that is none",
        "is no `.keras` file",
        'data = "text.npz"',
        'data = "text.npz"\nmodel = "net.keras"',
        write("net.keras", ""),
    ),
    Mistake(
        "labels that nobody has features for",
        "1 id of the labels is in no member's file: 'clip_new'",
        spoil=edit("labels.csv", '"clip_059"', '"clip_new","sad","s1"\n"clip_059"'),
    ),
]

USES = [
    Mistake(
        "no configuration",
        "there is no file 'none.toml'",
        command=("train", "none.toml"),
    ),
    Mistake("a run that is there already", "--force", spoil=run_folder),
    Mistake(
        "a folder of something else",
        "holds something that is no run",
        spoil=other_folder,
        command=("train", "config.toml", "--force"),
    ),
    Mistake(
        "the folder of the data as the run folder",
        "holds something that is no run: 'acoustic.csv'",
        command=("train", "config.toml", "--output", ".", "--force"),
    ),
    Mistake(
        "a run beside somebody's own files",
        "what coloss did not write: 'notes.txt'",
        spoil=run_with_notes,
        command=("train", "config.toml", "--force"),
    ),
    Mistake(
        "a run whose files were edited",
        "'config.toml (changed)'",
        spoil=run_that_was_edited,
        command=("train", "config.toml", "--force"),
    ),
    Mistake(
        "a file in place of the run folder",
        "cannot be made: 'labels.csv' is a file",
        command=("train", "config.toml", "--output", "labels.csv", "--force"),
    ),
    Mistake(
        "a configuration that is there already",
        "exists already",
        command=("init", "config.toml"),
    ),
    Mistake(
        "a member without a file",
        "expected MEMBER=FILE",
        command=("init", "new.toml", "acoustic"),
    ),
    Mistake(
        "a label that cannot be guessed",
        "which column is the label",
        spoil=edit("labels.csv", "emotion", "mood"),
        command=("init", "new.toml", "acoustic=acoustic.csv", "--labels", "labels.csv"),
    ),
    Mistake(
        "no run",
        "there is no folder 'nothing'",
        command=("predict", "nothing", "acoustic=acoustic.csv", "-o", "p.csv"),
    ),
    Mistake(
        "a folder that is no run",
        "holds no run",
        command=("evaluate", ".."),
        spoil=lambda folder: None,
    ),
    Mistake(
        "a file for predictions",
        "must end in .csv or .parquet",
        command=("predict", "run", "acoustic=acoustic.csv", "-o", "p.xlsx"),
        spoil=run_folder,
    ),
    Mistake(
        "two runs without a page",
        "say where: --output",
        command=("report", "run", "run"),
        spoil=run_folder,
    ),
    Mistake(
        "a study without arms",
        "has no table [study]",
        CONFIG[CONFIG.index("[study]") :],
        "",
        command=("study", "config.toml"),
    ),
]


def relabeled(
    folder: Path,
    label: Callable[[int], str] | None,
    ending: str = "",
    speaker: str | None = None,
) -> None:
    """Write other labels; None: two speakers only."""
    lines = ["id,emotion,speaker"]
    for row in range(60):
        name = "happy" if label is None and row % 2 else "sad"
        who = speaker or (f"s{row % 2}" if label is None else f"s{row % 12}")
        word = name if label is None else label(row)
        lines.append(f"{IDS[row]}{ending},{word},{who}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


ALL = [*CONFIGURATIONS, *FILES, *USES]
TABLE = Path(__file__).parents[2] / "docs" / "mistakes.md"


def table(folder: Path) -> str:
    """Return the table of `docs/mistakes.md`; the current folder must be `folder`."""
    import shutil

    from typer.testing import CliRunner

    from coloss.cli.app import app

    lines = [
        "# What coloss says to mistakes",
        "",
        "Every one ends with exit code 2, before anything is trained or written. Made",
        "by `python -m tests.cli.mistakes` from the cases that the tests run.",
        "",
        "| what is wrong | message |",
        "|---|---|",
    ]
    for mistake in ALL:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        mistake.make(folder)
        said = CliRunner().invoke(app, list(mistake.command)).stderr.strip()
        told = said.removeprefix("error: ").replace("|", "\\|")
        cell = "<br>".join(f"`{line.strip()}`" for line in told.split("\n"))
        lines.append(f"| {mistake.what} | {cell} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        text = table(Path(place))
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(text)
