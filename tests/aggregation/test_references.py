"""Every method against TorchJD, or its paper in float64: 210 Gramians each, or more."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from coloss.aggregation.gradvac import gradvac_weights
from coloss.aggregation.pcgrad import pcgrad_weights
from tests.aggregation import references
from tests.aggregation.contract import CASES, name_of
from tests.aggregation.gramians import (
    ALL,
    EVEN,
    INDEPENDENT,
    as_float32,
    compiled,
    drawn,
    full,
    numbers,
    orders_of,
    short_of_one,
    square,
    uneven,
)


def off(gradients, weights, expected):
    """How far the combined gradient is from the expected one."""
    return np.linalg.norm((weights - expected) @ gradients)


@pytest.mark.backend
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.reference], ids=name_of
)
def test_equal_to_the_reference(case) -> None:
    weigh, seen = compiled(case.method.weights), 0
    for many in drawn(case.kinds).values():
        for gradients in many:
            expected = case.reference(gradients)
            found = numbers(weigh(ops.convert_to_tensor(as_float32(gradients))))
            error = off(gradients, found, expected)
            unit = case.unit(gradients, expected)
            assert error <= case.tolerance * unit, gradients
            seen += 1
    assert seen >= 200


@pytest.mark.backend
def test_pcgrad_is_torchjds_in_the_same_orders() -> None:
    rng, seen = np.random.default_rng(0), 0
    weigh = compiled(pcgrad_weights)
    for k, many in drawn(ALL).items():
        for gradients in many:
            orders = orders_of(rng, k)
            tensors = map(ops.convert_to_tensor, (as_float32(gradients), orders))
            found = numbers(weigh(*tensors))
            expected = references.pcgrad(gradients, orders)
            unit = np.linalg.norm(gradients, axis=1).max()
            assert off(gradients, found, expected) <= 1e-4 * unit
            seen += 1
    assert seen >= 200


@pytest.mark.backend
def test_gradvac_is_torchjds_in_the_same_orders_over_steps() -> None:
    rng, seen = np.random.default_rng(0), 0
    weigh = compiled(lambda g, o, u: gradvac_weights(g, o, u, 0.5))
    kinds = (full, square, short_of_one, short_of_one, uneven)
    for k, many in drawn(kinds).items():
        for start in range(0, len(many), 3):
            steps = many[start : start + 3]
            orders = [orders_of(rng, k) for _ in steps]
            usual = ops.zeros((k, k))
            for gradients, order, expected in zip(
                steps, orders, references.gradvac(steps, orders), strict=True
            ):
                tensors = map(ops.convert_to_tensor, (as_float32(gradients), order))
                found, usual = weigh(*tensors, usual)
                unit = np.linalg.norm(gradients, axis=1).max()
                assert off(gradients, numbers(found), expected) <= 1e-3 * unit
                seen += 1
    assert seen >= 200


def test_mgda_is_as_near_to_zero_as_torchjd_comes() -> None:
    weigh = compiled(CASES[3].method.weights)
    for many in drawn(EVEN).values():
        for gradients in many[::3]:
            found = numbers(weigh(as_float32(gradients))) @ gradients
            other = references.frank_wolfe(gradients) @ gradients
            unit = np.linalg.norm(gradients, axis=1).min() ** 2
            nearer = other @ other - found @ found
            assert nearer >= -1e-5 * unit
            # What is as near as that to the shortest vector is near it, too.
            assert np.sum((found - other) ** 2) <= nearer + 1e-4 * unit


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
def test_nash_is_torchjds_where_that_solves_the_equation() -> None:
    weigh, compared = compiled(CASES[8].method.weights), 0
    for many in drawn(INDEPENDENT[:2]).values():
        for gradients in many[::6]:
            expected = references.nash_torchjd(gradients)
            progress = expected * (gradients @ (gradients.T @ expected))
            if np.abs(progress - 1).max() > 1e-2:
                continue  # Its solver failed, and it went on without a word.
            found = numbers(weigh(as_float32(gradients)))
            np.testing.assert_allclose(found, expected, rtol=2e-2)
            compared += 1
    assert compared >= 11


@pytest.mark.parametrize("kind", ["upgrad", "dualproj"])
def test_projections_are_torchjds_on_the_gramian_itself(kind) -> None:
    """Without unit lengths, where nothing is added that matters."""
    import torch
    import torchjd.aggregation as torchjd
    from torchjd.linalg import QuadprogProjector

    case = next(case for case in CASES if case.name.lower() == kind)
    weighting = getattr(torchjd, f"{case.name}Weighting")(
        projector=QuadprogProjector(norm_eps=0.0, reg_eps=1e-9)
    )
    weigh = compiled(case.method.weights)
    for many in drawn(INDEPENDENT[:2]).values():
        for gradients in many[::2]:
            gramian = torch.from_numpy(gradients @ gradients.T)
            found = numbers(weigh(as_float32(gradients)))
            unit = np.linalg.norm(gradients, axis=1).max()
            assert off(gradients, found, weighting(gramian).numpy()) <= 2e-3 * unit
