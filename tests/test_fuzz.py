"""The short forms of `python -m tests.fuzz` and `python -m tests.flips`."""

from __future__ import annotations

import pytest

from tests import flips, fuzz

COUNTS = {"csv": 300, "npz": 300, "feather": 300, "parquet": 300, "toml": 60}


@pytest.mark.parametrize("kind", [*COUNTS, "objective", "study"])
def test_damaged_input_is_read_or_refused(kind):
    count = COUNTS.get(kind, 100)
    found = fuzz.fuzz(kind, count, seed=1)
    # How long each takes, the command tells: here other work may be going on.
    assert not [one for one in found["found"] if one["how"] not in ("read", "refused")]
    assert set(found["ended"]) == {"read", "refused"}
    assert sum(found["ended"].values()) == count and found["grown"] < 200


@pytest.mark.parametrize("kind", ["study", ".keras of coloss"])
def test_every_flipped_bit_is_found(kind):
    assert flips.count(kind, 60, seed=1) == 60


def test_nearly_every_flipped_bit_is_found_where_keras_wrote_the_file():
    # Of what stands in one place of an archive only, a few bits change nothing.
    assert flips.count(".keras of Keras alone", 60, seed=1) >= 58
