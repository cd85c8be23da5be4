"""Joint models of every kind of state, for `tests.saved_goes_on`."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np

import coloss
from coloss.aggregation import PCD
from coloss.aggregation.registry import AGGREGATORS
from coloss.weighting import METHODS

ROWS, WIDTH, CLASSES = 22, 4, 3
RNG = np.random.default_rng(0)
Y = RNG.integers(0, CLASSES, ROWS)
X = {name: RNG.normal(size=(ROWS, WIDTH)).astype("float32") for name in "abc"}
SEQUENCES = {n: RNG.normal(size=(ROWS, 5, WIDTH)).astype("float32") for n in "abc"}
IMAGES = {n: RNG.normal(size=(ROWS, 8, 8, 3)).astype("float32") for n in "abc"}

layers = keras.layers


def network(x, *inner):
    """Return a classifier with these layers inside, after one that is named."""
    return keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Dense(6, "tanh", name="hidden"),
            *inner,
            *([layers.Flatten()] if x.ndim > 2 and not _ends_flat(inner) else []),
            layers.Dense(CLASSES, "softmax", name="out"),
        ]
    )


def _ends_flat(inner):
    return any(isinstance(one, layers.LSTM | layers.GRU) for one in inner)


def joint(inner=lambda: [], data=X, members="abc", inputs=None, **compiled):
    """Return a compiled joint model, and what `fit` takes.

    Args:
        inner: returns the layers inside each network, made anew.
        data: inputs by member.
        members: names.
        inputs: of `JointModel`.
        **compiled: arguments of `compile`.
    """
    model = coloss.JointModel({n: network(data[n], *inner()) for n in members})
    model.compile(
        **{
            "optimizer": keras.optimizers.Adam(0.01),
            "loss": "sparse_categorical_crossentropy",
            "objective": "a + b + 0.3*c + 2*distill((b, c) >> a)"
            " + 0.3*sp(b.hidden >> a.hidden)",
            **compiled,
        }
    )
    return model, {"x": data, "y": Y}


def adam(**options):
    """Return arguments of `compile`: Adam with these options."""
    return {"optimizer": keras.optimizers.Adam(0.01, **options)}


def layer(make, data=X):
    """Return a case with this layer inside every network."""
    return lambda: joint(lambda: [make()], data)


def compiled(make):
    """Return a case with these arguments of `compile`, made anew."""
    return lambda: joint(lambda: [layers.Dropout(0.3)], **make())


def attention():
    """Return a layer of attention with dropout, as a model of one input."""
    given = keras.Input((5, 6))
    inside = layers.MultiHeadAttention(2, 3, dropout=0.3)(given, given)
    return keras.Model(given, inside)


def modality():
    """Return a model with a member that reads all inputs, some taken away."""
    x = {name: X[name] for name in "bc"}
    together = keras.Input((WIDTH,), name="b"), keras.Input((WIDTH,), name="c")
    hidden = layers.Dense(6, "tanh")(layers.Concatenate()(together))
    both = keras.Model(together, layers.Dense(CLASSES, "softmax")(hidden))
    members = {"both": both, "b": network(x["b"], layers.Dropout(0.3))}
    inputs = {"both": coloss.Inputs("b", "c", missing="zero", dropout=0.4)}
    model = coloss.JointModel(members, inputs=inputs)
    model.compile(
        "adam",
        loss="sparse_categorical_crossentropy",
        objective="both + b + distill(both >> b)",
    )
    return model, {"x": x, "y": Y}


def half():
    """Return a model in half precision, with a loss scale."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return joint(lambda: [layers.Dropout(0.3)], optimizer="adam")
    finally:
        keras.config.set_dtype_policy(before)


def moving():
    """Return coefficients that move and that are trained, a gate and a window."""
    return {
        "objective": "a + w*b + c + exp(-v)*distill(b >> a, gate='network') + v"
        " + hint(c.hidden >> a.hidden, warmup=2) + distill(c >> a, gate='row')",
        "coefficients": {
            "w": coloss.Ramp(0, 1, epochs=3),
            "v": coloss.Trainable(0.5),
        },
    }


def everything():
    """Return averages, accumulation, a weighting and an aggregator, all at once."""
    average = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5}
    return {
        **adam(**average, gradient_accumulation_steps=2),
        "weighting": "famo",
        "aggregator": "pcgrad",
    }


def own_optimizers():
    """Return an optimizer of its own for a member, with a schedule."""
    falling = keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)
    return {
        "optimizer": {
            "a": keras.optimizers.SGD(falling, momentum=0.9, nesterov=True),
            "*": keras.optimizers.AdamW(0.01, amsgrad=True),
        }
    }


def weighed(name):
    """Return a model with a weighting; each may read losses of validation rows."""
    model, given = compiled(lambda: {"weighting": name})()
    return model, {**given, "validation_split": 0.3}


WEIGHTINGS = {f"weighting {name}": partial(weighed, name) for name in METHODS}
AGGREGATIONS = {
    f"aggregator {name}": compiled(
        partial(
            lambda n: {"aggregator": PCD(primary="a") if n == "PCD" else n.lower()},
            name,
        )
    )
    for name in AGGREGATORS
}
LEVELS = {
    "aggregator UPGrad, outputs": compiled(
        lambda: {"aggregator": "upgrad", "aggregation_level": "output"}
    ),
    "aggregator MGDA, coefficients": compiled(
        lambda: {
            "aggregator": "mgda",
            "aggregation_level": "coefficient",
            "objective": "a + b + 0.4*(2*a + b + c) + 0.1*c",
        }
    ),
}
LAYERS = {
    "Dropout": layer(lambda: layers.Dropout(0.3)),
    "SpatialDropout1D": layer(lambda: layers.SpatialDropout1D(0.3), SEQUENCES),
    "GaussianNoise": layer(lambda: layers.GaussianNoise(0.3)),
    "GaussianDropout": layer(lambda: layers.GaussianDropout(0.3)),
    "AlphaDropout": layer(lambda: layers.AlphaDropout(0.3)),
    "BatchNormalization": layer(layers.BatchNormalization),
    "SpectralNormalization": layer(
        lambda: layers.SpectralNormalization(layers.Dense(6))
    ),
    "LSTM, dropout": layer(
        lambda: layers.LSTM(5, dropout=0.3, recurrent_dropout=0.3), SEQUENCES
    ),
    "GRU, dropout": layer(lambda: layers.GRU(5, dropout=0.3), SEQUENCES),
    "MultiHeadAttention, dropout": layer(attention, SEQUENCES),
    "RandomFlip": layer(lambda: layers.RandomFlip(), IMAGES),
    "RandomTranslation": layer(lambda: layers.RandomTranslation(0.2, 0.2), IMAGES),
    "RandomContrast": layer(
        lambda: layers.RandomContrast(0.3, value_range=(-1, 1)), IMAGES
    ),
    "inputs taken away (Inputs(dropout=))": modality,
}
OPTIMIZERS = {
    "EMA": compiled(partial(adam, use_ema=True, ema_overwrite_frequency=5)),
    "EMA, at the end": compiled(partial(adam, use_ema=True)),
    "gradient accumulation": compiled(partial(adam, gradient_accumulation_steps=4)),
    "an optimizer of its own, a schedule": compiled(own_optimizers),
    "mixed_float16, a loss scale": half,
    "coefficients, gates, windows": compiled(moving),
    "EMA, accumulation, famo, pcgrad": compiled(everything),
}
CASES = {**WEIGHTINGS, **AGGREGATIONS, **LEVELS, **LAYERS, **OPTIMIZERS}
"""By name: each returns a model and what `fit` takes, made anew."""
