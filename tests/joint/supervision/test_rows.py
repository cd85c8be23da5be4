"""Rows without a label or an input: the loss and gradient of the others, exactly."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel

pytestmark = pytest.mark.backend

NAN = np.nan
RNG = np.random.default_rng(0)
ROWS = 9
XA = RNG.normal(size=(ROWS, 4)).astype("float32")
XB = RNG.normal(size=(ROWS, 5)).astype("float32")
CLASSES = np.arange(ROWS) % 3
HERE = np.array([1, 1, 0, 1, 0, 1, 1, 0, 1], bool)
OTHER = np.array([1, 0, 1, 1, 0, 1, 0, 1, 1], bool)


def sgd():
    return keras.optimizers.SGD(1.0)


def joined(members, objective=None, loss="sparse_categorical_crossentropy", **options):
    model = JointModel(members)
    options.setdefault("on_ascent", "allow")
    model.compile(sgd(), loss=loss, objective=objective, **options)
    return model


def masked(values, keep, filler=NAN):
    values = np.array(values)
    values[~keep] = filler
    return values


def softmax(z):
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def linear_rows(network, x, y):
    """Return per row, in float64: the cross-entropy, and its gradient."""
    kernel, bias = (np.asarray(w, "float64") for w in network.get_weights())
    p = softmax(np.nan_to_num(x).astype("float64") @ kernel + bias)
    hot = np.eye(p.shape[1])[np.maximum(y, 0)]
    losses = -np.log((p * hot).sum(1))
    return losses, [
        np.nan_to_num(x)[:, :, None] * (p - hot)[:, None, :],
        p - hot,
    ]


KINDS = {
    "sparse": ("sparse_categorical_crossentropy", "softmax", 3, CLASSES, -1),
    "sparse column": (
        "sparse_categorical_crossentropy",
        "softmax",
        3,
        CLASSES[:, None],
        -1,
    ),
    "dense": ("categorical_crossentropy", "softmax", 3, np.eye(3)[CLASSES], NAN),
    "regression": ("mse", None, 2, RNG.normal(size=(ROWS, 2)), NAN),
    "regression of one value": ("huber", None, 1, RNG.normal(size=ROWS), NAN),
    "binary": ("binary_crossentropy", "sigmoid", 1, CLASSES % 2, -1),
    "binary column": (
        "binary_crossentropy",
        "sigmoid",
        1,
        (CLASSES % 2)[:, None],
        -1,
    ),
    "binary NaN": ("binary_crossentropy", "sigmoid", 1, CLASSES % 2 * 1.0, NAN),
    "several yes or no": (
        "binary_crossentropy",
        "sigmoid",
        2,
        np.stack([CLASSES % 2, CLASSES // 2], 1),
        -1,
    ),
    "margin": ("categorical_hinge", None, 3, np.eye(3)[CLASSES], NAN),
    "cosine": ("cosine_similarity", None, 3, RNG.normal(size=(ROWS, 3)), NAN),
}


@pytest.mark.parametrize("kind", KINDS)
def test_unlabeled_and_missing_rows_give_what_their_subset_gives(
    kind, linear, step, same
):
    loss, activation, units, y, filler = KINDS[kind]
    plain = linear(4, units, activation)
    plain.compile(sgd(), loss)
    expected, pull = step(plain, XA[HERE], y[HERE])
    model = joined({"a": plain}, loss=loss)
    for x, labels in ((XA, masked(y, HERE, filler)), (masked(XA, HERE), y)):
        found, mine = step(model, {"a": x}, labels)
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        assert found["a_loss"] == pytest.approx(expected["loss"], rel=1e-5)
        same(mine["a"], pull)


def test_unknown_positions_of_a_sequence_are_left_out(linear, step, same):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 3, 4)).astype("float32")
    y = rng.integers(0, 3, size=(5, 3))
    y[0, 1:], y[1], y[3, 0] = -1, -1, -1
    network = linear(4, shape=(3, 4))
    losses, (kernels, biases) = linear_rows(network, x.reshape(15, 4), y.ravel())
    # A row is the mean over its known positions; the loss is the mean over rows.
    known = y >= 0
    counts = known.sum(1)
    share = np.where(known, 1 / np.maximum(counts, 1)[:, None], 0).ravel()
    share /= (counts > 0).sum()
    found, mine = step(joined({"a": network}), {"a": x}, y)
    assert found["loss"] == pytest.approx(share @ losses, rel=1e-5)
    same(mine["a"], [np.tensordot(share, kernels, 1), np.tensordot(share, biases, 1)])


def test_each_member_has_rows_of_its_own(linear, step, same):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    y = {"a": masked(CLASSES, HERE, -1), "b": CLASSES}
    x = {"a": XA, "b": masked(XB, OTHER)}
    found, mine = step(joined(members, "a + 0.5*(a - b)"), x, y)
    la, ga = linear_rows(members["a"], XA, CLASSES)
    lb, gb = linear_rows(members["b"], XB, CLASSES)
    expected = 1.5 * la[HERE].mean() - 0.5 * lb[OTHER].mean()
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["a_loss"] == pytest.approx(la[HERE].mean(), rel=1e-5)
    assert found["b_loss"] == pytest.approx(lb[OTHER].mean(), rel=1e-5)
    same(mine["a"], [1.5 * g[HERE].mean(0) for g in ga])
    same(mine["b"], [-0.5 * g[OTHER].mean(0) for g in gb])


def test_inside_a_function_the_rows_are_those_where_all_is_known(linear, step, same):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    y = {"a": masked(CLASSES, HERE, -1), "b": CLASSES}
    x = {"a": XA, "b": masked(XB, OTHER)}
    found, mine = step(joined(members, "square(a - stop(b)) + b"), x, y)
    la, ga = linear_rows(members["a"], XA, CLASSES)
    lb, gb = linear_rows(members["b"], XB, CLASSES)
    rows = HERE & OTHER
    gap = (la - lb)[rows]
    expected = np.mean(gap**2) + lb[OTHER].mean()
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    same(mine["a"], [np.tensordot(2 * gap / len(gap), g[rows], 1) for g in ga])
    same(mine["b"], [g[OTHER].mean(0) for g in gb])


SUMMANDS = [
    "a",
    "3*a",
    "a/2",
    "log(a)",
    "sqrt(a)*exp(a)",
    "mean(a)*a",
    "1/mean(a)",
    "relu(mean(a) - 0.1)",
    "max(a, 0.5)",
    "a**0.5",
    "b/a",
    "distill(b >> a)",
    "mutual(a, b)",
    "cka(b >> a)",
    "sp(b >> a, detach=False)",
    "match_logits(b >> a)",
    "pseudo_label(a, threshold=0)",
]


@pytest.mark.parametrize("missing", ["label", "input"])
def test_a_batch_without_a_known_row_gives_0_and_no_gradient(missing, linear, step):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    x, y = {"a": XA, "b": XB}, {"a": CLASSES, "b": CLASSES}
    summands = SUMMANDS
    if missing == "label":
        y["a"] = np.full(ROWS, -1)
        summands = [text for text in SUMMANDS if "(b" not in text and "_" not in text]
        summands = [text for text in summands if "mutual" not in text]
    else:
        x["a"] = np.full_like(XA, NAN)
    found, mine = step(joined(members, " + ".join(summands)), x, y)
    assert {text: found[text] for text in summands} == dict.fromkeys(summands, 0.0)
    for name in ("a", "b"):
        assert all(np.all(g == 0) for g in mine[name])


def test_no_nan_reaches_a_weight_however_rows_are_missing(deep):
    rng = np.random.default_rng(2)
    members = {"a": deep(4), "b": deep(5, seed=1), "c": deep(4, 2, None, seed=2)}
    model = JointModel(members, fuse=lambda outputs: outputs["a"])
    model.compile(
        "adam",
        loss={"a": KINDS["sparse"][0], "b": KINDS["dense"][0], "c": "mse"},
        objective="a + b + c + log(1 + relu(a - stop(b))) + mutual(a, b)"
        " + sp(c.hidden >> a.hidden) + cka(b.hidden >> c.hidden) + a*stop(b)"
        " + pseudo_label(a, threshold=0.3) + match_logits(b >> a) + mean(a)*b",
        metrics={"a": ["accuracy"], "c": ["mae"]},
        on_ascent="allow",
    )
    rows = 40
    x = {"a": rng.normal(size=(rows, 4)), "b": rng.normal(size=(rows, 5))}
    x["c"] = rng.normal(size=(rows, 4))
    y = {"a": rng.integers(0, 3, rows), "b": np.eye(3)[rng.integers(0, 3, rows)]}
    y["c"] = rng.normal(size=(rows, 2))
    for name in "abc":
        x[name][rng.random(rows) < 0.4] = NAN
        y[name][rng.random(rows) < 0.4] = -1 if name == "a" else NAN
    x["a"][:10], y["b"][10:20], x["c"][20:30] = NAN, NAN, NAN  # whole batches
    history = model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    assert np.all(np.isfinite([v for v in history.history.values()]))
    assert all(np.all(np.isfinite(w)) for w in model.get_weights())


def test_unlabeled_rows_teach_and_weights_do_not_weigh_teaching(linear, step, same):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = joined(members, "a + distill(b >> a, temperature=2)")
    x = {"a": XA, "b": masked(XB, OTHER)}
    weights = np.linspace(0.1, 3, ROWS).astype("float32")
    y = {"a": masked(CLASSES, HERE, -1), "b": CLASSES}
    found, mine = step(model, x, y, sample_weight={"a": weights})
    la, ga = linear_rows(members["a"], XA, CLASSES)

    def logits(name, inputs):
        kernel, bias = (np.asarray(w, "float64") for w in members[name].get_weights())
        return np.nan_to_num(inputs) @ kernel + bias

    own, source = softmax(logits("a", XA) / 2), softmax(logits("b", XB) / 2)
    taught = 4 * (source * np.log(source / own)).sum(1)
    share = np.where(HERE, weights / HERE.sum(), 0)
    assert found["loss"] == pytest.approx(share @ la + taught[OTHER].mean(), rel=1e-5)
    pull = 2 * (own - source) * OTHER[:, None] / OTHER.sum()
    bias = np.tensordot(share, ga[1], 1) + pull.sum(0)
    kernel = np.tensordot(share, ga[0], 1) + XA.T @ pull
    same(mine["a"], [kernel, bias])
    assert all(np.all(g == 0) for g in mine["b"])


@pytest.mark.parametrize("given", ["one array", "dict", "partial dict"])
def test_sample_weight(given, linear, step, same):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = joined(members)
    weights = np.linspace(0, 2, ROWS).astype("float32")
    second = np.linspace(1, 0, ROWS).astype("float32")
    spelled = {
        "one array": (weights, weights, weights),
        "dict": ({"a": weights, "b": second}, weights, second),
        "partial dict": ({"b": second}, np.ones(ROWS), second),
    }
    sample_weight, *each = spelled[given]
    y = masked(CLASSES, HERE, -1)
    found, mine = step(model, {"a": XA, "b": XB}, y, sample_weight=sample_weight)
    total = 0.0
    for name, x, weight in zip("ab", (XA, XB), each, strict=True):
        losses, pulls = linear_rows(members[name], x, CLASSES)
        share = np.where(HERE, weight / HERE.sum(), 0)
        total += share @ losses
        same(mine[name], [np.tensordot(share, g, 1) for g in pulls])
    assert found["loss"] == pytest.approx(total, rel=1e-5)


def test_one_weight_for_all_weighs_a_row_once_inside_a_function(linear, step):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = joined(members, "square(a - stop(b))")
    weights = np.linspace(0, 2, ROWS).astype("float32")
    found, _ = step(model, {"a": XA, "b": XB}, CLASSES, sample_weight=weights)
    la, _ = linear_rows(members["a"], XA, CLASSES)
    lb, _ = linear_rows(members["b"], XB, CLASSES)
    assert found["loss"] == pytest.approx(np.mean(weights * (la - lb) ** 2), rel=1e-4)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_class_weight_is_the_sample_weight_of_each_class(
    dense, nested, linear, step, same
):
    members = {"a": linear(4), "b": linear(5, 2, None, seed=1)}
    labels = np.eye(3)[CLASSES] if dense else CLASSES
    y = {
        "a": masked(labels, HERE, NAN if dense else -1),
        "b": RNG.normal(size=(ROWS, 2)),
    }
    kind = "categorical_crossentropy" if dense else "sparse_categorical_crossentropy"
    model = joined(members, loss={"a": kind, "b": "mse"})
    x = {"a": XA, "b": XB}
    weights = {0: 2.0, 2: 0.5}
    rows = np.array([weights.get(label, 1.0) for label in CLASSES], "float32")
    given = {"a": weights} if nested else weights
    found, mine = step(model, x, y, class_weight=given)
    expected, theirs = step(model, x, y, sample_weight={"a": rows})
    plain, _ = step(model, x, y)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert found["loss"] != pytest.approx(plain["loss"], rel=1e-3)
    for name in "ab":
        same(mine[name], theirs[name])


def test_one_y_for_all_is_the_dict_with_it_everywhere(linear, step, same):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = joined(members)
    x = {"a": XA, "b": XB}
    found, mine = step(model, x, CLASSES)
    expected, theirs = step(model, x, {"a": CLASSES, "b": CLASSES})
    assert found == pytest.approx(expected, rel=1e-6)
    for name in "ab":
        same(mine[name], theirs[name])


def test_fit_with_missing_rows_and_weights_is_that_of_one_batch(linear, step, same):
    members = {"a": linear(4), "b": linear(5, seed=1)}
    model = joined(members)
    x = {"a": masked(XA, HERE), "b": XB}
    weight = {"a": np.linspace(0, 2, ROWS).astype("float32")}
    y = masked(CLASSES, OTHER, -1)
    start = {name: net.get_weights() for name, net in members.items()}
    _, pulls = step(model, x, y, sample_weight=weight)
    model.fit(x, y, sample_weight=weight, batch_size=ROWS, shuffle=False, verbose=0)
    for name, net in members.items():
        moved = [a - b for a, b in zip(start[name], net.get_weights(), strict=True)]
        same(moved, pulls[name])
