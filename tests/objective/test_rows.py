"""Which rows count: values and gradients against NumPy, identities, missing rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from coloss.objective import Expression, coefficient, loss
from coloss.objective.expression import Call
from coloss.objective.functions import call

from .helpers import COEFFICIENTS, MEMBERS, bound, gradients
from .reference import Reference

pytestmark = pytest.mark.backend

BATCH = 6


class Batch:
    """A batch as the joint model presents it to an expression."""

    def __init__(
        self,
        values: dict[str, Any],
        masks: dict[str, Any],
        coefficients: dict[str, Any] | None = None,
        weights: dict[str, Any] | None = None,
        transfer: Any = None,
    ) -> None:
        from coloss.objective import rows

        self.coefficients = coefficients or {}
        self.term = transfer
        self.forms = {
            name: rows.Form.of(
                rows.Atom(values[name], masks.get(name), (weights or {}).get(name))
            )
            for name in values
        }

    def loss(self, member: str) -> Any:
        return self.forms[member]

    def coefficient(self, name: str) -> Any:
        return self.coefficients[name]

    def transfer(self, term: Call) -> Any:
        from coloss.objective import rows

        return rows.Form.of(rows.Atom(self.term))


def run(
    text: str | Expression,
    values: np.ndarray,
    masks: np.ndarray | None = None,
    coefficients: tuple[float, ...] = (1.0, 0.5, 0.5),
    weights: dict[str, Any] | None = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return value and gradients by losses (3, batch) and by coefficients (3,)."""
    from coloss.objective.rows import evaluate

    expression = bound(text).expression

    def function(losses: Any, given: Any) -> Any:
        from keras import ops

        known = {}
        if masks is not None:
            known = {
                name: ops.convert_to_tensor(row)
                for name, row in zip(MEMBERS, masks, strict=True)
            }
        batch = Batch(
            {name: losses[index] for index, name in enumerate(MEMBERS)},
            known,
            {name: given[index] for index, name in enumerate(COEFFICIENTS)},
            weights,
            ops.mean(losses[0]) * 0.0 + 2.0,
        )
        return evaluate(expression, batch).value()

    value, (by_loss, by_coefficient) = gradients(
        function, [values, np.asarray(coefficients)]
    )
    return value, by_loss, by_coefficient


def masked_mean(values: np.ndarray, mask: np.ndarray) -> float:
    return float(values[mask].mean()) if mask.any() else 0.0


def smooth_trees() -> st.SearchStrategy[Expression]:
    """Expressions without poles, for which every argument is in the domain."""
    leaf = st.sampled_from(MEMBERS).map(loss)
    weight = st.sampled_from(COEFFICIENTS).map(coefficient)
    number = st.sampled_from([2.0, -0.5, 0.3, 1.0])

    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        return st.one_of(
            st.builds(lambda x, y: x + y, inner, inner | number),
            st.builds(lambda x, y: x - y, inner, inner | number),
            st.builds(lambda x, y: x * y, weight | number, inner),
            st.builds(lambda x, y: x * y, inner, inner),
            st.builds(lambda x, y: x / y, inner, number),
            inner.map(lambda x: -x),
            st.builds(
                call,
                st.sampled_from(["relu", "abs", "square", "softplus", "stop", "mean"]),
                inner,
            ),
            st.builds(call, st.sampled_from(["max", "min"]), inner, inner),
            st.builds(lambda x: call("clip", x, -1.5, 1.7), inner),
        )

    return st.recursive(leaf, grow, max_leaves=7)


