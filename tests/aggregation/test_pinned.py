"""Values worked out by hand, and the helpers."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops
from scipy.optimize import nnls

from coloss import aggregation
from coloss.aggregation import conflicts, quadratic
from coloss.aggregation.gramian import rank_cut
from coloss.aggregation.quadratic import RIDGE, solve_nonnegative
from tests.aggregation.contract import CASES
from tests.aggregation.gramians import compiled, numbers

# Two gradients, (-4, 1, 1) and (6, 1, 1): G = [[18, -22], [-22, 38]].
GRAMIAN = np.array([[18.0, -22.0], [-22.0, 38.0]], "float32")
S, T = 18**0.5, 38**0.5
COSINE = -22 / (S * T)


def pcd_by_hand():
    """Unit gradients at the first step: mu = tau - cosine, then the first's length."""
    mu = 0.05 - COSINE
    length = np.sqrt(1 + mu * mu + 2 * mu * COSINE)
    return 1 / length, mu * S / T / length


def imtlg_by_hand():
    v = np.array([38 * S + 22 * T, 22 * S + 18 * T])
    return v / v.sum()


def nash_by_hand():
    """w1^2 18 = w2^2 38 = 1 / (1 + cosine)."""
    unit = (1 + COSINE) ** -0.5
    return unit / S, unit / T


def cagrad_by_hand():
    """On the edge of the ball around (1, 1, 1) toward the first gradient.

    The second is ahead on all of the ball but a corner, so the worst is the first:
    d = g0 + c |g0| g1 / |g1|.
    """
    return 0.5 + 0.4 * 3**0.5 / S, 0.5


PINNED = {
    "Sum": (1, 1),
    "Mean": (0.5, 0.5),
    "MGDA": (0.6, 0.4),
    "PCGrad": (1 + 22 / 18, 1 + 22 / 38),
    "GradVac": (1 + 22 / 18, 1 + 22 / 38),
    "IMTLG": imtlg_by_hand(),
    "CAGrad": cagrad_by_hand(),
    "NashMTL": nash_by_hand(),
    "DualProj": (0.5 + 1 / 9, 0.5),
    "UPGrad": (0.5 + 11 / 18, 0.5 + 11 / 38),
    "PCD": pcd_by_hand(),
}


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name in PINNED], ids=lambda c: c.name
)
def test_by_hand(case) -> None:
    weigh = compiled(lambda gramian: case.method.weights(gramian, case.seed()))
    found = numbers(weigh(GRAMIAN))
    np.testing.assert_allclose(found, PINNED[case.name], rtol=2e-4)


def test_nash_has_no_answer_but_equal_weights_is_none() -> None:
    """A solver elsewhere fails on this and returns ones."""
    weights = numbers(compiled(aggregation.NashMTL(0.0).weights)(np.diag([0.0, 4.0])))
    np.testing.assert_allclose(weights, [0.0, 0.5], rtol=1e-4)


def test_nash_is_shortened_to_its_longest() -> None:
    weights = numbers(compiled(aggregation.NashMTL(max_norm=0.5).weights)(GRAMIAN))
    assert np.sqrt(weights @ GRAMIAN @ weights) == pytest.approx(0.5, rel=1e-4)


def test_pcd_follows_the_first_alone_where_shares_cannot_be_given() -> None:
    gradients = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, -3.0]])
    found = numbers(compiled(aggregation.PCD(0).weights)(gradients @ gradients.T))
    np.testing.assert_allclose(found, [1, 0, 0], atol=1e-6)


def test_pcd_averages_squares_over_steps() -> None:
    """Lengths of 1 and then 3 are 2 on (root of the) average: scale of the primary."""
    method, gradients = aggregation.PCD(0, beta=0.5), np.diag([1.0, 1.0])
    state, step = method.init(2), compiled(method.update)
    for length in (1.0, 3.0):
        weights, state = step(state, gradients * length**2)
    square = (0.25 * 1 + 0.5 * 9) / 0.75
    mu = 0.02 * 3 / square**0.5
    primary = 3 / square**0.5
    unit = primary / np.hypot(primary, mu)
    np.testing.assert_allclose(numbers(weights), [unit, unit * mu / primary], rtol=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("method", "weight"),
    [
        (aggregation.AlignedMTL(), 1 / 3),
        (aggregation.CAGrad(), 1 / 3),
        (aggregation.DualProj(), 1 / 3),
        (aggregation.MGDA(), 1 / 3),
        (aggregation.UPGrad(), 1 / 3),
        (aggregation.IMTLG(), 0.0),
        (aggregation.NashMTL(), 0.0),
    ],
    ids=str,
)
def test_gradients_of_zero_are_weighed_as_the_docstring_says(method, weight) -> None:
    found = numbers(compiled(method.weights)(np.zeros((3, 3), "float32")))
    np.testing.assert_allclose(found, weight, atol=1e-6)


