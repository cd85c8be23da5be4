"""`mix` puts labeled and unlabeled rows of different sources into one `fit`."""

from __future__ import annotations

import importlib.util

import keras
import numpy as np
import pytest

from coloss.data import mix
from coloss.joint import JointModel

RNG = np.random.default_rng(0)
SPARSE = "sparse_categorical_crossentropy"


def table(rows, start=0, **widths):
    """Return inputs whose first column is the number of the row."""
    found = {}
    for name, width in widths.items():
        found[name] = RNG.normal(size=(rows, width)).astype("float32")
        found[name][:, 0] = np.arange(start, start + rows)
    return found


LABELED = (table(10, a=4, b=5), (np.arange(10) % 3).astype("int32"))
UNLABELED = table(25, start=100, a=4, b=5)


def seen(batches, name="a"):
    """Return the numbers of the labeled and the unlabeled rows of an epoch."""
    pieces = [batches[index] for index in range(len(batches))]
    numbers = np.concatenate([x[name][:, 0] for x, *_ in pieces]).astype(int)
    return numbers[numbers < 100].tolist(), numbers[numbers >= 100].tolist()


def test_an_epoch_covers_the_longer_source_once_and_cycles_the_shorter():
    batches = mix(LABELED, UNLABELED, ratio=1, batch_size=8)
    assert len(batches) == 7  # 25 rows, 4 a batch
    known, other = seen(batches)
    assert sorted(other) == list(range(100, 125))
    assert len(known) == 28
    for start in (0, 10):
        assert sorted(known[start : start + 10]) == list(range(10))
    assert known[:10] != known[10:20], "each pass has an order of its own"
    x, y = batches[6]
    assert len(x["a"]) == len(y) == 5, "the last batch of the longer one is smaller"


@pytest.mark.parametrize(
    ("ratio", "size", "counts"),
    [(1, 8, (4, 4)), (3, 8, (2, 6)), (7, 64, (8, 56)), (0.25, 10, (8, 2)),
     (1000, 8, (1, 7)), (0.001, 8, (7, 1))],
)  # fmt: skip
def test_ratio_is_unlabeled_rows_for_each_labeled_one(ratio, size, counts):
    x, y = mix(LABELED, UNLABELED, ratio, size)[0]
    assert (int((y >= 0).sum()), int((y == -1).sum())) == counts
    assert len(x["a"]) == size


def test_the_longer_source_may_be_the_labeled_one():
    x, y = {"a": UNLABELED["a"]}, np.zeros(25, "int32")
    batches = mix((x, y), {"a": LABELED[0]["a"]}, batch_size=8)
    known, other = (sorted(rows) for rows in reversed(seen(batches)))
    assert known == list(range(100, 125))
    assert set(other) == set(range(10))


def test_rows_keep_their_labels_and_their_members():
    batches = mix(LABELED, UNLABELED, batch_size=6)
    for x, y in (batches[index] for index in range(len(batches))):
        np.testing.assert_array_equal(x["a"][:, 0], x["b"][:, 0])
        number = x["a"][:, 0].astype(int)
        np.testing.assert_array_equal(y, np.where(number < 100, number % 3, -1))


