"""The layers that a network can be built of, in the file.

Each is a Keras layer; fields have the names that they have there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from coloss.cli.config.base import Count, Part, Positive, Share

Activation = Literal[
    "linear",
    "relu",
    "gelu",
    "elu",
    "selu",
    "silu",
    "leaky_relu",
    "softplus",
    "sigmoid",
    "tanh",
]


class _Layer(Part):
    name: Annotated[
        str | None,
        Field(
            min_length=1, description="As transfer terms call it, as in text.hidden."
        ),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the Keras layer."""
        given = self.model_dump(exclude={"kind"}, exclude_none=True)
        l2 = given.pop("l2", 0.0)
        if l2:
            regularizer = {"class_name": "L2", "config": {"l2": l2}}
            given["kernel_regularizer"] = regularizer
        return given


class Dense(_Layer):
    """Every unit sees every value of the last axis."""

    kind: Literal["dense"]
    units: Count
    activation: Activation = "relu"
    l2: Annotated[float, Field(ge=0, description="Penalty on squared weights.")] = 0.0


class Dropout(_Layer):
    """Leaves out a share of the values while training."""

    kind: Literal["dropout"]
    rate: Share


class GaussianNoise(_Layer):
    """Adds noise while training."""

    kind: Literal["gaussian_noise"]
    stddev: Positive


class LayerNormalization(_Layer):
    """Normalizes each row."""

    kind: Literal["layer_norm"]


class BatchNormalization(_Layer):
    """Normalizes over the batch; not for members with missing rows."""

    kind: Literal["batch_norm"]


class Act(_Layer):
    """An activation alone."""

    kind: Literal["activation"]
    activation: Activation


class Flatten(_Layer):
    """Makes one axis of all."""

    kind: Literal["flatten"]


class Reshape(_Layer):
    """Makes axes of one, such as [time, features]."""

    kind: Literal["reshape"]
    target_shape: Annotated[list[int], Field(min_length=1)]


class Conv1D(_Layer):
    """Convolution over time; the input is (time, features)."""

    kind: Literal["conv1d"]
    filters: Count
    kernel_size: Count
    strides: Count = 1
    padding: Literal["valid", "same", "causal"] = "same"
    activation: Activation = "relu"


class MaxPooling1D(_Layer):
    """The largest of each few steps."""

    kind: Literal["max_pool1d"]
    pool_size: Count = 2


class GlobalAveragePooling1D(_Layer):
    """The mean over time."""

    kind: Literal["global_average_pool1d"]


class LSTM(_Layer):
    """Long short-term memory over time."""

    kind: Literal["lstm"]
    units: Count
    return_sequences: bool = False


class GRU(_Layer):
    """Gated recurrent units over time."""

    kind: Literal["gru"]
    units: Count
    return_sequences: bool = False


Layer = Annotated[
    Dense
    | Dropout
    | GaussianNoise
    | LayerNormalization
    | BatchNormalization
    | Act
    | Flatten
    | Reshape
    | Conv1D
    | MaxPooling1D
    | GlobalAveragePooling1D
    | LSTM
    | GRU,
    Field(discriminator="kind"),
]

KERAS_NAMES = {"Act": "Activation"}
"""Names of Keras's classes where ours differ."""
