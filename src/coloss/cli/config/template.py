"""The text that `coloss init` writes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from coloss.cli.errors import CliError
from coloss.objective.expression import check_identifier
from coloss.recipes import learn_from

ID_NAMES = ("id", "ids", "name", "file", "filename", "utterance", "key", "index")
TIMES = ("frameTime", "frameIndex")
LABEL_NAMES = ("label", "labels", "class", "emotion", "target", "y")


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
        times: columns of time, by member; openSMILE writes them, and they are none.
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
    times: Mapping[str, list[str]] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_options(cls, members: list[str], ids: list[str], **others: Any) -> Self:
        """Read `MEMBER=FILE`.

        Raises:
            CliError: for another form, or a name that no objective can say.
        """
        return cls(members=_pairs(members), ids=_pairs(ids), **others)

    def completed(self, folder: Path) -> Wanted:
        """Return the same with id and label found in the files, where they exist.

        Args:
            folder: that paths are relative to.

        Raises:
            CliError: if a file is there and its columns do not say.
        """
        if not self.members:
            return _PATTERN
        source = self.table or self.labels
        if source is None:
            raise CliError("the labels are in no file: --labels FILE, or --table FILE.")
        path = folder / source
        if not path.exists():
            raise CliError(f"there is no file '{path}'.")
        names = _columns(path) or []
        label = self.label or _guess("label", LABEL_NAMES, names, path)
        # One table needs no id.
        id = self.id
        if id is None and self.table is None:
            id = _guess("id", ID_NAMES, names, path)
        headers = {} if self.table else _headers(self.members, folder)
        own = {
            name: _guess("id", ID_NAMES, columns, folder / self.members[name])
            for name, columns in headers.items()
            if id is not None and id not in columns
        }
        times = {
            name: [column for column in columns if column in TIMES]
            for name, columns in headers.items()
        }
        return dataclasses.replace(self, id=id, label=label, own_ids=own, times=times)


_PATTERN = Wanted(
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


def _columns(path: Path) -> list[str]:
    from coloss.data.readers import DataError, column_names

    try:
        return column_names(path)
    except DataError as error:
        raise CliError(str(error)) from None


def _headers(members: Mapping[str, str], folder: Path) -> dict[str, list[str]]:
    """Return the columns of every member's table; arrays have none."""
    return {
        name: _columns(folder / file)
        for name, file in members.items()
        if not file.lower().endswith((".npy", ".npz"))
    }


def _guess(what: str, usual: tuple[str, ...], names: list[str], path: Path) -> str:
    found = [name for name in names if name.lower() in usual]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(names[:8])
    raise CliError(
        f"{path}: which column is the {what}? Say it: --{what} NAME (columns: {shown})."
    )


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
        else _line("labels", wanted.labels, "", "ids and labels, one row each"),
        _line("id", wanted.id, "id", "joins the files, in any order"),
        _line("label", wanted.label, "label", "empty, ? or -1: unlabelled"),
        _line("split", wanted.split, "split", "says train, validation or test"),
        _line("group", wanted.group, "speaker", "never torn apart by a split"),
    ]
    if wanted.regression:
        lines.append('task = "regression"')
    if wanted.split is None:
        lines.append("fractions = { validation = 0.15, test = 0.15 }")
    lines += [
        '# unlisted = "unlabelled"  # train on rows whose id has no label row, too',
        "",
    ]
    return "\n".join(lines)


def _members(wanted: Wanted) -> str:
    lines = []
    for place, (name, value) in enumerate(wanted.members.items()):
        lines += ["# The main network." if place == 0 else "# It teaches."]
        lines += [f"[members.{name}]"]
        if wanted.table:
            lines += [f"columns = {_text(value.split(','))}"]
        else:
            lines += [f"data = {_text(value)}"]
        if name in wanted.own_ids:
            lines += [f"id = {_text(wanted.own_ids[name])}"]
        if wanted.times.get(name):
            left_out = [f"!{column}" for column in wanted.times[name]]
            lines += [f"columns = {_text(['*', *left_out])}  # all but time"]
        if name in wanted.ids:
            lines += [f"ids = {_text(wanted.ids[name])}"]
        lines += [
            "layers = [",
            '    { kind = "dense", units = 64, name = "hidden" },',
            '    { kind = "dropout", rate = 0.3 },',
            "]",
            "",
        ]
    return "\n".join(lines)


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
    if not wanted.regression:
        return str(learn_from(main, helpers))
    share = 1.0 if len(helpers) == 1 else round(1 / len(helpers), 4)
    terms = [f"{share}*match_logits({helper} >> {main})" for helper in helpers]
    return " + ".join([*wanted.members, *terms])


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


def _study(wanted: Wanted) -> str:
    main, *helpers = wanted.members
    if not helpers:
        return ""
    return f"""\
# `coloss study` trains every arm once a seed, and says whether {main} gained.
[study]
seeds = 10

[study.arms]
alone = {_text(" + ".join(wanted.members))}
taught = {_text(_recommended(wanted))}
"""
