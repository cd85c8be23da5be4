"""The tables `[objective]`, `[training]`, `[output]` and `[study]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from coloss.cli.config.base import Count, Part, Positive, Whole
from coloss.cli.config.coefficients import Coefficient

Losses = Literal[
    "sparse_categorical_crossentropy",
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "log_cosh",
]
Optimizers = Literal[
    "adam", "adamw", "sgd", "rmsprop", "nadam", "adamax", "lion", "adagrad"
]
Control = Literal["alone", "self-training", "twin", "equal weights", "random weights"]
_ASCENT = "What happens if a network is trained to fail."


class ObjectiveTable(Part):
    """What is minimized."""

    text: Annotated[
        str | None,
        Field(description="The joint loss; when left out, the sum of all losses."),
    ] = None
    main: Annotated[
        str | None, Field(description="The network that is to gain; the first one.")
    ] = None
    on_ascent: Annotated[
        Literal["warn", "raise", "allow"], Field(description=_ASCENT)
    ] = "warn"
    fuse: Annotated[
        Literal["mean"] | None,
        Field(description="A common prediction from all networks, beside theirs."),
    ] = None


class Training(Part):
    """How it is minimized."""

    epochs: Count = 100
    batch_size: Count = 32
    optimizer: Optimizers = "adam"
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float | None, Field(ge=0)] = None
    clipnorm: Annotated[
        Positive | None, Field(description="Longest gradient of one variable.")
    ] = None
    loss: Annotated[Losses | None, Field(description="By the task when left out.")] = (
        None
    )
    patience: Annotated[
        Count | None,
        Field(description="Epochs without a better `monitor` before it ends."),
    ] = 15
    monitor: Annotated[
        str | None,
        Field(
            description="Entry of the history that says which epoch is best; the main "
            "network's validation accuracy (or loss) when left out."
        ),
    ] = None
    seed: Whole = 0
    weighting: Annotated[
        str | None, Field(description="Name of a method that moves the weights.")
    ] = None
    aggregator: Annotated[
        str | None, Field(description="Name of a method that combines gradients.")
    ] = None
    steps_per_execution: Annotated[
        Count | Literal["auto"],
        Field(description="Steps between two words from the device; 1: every step."),
    ] = "auto"
    on_nonfinite: Annotated[
        Literal["raise", "skip", "restore"],
        Field(description="What happens at a step that is not finite."),
    ] = "raise"
    flow_every: Annotated[
        Whole, Field(description="Epochs between measurements of who moves whom.")
    ] = 5


class Output(Part):
    """What is kept."""

    folder: Annotated[str, Field(min_length=1, description="Of the run.")] = "run"
    checkpoint_every: Annotated[
        Whole, Field(description="Epochs between copies in checkpoints/; 0: none.")
    ] = 10
    tensorboard: bool = False
    mlflow: Annotated[
        str | None, Field(description="An experiment's name; stored where MLflow says.")
    ] = None


class Arm(Part):
    """One way to train, where it differs."""

    objective: str | None = None
    coefficients: dict[str, Coefficient | list[float]] = Field(default_factory=dict)
    weighting: str | None = None
    aggregator: str | None = None


def _form(value: object) -> str:
    return "text" if isinstance(value, str) else "table"


AnyArm = Annotated[
    Annotated[str, Tag("text")] | Annotated[Arm, Tag("table")], Discriminator(_form)
]


class StudyTable(Part):
    """Did it help? Every arm is trained once a seed."""

    arms: Annotated[dict[str, AnyArm], Field(min_length=1)]
    seeds: Annotated[Count, Field(ge=2)] = 10
    baseline: str | None = None
    controls: Annotated[
        list[Control],
        Field(
            default_factory=list,
            description="Arms to add, which show where a gain did not come from: "
            "self-training, or twins (each helper replaced by a second network like "
            "the main one, of the same input).",
        ),
    ]
    coefficients: dict[str, list[float]] = Field(
        default_factory=dict, description="Values to try."
    )
    learning_rates: Annotated[list[Positive] | None, Field(min_length=1)] = None
    resplit: Annotated[
        bool,
        Field(description="Whether every seed has its own split by fractions."),
    ] = True
    epochs: Annotated[
        Count | None, Field(description="Instead of that of `[training]`.")
    ] = None
    engine: Literal["auto", "jax", "sequential", "ray"] = "auto"
