"""What a person changed on purpose takes effect, and is told."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.callbacks import Checkpoint
from coloss.checkpoint import CheckpointError
from tests.checkpoint.interrupted import FIT, Kill, Killed, X, Y, build

pytestmark = pytest.mark.backend


def made(w, rate):
    return build(
        objective="main + w*helper",
        coefficients={"w": w},
        optimizer=keras.optimizers.Adam(rate),
    )


def test_a_training_goes_on_with_what_was_changed(tmp_path):
    with pytest.raises(Killed):
        made(0.5, 0.01).fit(X, Y, **FIT, callbacks=[Checkpoint(tmp_path), Kill(1, 2)])
    other = {**FIT, "batch_size": 5}
    with pytest.raises(CheckpointError, match=r"accept_changes=True"):
        made(0.25, 0.02).fit(X, Y, **other, callbacks=[Checkpoint(tmp_path)])
    changed = made(0.25, 0.02)
    with pytest.warns(UserWarning, match="accepted: the coefficients") as told:
        kept = Checkpoint(tmp_path, accept_changes=True)
        history = changed.fit(X, Y, **other, callbacks=[kept])
    said = next(str(one.message) for one in told if "accepted" in str(one.message))
    assert "fit(batch_size=) (4 there, 5 here)" in said and "optimizer" in said
    assert float(keras.ops.convert_to_numpy(changed.coefficients["w"].value)) == 0.25
    rate = float(keras.ops.convert_to_numpy(changed.optimizer.learning_rate))
    np.testing.assert_allclose(rate, 0.02, rtol=1e-6)
    assert history.epoch == [0, 1, 2]
