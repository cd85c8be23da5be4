"""What every aggregator promises, whatever its method."""

from __future__ import annotations

import dataclasses
import functools
import json
import re

import keras
import numpy as np
import pytest
from keras import ops

from coloss import aggregation
from coloss.aggregation import AGGREGATORS, LEVELS, PCD, CAGrad, Random, UPGrad
from tests.aggregation.contract import CASES, name_of
from tests.aggregation.gramians import compiled, full, numbers

GRADIENTS = full(np.random.default_rng(3), 3)
GRAMIAN = (GRADIENTS @ GRADIENTS.T).astype("float32")

on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="by JAX's transformations of functions"
)


@functools.cache
def program(case):
    """One step as one program; on JAX operations alone would compile one by one."""

    def step(state, gramian):
        return case.method.update(state, gramian, case.seed())

    return compiled(step)


def updated(case, gramian, state=None, step=None):
    state = case.method.init(len(gramian)) if state is None else state
    state = {name: np.asarray(value, "float32") for name, value in state.items()}
    tensors = keras.tree.map_structure(
        ops.convert_to_tensor, (state, np.asarray(gramian, "float32"))
    )
    weights, new = (step or program(case))(*tensors)
    return numbers(weights), {name: numbers(value) for name, value in new.items()}


def test_the_list_is_whole() -> None:
    assert {case.name for case in CASES} == set(AGGREGATORS)
    assert all(case.method.level in LEVELS for case in CASES)
    for name, kind in AGGREGATORS.items():
        assert getattr(aggregation, name) is kind


@pytest.mark.backend
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_single_gradient_is_weighed_by_its_method(case) -> None:
    """Known error elsewhere: with one term only, the weight is ignored."""
    weights, _ = updated(case, np.array([[4.0]], "float32"))
    np.testing.assert_allclose(weights, [case.alone], rtol=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_what_is_not_finite_is_not_hidden(case) -> None:
    """Known error elsewhere: a solver that failed gives equal weights."""
    if not case.method.reads_gramian:
        pytest.skip("no gradient is read")
    known = updated(case, GRAMIAN)[1]
    for bad in (np.nan, np.inf):
        gramian = GRAMIAN.copy()
        gramian[0, 1] = gramian[1, 0] = bad
        weights, state = updated(case, gramian, known)
        assert np.isnan(weights).all()
        for name, value in known.items():
            np.testing.assert_array_equal(state[name], value)


@pytest.mark.backend
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_gradients_of_zero_give_finite_weights(case) -> None:
    some = GRAMIAN.copy()
    some[1] = some[:, 1] = 0.0
    for gramian in (np.zeros((3, 3), "float32"), some):
        assert np.isfinite(updated(case, gramian)[0]).all()


@pytest.mark.backend
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_one_program_gives_what_single_operations_give(case) -> None:
    if keras.backend.backend() == "jax" and case.name != "Mean":
        pytest.skip("alone, JAX compiles each operation: minutes")

    def alone(state, gramian):
        return case.method.update(state, gramian, case.seed())

    expected, known = updated(case, GRAMIAN, step=alone)
    weights, new = updated(case, GRAMIAN)
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)
    assert new.keys() == known.keys() == case.method.init(3).keys()
    for name, value in new.items():
        assert value.shape == np.shape(case.method.init(3)[name])
        np.testing.assert_allclose(value, known[name], rtol=1e-4, atol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_weights_are_in_float32_at_least(dtype) -> None:
    gramian = ops.cast(ops.convert_to_tensor(GRAMIAN), dtype)
    for method in (aggregation.Mean(), aggregation.DualProj()):
        weights = compiled(method.weights)(gramian)
        assert keras.backend.standardize_dtype(weights.dtype) == "float32"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_round_trip_through_json(case) -> None:
    config = json.loads(json.dumps(aggregation.to_config(case.method)))
    again = aggregation.from_config(config)
    assert again == case.method
    assert hash(again) == hash(case.method)
    assert aggregation.get(config) == case.method
    assert type(case.method).from_config(case.method.get_config()) == case.method
    with pytest.raises(dataclasses.FrozenInstanceError):
        case.method.level = "output"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_documented_with_its_level_and_its_paper(case) -> None:
    assert f"Level: {case.method.level}" in re.sub(
        r"\s+", " ", type(case.method).__doc__
    )
    core = AGGREGATORS[case.name].__doc__
    function = re.search(r"`(\w+_weights)`", core).group(1)
    module = __import__(type(case.method).__module__, fromlist=[function])
    text = getattr(module, function).__doc__
    assert "Args:" in text
    assert "Returns:" in text
    assert "$" in text


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.method.draws], ids=name_of
)
def test_the_order_of_summands_does_not_matter(case) -> None:
    order = np.array([2, 0, 1])
    method = case.method
    if isinstance(method, PCD):
        method = dataclasses.replace(method, primary=1)  # Where `order` puts 0.
    found = numbers(compiled(method.weights)(GRAMIAN[order][:, order]))
    expected = updated(case, GRAMIAN)[0][order]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [c for c in CASES if c.method.draws], ids=name_of)