@settings(max_examples=40, deadline=None)
@given(tree=smooth_trees(), seed=st.integers(0, 2**32 - 1))
def test_equals_numpy_on_random_rows(tree: Expression, seed: int) -> None:
    """Value and gradient, the unknown rows being NaN."""
    generator = np.random.default_rng(seed)
    values = generator.uniform(0.1, 3.0, (3, BATCH))
    masks = generator.random((3, BATCH)) < generator.choice([0.2, 0.7, 1.0], (3, 1))
    values[~masks] = np.nan
    coefficients = tuple(generator.uniform(-2.0, 2.0, 3))
    node = bound(tree).expression

    def reference(moved: np.ndarray, given: tuple[float, ...]) -> Reference:
        return Reference(
            dict(zip(MEMBERS, moved, strict=True)),
            dict(zip(COEFFICIENTS, given, strict=True)),
            dict(zip(MEMBERS, values, strict=True)),
        )

    oracle = reference(values, coefficients)
    expected = oracle.value(node)
    assume(oracle.kink > 1e-3 and oracle.size < 50)
    value, by_loss, by_coefficient = run(tree, values, masks, coefficients)
    assert value == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert np.isfinite(by_coefficient).all()
    assert (by_loss[~masks] == 0).all()
    step = 1e-6
    for index in np.argwhere(masks)[:8]:
        moved = values.copy()
        moved[tuple(index)] += step
        slope = (reference(moved, coefficients).value(node) - expected) / step
        assert by_loss[tuple(index)] == pytest.approx(slope, rel=1e-2, abs=2e-3)


IDENTITIES = [
    ("acoustic + (acoustic - visual)", "2*acoustic - visual"),
    ("w1*(acoustic - visual) + w1*visual", "w1*acoustic"),
    ("acoustic - acoustic", "0"),
    ("-(acoustic - visual)", "visual - acoustic"),
    ("(acoustic + visual)/2", "0.5*acoustic + 0.5*visual"),
    ("w1*acoustic + w2*(acoustic - visual) + w3*(acoustic - text)",
     "(w1 + w2 + w3)*acoustic - w2*visual - w3*text"),
    ("mean(acoustic - visual)", "mean(acoustic) - mean(visual)"),
    ("mean(acoustic) + visual", "acoustic + visual"),
    ("mean(mean(acoustic))", "acoustic"),
    ("stop(acoustic - visual) + text", "stop(acoustic) - stop(visual) + text"),
    ("acoustic + 0*visual", "acoustic"),
    ("acoustic + (2 - 2)*log(visual - visual)", "acoustic"),
    ("max(acoustic, acoustic)", "acoustic"),
    ("relu(acoustic)", "acoustic"),
    ("acoustic*acoustic", "square(acoustic)"),
    ("acoustic**2", "square(acoustic)"),
    ("sqrt(square(acoustic))", "acoustic"),
    ("exp(log(acoustic))", "acoustic"),
    ("relu(acoustic - visual) - relu(visual - acoustic)",
     "max(acoustic, visual) - min(acoustic, visual) - 2*relu(visual - acoustic)"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), IDENTITIES)
