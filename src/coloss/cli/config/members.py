"""The tables `[members.NAME]`: one network each, or recorded predictions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from coloss.cli.config.base import Part, Positive
from coloss.cli.config.layers import Dense, Dropout, Layer

DEFAULT_LAYERS: list[Layer] = [
    Dense(kind="dense", units=64, name="hidden"),
    Dropout(kind="dropout", rate=0.3),
]


class Member(Part):
    """A network and what it sees, or recorded predictions.

    A network is `layers` (an output layer is added) or `model`, and sees `data`, or the
    `inputs` of others. Recorded predictions are `outputs`.
    """

    data: Annotated[
        str | None, Field(description="File of its features; not with `data.table`.")
    ] = None
    header: Annotated[
        bool | None,
        Field(
            description="Whether the first line of `data` names its columns "
            "(CSV, TSV). false: they are called column_1, column_2 and so on. When "
            "left out, it does; a file where it seems not to is asked about."
        ),
    ] = None
    id: Annotated[
        str | None, Field(description="Column of the ids here, instead of `data.id`.")
    ] = None
    columns: Annotated[
        list[str] | None,
        Field(
            min_length=1,
            description='Names or patterns such as "F0*"; "!name" leaves out. '
            "All columns with numbers when left out.",
        ),
    ] = None
    ids: Annotated[
        str | None,
        Field(description="File of the ids of an NPY file: NPY, or text by line."),
    ] = None
    array: Annotated[
        str | None, Field(description="Name of the features in an NPZ file.")
    ] = None
    inputs: Annotated[
        list[str] | None,
        Field(
            min_length=1,
            description="Members whose data it reads, instead of `data`: `layers` see "
            "them one behind the other.",
        ),
    ] = None
    missing: Annotated[
        Literal["drop", "zero"],
        Field(
            description="What becomes of a row that lacks one of `inputs`: it is not "
            "seen, or zeros (the mean, where features are standardized) stand there."
        ),
    ] = "drop"
    input_dropout: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Share of the training rows from which each of `inputs` is "
            "left out, never all of a row.",
        ),
    ] = 0.0
    outputs: Annotated[
        str | None,
        Field(
            description="File of recorded predictions, instead of `data` and a "
            "network: a column a class. They teach, and are not trained."
        ),
    ] = None
    kind: Annotated[
        Literal["probabilities", "logits", "values"] | None,
        Field(
            description="What `outputs` holds; when left out, probabilities, or values "
            "in a regression."
        ),
    ] = None
    fill: Annotated[
        Literal["refuse", "mean"],
        Field(
            description="What becomes of single missing values in a row: an error, or "
            "the mean of the training rows."
        ),
    ] = "refuse"
    layers: Annotated[
        list[Layer] | None, Field(description="Before the output layer.")
    ] = None
    model: Annotated[
        str | None, Field(description="A saved `.keras` file instead of `layers`.")
    ] = None
    frozen: Annotated[bool, Field(description="Whether it stays as it is.")] = False
    learning_rate: Annotated[
        Positive | None, Field(description="Instead of that of `[training]`.")
    ] = None

    @property
    def file(self) -> str | None:
        """The file of its own that it reads: features, or recorded predictions."""
        return self.data if self.outputs is None else self.outputs

    def gives(self, key: str) -> bool:
        """Return whether a key says something else than when it is left out.

        The configuration in a run folder has every key written out.
        """
        return bool(getattr(self, key) != type(self).model_fields[key].default)

    @property
    def layer_list(self) -> list[Layer]:
        """Its layers, or the default ones."""
        return DEFAULT_LAYERS if self.layers is None else self.layers
