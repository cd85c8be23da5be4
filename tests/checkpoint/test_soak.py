"""The short form of `python -m tests.soak`: real kills, in processes of their own."""

from __future__ import annotations

import keras
import pytest

from tests import soak

pytestmark = [pytest.mark.backend, pytest.mark.slow]


def test_what_sigkill_ends_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "KINDS", {"fsync": 14, "write": 9})
    count = soak.soak(keras.backend.backend(), 1, 3, tmp_path)
    assert (count.kills, count.writing, count.runs) == (1, 1, 1)
    assert not count.lost and not count.different