def test_chance_follows_the_seed(case) -> None:
    method, k = case.method, 5
    gradients = np.random.default_rng(1).normal(size=(k, 2))
    gramian = gradients @ gradients.T

    def drawn(seed):
        return numbers(method.weights(gramian, seed))

    generator = keras.random.SeedGenerator(0)
    first, second = drawn(generator), drawn(generator)
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(first, drawn(keras.random.SeedGenerator(0)))
    with pytest.raises(ValueError, match=f"{case.name} draws.*give `seed`"):
        method.weights(gramian)


def test_random_weights_are_even_on_average() -> None:
    seeds = keras.random.SeedGenerator(0)
    draw = Random().weights
    found = np.mean([numbers(draw(np.eye(4), seeds)) for _ in range(300)], axis=0)
    np.testing.assert_allclose(found, 0.25, atol=0.04)


@on_jax
def test_weights_carry_no_gradient() -> None:
    import jax

    def moved(gramian):
        return ops.sum(UPGrad().weights(gramian) * np.arange(3.0))

    assert not np.any(jax.jit(jax.grad(moved))(GRAMIAN))


@on_jax
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_many_gramians_at_once(case) -> None:
    import jax

    rng = np.random.default_rng(0)
    many = [g @ g.T for g in (full(rng, 3) for _ in range(4))]
    found = jax.jit(jax.vmap(lambda g: case.method.weights(g, case.seed())))(
        np.stack(many).astype("float32")
    )
    expected = [updated(case, gramian)[0] for gramian in many]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("gramian", "found"), [(np.ones((2, 3)), "(2, 3)"), (np.ones(3), "(3,)")]
)
def test_a_gramian_is_square(gramian, found) -> None:
    with pytest.raises(ValueError, match=re.escape(found)):
        UPGrad().weights(gramian)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: CAGrad(c=-1),
            ValueError,
            "`c` of CAGrad.*0 or more; found -1",
        ),
        (lambda: CAGrad(c="a"), TypeError, "`c` of CAGrad must be a number"),
        (lambda: CAGrad(c=float("nan")), ValueError, "found nan"),
        (lambda: aggregation.NashMTL(True), TypeError, "`max_norm` of NashMTL"),
        (
            lambda: aggregation.GradVac(beta=1.5),
            ValueError,
            "from 0 to 1; found 1.5",
        ),
        (lambda: PCD(0, tau=2), ValueError, "`tau` of PCD"),
        (lambda: PCD(0, beta=1.0), ValueError, "`beta` of PCD.*not including, 1"),
        (lambda: PCD(1.5), TypeError, "`primary` of PCD"),
        (lambda: aggregation.get("upgard"), ValueError, "did you mean 'UPGrad'"),
        (lambda: aggregation.get("pcd"), ValueError, r"PCD\(primary=...\)"),
        (lambda: aggregation.get(3), TypeError, "found 3"),
        (lambda: aggregation.get({"aggregator": "x"}), ValueError, "method 'x'"),
        (lambda: UPGrad().check([]), ValueError, "at least one summand"),
        (lambda: CAGrad().bind("abcdefghijk"), ValueError, "at most 10.*found 11"),
        (lambda: PCD("text").weights(np.eye(2)), ValueError, "call `bind`"),
        (lambda: PCD(2).weights(np.eye(2)), ValueError, "from 0 to 1; found 2"),
        (lambda: PCD("acustic").check(["acoustic", "text"]), ValueError, "'acoustic'"),
        (lambda: PCD(-1).check(["acoustic"]), ValueError, "place from 0"),
    ],
)
def test_refusals(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_class_of_the_users_own_is_not_saved_as_another() -> None:
    kind = type("UPGrad", (UPGrad,), {})
    with pytest.raises(TypeError, match="cannot be saved"):
        aggregation.to_config(kind())


def test_names_in_any_case() -> None:
    assert aggregation.get("up_grad") == UPGrad()
    assert aggregation.get("IMTL-G") == aggregation.IMTLG()
    assert aggregation.get(CAGrad(c=0.2)) == CAGrad(c=0.2)


def test_bind_turns_the_primary_into_a_place() -> None:
    names = ["visual", "w*acoustic", "text"]
    assert PCD("text").bind(names) == PCD(2)
    assert UPGrad().bind(names) is not None
    assert PCD(1).bind(names) == PCD(1)