def test_identities_hold_with_missing_rows(left: str, right: str) -> None:
    generator = np.random.default_rng(3)
    for share in (0.0, 0.3, 1.0):
        values = generator.uniform(0.1, 3.0, (3, BATCH))
        masks = generator.random((3, BATCH)) < share
        values[~masks] = np.nan
        first, second = run(left, values, masks), run(right, values, masks)
        np.testing.assert_allclose(first[0], second[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(first[1], second[1], rtol=1e-4, atol=1e-6)


def test_each_loss_is_averaged_over_its_own_rows() -> None:
    values = np.arange(1.0, 19.0).reshape(3, BATCH)
    masks = np.zeros((3, BATCH), bool)
    masks[0, :4], masks[1, 2:], masks[2, 5] = True, True, True
    value, by_loss, _ = run("acoustic - 2*visual + text", values, masks)
    means = [masked_mean(values[i], masks[i]) for i in range(3)]
    assert value == pytest.approx(means[0] - 2 * means[1] + means[2])
    expected = np.stack([masks[0] / 4, masks[1] * -2 / 4, masks[2] * 1.0])
    np.testing.assert_allclose(by_loss, expected, rtol=1e-6)


def test_a_nonlinear_function_uses_the_common_rows() -> None:
    values = np.array([[3.0] * 6, [1.0, 1, 1, 5, 5, 5], [1.0] * 6])
    masks = np.ones((3, BATCH), bool)
    masks[0, 0] = masks[1, 1] = masks[1, 5] = False
    value, by_loss, _ = run("relu(acoustic - stop(visual))", values, masks)
    assert value == pytest.approx(2.0 / 3)
    np.testing.assert_allclose(by_loss[0], [0, 0, 1 / 3, 0, 0, 0], rtol=1e-6)
    assert (by_loss[1] == 0).all()


@pytest.mark.parametrize(
    "text",
    [
        "acoustic",
        "w1*acoustic + w2*(acoustic - visual) + w3*(acoustic - text)",
        "log(acoustic) + sqrt(visual) + exp(text)",
        "acoustic/visual + acoustic**-0.5",
        "relu(w1*acoustic - stop(visual))*text",
        "mean(acoustic)*mean(visual) + acoustic/mean(text)",
        "relu(mean(acoustic) - stop(mean(visual)))*w1",
        "log(w1*acoustic)*w2",
        "max(w1, acoustic) + clip(visual, w2, 3)",
    ],
)
def test_an_empty_batch_is_worth_0_without_a_gradient(text: str) -> None:
    values = np.full((3, BATCH), np.nan)
    masks = np.zeros((3, BATCH), bool)
    value, by_loss, by_coefficient = run(text, values, masks)
    assert value == 0.0
    assert (by_loss == 0).all()
    assert (by_coefficient == 0).all()


@pytest.mark.parametrize(
    "text",
    [
        "log(w1*acoustic)",
        "relu(w1*acoustic - w2*visual)",
        "(w1*acoustic)**w2",
        "w1*acoustic/(w2*visual)",
        "w1*mean(acoustic)*visual",
        "sqrt(w1 + acoustic*w2)",
    ],
)
def test_no_nan_reaches_a_gradient(text: str) -> None:
    """Not even that of a coefficient which multiplies an unknown row."""
    generator = np.random.default_rng(5)
    values = generator.uniform(0.5, 2.0, (3, BATCH))
    masks = np.ones((3, BATCH), bool)
    masks[0, :2] = masks[1, 1:3] = False
    known = run(text, np.where(masks, values, 7.0), masks)
    for unknown in (np.nan, np.inf, 0.0, -1e30):
        value, by_loss, by_coefficient = run(
            text, np.where(masks, values, unknown), masks
        )
        assert value == known[0]
        np.testing.assert_array_equal(by_loss, known[1])
        np.testing.assert_array_equal(by_coefficient, known[2])
        assert np.isfinite(by_coefficient).all()


def test_a_literal_zero_is_never_evaluated() -> None:
    from coloss.objective.rows import evaluate

    node = bound("acoustic + 0*visual + 0*distill(text >> visual)").expression
    only = Batch({"acoustic": np.ones(3, "float32")}, {})
    assert float(evaluate(node, only).value()) == 1.0


def test_a_term_enters_like_a_number_of_the_batch() -> None:
    values = np.ones((3, BATCH))
    value, _, _ = run("acoustic + w2*distill(visual >> acoustic)", values)
    assert value == pytest.approx(2.0)
    value, _, _ = run("relu(distill(visual >> acoustic) - acoustic)", values)
    assert value == pytest.approx(1.0)


def weighed(text: str, weights: dict[str, np.ndarray], masks: np.ndarray) -> float:
    from keras import ops

    values = np.arange(1.0, 19.0).reshape(3, BATCH)
    tensors = {
        name: ops.convert_to_tensor(weight.astype("float32"))
        for name, weight in weights.items()
    }
    return run(text, values, masks, weights=tensors)[0]


def test_sample_weights_multiply_as_in_keras() -> None:
    """The weighted sum over the known rows, divided by their number."""
    values = np.arange(1.0, 19.0).reshape(3, BATCH)
    masks = np.ones((3, BATCH), bool)
    masks[0, 3:] = False
    own = np.array([0.0, 2.0, 1.0, 9.0, 9.0, 9.0])
    found = weighed("acoustic + visual", {"acoustic": own}, masks)
    expected = (values[0] * own)[:3].sum() / 3 + values[1].mean()
    assert found == pytest.approx(expected)


def test_one_weight_for_all_weighs_a_row_once() -> None:
    values = np.arange(1.0, 19.0).reshape(3, BATCH)
    masks = np.ones((3, BATCH), bool)
    own = np.array([0.0, 2.0, 1.0, 0.5, 3.0, 1.0])
    for text, rows in (
        ("relu(visual - acoustic)", values[1] - values[0]),
        ("acoustic*visual", values[0] * values[1]),
        ("relu(visual - acoustic + text)", values[1] - values[0] + values[2]),
        ("square(relu(visual) - relu(acoustic))", (values[1] - values[0]) ** 2),
    ):
        found = weighed(text, dict.fromkeys(MEMBERS, own), masks)
        assert found == pytest.approx((rows * own).mean(), rel=1e-5), text


def test_a_row_of_weight_0_in_one_part_counts_for_nothing() -> None:
    masks = np.ones((3, BATCH), bool)
    own = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    values = np.arange(1.0, 19.0).reshape(3, BATCH)
    found = weighed("relu(visual - acoustic)", {"acoustic": own}, masks)
    assert found == pytest.approx(((values[1] - values[0]) * own).mean())


@pytest.mark.parametrize("text", ["relu(visual - acoustic)", "visual*acoustic*text"])
@pytest.mark.parametrize(
    "given", [("acoustic",), ("acoustic", "visual"), ("visual", "text"), MEMBERS]
)
def test_a_part_without_weights_has_weight_1(text: str, given: tuple[str, ...]) -> None:
    """A row weighs the geometric mean over all parts, not over those given only."""
    random = np.random.default_rng(3)
    weights = {name: random.uniform(0.2, 4.0, BATCH) for name in given}
    masks = np.ones((3, BATCH), bool)
    values = np.arange(1.0, 19.0).reshape(3, BATCH)
    if text.startswith("relu"):
        parts, rows = ("acoustic", "visual"), values[1] - values[0]
        expected = np.prod([weights.get(p, np.ones(BATCH)) for p in parts], 0) ** 0.5
    else:
        # A product of three is two products, and so is the mean.
        rows = values.prod(0)
        each = [weights.get(p, np.ones(BATCH)) for p in ("visual", "acoustic", "text")]
        expected = (each[0] * each[1]) ** 0.25 * each[2] ** 0.5
    found = weighed(text, weights, masks)
    assert found == pytest.approx((rows * expected).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "free"),
    [
        # Whether a factor gets a gradient: the factor is a coefficient, ...
        ("stop(w1*acoustic)", False),
        ("stop(w1)", False),
        ("stop(w1*acoustic + w1)", False),
        ("w1*stop(acoustic)", True),
        # ... or a value of the batch that multiplies a loss, or divides it.
        ("stop(mean(acoustic)*visual)", False),
        ("stop(visual/mean(acoustic))", False),
        ("stop(mean(acoustic)*(visual + 2))", False),
        ("mean(acoustic)*stop(visual)", True),
    ],
)
def test_stop_detaches_the_factors_too(text: str, free: bool) -> None:
    values = np.arange(1.0, 19.0).reshape(3, BATCH)
    _, by_loss, by_coefficient = run(text, values)
    assert bool(np.any(by_loss[0]) or np.any(by_coefficient)) == free
    assert not np.any(by_loss[1])
