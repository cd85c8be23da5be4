"""What is written is read again, and every template is valid."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from coloss.cli.config import Config, parse, resolved
from coloss.cli.config.overrides import overridden
from coloss.cli.config.template import Wanted, written
from coloss.cli.errors import CliError
from coloss.run_folder import RunFolder
from tests.cli.mistakes import CONFIG

MEMBERS = ["a=a.csv", "b=b.npz", "c=c.parquet"]


def wanted(members, **given):
    options = dict.fromkeys(("labels", "table", "id", "label", "split", "group"))
    options |= {"label": "y", "ids": [], "regression": False, **given}
    return Wanted.from_options(members=members, **options)


@pytest.mark.parametrize(
    ("count", "regression", "one"),
    list(itertools.product((1, 2, 3), (False, True), (False, True))),
)
def test_templates_are_valid(count, regression, one):
    members = [f"{m[0]}={m[0]}_*,!{m[0]}_0" for m in MEMBERS] if one else MEMBERS
    where = {"table": "t.csv"} if one else {"labels": "l.csv", "id": "id"}
    asked = wanted(members[:count], regression=regression, split="s", **where)
    config = parse(written(asked), "c.toml")
    assert list(config.members) == list("abc")[:count] and config.main == "a"
    assert config.is_classification is not regression
    term = "match_logits" if regression else "distill"
    assert (term in config.objective_text) is (count > 1)
    assert (config.study is not None) is (count > 1)
    if one:
        assert config.members["a"].columns == ["a_*", "!a_0"]


def test_odd_names_and_ids_are_written_as_they_are():
    text = written(
        wanted(['a=o"d\\d ü.npy'], labels="l.csv", id="i d", ids=["a=x.txt"])
    )
    config = parse(text, "c.toml")
    assert config.members["a"].data == 'o"d\\d ü.npy' and config.data.id == "i d"
    assert config.members["a"].ids == "x.txt"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["a"], "expected MEMBER=FILE"),
        (["a=1", "a=2"], "'a' is given twice"),
        (["1a=x"], "must be an identifier"),
    ],
)
def test_wrong_members_are_told(members, message):
    with pytest.raises(CliError, match=message):
        wanted(members)


def test_the_complete_configuration_means_the_same(tmp_path):
    config = parse(CONFIG, "c.toml")
    run = RunFolder(tmp_path)
    run.write_config(resolved(config))
    assert Config.model_validate(run.config) == config
    assert run.config["training"]["batch_size"] == 32


def test_options_take_the_place_of_keys():
    config = parse(CONFIG, "c.toml")
    found = overridden(config, training={"epochs": 7, "seed": None})
    assert found.training.epochs == 7 and found.training.seed == config.training.seed
    assert found.data is config.data


def test_the_schema_describes_every_key():
    schema = Config.model_json_schema()
    assert set(schema["properties"]) == set(Config.model_fields)
    assert schema["additionalProperties"] is False
    data = schema["$defs"]["Data"]["properties"]
    assert all("description" in data[key] for key in ("id", "split", "unlisted"))
    assert data["unlisted"]["enum"] == ["refuse", "unlabeled", "drop"]


def test_what_the_docs_show_is_valid():
    docs = Path(__file__).parents[3] / "docs" / "command_line.md"
    blocks = re.findall(r"```toml\n(.*?)```", docs.read_text(), re.DOTALL)
    config = parse("\n".join(blocks), "docs")
    assert len(blocks) == 2 and set(config.study.arms) == {"alone", "taught"}
