"""What a network ends in: probabilities, logits, or something that is not visible.

The layer that makes the output is found behind what does not change its values
(dropout, reshaping, averages), inside nested models and wrappers, in Sequential and
Functional models. Of subclassed models and user's own layers nothing is visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import activations, layers

from coloss.joint.keras_internals import producer_of
from coloss.joint.recorded import PROBABILITIES, kind_of

SOFTMAX, SIGMOID, REAL, UNKNOWN = "softmax", "sigmoid", "real", "unknown"

# Between 0 and 1, and what they are to a loss.
_PROBABILITIES = {
    "softmax": SOFTMAX,
    "sparsemax": SOFTMAX,
    "sigmoid": SIGMOID,
    "hard_sigmoid": SIGMOID,
    "sparse_sigmoid": SIGMOID,
}
_ACTIVATIONS = {
    function: name
    for name, function in vars(activations).items()
    if callable(function) and name not in ("get", "serialize", "deserialize")
}
# Operations of keras.ops are classes without a public name.
_OPERATIONS = {
    "Softmax": "softmax",
    "Sparsemax": "sparsemax",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "SparseSigmoid": "sparse_sigmoid",
    "LogSoftmax": "log_softmax",
    "LogSigmoid": "log_sigmoid",
    "Relu": "relu",
    "Relu6": "relu6",
    "Elu": "elu",
    "Selu": "selu",
    "Gelu": "gelu",
    "Silu": "silu",
    "LeakyRelu": "leaky_relu",
    "Softplus": "softplus",
    "Tanh": "tanh",
}
_SAME_OPERATIONS = ("Reshape", "Squeeze", "ExpandDims", "Transpose", "Cast", "GetItem")
_SAME_VALUES = (
    layers.ActivityRegularization,
    layers.Average,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.Concatenate,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.Dropout,
    layers.Flatten,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.Identity,
    layers.Permute,
    layers.RepeatVector,
    layers.Reshape,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
)
_REAL = {
    layers.ReLU: "relu",
    layers.LeakyReLU: "leaky_relu",
    layers.PReLU: "prelu",
    layers.ELU: "elu",
    layers.BatchNormalization: "batch normalization",
    layers.GroupNormalization: "group normalization",
    layers.LayerNormalization: "layer normalization",
}


@dataclass(frozen=True)
class Head:
    """What a network ends in.

    Attributes:
        kind: SOFTMAX or SIGMOID (probabilities), REAL (any number), or UNKNOWN.
        layer: name of the layer that makes the values.
        activation: its activation, "linear" where there is none.
    """

    kind: str
    layer: str = ""
    activation: str = ""


_UNKNOWN = Head(UNKNOWN)


def find_head(network: keras.Model) -> Head:
    """Return what a network ends in; nothing is called, it need not be built."""
    recorded = kind_of(network)
    if recorded is not None:
        return Head(SOFTMAX if recorded == PROBABILITIES else REAL)
    return _of_model(network) or _UNKNOWN


def _of_model(network: keras.Model) -> Head | None:
    """Return the head of a model; None where it passes its input on."""
    if isinstance(network, keras.Sequential):
        for layer in reversed(network.layers):
            head = _of_operation(layer)
            if head is not None:
                return head
        return None
    outputs = getattr(network, "outputs", None)
    if not outputs or len(outputs) != 1:
        return _UNKNOWN
    return _of_tensor(outputs[0])


def _of_tensor(tensor: keras.KerasTensor) -> Head | None:
    operation, sources = producer_of(tensor)
    if isinstance(operation, layers.InputLayer):
        return None
    head = _of_operation(operation)
    if head is not None:
        return head
    heads = [_of_tensor(source) for source in sources]
    same = len({None if one is None else one.kind for one in heads}) == 1
    return heads[0] if same else _UNKNOWN


def _of_operation(operation: keras.Operation) -> Head | None:
    """Return what a layer or operation makes; None where it keeps its input's values.

    Layers of other libraries may do anything; their values are unknown.
    """
    kind, name = type(operation), getattr(operation, "name", "")
    if isinstance(operation, keras.Model):
        return _of_model(operation)
    if not kind.__module__.startswith("keras."):
        return _UNKNOWN
    if not isinstance(operation, layers.Layer):
        if kind.__name__ in _SAME_OPERATIONS:
            return None
        return _named(_OPERATIONS.get(kind.__name__), name)
    if kind in _SAME_VALUES:
        return None
    if isinstance(operation, layers.TimeDistributed):
        return _of_operation(operation.layer)
    if isinstance(operation, layers.Softmax):
        return Head(SOFTMAX, name, "softmax")
    if kind in _REAL:
        return Head(REAL, name, _REAL[kind])
    if not hasattr(operation, "activation"):
        return _UNKNOWN
    activation = _ACTIVATIONS.get(operation.activation)
    if isinstance(operation, layers.Activation) and activation == "linear":
        return None
    return _named(activation, name)


def _named(activation: str | None, layer: str) -> Head:
    if activation is None:
        return _UNKNOWN
    return Head(_PROBABILITIES.get(activation, REAL), layer, activation)
