"""My network begins with TextVectorization, and its input is an array of strings.

Reported in keras-team/keras issues #18410 (on JAX) and #20479 (arrays of objects). On
TensorFlow it trains as plain Keras does; the other backends have no strings, and say
what to do. The table: how the text is held, times what the network reads.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytest.importorskip("tensorflow")  # TextVectorization needs it on every backend.
pytestmark = pytest.mark.backend

TEXTS = ["a good day", "a bad day", "no day", "good good", "bad", "day a day"]
WIDE = np.array(TEXTS)[:, None]
Y = np.array([1, 0, 0, 1, 0, 1])
HELD = {
    "strings": WIDE,
    "objects": WIDE.astype(object),
    "list": [[text] for text in TEXTS],
    "flat list": TEXTS,
    "bytes": WIDE.astype("S"),
}
READS_TEXT = keras.backend.backend() == "tensorflow"


def reader():
    layer = keras.layers.TextVectorization(output_sequence_length=3, max_tokens=8)
    layer.adapt(TEXTS)
    inputs = keras.Input((1,), dtype="string")
    values = keras.layers.Embedding(8, 2)(layer(inputs))
    values = keras.layers.GlobalAveragePooling1D()(values)
    return keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(values))


def numbers():
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "sigmoid")])


@pytest.mark.skipif(not READS_TEXT, reason="no strings on this backend")
@pytest.mark.parametrize("held", HELD)
def test_text_trains_as_in_keras(held):
    network = reader()
    joint = coloss.JointModel({"text": network})
    joint.compile("sgd", "binary_crossentropy")
    before = network.get_weights()
    history = joint.fit({"text": HELD[held]}, Y, batch_size=6, verbose=0, shuffle=False)
    after = network.get_weights()
    network.set_weights(before)
    network.compile("sgd", "binary_crossentropy")
    expected = network.fit(
        keras.ops.convert_to_tensor(WIDE), Y, batch_size=6, verbose=0, shuffle=False
    )
    assert history.history["loss"][0] == pytest.approx(
        expected.history["loss"][0], rel=1e-5
    )
    for one, other in zip(after, network.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    joint.predict({"text": HELD[held]}, verbose=0)


@pytest.mark.parametrize("held", HELD)
def test_a_network_of_numbers_refuses_text(held):
    joint = coloss.JointModel({"text": numbers()})
    with pytest.raises(
        ValueError, match=r"'text' has dtype .* expected numbers"
    ) as found:
        joint.predict({"text": HELD[held]}, verbose=0)
    assert "TextVectorization" in str(found.value)


@pytest.mark.skipif(READS_TEXT, reason="there it works")
def test_other_backends_say_what_to_do():
    joint = coloss.JointModel({"text": keras.Sequential([keras.layers.Dense(1)])})
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow") as found:
        joint.predict({"text": WIDE}, verbose=0)
    assert "layer(texts)" in str(found.value)