def test_order_depends_on_seed_and_epoch_alone():
    first, second = (mix(LABELED, UNLABELED, seed=3, batch_size=8) for _ in range(2))
    one = seen(first)
    for _ in range(2):
        first.on_epoch_begin()
    two = seen(first)
    second.epoch = 1
    assert one != two == seen(second)
    second.epoch = 0
    assert one == seen(second)
    backwards = [second[index][0]["a"] for index in reversed(range(len(second)))]
    expected = [second[index][0]["a"] for index in range(len(second))]
    for found, wanted in zip(reversed(backwards), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert one != seen(mix(LABELED, UNLABELED, seed=4, batch_size=8))


def test_members_that_a_source_lacks_are_missing_on_its_rows():
    batches = mix(
        ({"a": LABELED[0]["a"], "c": np.ones((10, 2), "float32")}, LABELED[1]),
        UNLABELED,
        batch_size=8,
    )
    x, y = batches[0]
    known = y >= 0
    assert set(x) == {"a", "b", "c"}
    assert np.isnan(x["b"][known]).all() and not np.isnan(x["b"][~known]).any()
    assert np.isnan(x["c"][~known]).all() and not np.isnan(x["c"][known]).any()


@pytest.mark.parametrize(
    ("labels", "unknown"),
    [
        (np.arange(10, dtype="uint8") % 3, -1),
        (np.ones(10, bool), -1),
        (np.ones((10, 3), "float32"), np.nan),
        (np.ones(10), np.nan),
    ],
)
def test_unlabeled_rows_are_marked_for_every_kind_of_label(labels, unknown):
    y = mix((LABELED[0], {"a": labels, "b": LABELED[1]}), UNLABELED, batch_size=8)[0][1]
    np.testing.assert_array_equal(y["a"][4:], np.full_like(y["a"][4:], unknown))
    assert (y["a"][:4] >= 0).all()
    assert y["a"].dtype != np.float64
    assert (y["b"][4:] == -1).all()


def test_unlabeled_rows_weigh_one():
    weights = np.full(10, 0.5)
    *_, found = mix((*LABELED, weights), UNLABELED, batch_size=8)[0]
    np.testing.assert_array_equal(found, [0.5] * 4 + [1] * 4)
    *_, found = mix((*LABELED, {"a": weights}), UNLABELED, batch_size=8)[0]
    np.testing.assert_array_equal(found["a"], [0.5] * 4 + [1] * 4)


def test_one_array_and_nested_inputs():
    x, y = mix((LABELED[0]["a"], LABELED[1]), UNLABELED["a"], batch_size=8)[0]
    assert x.shape == (8, 4) and y.shape == (8,)
    nested = {"t": {"ids": np.ones((10, 3), "int32"), "of": np.ones((10, 3))}}
    x, _ = mix((nested, LABELED[1]), {"a": UNLABELED["a"]}, batch_size=8)[0]
    assert np.isnan(x["t"]["of"][4:]).all()
    assert x["t"]["ids"].dtype == np.int32


def generator(stop=None):
    number = 0
    while stop is None or number < stop:
        yield table(3, start=100 + 3 * number, a=4, b=5)
        number += 1


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = slice(2 * index, 2 * index + 2)
        return {name: x[rows] for name, x in LABELED[0].items()}, LABELED[1][rows]


def test_streams_are_batched_anew_in_their_order():
    batches = mix(LABELED, generator(), batch_size=10, ratio=1)
    assert len(batches) == 2, "an epoch is that of the arrays"
    known, other = seen(batches)
    assert sorted(known) == list(range(10))
    assert other == list(range(100, 110))
    assert seen(batches)[1] == list(range(110, 120)), "a stream goes on"


@pytest.mark.parametrize(
    "source",
    [list(generator(4)), lambda: generator(4), [(x,) for x in generator(4)]],
    ids=["list", "function", "tuples"],
)
def test_streams_begin_again_at_their_end(source):
    batches = mix(Batches(workers=1), source, batch_size=8, steps=4)
    known, other = seen(batches)
    assert known == [*range(10), *range(6)]
    assert other == [*range(100, 112), *range(100, 104)]


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_loaders_of_the_backends_are_streams(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    if name == "torch":
        import torch

        rows = [({n: x[i] for n, x in LABELED[0].items()}, i % 3) for i in range(10)]
        loader = torch.utils.data.DataLoader(rows, batch_size=5)
    else:
        import tensorflow as tf

        loader = tf.data.Dataset.from_tensor_slices(LABELED).batch(5)
    batches = mix(loader, UNLABELED, batch_size=8)
    x, y = batches[0]
    np.testing.assert_array_equal(x["a"][:4, 0], range(4))
    np.testing.assert_array_equal(y, [0, 1, 2, 0, -1, -1, -1, -1])


def test_a_generator_that_ends_is_told():
    batches = mix(LABELED, generator(3), batch_size=10)
    with pytest.raises(ValueError, match="`unlabeled` has come to its end"):
        seen(batches)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            (LABELED, UNLABELED, 0),
            ValueError,
            "`ratio` must be a number above 0",
        ),
        (
            (LABELED, UNLABELED, 1, 1),
            ValueError,
            "`batch_size` must be a whole",
        ),
        (
            (LABELED, UNLABELED, 1, 8, 0, 0),
            ValueError,
            "`steps` must be a whole number",
        ),
        ((LABELED[0], UNLABELED), TypeError, r"`labeled` must be \(x, y\)"),
        ((LABELED, 3), TypeError, "`unlabeled` must be x"),
        (
            ((LABELED[0], LABELED[1][:4]), UNLABELED),
            ValueError,
            "`labeled` of 'y' has 4 rows; expected 10",
        ),
        (
            (LABELED, {**UNLABELED, "b": np.ones((25, 6))}),
            ValueError,
            r"x of 'b' has rows of shape \(5,\) in `labeled` and \(6,\) in `unl",
        ),
        (
            (LABELED, {**UNLABELED, "t": np.ones((25, 2), int)}),
            ValueError,
            "without an input of 't' cannot be marked.*dtype is int64",
        ),
        ((LABELED, UNLABELED["a"]), TypeError, "a dict by member in both"),
        ((Batches(), generator), ValueError, "give `steps`"),
        ((LABELED, {}), ValueError, "x is an empty dict"),
    ],
)
def test_refusals(arguments, kind, message):
    with pytest.raises(kind, match=message):
        mix(*arguments)


@pytest.mark.backend
def test_fit_learns_from_both_kinds(linear_members):
    options = {"ratio": 2, "batch_size": 9, "seed": 1}
    by_fit, by_hand = linear_members(), linear_members()
    batches = mix(LABELED, UNLABELED, **options)
    history = by_fit.fit(batches, epochs=2, verbose=0, shuffle=False).history
    assert np.isfinite(history["loss"]).all()
    assert batches.epoch == 1
    batches = mix(LABELED, UNLABELED, **options)
    for epoch in range(2):
        batches.epoch = epoch
        for index in range(len(batches)):
            by_hand.train_on_batch(*batches[index])
    for one, two in zip(by_fit.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.backend
def test_fit_with_a_stream_and_a_member_missing(linear_members):
    model = linear_members()
    only = [{"b": x["b"]} for x in generator(5)]
    weighted = (*LABELED, np.linspace(0.5, 1, 10))
    batches = mix(weighted, only, batch_size=8)
    before = model.get_weights()
    history = model.fit(batches, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    after = model.get_weights()
    assert any(np.any(a != b) for a, b in zip(before, after, strict=True))


@pytest.fixture
def linear_members():
    def make():
        keras.utils.set_random_seed(0)
        members = {
            name: keras.Sequential(
                [
                    keras.Input((width,)),
                    keras.layers.Rescaling(0.01),
                    keras.layers.Dense(3, "softmax"),
                ]
            )
            for name, width in (("a", 4), ("b", 5))
        }
        model = JointModel(members)
        model.compile("sgd", SPARSE, objective="a + b + distill(b >> a)")
        return model

    return make
