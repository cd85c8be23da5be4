"""How often members are right, which the network gate goes by: counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from coloss import Objective
from coloss.joint.values.running_accuracy import RunningAccuracy, compared

pytestmark = pytest.mark.backend

TEXT = "a + b + c + distill(b >> a, gate='network') + distill(c >> b, gate='row')"


def counted() -> RunningAccuracy:
    return RunningAccuracy(Objective(TEXT).bind(["a", "b", "c"]))


def observe(found: RunningAccuracy, a: tuple, b: tuple, training: bool = True) -> None:
    found.observe({"a": a, "b": b}, training=training)


def trusts(found: RunningAccuracy) -> tuple[float, float]:
    return float(found.trust("a", "b")), float(found.trust("b", "a"))


def test_only_members_of_a_network_gate_are_compared():
    assert counted().names == ("a", "b") and counted().built
    several = "sp((c, a) >> b, gate='network') + a + b + c + hint(a.x >> c.x)"
    assert compared(Objective(several).bind(["a", "b", "c"])) == ("b", "c", "a")
    assert RunningAccuracy().names == ()
    assert not RunningAccuracy().weights


def test_training_counts_every_row_so_far():
    found = counted()
    observe(found, (1, 4), (3, 4))
    assert trusts(found) == (1, 0)
    # Of 10 rows a had 7 right and b had 6.
    observe(found, (6, 6), (3, 6))
    assert trusts(found) == (0, 1)
    np.testing.assert_allclose(np.asarray(found._accuracy), [0.7, 0.6], rtol=1e-6)
    # A member may have no labeled rows in a batch.
    observe(found, (0, 0), (5, 5))
    np.testing.assert_allclose(np.asarray(found._accuracy), [0.7, 11 / 15], rtol=1e-6)


def test_a_validation_takes_the_place_of_training_and_of_the_one_before():
    found = counted()
    observe(found, (4, 4), (0, 4))
    found.start_epoch()
    observe(found, (1, 4), (2, 4), training=False)
    observe(found, (1, 6), (5, 6), training=False)
    assert trusts(found) == (0, 1)  # Not before the epoch has ended.
    found.end_epoch()
    assert trusts(found) == (1, 0)
    np.testing.assert_allclose(np.asarray(found._accuracy), [0.2, 0.7], rtol=1e-6)
    # From then on training rows have no say,
    observe(found, (90, 90), (0, 90))
    assert trusts(found) == (1, 0)
    # nor has what was evaluated before the epoch began,
    observe(found, (90, 90), (0, 90), training=False)
    found.start_epoch()
    observe(found, (3, 4), (3, 4), training=False)
    found.end_epoch()
    assert trusts(found) == (0, 0)
    # and an epoch without a validation keeps the last.
    found.start_epoch()
    found.end_epoch()
    np.testing.assert_allclose(np.asarray(found._accuracy), [0.75, 0.75], rtol=1e-6)


def test_a_validation_counts_for_those_that_had_rows_in_it():
    found = counted()
    observe(found, (2, 4), (3, 4))
    found.start_epoch()
    observe(found, (0, 0), (1, 4), training=False)
    found.end_epoch()
    np.testing.assert_allclose(np.asarray(found._accuracy), [0.5, 0.25], rtol=1e-6)
    observe(found, (4, 4), (4, 4))
    np.testing.assert_allclose(np.asarray(found._accuracy), [0.75, 0.25], rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_an_explanation_shows_gates_open_until_something_is_measured(training):
    found = counted()
    with found.shown_open():
        assert trusts(found) == (1, 1)
    assert trusts(found) == (0, 0)
    found.start_epoch()
    observe(found, (1, 4), (2, 4), training=training)
    found.end_epoch()
    with found.shown_open():
        assert trusts(found) == (1, 0)


def test_without_a_gate_nothing_is_counted():
    found = RunningAccuracy(Objective("a + b").bind(["a", "b"]))
    found.start_epoch()
    found.observe({}, training=True)
    found.end_epoch()
    assert not found.weights
