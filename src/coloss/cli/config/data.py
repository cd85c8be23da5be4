"""The tables `[data]` and `[data.fractions]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from coloss.cli.config.base import Part, Share, Whole

Label = str | int | float
ROW = "row"
"""The `id` that says: rows are joined by their place in the files."""


class Fractions(Part):
    """Shares of the labeled rows that are not trained on."""

    validation: Annotated[float, Field(gt=0, lt=1, description="To select on.")] = 0.15
    test: Annotated[Share, Field(description="To report, never selected on.")] = 0.15


class Data(Part):
    """Where labels, ids and splits come from, and how rows are prepared.

    Paths are relative to the configuration file. A file is CSV, TSV, ARFF, Parquet,
    Arrow, Feather, NPY or NPZ, by its suffix.
    """

    label: Annotated[
        str, Field(description="Column of the label, which is no feature anywhere.")
    ]
    labels: Annotated[
        str | None,
        Field(
            description="File with id and label (and split, group); it may be that of "
            "a member. When left out, the member's file that has the column `label`."
        ),
    ] = None
    table: Annotated[
        str | None,
        Field(description="One file with everything, instead of one a member."),
    ] = None
    header: Annotated[
        bool | None,
        Field(
            description="Whether the first line of `labels` or `table` names its "
            "columns (CSV, TSV). false: they are called column_1, column_2 and so on. "
            "When left out, it does; a file where it seems not to is asked about."
        ),
    ] = None
    id: Annotated[
        str | None,
        Field(
            description='Column that joins the files. Left out, or "row" where the '
            "labels have no such column: the rows of every file are in one order."
        ),
    ] = None
    task: Annotated[
        Literal["classification", "regression"],
        Field(description="Whether labels are classes or numbers."),
    ] = "classification"
    classes: Annotated[
        list[str | int] | None,
        Field(min_length=2, description="Their order; sorted when left out."),
    ] = None
    missing_labels: Annotated[
        list[Label] | None,
        Field(
            description="Labels that mean: unlabeled. An empty cell always does; "
            'when left out, "?" as well, and -1 among classes.'
        ),
    ] = None
    unlisted: Annotated[
        Literal["refuse", "unlabeled", "drop"],
        BeforeValidator(lambda word: {"unlabelled": "unlabeled"}.get(str(word), word)),
        Field(description="What becomes of ids that the label file does not have."),
    ] = "refuse"
    split: Annotated[
        str | None,
        Field(description="Column that says train, validation or test."),
    ] = None
    fractions: Annotated[
        Fractions | None,
        Field(
            description="Without `split`: shares of all labeled rows. With a `split` "
            "that has no validation rows: `validation` alone, of its training rows."
        ),
    ] = None
    group: Annotated[
        str | None,
        Field(description="Column, such as the speaker; a group is never split."),
    ] = None
    stratify: Annotated[
        bool, Field(description="Whether every split has the classes' shares.")
    ] = True
    seed: Annotated[Whole, Field(description="Of the split by fractions.")] = 0
    standardize: Annotated[
        bool,
        Field(
            description="Whether features get mean 0 and spread 1, as on training "
            "rows. Done inside each network, which so takes the files' own numbers."
        ),
    ] = True
    stream: Annotated[
        bool,
        Field(
            description="Read `table` (Parquet) while training, for a file larger than "
            "the memory."
        ),
    ] = False

    @property
    def shares(self) -> tuple[float, float]:
        """Of validation and test rows, where fractions say them."""
        fractions = self.fractions or Fractions()
        return fractions.validation, 0.0 if self.split else fractions.test