def test_cagrad_in_a_ball_of_radius_0_is_the_mean() -> None:
    found = numbers(compiled(aggregation.CAGrad(0.0).weights)(GRAMIAN))
    np.testing.assert_allclose(found, 1 / len(GRAMIAN), rtol=1e-6)


def test_what_counts_as_rounding_grows_with_the_largest_and_their_number() -> None:
    for values in ([1.0, 4.0], [1e-3, 5e3, 2.0]):
        found = float(rank_cut(ops.convert_to_tensor(values, "float32")))
        assert found == pytest.approx(1e-6 * len(values) * max(values), rel=1e-5)


def test_gradvac_learns_usual_cosines() -> None:
    method = aggregation.GradVac(beta=0.25)
    agreeing = np.array([[1.0, 0.8], [0.8, 1.0]])
    weights, state = method.update(method.init(2), agreeing, 0)
    np.testing.assert_allclose(numbers(weights), 1.0)
    np.testing.assert_allclose(numbers(state["usual"]), [[0, 0.2], [0.2, 0]], atol=1e-6)
    # Orthogonal gradients are now turned toward each other, to cosine 0.2.
    weights, _ = method.update(state, np.eye(2), 0)
    np.testing.assert_allclose(numbers(weights), 1 + 0.2 / 0.96**0.5, rtol=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize("k", [3, 8, 9, 13])
def test_programmes_are_solved(k) -> None:
    """Below and above the size where all supports are tried."""
    rng, solve = np.random.default_rng(k), compiled(solve_nonnegative)
    for width in (k, k + 3):
        unit = rng.normal(size=(k, width))
        unit /= np.linalg.norm(unit, axis=1)[:, None]
        matrix = unit @ unit.T + RIDGE * np.eye(k)
        linear = rng.normal(size=(5, k))
        found = numbers(solve(*(a.astype("float32") for a in (matrix, linear))))
        root = np.linalg.cholesky(matrix)
        for z, q in zip(found, linear, strict=True):
            expected, _ = nnls(root.T, -np.linalg.solve(root, q), maxiter=500)
            assert z.min() >= 0
            unit_error = np.linalg.norm(root.T @ (z - expected))
            assert unit_error <= 1e-3 * np.linalg.norm(root.T @ expected)


@pytest.mark.backend
@pytest.mark.parametrize("k", [4, 8])
def test_the_loop_finds_what_all_supports_find(k, monkeypatch) -> None:
    """Also of gradients that depend on each other, such as one and twice itself."""
    rng = np.random.default_rng(k)
    gradients = rng.normal(size=(k, 3))
    gradients[-1] = -2 * gradients[0]
    gramian = (gradients @ gradients.T).astype("float32")
    expected = numbers(compiled(aggregation.UPGrad().weights)(gramian))
    monkeypatch.setattr(quadratic, "ENUMERATED", 2)
    found = numbers(compiled(aggregation.UPGrad().weights)(gramian))
    difference = np.linalg.norm((found - expected) @ gradients)
    assert difference <= 2e-3 * np.linalg.norm(gradients, axis=1).max()


@pytest.mark.backend
def test_conflicts() -> None:
    gramian = np.array([[4.0, -1, 0, 3], [-1, 1, 0, 1], [0, 0, 0, 0], [3, 1, 0, 9]])
    cosines, share = conflicts(gramian)
    expected = [
        [1, -0.5, 0, 0.5],
        [-0.5, 1, 0, 1 / 3],
        [0, 0, 0, 0],
        [0.5, 1 / 3, 0, 1],
    ]
    np.testing.assert_allclose(numbers(cosines), expected, atol=1e-6)
    assert float(share) == pytest.approx(1 / 6)
    assert float(conflicts([[4.0]])[1]) == 0.0
