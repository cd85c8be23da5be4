"""A compiled step does not grow unseen: its instructions are counted."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

if keras.backend.backend() != "jax":
    pytest.skip("compiled as one program on JAX", allow_module_level=True)

from coloss.joint.epochs import blocks
from coloss.joint.epochs.jax import StepPrograms

ROWS, CLASSES = 8, 3
WIDTHS = {"a": 5, "b": 3, "c": 4}


def model(objective, **options):
    """Return three small classifiers, compiled and built."""
    members = {
        name: keras.Sequential(
            [
                keras.Input((width,)),
                keras.layers.Dense(6, "relu"),
                keras.layers.Dense(CLASSES, "softmax"),
            ]
        )
        for name, width in WIDTHS.items()
    }
    joint = coloss.JointModel(members)
    joint.compile(
        keras.optimizers.Adam(),
        "sparse_categorical_crossentropy",
        objective=objective,
        metrics=["accuracy"],
        **options,
    )
    return joint


class Counted(StepPrograms):
    """Programs that note how many instructions that of many steps has."""

    found = 0

    def many(self, state, rows, order, span, size):
        """Take the steps, and count."""
        *moved, metrics = state
        given = (moved, metrics, rows, order, *map(np.int32, span))
        program = self._many.lower(*given, size=size).compile()
        lines = program.as_text().splitlines()
        Counted.found = sum(" = " in line for line in lines)
        return program(*given)


@pytest.mark.parametrize(
    ("objective", "options", "most"),
    [
        ("a + b + c", {}, 2220),
        ("a + distill(b >> a) + distill(c >> a) + b + c", {}, 2540),
        ("a + distill(b >> a, gate='network') + b + c", {}, 2670),
        ("a + distill(b >> a) + b + c", {"weighting": "uncertainty"}, 2680),
        ("a + distill(b >> a) + b + c", {"aggregator": "pcgrad"}, 3270),
    ],
)
def test_instructions_of_a_block(monkeypatch, objective, options, most):
    monkeypatch.setattr(blocks, "StepPrograms", Counted)
    x = {name: np.zeros((ROWS, width), "float32") for name, width in WIDTHS.items()}
    model(objective, **options).fit(
        x, np.arange(ROWS) % CLASSES, batch_size=4, verbose=0
    )
    assert 0.8 * most < Counted.found <= most
