"""`align` joins what members know of different rows."""

from __future__ import annotations

import numpy as np
import pytest

from coloss.data import align

A = (["u", "v", "w"], np.arange(6, dtype="float32").reshape(3, 2))
B = (np.array(["w", "x"]), {"of": np.ones((2, 3)), "ids": np.ones((2, 1), int)})


def test_joins_by_id_with_nan_where_missing():
    found = align({"a": A, "b": B}, y=(["x", "u"], np.array([2, 1], "uint8")))
    assert found.ids == ["u", "v", "w", "x"]
    np.testing.assert_array_equal(found.x["a"][:3], A[1])
    assert np.isnan(found.x["a"][3]).all()
    lacking = np.isnan(found.x["b"]["of"]).all(axis=1)
    assert lacking.tolist() == [True, True, False, False]
    assert found.y.tolist() == [1, -1, -1, 2]


def test_ids_choose_rows_and_their_order():
    found = align({"a": A}, ids=np.array(["w", "u"]))
    np.testing.assert_array_equal(found.x["a"], A[1][[2, 0]])
    assert found.y is None
    whole = align({"t": ([5, 7], np.array([[1], [2]]))}, ids=[7])
    assert whole.x["t"].tolist() == [[2]], "integers are fine where none is missing"


def test_labels_by_member_and_dense_ones():
    y = (["u"], {"a": np.array([1]), "b": np.ones((1, 2))})
    found = align({"a": A}, y=y)
    assert found.y["a"].tolist() == [1, -1, -1]
    assert np.isnan(found.y["b"][1:]).all()
    assert found.y["b"][0].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            {"members": {"a": (["u", "v", "u"], np.ones((3, 1)))}},
            ValueError,
            "'a': the id 'u' occurs twice, in rows 0 and 2",
        ),
        ({"members": {"a": A}, "ids": ["u", "u"]}, ValueError, "`ids`: the id 'u' occ"),
        ({"members": {"a": A}, "ids": ["z"]}, ValueError, "no table has.*the id 'z'"),
        (
            {"members": {"a": (["u"], np.ones((2, 1)))}},
            ValueError,
            "the table of 'a' has 1 id and 2 rows",
        ),
        ({"members": {"a": np.ones((2, 1))}}, TypeError, "of 'a' must be a pair"),
        ({"members": {}}, ValueError, "`members` is empty"),
        (
            {"members": {"a": A, "t": (["u"], np.ones((1, 1), int))}},
            ValueError,
            "without an input of 't' cannot be marked",
        ),
    ],
)
def test_refusals(arguments, kind, message):
    with pytest.raises(kind, match=message):
        align(**arguments)
