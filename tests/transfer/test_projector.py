"""The maps between layers of different widths, against matrix products of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from coloss.transfer.projector import EMBEDDING, Projector
from tests.transfer.helpers import normal

pytestmark = pytest.mark.backend


def applied(layer: Projector, *arrays: np.ndarray) -> list[np.ndarray]:
    layer.build(*(array.shape for array in arrays))
    found = layer(*map(ops.convert_to_tensor, arrays))
    return [ops.convert_to_numpy(one) for one in found]


@pytest.mark.parametrize(
    ("kind", "dimension", "widths", "shapes"),
    [
        # A learner of the source's width stays as it is; another one is mapped to it.
        ("learner", 128, (4, 4), []),
        ("learner", 128, (4, 3), [(4, 3)]),
        ("both", 5, (4, 3), [(4, 5), (3, 5)]),
        ("both", 5, (4, 4), [(4, 5), (4, 5)]),
        ("both", None, (4, 4), []),
        ("mean_variance", 128, (4, 3), [(4, 3), (3,)]),
        ("mean_variance", 128, (4, 4), [(4, 4), (4,)]),
    ],
)
@pytest.mark.parametrize("between", [(), (2,)])
def test_each_kind_has_its_maps(kind, dimension, widths, shapes, between):
    own, other = (
        np.stack([normal(2, width)] * 2, axis=1) if between else normal(2, width)
        for width in widths
    )
    layer = Projector(kind, dimension)
    learner, source, *rest = applied(layer, own, other)
    assert [tuple(weight.shape) for weight in layer.weights] == shapes
    assert all(weight.trainable for weight in layer.weights)
    maps = [ops.convert_to_numpy(weight) for weight in layer.weights]
    mapped = own @ maps[0] if maps else own
    np.testing.assert_allclose(learner, mapped, rtol=1e-5, atol=1e-6)
    mapped = other @ maps[1] if kind == "both" and maps else other
    np.testing.assert_allclose(source, mapped, rtol=1e-5, atol=1e-6)
    if kind != "mean_variance":
        assert not rest
        return
    # VID starts at a variance of 5 in each channel; it is softplus of what is trained.
    (raw,) = rest
    np.testing.assert_allclose(np.log1p(np.exp(raw)), np.full(widths[1], 5.0), 1e-6)


def test_the_embedding_has_the_width_of_the_paper_by_default():
    assert EMBEDDING == Projector("both").dimension == 128


@pytest.mark.parametrize("kind", ["none", "BOTH", ""])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match="must be learner, both or mean_variance"):
        Projector(kind)


def test_without_maps_the_widths_must_agree():
    with pytest.raises(ValueError, match="learner has 4, source has 3"):
        Projector("both", None).build((None, 4), (None, 3))


def test_a_projector_is_made_again_from_its_configuration():
    first = Projector("both", 5, name="edge")
    own, other = normal(2, 4), normal(2, 3)
    expected = applied(first, own, other)
    again = Projector.from_config(first.get_config())
    assert (again.kind, again.dimension, again.name) == ("both", 5, "edge")
    again.build_from_config(first.get_build_config())
    again.set_weights(first.get_weights())
    found = again(*map(ops.convert_to_tensor, (own, other)))
    for one, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), want, rtol=1e-6)
