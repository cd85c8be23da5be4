"""Transfer terms in the joint model: windows, gates, projectors, many sources."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.stats import kendalltau

import coloss
from coloss.joint.values.running_accuracy import RunningAccuracy
from coloss.joint.values.transfer_terms import _refuse_part_of_batch
from coloss.objective import Objective, reach
from coloss.transfer import TERMS

pytestmark = pytest.mark.backend

layers = keras.layers
ROWS, CLASSES = 24, 3
random = np.random.default_rng(0)
X = {
    "a": random.normal(size=(ROWS, 4)).astype("float32"),
    "b": random.normal(size=(ROWS, 5)).astype("float32"),
}
Y = random.integers(0, CLASSES, ROWS)


def network(width, hidden=6, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dense(hidden, activation="tanh", name="hidden"),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def joined(objective, members=None, optimizer=None, **options):
    members = members or {"a": network(4, 6), "b": network(5, 7, seed=1)}
    model = coloss.JointModel(members)
    model.compile(
        optimizer or keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        objective=objective,
        **options,
    )
    return model


def weights(model):
    return [np.array(weight) for name in model for weight in model[name].get_weights()]


def fitted(objective, epochs=3, y=Y, **options):
    model = joined(objective, **options)
    history = model.fit(
        X, y, epochs=epochs, batch_size=ROWS, shuffle=False, verbose=0
    ).history
    return model, history


def assert_equal_weights(first, second, tolerance=1e-6):
    for one, other in zip(weights(first), weights(second), strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


def test_a_term_counts_from_start_to_stop_and_grows_while_it_warms_up():
    term = "distill(b >> a, start=1, stop=4, warmup=1)"
    _, history = fitted(
        f"0*a + 0*b + {term}", epochs=5, optimizer=keras.optimizers.SGD(0.0)
    )
    _, whole = fitted(
        "0*a + 0*b + distill(b >> a)", 1, optimizer=keras.optimizers.SGD(0.0)
    )
    value = whole["distill(b >> a)"][0]
    expected = [0, value / 2, value, value, 0]
    np.testing.assert_allclose(history[term], expected, rtol=1e-5)


def test_a_term_outside_its_window_is_as_if_absent():
    with_term, _ = fitted("a + b + distill(b >> a, start=5)")
    without, _ = fitted("a + b")
    assert_equal_weights(with_term, without)


def test_several_sources_weigh_as_one():
    members = {"a": network(4), "b": network(4, seed=1), "c": network(4, seed=2)}
    x = dict.fromkeys("abc", X["a"])

    def value(objective):
        model = joined(objective, members)
        return model.test_on_batch(x, Y, return_dict=True)["loss"]

    one, other = value("distill(b >> a)"), value("distill(c >> a)")
    assert value("distill((b, c) >> a)") == pytest.approx((one + other) / 2, rel=1e-5)


def test_each_source_teaches_on_the_rows_it_sees():
    members = {"a": network(4), "b": network(4, seed=1), "c": network(4, seed=2)}
    x = {name: X["a"].copy() for name in "abc"}
    x["b"][:10] = np.nan
    model = joined("distill((b, c) >> a)", members)
    found = model.test_on_batch(x, Y, return_dict=True)["loss"]
    halves = []
    for name, rows in (("b", slice(10, None)), ("c", slice(None))):
        part = {key: value[rows] for key, value in x.items() if key in ("a", name)}
        pair = joined(f"distill({name} >> a)", {k: members[k] for k in ("a", name)})
        halves.append(pair.test_on_batch(part, Y[rows], return_dict=True)["loss"])
    assert found == pytest.approx(sum(halves) / 2, rel=1e-5)


def test_coteach_weighs_the_learners_own_rows():
    model = joined("coteach(b >> a)")
    found = model.test_on_batch(X, Y, return_dict=True)["loss"]
    rows = {}
    for name in "ab":
        p = keras.ops.convert_to_numpy(model[name](X[name])).astype(float)
        rows[name] = -np.log(p[np.arange(ROWS), Y])
    weight = np.exp(-rows["b"]) / np.exp(-rows["b"]).sum()
    assert found == pytest.approx((weight * rows["a"]).sum(), rel=1e-4)


def test_decoupled_distillation_uses_labeled_rows_only():
    y = Y.copy()
    y[8:] = -1
    model = joined("dkd(b >> a)")
    some = model.test_on_batch(X, y, return_dict=True)["loss"]
    part = {name: value[:8] for name, value in X.items()}
    assert some == pytest.approx(
        model.test_on_batch(part, Y[:8], return_dict=True)["loss"], rel=1e-5
    )


def test_of_sequences_the_steps_count_that_have_a_label():
    steps, rows = 3, 8
    x = {name: array.reshape(rows, steps, -1) for name, array in X.items()}
    y = Y.reshape(rows, steps).copy()
    y[np.arange(rows), np.arange(rows) % steps] = y[1] = -1
    flat = {"a": network(4, 6), "b": network(5, 7, seed=1)}
    by_step = {
        name: keras.Sequential([keras.Input((steps, X[name].shape[1])), *net.layers])
        for name, net in flat.items()
    }
    found = [
        joined("0*a + dkd(b >> a)", members=nets).test_on_batch(*data, return_dict=True)
        for nets, data in ((by_step, (x, y)), (flat, (X, y.ravel())))
    ]
    assert found[0]["loss"] > 0
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-5)


def test_the_row_gate_follows_the_better_network_row_by_row():
    model = joined("distill(b >> a, temperature=1, gate='row')")
    y = Y.copy()
    y[12:] = -1
    found = model.test_on_batch(X, y, return_dict=True)["loss"]
    p = keras.ops.convert_to_numpy(model["a"](X["a"])).astype(float)
    q = keras.ops.convert_to_numpy(model["b"](X["b"])).astype(float)
    rows = (q * np.log(q / p)).sum(1)
    index = np.arange(ROWS)
    advantage = np.maximum(0, q[index, Y] - p[index, Y])
    gate = np.where(y >= 0, advantage, q.max(1))
    assert found == pytest.approx((gate * rows).mean(), rel=1e-4)


def test_the_network_gate_opens_when_validation_says_that_the_source_is_better():
    objective = "0*a + b + distill(b >> a, gate='network')"
    for better in (True, False):
        model = joined(objective, optimizer=keras.optimizers.SGD(0.0))
        right = model["b"](X["b"]) if better else model["a"](X["a"])
        y = keras.ops.convert_to_numpy(right).argmax(1)
        history = model.fit(
            X, y, epochs=2, batch_size=ROWS, validation_data=(X, y), verbose=0
        ).history
        values = history[next(key for key in history if key.startswith("distill"))]
        assert (values[1] > 0) == better


def test_without_validation_the_network_gate_goes_by_who_learnt_faster():
    """Both know their rows by heart in the end: their present accuracy says nothing."""
    bound = Objective("a + b + distill(b >> a, gate='network')").bind(["a", "b"])
    found = RunningAccuracy(bound)
    assert float(found.trust("a", "b")) == 0
    for step in range(300):
        hits = {"a": min(5 + step, 10), "b": min(8 + step, 10)}
        found.observe({name: (hits[name], 10) for name in "ab"}, training=True)
        assert float(found.trust("a", "b")) == 1
        assert float(found.trust("b", "a")) == 0
    mean = keras.ops.convert_to_numpy(found._accuracy)
    np.testing.assert_allclose(mean, [1 - 15 / 3000, 1 - 3 / 3000], rtol=1e-5)
    found.observe({name: (0, 0) for name in "ab"}, training=True)
    np.testing.assert_array_equal(mean, keras.ops.convert_to_numpy(found._accuracy))


GATED_LAYERS = ("hint", "contrast", "cka", "sp", "rkd_distance", "rkd_angle", "pkt")


@pytest.mark.parametrize("term", GATED_LAYERS)
def test_the_network_gate_holds_for_layers(term):
    """The helper is never right: closed after the first validation, open without."""

    def values(gate):
        objective = f"0*a + b + {term}(b.hidden >> a.hidden{gate})"
        model = joined(objective, optimizer=keras.optimizers.SGD(0.0))
        y = keras.ops.convert_to_numpy(model["a"](X["a"])).argmax(1)
        history = model.fit(
            X, y, epochs=2, batch_size=ROWS, validation_data=(X, y), verbose=0
        ).history
        return history[next(key for key in history if key.startswith(term))]

    assert values(", gate='network'")[1] == 0
    assert values("")[1] > 0


def test_the_row_gate_weighs_the_rows_of_a_layer_edge():
    y = Y.copy()
    y[12:] = -1

    def value(gate):
        model = joined(f"0*a + hint(b.hidden >> a.hidden{gate})")
        return model, model.test_on_batch(X, y, return_dict=True)["loss"]

    model, found = value(", gate='row'")
    p = keras.ops.convert_to_numpy(model["a"](X["a"])).astype(float)
    q = keras.ops.convert_to_numpy(model["b"](X["b"])).astype(float)
    index = np.arange(ROWS)
    gate = np.where(y >= 0, np.maximum(0, q[index, Y] - p[index, Y]), q.max(1))
    one = [
        model.test_on_batch(
            {name: rows[i : i + 1] for name, rows in X.items()},
            y[i : i + 1],
            return_dict=True,
        )["loss"]
        for i in index
    ]
    assert found == pytest.approx(np.mean(one), rel=1e-4)
    assert found < gate.max() * value("")[1]


def test_the_row_gate_of_sequences_is_by_step_for_outputs_and_by_row_for_layers():
    steps, rows = 3, 8
    x = {
        name: np.stack([X[name][i : i + rows] for i in (0, 8, 16)], 1) for name in "ab"
    }
    y = Y.reshape(steps, rows).T.copy()
    y[1] = y[2, 1:] = -1

    def network(width, seed):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((steps, width))
        hidden = layers.Dense(4, activation="tanh", name="hidden")(inputs)
        return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(hidden))

    model = joined(
        "0*a + distill(b >> a, temperature=1, gate='row')"
        " + hint(b.hidden >> a.hidden, gate='row')",
        members={"a": network(4, 0), "b": network(5, 1)},
    )
    logs = model.test_on_batch(x, y, return_dict=True)
    outputs, hidden = [], []
    for name, net in model.members.items():
        top = keras.Model(net.input, [net.output, net.get_layer("hidden").output])
        for found, value in zip((outputs, hidden), top(x[name]), strict=True):
            found.append(keras.ops.convert_to_numpy(value).astype(float))
    p, q = outputs
    lead = np.take_along_axis(q - p, np.maximum(y, 0)[..., None], -1)[..., 0]
    gate = np.where(y >= 0, np.maximum(0, lead), q.max(-1))
    kl = (q * np.log(q / p)).sum(-1)
    flat = [h.reshape(rows, -1) for h in hidden]
    own, other = (f / np.linalg.norm(f, axis=1, keepdims=True) for f in flat)
    apart = ((own - other) ** 2).mean(1)
    expected = {"distill": (gate * kl).mean(), "hint": (gate.mean(1) * apart).mean()}
    for term, value in expected.items():
        key = next(key for key in logs if key.startswith(term))
        assert logs[key] == pytest.approx(value, rel=1e-4), term


def test_a_term_without_rows_has_no_row_gate():
    with pytest.raises(coloss.ObjectiveError, match='"network" or None'):
        joined("a + cka(b.hidden >> a.hidden, gate='row')")


def test_terms_on_layers_of_the_objective_need_no_projector():
    model = joined("a + b + cka(b.hidden >> a.hidden)")
    assert model.auxiliary.projectors.built
    assert not model.auxiliary.trainable_variables


@pytest.mark.parametrize("detach", ["", ", detach=False"])
def test_a_source_learns_nothing_unless_it_is_told_to(detach):
    model = joined(f"a + distill(b >> a{detach})")
    before = [np.array(weight) for weight in model["b"].get_weights()]
    model.train_on_batch(X, Y)
    moved = [
        not np.array_equal(one, other)
        for one, other in zip(before, model["b"].get_weights(), strict=True)
    ]
    assert any(moved) == all(moved) == bool(detach)


def test_only_terms_with_a_value_a_row_can_be_summed_over_replicas():
    calls = Objective(
        "a + distill(b >> a) + hint(b.x >> a.x) + sp(b >> a) + coteach(b >> a)"
    ).bind(["a", "b"])
    distill, hint, sp, coteach = reach.transfer_calls(calls.expression)
    for term in (distill, hint):
        _refuse_part_of_batch(term, TERMS[term.function])
    for term in (sp, coteach):
        with pytest.raises(ValueError, match="compares the rows of a batch"):
            _refuse_part_of_batch(term, TERMS[term.function])


def probabilities(model, name, x):
    return keras.ops.convert_to_numpy(model[name](x)).astype(float)


def test_the_source_that_knows_a_rows_class_better_is_believed_more():
    members = {"a": network(4), "b": network(4, seed=1), "c": network(4, seed=2)}
    x = {name: X["a"].copy() for name in "abc"}
    x["b"][:6] = np.nan  # One source only: it teaches with its usual weight.
    y = Y.copy()
    y[18:] = -1  # Nobody knows: all are as good.
    model = joined('distill((b, c) >> a, temperature=1, weights="confidence")', members)
    found = model.test_on_batch(x, y, return_dict=True)["loss"]

    p = {name: probabilities(model, name, X["a"]) for name in "abc"}
    odds = {name: 1 / p[name][np.arange(ROWS), Y] for name in "bc"}
    trust = {name: 1 - odds[name] / (odds["b"] + odds["c"]) for name in "bc"}
    expected = 0.0
    for name, first in (("b", 6), ("c", 0)):
        kl = (p[name] * np.log(p[name] / p["a"])).sum(axis=-1)
        factor = np.ones(ROWS)
        factor[6:18] = 2 * trust[name][6:18]
        expected += (factor * kl)[first:].mean() / 2
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_row_gate_and_confidence_multiply():
    members = {"a": network(4), "b": network(4, seed=1), "c": network(4, seed=2)}
    x = dict.fromkeys("abc", X["a"])
    term = 'distill((b, c) >> a, temperature=1, gate="row", weights="confidence")'
    model = joined(term, members)
    found = model.test_on_batch(x, Y, return_dict=True)["loss"]
    p = {name: probabilities(model, name, X["a"]) for name in "abc"}
    true = {name: p[name][np.arange(ROWS), Y] for name in "abc"}
    total = 0.0
    for name, other in (("b", "c"), ("c", "b")):
        kl = (p[name] * np.log(p[name] / p["a"])).sum(axis=-1)
        lead = np.maximum(true[name] - true["a"], 0)
        trust = 2 * (1 - true[other] / (true["b"] + true["c"]))
        total += (kl * lead * trust).mean() / 2
    assert found == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize(
    "term",
    [
        "dkd(b >> a)",
        "distill(b >> a, correct=True)",
        'distill((b, c) >> a, weights="confidence")',
    ],
)
def test_a_term_that_reads_classes_names_the_member_that_has_none(term):
    members = {"a": network(4), "b": network(4, seed=1), "c": network(4, seed=2)}
    model = joined(f"b + c + {term}", members)
    x = dict.fromkeys("abc", X["a"])
    with pytest.raises(ValueError, match="needs class labels of 'a'"):
        model.test_on_batch(x, {"b": Y, "c": Y})


def test_of_sequences_the_steps_teach_themselves_that_have_no_label():
    steps, rows = 3, 8
    x = {name: array.reshape(rows, steps, -1) for name, array in X.items()}
    y = Y.reshape(rows, steps).copy()
    y[:4] = -1
    y[4:, 0] = -1
    nets = {
        name: keras.Sequential(
            [keras.Input((steps, width)), *network(width, seed=width).layers]
        )
        for name, width in (("a", 4), ("b", 5))
    }
    model = joined("0*a + 0*b + pseudo_label(a, threshold=0.4)", members=nets)
    found = model.test_on_batch(x, y, return_dict=True)["loss"]
    p = probabilities(model, "a", x["a"]).max(axis=-1)
    entropy = np.where(p >= 0.4, -np.log(p), 0)
    each = [row[free].mean() for row, free in zip(entropy, y < 0, strict=True)]
    assert min(each) < max(each)
    assert found == pytest.approx(np.mean(each), rel=1e-4)


def test_a_layer_of_a_sequence_is_compared_at_the_steps_that_both_have():
    steps, rows = 3, 8
    ids = np.array([[1, 2, 3], [4, 5, 0], [6, 0, 0], [7, 1, 2]] * 2)

    def reader(seed):
        keras.utils.set_random_seed(seed)
        return keras.Sequential(
            [
                keras.Input((steps,), dtype="int32"),
                layers.Embedding(8, 5, mask_zero=True, name="words"),
                layers.GlobalAveragePooling1D(),
                layers.Dense(CLASSES, activation="softmax"),
            ]
        )

    model = joined(
        "0*a + 0*b + hint(b.words >> a.words)",
        {n: reader(i) for i, n in enumerate("ab")},
    )
    found = model.test_on_batch({"a": ids, "b": ids}, Y[:rows], return_dict=True)
    tables = [model[n].get_layer("words").get_weights()[0].astype(float) for n in "ab"]
    real = (ids > 0)[..., None]
    rows = [(table[ids] * real).reshape(len(ids), -1) for table in tables]
    rows = [row / np.linalg.norm(row, axis=-1, keepdims=True) for row in rows]
    gaps = np.square(rows[0] - rows[1]).reshape(*ids.shape, -1).mean(axis=-1)
    each = [gap[known].mean() for gap, known in zip(gaps, ids > 0, strict=True)]
    assert found["loss"] == pytest.approx(np.mean(each), rel=1e-4)


def test_the_rank_gate_leaves_out_rows_that_both_order_against_each_other():
    model = joined('distill(b >> a, temperature=1, gate="rank")')
    y = Y.copy()
    y[::2] = -1  # It asks for no label.
    found = model.test_on_batch(X, y, return_dict=True)["loss"]
    p = {name: probabilities(model, name, X[name]) for name in "ab"}
    kl = (p["b"] * np.log(p["b"] / p["a"])).sum(axis=-1)
    gate = np.array(
        [kendalltau(*pair).statistic > 0 for pair in zip(p["a"], p["b"], strict=True)]
    )
    assert 0 < gate.sum() < ROWS
    assert found == pytest.approx((kl * gate).mean(), rel=1e-4)


def test_the_rank_gate_weighs_the_rows_of_a_layer_edge():
    members = {"a": network(4, 6), "b": network(5, 6, seed=1)}
    model = joined('0*a + 0*b + hint(b.hidden >> a.hidden, gate="rank")', members)
    found = model.test_on_batch(X, Y, return_dict=True)["loss"]
    units, p = {}, {}
    for name in "ab":
        kernel, bias = members[name].get_weights()[:2]
        hidden = np.tanh(X[name].astype(float) @ kernel + bias)
        units[name] = hidden / np.linalg.norm(hidden, axis=-1, keepdims=True)
        p[name] = probabilities(model, name, X[name])
    gaps = np.square(units["a"] - units["b"]).mean(axis=-1)
    pairs = zip(p["a"], p["b"], strict=True)
    gate = np.array([kendalltau(*pair).statistic > 0 for pair in pairs])
    assert found == pytest.approx((gaps * gate).mean(), rel=1e-4)
