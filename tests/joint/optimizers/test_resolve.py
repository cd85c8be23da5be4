"""Optimizers by member: equal to separate training, and never mixed up."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.optimizers import SGD, Adam, AdamW, LossScaleOptimizer

from coloss.joint.optimizers.resolve import JointOptimizer, check_trainable, resolve

pytestmark = pytest.mark.backend


def network(seed: int = 0, units: int = 3) -> keras.Model:
    kernel = keras.initializers.RandomNormal(seed=seed)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units, activation="tanh", kernel_initializer=kernel),
            keras.layers.Dense(1, kernel_initializer=kernel),
        ]
    )


@keras.saving.register_keras_serializable(package="test_optimizers")
class Pair(keras.Model):
    """Two networks whose losses are added; `alone` trains the first only."""

    def __init__(self, a: keras.Model, b: keras.Model, alone=False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.a, self.b, self.alone = a, b, alone
        self.built = True

    @property
    def members(self):
        return {"a": self.a, "b": self.b}

    def call(self, inputs):
        return keras.ops.concatenate([self.a(inputs), self.b(inputs)], axis=1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **_):
        error = keras.ops.mean(keras.ops.square(y_pred - y), axis=0)
        return error[0] if self.alone else error[0] + error[1]

    def prepare(self, optimizer, **options) -> Pair:
        self.compile(optimizer=resolve(optimizer, self.members, **options))
        return self

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {"a": serialize(self.a), "b": serialize(self.b), "alone": self.alone}

    @classmethod
    def from_config(cls, config):
        load = keras.saving.deserialize_keras_object
        return cls(**{**config, "a": load(config["a"]), "b": load(config["b"])})

    def compile_from_config(self, config):
        self.prepare(keras.saving.deserialize_keras_object(config["optimizer"]))
        self.optimizer.build(self.trainable_variables)


def data(rows: int = 32):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype("float32")
    return x, rng.normal(size=(rows, 1)).astype("float32")


def train(model, epochs: int = 3, **options):
    x, y = data()
    return model.fit(
        x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, **options
    )


def separately(member: keras.Model, optimizer) -> list[np.ndarray]:
    # On TensorFlow tracing a graph takes longer than all its steps.
    eager = keras.backend.backend() == "tensorflow"
    member.compile(optimizer=optimizer, loss="mse", run_eagerly=eager)
    train(member)
    return member.get_weights()


def assert_equal(found, expected, tolerance: float = 1e-7) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


def assert_bytes(found, expected) -> None:
    assert [w.tobytes() for w in found] == [w.tobytes() for w in expected]


OPTIMIZERS = [
    lambda: SGD(0.1, momentum=0.9),
    lambda: Adam(0.01),
    lambda: Adam(0.01, clipnorm=0.05),
    lambda: Adam(0.01, global_clipnorm=0.05),
    lambda: AdamW(0.01, weight_decay=0.1),
    lambda: Adam(0.01, gradient_accumulation_steps=2),
    lambda: Adam(0.01, use_ema=True, ema_momentum=0.5),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("form", ["one", "dict", "default"])
def test_equals_separate_training(make, form) -> None:
    forms = {
        "one": make(),
        "dict": {"a": make(), "b": make()},
        "default": {"*": make()},
    }
    pair = Pair(network(1), network(2, units=5)).prepare(forms[form])
    train(pair)
    assert_equal(pair.a.get_weights(), separately(network(1), make()))
    assert_equal(pair.b.get_weights(), separately(network(2, units=5), make()))


def test_members_with_different_optimizers() -> None:
    pair = Pair(network(1), network(2)).prepare({"b": SGD(0.2), "*": Adam(0.02)})
    train(pair)
    assert_equal(pair.a.get_weights(), separately(network(1), Adam(0.02)))
    assert_equal(pair.b.get_weights(), separately(network(2), SGD(0.2)))


def test_one_instance_stays_the_users() -> None:
    mine = Adam(0.01, clipnorm=1.0)
    assert resolve(mine, {"a": network(), "b": network()}) is mine
    members = {"a": network(), "b": network()}
    assert isinstance(resolve("adam", members), Adam)
    config = keras.optimizers.serialize(SGD(0.25))
    assert float(resolve(config, members).learning_rate) == 0.25
    mine = {"a": SGD(0.5), "b": SGD(0.25)}
    joint = resolve(mine, members)
    assert (joint["a"], joint["b"]) == (mine["a"], mine["b"])
    assert [one.name for one in joint.optimizers] == ["a", "b"]
    assert resolve(None, members) is None


def test_one_instance_under_two_names_is_cloned() -> None:
    members = {"a": network(), "b": network(), "c": network()}
    shared = AdamW(0.03)
    shared.exclude_from_weight_decay(var_names=["bias"])
    joint = resolve({"a": shared, "*": shared}, members)
    assert joint["a"] is shared
    assert len({id(joint[name]) for name in members}) == 3
    assert float(joint["c"].learning_rate) == pytest.approx(0.03)
    assert not joint["c"]._use_weight_decay(members["c"].trainable_variables[1])


@pytest.mark.parametrize("form", ["one", "dict", "scaled"])
def test_unreached_member_is_byte_identical(form) -> None:
    adam = AdamW(0.01, weight_decay=0.5, use_ema=True, ema_overwrite_frequency=2)
    optimizer = {"one": adam, "dict": {"*": adam}, "scaled": LossScaleOptimizer(adam)}
    pair = Pair(network(1), network(2), alone=True)
    pair.prepare(optimizer[form], reached={"a"})
    before = pair.get_weights()
    train(pair)
    count = len(pair.a.weights)
    assert_bytes(pair.get_weights()[count:], before[count:])
    assert not np.array_equal(pair.get_weights()[0], before[0])
    if form == "one":
        assert pair.optimizer["b"] is adam
        assert pair.optimizer.groups["*"] is adam


def test_all_reached_or_frozen_keeps_the_instance() -> None:
    members = {"a": network(), "b": network()}
    mine = AdamW()
    assert resolve(mine, members, reached=["b", "a"]) is mine
    members["b"].trainable = False
    assert resolve(mine, members, reached=["a"]) is mine


@pytest.mark.parametrize("optimizer", [{"*": "adamw"}, "adamw"])
def test_frozen_member_is_byte_identical(optimizer) -> None:
    pair = Pair(network(1), network(2))
    pair.b.trainable = False
    pair.prepare(optimizer)
    before = pair.b.get_weights()
    train(pair)
    assert_bytes(pair.b.get_weights(), before)


@pytest.mark.parametrize("reached", [None, ["b"]])
def test_shared_variable_belongs_to_the_first_member(reached) -> None:
    shared = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    a, b = (keras.Sequential([keras.Input((4,)), shared]) for _ in range(2))
    pair = Pair(a, b).prepare({"a": SGD(0.5), "b": SGD(0.0)}, reached=reached)
    optimizer = pair.optimizer
    (variable,) = pair.trainable_variables
    optimizer.build([variable])
    optimizer.apply([keras.ops.ones((4, 1))])
    np.testing.assert_array_equal(variable.numpy(), np.full((4, 1), 0.5, "float32"))
    assert [int(one.iterations.numpy()) for one in optimizer.optimizers] == [1, 0]


def test_extra_variables_go_with_their_member() -> None:
    pair = Pair(network(1), network(2))
    mine = keras.Variable(np.ones(2, "float32"), name="projector")
    free = keras.Variable(np.ones(2, "float32"), name="free")
    joint = resolve(
        {"a": SGD(0.5), "b": SGD(0.25)},
        pair.members,
        reached=["b"],
        extra=lambda: {"b": [mine], "*": [free]},
    )
    joint.build([mine, free])
    joint.apply([keras.ops.ones(2), keras.ops.ones(2)])
    assert (mine.numpy()[0], free.numpy()[0]) == (0.75, 0.5)
    assert joint.groups["*"].name == "shared"
    joint = resolve({"*": SGD()}, pair.members, extra={"b": [mine]})
    with pytest.raises(ValueError, match=r"'free' belongs to no member.*`extra`"):
        joint.build([mine, free])
    joint = resolve({"*": SGD()}, pair.members, extra={"bb": [mine]})
    with pytest.raises(ValueError, match=r"`extra` names 'bb'.*did you mean 'b'"):
        joint.build([mine])


def test_groups_without_gradient_are_skipped() -> None:
    pair = Pair(network(1), network(2)).prepare({"*": AdamW(weight_decay=0.5)})
    before = pair.b.get_weights()
    variables = pair.trainable_variables
    half = len(variables) // 2
    grads = [keras.ops.ones(v.shape) for v in variables[:half]] + [None] * half
    pair.optimizer.apply(grads, variables)
    assert_bytes(pair.b.get_weights(), before)
    with pytest.raises(ValueError, match="no gradient to any"):
        pair.optimizer.apply([None] * len(variables), variables)


def test_learning_rate_by_hand_and_by_callback() -> None:
    pair = Pair(network(1), network(2)).prepare({"a": SGD(0.5), "b": Adam(0.25)})
    joint = pair.optimizer
    assert float(keras.ops.convert_to_numpy(joint.learning_rate)) == 0.5
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", 0.5, 1, min_delta=1e9)
    history = train(pair, epochs=2, callbacks=[halve, plateau]).history
    assert history["learning_rate_a"] == [0.25, 0.125]
    assert history["learning_rate_b"] == [0.125, 0.0625]
    assert float(keras.ops.convert_to_numpy(joint["b"].learning_rate)) < 0.0625
    joint.learning_rate = 0.125
    rates = [
        float(keras.ops.convert_to_numpy(o.learning_rate)) for o in joint.optimizers
    ]
    assert rates == [0.125, 0.125]
    with pytest.raises(KeyError, match="did you mean 'a'"):
        joint["A"]


@pytest.mark.parametrize(
    "optimizer", [{"a": SGD(0.1, momentum=0.9), "b": "adam"}, {"*": "adamw"}]
)
def test_keras_file_round_trip(tmp_path, optimizer) -> None:
    pair = Pair(network(1), network(2)).prepare(optimizer)
    train(pair)
    pair.save(tmp_path / "pair.keras")
    again = keras.models.load_model(tmp_path / "pair.keras")
    assert isinstance(again.optimizer, JointOptimizer)
    found = [v.numpy() for v in again.optimizer.variables]
    assert_equal(found, [v.numpy() for v in pair.optimizer.variables], 0)
    train(again)
    train(pair)
    assert_equal(again.get_weights(), pair.get_weights())


def test_state_is_saved_by_member_not_by_order() -> None:
    a, b = network(1), network(2)
    one = resolve({"a": Adam(0.5), "b": Adam(0.25)}, {"a": a, "b": b})
    two = resolve({"b": Adam(), "a": Adam()}, {"b": b, "a": a})
    for joint in (one, two):
        joint.build([*a.trainable_variables, *b.trainable_variables])
    one.apply([keras.ops.ones(v.shape) for v in one._trainable_variables])
    store: dict = {}
    one.save_own_variables(store)
    two.load_own_variables(store)
    for name in ("a", "b"):
        found = [v.numpy() for v in two[name].variables]
        assert_equal(found, [v.numpy() for v in one[name].variables], 0)
    assert int(two.iterations.numpy()) == 1
    del store["b.0"]
    with pytest.warns(UserWarning, match="'b' was not loaded"):
        two.load_own_variables(store)


def test_a_weights_file_never_swaps_members(tmp_path) -> None:
    pair = Pair(network(1), network(2)).prepare({"a": Adam(0.5), "b": Adam(0.25)})
    train(pair)
    pair.save_weights(tmp_path / "pair.weights.h5")
    again = Pair(network(3), network(4))
    members = {"b": again.b, "a": again.a}
    again.compile(optimizer=resolve({"b": Adam(), "a": Adam()}, members))
    again.optimizer.build(again.trainable_variables)
    again.load_weights(tmp_path / "pair.weights.h5")
    for name in members:
        found = [v.numpy() for v in again.optimizer[name].variables]
        expected = [v.numpy() for v in pair.optimizer[name].variables]
        assert_equal(found, expected, 0)


def test_config_round_trip() -> None:
    joint = JointOptimizer({"a": SGD(0.5), "*": Adam(0.25)}, name="mine")
    config = keras.saving.serialize_keras_object(joint)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == joint.get_config()
    members = {"a": network(), "b": network()}
    assert resolve(again, members) is again
    with pytest.raises(ValueError, match="names 'a', which is no member"):
        resolve(joint, {"c": network()})


def test_loss_scale() -> None:
    members = {"a": network(1), "b": network(2)}
    joint = resolve({"*": SGD(0.5, loss_scale_factor=8.0)}, members)
    variables = [v for m in members.values() for v in m.trainable_variables]
    before = variables[0].numpy()
    joint.build(variables)
    assert float(joint.scale_loss(1.0)) == 8.0
    joint.apply([8.0 * keras.ops.ones(v.shape) for v in variables])
    np.testing.assert_allclose(variables[0].numpy(), before - 0.5, atol=1e-6)
    with pytest.raises(ValueError, match="must be the same for all members"):
        resolve({"a": SGD(loss_scale_factor=2.0), "b": SGD()}, members)
    with pytest.raises(ValueError, match="'b' is a LossScaleOptimizer"):
        resolve({"a": SGD(), "b": LossScaleOptimizer(SGD())}, members)


def test_loss_scale_optimizer_around_members() -> None:
    pair = Pair(network(1), network(2))
    inner = resolve({"a": SGD(0.1), "b": SGD(0.2)}, pair.members)
    pair.compile(optimizer=LossScaleOptimizer(inner))
    train(pair)
    assert_equal(pair.a.get_weights(), separately(network(1), SGD(0.1)), 1e-6)
    assert_equal(pair.b.get_weights(), separately(network(2), SGD(0.2)), 1e-6)


@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        ({"a": "adam"}, ValueError, r"no entry for member 'b'.*\"b\"|'b': \"adam\""),
        ({}, ValueError, "no entry for member 'a'; found entries for no member"),
        ({"aa": "adam", "*": "sgd"}, ValueError, "'aa'.*did you mean 'a'"),
        ({"a": None, "*": "sgd"}, TypeError, "'a' must not be None.*trainable = False"),
        ({"a": 3, "*": "sgd"}, TypeError, "of 'a' must be a Keras optimizer"),
        ("adem", ValueError, "no optimizer 'adem'; did you mean 'adam'"),
        (3, TypeError, "must be a Keras optimizer"),
    ],
)
def test_refusals(optimizer, error, message) -> None:
    with pytest.raises(error, match=message):
        resolve(optimizer, {"a": network(), "b": network()})


def test_unknown_reached_member() -> None:
    for optimizer in ("adam", {"*": "adam"}):
        with pytest.raises(ValueError, match="`reached` names 'c'"):
            resolve(optimizer, {"a": network(), "b": network()}, reached=["c"])


@pytest.mark.parametrize("optimizer", ["adam", {"*": "adam"}])
def test_trainable_changed_after_compile(optimizer) -> None:
    pair = Pair(network(1), network(2)).prepare(optimizer)
    check_trainable(pair.optimizer, pair.trainable_variables, pair.members)
    pair.optimizer.build(pair.trainable_variables)
    check_trainable(pair.optimizer, pair.trainable_variables, pair.members)
    pair.b.trainable = False
    with pytest.raises(ValueError, match=r"of 'b' changed after `compile`.*again"):
        check_trainable(pair.optimizer, pair.trainable_variables, pair.members)


def test_unknown_variable_and_used_optimizer_are_named() -> None:
    pair, mine = Pair(network(1), network(2)), SGD()
    joint = resolve({"a": mine, "b": SGD()}, pair.members)
    joint.build(pair.trainable_variables)
    other = network(3).trainable_variables
    with pytest.raises(ValueError, match=r"is unknown to the optimizer.*compile"):
        joint.apply([keras.ops.ones(v.shape) for v in other], other)
    again = resolve({"a": mine, "b": SGD()}, Pair(network(4), network(5)).members)
    members = Pair(network(4), network(5))
    again.bind(members.members)
    with pytest.raises(ValueError, match="'a' was built for other variables"):
        again.build(members.trainable_variables)
