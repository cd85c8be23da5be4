"""Data sets that come as train and test, and no more.

Of this kind: NervanaSystems/neon issue 57 and matterport/Mask_RCNN issue 2114 (take the
validation rows from those for train).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from coloss.cli.config import parse
from coloss.cli.errors import CliError
from coloss.cli.runs.rows import read_rows
from coloss.cli.runs.settle import settled
from coloss.data.readers import DataError

ROWS = 90
SPLIT = np.where(np.arange(ROWS) % 3 == 0, "test", "train")
CLASSES = np.random.default_rng(0).permutation(np.arange(ROWS) % 3 % 2)
TEXT = """\
[data]
labels = "labels.csv"
label = "y"
id = "id"
split = "part"
fractions = { validation = 0.25 }
{more}
[members.a]
data = "a.csv"
"""


def write(folder, split=SPLIT, labels=CLASSES):
    ids = [f"r{row}" for row in range(ROWS)]
    who = [f"s{row % 12}" for row in range(ROWS)]
    columns = {"id": ids, "y": labels, "part": split, "who": who}
    pd.DataFrame(columns).to_csv(folder / "labels.csv", index=False)
    values = np.random.default_rng(1).normal(size=ROWS)
    pd.DataFrame({"id": ids, "f": values}).to_csv(folder / "a.csv", index=False)


def config_of(more="", text=TEXT):
    return parse(text.replace("{more}", more), "c.toml")


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_share_of_the_rows_for_train(tmp_path, stratify, task):
    write(tmp_path)
    more = f'stratify = {str(stratify).lower()}\ntask = "{task}"'
    parts = read_rows(config_of(more), tmp_path).parts
    assert (parts == "test").tolist() == (SPLIT == "test").tolist()
    assert (parts == "validation").sum() == 15
    if stratify and task == "classification":
        share = CLASSES[SPLIT == "train"].mean()
        assert abs(CLASSES[parts == "validation"].mean() - share) < 1 / 15


def test_a_group_is_not_torn_apart(tmp_path):
    write(tmp_path)
    rows = read_rows(config_of('group = "who"'), tmp_path)
    drawn = {part: set() for part in ("train", "validation", "test")}
    for group, part in zip(rows.groups, rows.parts.tolist(), strict=True):
        drawn[part].add(group)
    assert drawn["validation"] and not drawn["validation"] & drawn["train"]


def test_rows_without_a_label_stay_for_train(tmp_path):
    labels = [str(c) if row % 5 else "?" for row, c in enumerate(CLASSES)]
    write(tmp_path, labels=labels)
    rows = read_rows(config_of(), tmp_path)
    known = rows.y >= 0
    assert (rows.parts[~known & (SPLIT == "train")] == "train").all()
    assert rows.unlabeled == {"an empty cell or '?'": ROWS // 5}
    train = known & (SPLIT == "train")
    assert abs((rows.parts == "validation").sum() - train.sum() / 4) <= 1


def test_every_seed_of_a_study_draws_others_and_leaves_the_test_rows(tmp_path):
    write(tmp_path)
    config = settled(config_of(), tmp_path)
    rows = read_rows(config, tmp_path)
    again = rows.with_parts(config, 7).parts
    assert (again != rows.parts).any()
    assert (again == "test").tolist() == (rows.parts == "test").tolist()
    assert (again == "validation").sum() == (rows.parts == "validation").sum()
    assert rows.with_parts(config, 7).with_parts(config, 0).parts.tolist() == (
        rows.parts.tolist()
    )


def test_a_settled_configuration_is_the_same_once_more(tmp_path):
    write(tmp_path)
    once = settled(config_of(), tmp_path)
    assert settled(once, tmp_path) == once and once.data.shares == (0.25, 0.0)
    assert read_rows(once, tmp_path).parts.tolist() == (
        read_rows(config_of(), tmp_path).parts.tolist()
    )


def test_what_does_not_fit_is_told_with_the_mend(tmp_path):
    write(tmp_path)
    plain = TEXT.replace("fractions = { validation = 0.25 }\n", "")
    with pytest.raises(DataError, match=r"fractions = \{ validation = 0\.15 \}"):
        read_rows(config_of(text=plain), tmp_path)
    with pytest.raises(CliError, match=r"fractions\.test must be left out"):
        config_of(text=TEXT.replace("0.25", "0.25, test = 0.1"))
    split = SPLIT.copy().astype("<U10")
    split[:9] = "validation"
    write(tmp_path, split)
    with pytest.raises(DataError, match="has rows for validation already"):
        read_rows(config_of(), tmp_path)
    assert (read_rows(config_of(text=plain), tmp_path).parts == split).all()
