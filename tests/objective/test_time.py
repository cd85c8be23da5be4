"""No objective takes long, whatever its text: about a second on a quiet machine."""

from __future__ import annotations

import time

import pytest

from coloss.objective import Objective

TEXTS = {
    "a product of 150 factors": "*".join(f"a{i}" for i in range(150)),
    "a product of 150 coefficients": "*".join(f"w{i}" for i in range(149)) + "*a",
    "a product of sums": "*".join(f"(a{i}+b{i})" for i in range(140)),
    "a product of sums of coefficients": "*".join(f"(w{i}+v{i})" for i in range(140))
    + "*a",
    "a product of differences": "*".join(f"(a{i}-a{i + 1})" for i in range(140)),
    "weighted differences": "+".join(f"w{i}*(a{i}-a{i + 1})" for i in range(140)),
    "quotients": "/".join(f"a{i}" for i in range(150)),
    "a sum of 140 curves": "+".join(f"exp(a{i})" for i in range(140)),
    "a curve of 140 losses": "exp(" + "+".join(f"a{i}" for i in range(140)) + ")",
    "nested powers": "(" * 100 + "a" + "**2)" * 100,
    "nested maxima": "max(" * 100 + "a" + ",b)" * 100,
    "120 terms": "+".join(f"distill(a{i}>>a{i + 1})" for i in range(120)),
}


@pytest.mark.parametrize("what", TEXTS)
def test_no_explanation_takes_long(what):
    begun = time.process_time()
    objective = Objective(TEXTS[what])
    members = [name for name in objective.names if name[0] in "ab"]
    coefficients = {name: 0.5 for name in objective.names if name[0] in "wv"}
    objective.bind(members, list(coefficients))
    found = objective.explain(members=members, coefficients=coefficients)
    assert str(found) and objective.latex() and str(objective)
    # At most 1.02 s were measured, and 7 to 36 s before answers were kept.
    assert time.process_time() - begun < 5
