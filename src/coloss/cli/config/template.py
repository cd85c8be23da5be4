"""The text that `coloss init` writes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from coloss.cli.config.data import ROW
from coloss.cli.errors import CliError
from coloss.objective.expression import check_identifier
from coloss.recipes import learn_from


@dataclass(frozen=True)
class Wanted:
    """What a configuration is to say.

    Attributes:
        members: file by member, the main one first; with `table`, patterns.
        labels: file, or None.
        table: file, or None.
        id: column, or None.
        label: column, or None.
        split: column, or None.
        group: column, or None.
        ids: file of ids, by member.
        regression: whether labels are numbers.
        own_ids: column of ids, by member whose file has another one.
        left_out: columns that are hardly meant as features, by member.
        headerless: files whose first line holds values.
        draws_validation: whether `split` names no rows for validation.
    """

    members: Mapping[str, str]
    labels: str | None
    table: str | None
    id: str | None
    label: str | None
    split: str | None
    group: str | None
    ids: Mapping[str, str]
    regression: bool
    own_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)
    left_out: Mapping[str, list[str]] = dataclasses.field(default_factory=dict)
    headerless: frozenset[str] = frozenset()
    draws_validation: bool = False

    @classmethod
    def from_options(cls, members: list[str], ids: list[str], **others: Any) -> Self:
        """Read `MEMBER=FILE`.

        Raises:
            CliError: for another form, or a name that no objective can say.
        """
        return cls(members=_pairs(members), ids=_pairs(ids), **others)


PATTERN = Wanted(
    members={"acoustic": "acoustic.csv", "visual": "visual.npz", "text": "text.csv"},
    labels="labels.csv",
    table=None,
    id="id",
    label="label",
    split=None,
    group=None,
    ids={},
    regression=False,
)


def _pairs(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise CliError(f"expected MEMBER=FILE; found {text!r}.")
        try:
            check_identifier(name, "member")
        except ValueError as error:
            raise CliError(str(error)) from None
        if name in found:
            raise CliError(f"the member {name!r} is given twice.")
        found[name] = value
    return found


def written(wanted: Wanted) -> str:
    """Return the configuration as commented TOML."""
    parts = (_data, _members, _objective, _training, _study)
    return "\n".join(part(wanted) for part in parts)


def _text(value: Any) -> str:
    """Return a value as TOML; JSON writes text and lists of text the same way."""
    return json.dumps(value, ensure_ascii=False)


def _line(key: str, value: str | None, example: str, comment: str) -> str:
    if value is None:
        return f"# {key} = {_text(example)}  # {comment}"
    return f"{key} = {_text(value)}  # {comment}"


def _data(wanted: Wanted) -> str:
    lines = [
        "# What `coloss train` reads. Paths are relative to this file.",
        "",
        "[data]",
        _line("table", wanted.table, "all.parquet", "one file with everything")
        if wanted.table
        else _line("labels", wanted.labels, "", _what_labels(wanted)),
        *_header(wanted, wanted.table or wanted.labels),
        _line("id", wanted.id, "id", _what_id(wanted)),
        _line("label", wanted.label, "label", _what_label(wanted)),
        _line("split", wanted.split, "split", "says train, validation or test"),
        _line("group", wanted.group, "speaker", "never torn apart by a split"),
    ]
    if wanted.regression:
        lines.append('task = "regression"')
    if wanted.split is None:
        lines.append("fractions = { validation = 0.15, test = 0.15 }")
    elif wanted.draws_validation:
        lines.append("fractions = { validation = 0.15 }  # of the rows for train")
    if wanted.id not in (ROW, None):
        lines.append(
            '# unlisted = "unlabeled"  # train on rows whose id has no label row, too'
        )
    return "\n".join([*lines, ""])


def _what_labels(wanted: Wanted) -> str:
    if wanted.labels in wanted.members.values():
        return "the label is a column of this member's file, and no feature"
    return "ids and labels, one row each" if wanted.id != ROW else "one row each"


def _what_id(wanted: Wanted) -> str:
    if wanted.id == ROW:
        return "no column: all files have the same rows in the same order"
    return "joins the files, in any order"


def _what_label(wanted: Wanted) -> str:
    return "empty or ?: unlabeled" if wanted.regression else "empty, ? or -1: unlabeled"


def _header(wanted: Wanted, file: str | None) -> list[str]:
    if file not in wanted.headerless:
        return []
    return ["header = false  # its first line holds values; columns are column_1, ..."]


def _members(wanted: Wanted) -> str:
    lines = []
    for place, (name, value) in enumerate(wanted.members.items()):
        lines += ["# The main network." if place == 0 else "# It teaches."]
        lines += [f"[members.{name}]"]
        if wanted.table:
            lines += [f"columns = {_text(value.split(','))}"]
        else:
            lines += [f"data = {_text(value)}", *_header(wanted, value)]
        if name in wanted.own_ids:
            lines += [f"id = {_text(wanted.own_ids[name])}"]
        if wanted.left_out.get(name):
            left_out = [f"!{column}" for column in wanted.left_out[name]]
            lines += [f"columns = {_text(['*', *left_out])}  # all but these"]
        if name in wanted.ids:
            lines += [f"ids = {_text(wanted.ids[name])}"]
        lines += [
            "layers = [",
            '    { kind = "dense", units = 64, name = "hidden" },',
            '    { kind = "dropout", rate = 0.3 },',
            "]",
            "",
        ]
    if len(wanted.members) > 1:
        main, *_ = wanted.members
        lines += [
            "# A network that sees everything often teaches better than weak helpers:",
            f"# add it, and all + distill(all >> {main}) to the objective.",
            "# [members.all]",
            f"# inputs = {_text(list(wanted.members))}",
            '# missing = "zero"  # what is not there: the row is left out (drop), or 0',
            "",
            *_recorded_block(wanted),
        ]
    return "\n".join(lines)


def _recorded_block(wanted: Wanted) -> list[str]:
    main, *_ = wanted.members
    term = "match_logits" if wanted.regression else "distill"
    made = (
        '# outputs = "expert.csv"  # ids, and one column'
        if wanted.regression
        else '# outputs = "expert.csv"  # ids, and a column a class; '
        "`coloss predict --probabilities`"
    )
    return [
        "# So do recorded predictions of anything else (a forest, last year's model):",
        f"# add {term}(expert >> {main}) to the objective.",
        "# [members.expert]",
        made,
        "",
    ]


def _objective(wanted: Wanted) -> str:
    return "\n".join(
        [
            "[objective]",
            f"text = {_text(_recommended(wanted))}",
            f"main = {_text(next(iter(wanted.members)))}",
            "",
        ]
    )


def _recommended(wanted: Wanted) -> str:
    main, *helpers = wanted.members
    if not helpers:
        return main
    task = "regression" if wanted.regression else "classification"
    return str(learn_from(main, helpers, task=task))


def _training(wanted: Wanted) -> str:
    return """\
[training]
epochs = 100
batch_size = 32
optimizer = "adam"
learning_rate = 0.001
patience = 15  # epochs without a better main network before it ends
seed = 0

[output]
folder = "run"
"""


def _controls(wanted: Wanted) -> list[str]:
    # Self-training needs classes.
    return ["twin"] if wanted.regression else ["self-training", "twin"]


def _study(wanted: Wanted) -> str:
    main, *helpers = wanted.members
    if not helpers:
        return ""
    return f"""\
# `coloss study` trains every arm once a seed, and says whether {main} gained.
[study]
seeds = 10
controls = {_text(_controls(wanted))}  # what these gain, too, is not the helpers'

[study.arms]
alone = {_text(" + ".join(wanted.members))}
taught = {_text(_recommended(wanted))}
"""
