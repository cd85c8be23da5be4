"""Inputs taken away on purpose, to see what a network does without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import overload

import numpy as np

from coloss.checking import NumberRule
from coloss.names import nearest, unknown

MECHANISMS = ("mcar", "mar", "mnar")

_SHARE = NumberRule(least=0, most=1)


@overload
def ampute(
    x: np.ndarray, share: float, mechanism: str = ..., seed: int = ...
) -> np.ndarray: ...


@overload
def ampute(
    x: Mapping[str, np.ndarray],
    share: float | Mapping[str, float],
    mechanism: str = ...,
    seed: int = ...,
) -> dict[str, np.ndarray]: ...


def ampute(
    x: np.ndarray | Mapping[str, np.ndarray],
    share: float | Mapping[str, float],
    mechanism: str = "mcar",
    seed: int = 0,
) -> np.ndarray | dict[str, np.ndarray]:
    r"""Return a copy of inputs in which a share of the rows is missing: NaN throughout.

    Exactly `round(share * rows)` rows of each input are drawn, without replacement,
    with weights

    $$w_b = 1 / (1 + e^{-s_b})$$

    where $s$ is 0 for "mcar" (missing completely at random); for "mnar" (not at random)
    the standardized mean of the input's own row, so that what is large is missing more
    often; for "mar" (at random, given what is there) that of the inputs from which
    nothing is taken.

    Args:
        x: (rows, ...) array, or a dict of them by input; rows that are missing already
            are among those that may be drawn.
        share: of the rows, from 0 to 1; one for every input, or by input: those that
            are not named keep all rows.
        mechanism: "mcar", "mar" or "mnar".
        seed: of the draws.

    Returns:
        The same structure, floats.

    Raises:
        ValueError: for a share outside of 0 to 1, an unknown mechanism or input, or
            "mar" where no input keeps all its rows.

    Reference:
        Rubin 1976, Biometrika 63(3); Schouten, Lugtig and Vink 2018, "Generating
        missing values for simulation purposes", J. Stat. Comput. Simul. 88(15): rows
        are drawn by a logistic function of a weighted sum.

    Examples:
        >>> import coloss, numpy as np
        >>> x = {"a": np.ones((4, 2)), "b": np.ones((4, 3))}
        >>> found = coloss.data.ampute(x, {"b": 0.5})
        >>> {name: int(np.isnan(found[name]).all(axis=1).sum()) for name in x}
        {'a': 0, 'b': 2}
    """
    if mechanism not in MECHANISMS:
        raise ValueError(
            f"`mechanism` must be one of {', '.join(map(repr, MECHANISMS))}; found "
            f"{mechanism!r}{nearest(mechanism, MECHANISMS) or '.'}"
        )
    inputs = dict(x) if isinstance(x, Mapping) else {"x": x}
    shares = _shares(share, inputs, isinstance(x, Mapping))
    kept = [name for name in inputs if not shares.get(name)]
    if mechanism == "mar" and not kept and any(shares.values()):
        raise ValueError(
            '`mechanism="mar"` draws by the inputs that keep all rows, and none does; '
            'give `share` by input, such as {"visual": 0.5}.'
        )
    random = np.random.default_rng(seed)
    found = {}
    for name, values in inputs.items():
        of = [name] if mechanism == "mnar" else kept if mechanism == "mar" else []
        score = _score([inputs[one] for one in of], len(values))
        rows = _drawn(score, shares.get(name, 0.0), random)
        # Whole numbers have no NaN.
        whole = np.asarray(values)
        copy = whole.astype(whole.dtype if whole.dtype.kind == "f" else "float32")
        copy[rows] = np.nan
        found[name] = copy
    return found if isinstance(x, Mapping) else found["x"]


def _shares(
    share: float | Mapping[str, float], inputs: Mapping[str, np.ndarray], by_name: bool
) -> dict[str, float]:
    if not isinstance(share, Mapping):
        share = dict.fromkeys(inputs, share)
    elif not by_name:
        raise ValueError("`share` is by input, and `x` is one array: give one number.")
    for name in share:
        if name not in inputs:
            raise ValueError(f"`share`: {unknown('input', name, inputs)}.")
    return {name: _SHARE.number("`share`", value) for name, value in share.items()}


def _score(inputs: list[np.ndarray], rows: int) -> np.ndarray:
    """Return the standardized mean of each row; 0 where it is missing or all alike."""
    if not inputs:
        return np.zeros(rows)
    flat = [np.asarray(one, "float64").reshape(rows, -1) for one in inputs]
    there = [np.where(np.isnan(one), 0.0, one).mean(axis=1) for one in flat]
    total = np.sum(there, axis=0)
    spread = total.std()
    return (total - total.mean()) / spread if spread else np.zeros(rows)


def _drawn(score: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Return the rows with the largest of log w + Gumbel noise: drawn by weight."""
    noise = random.gumbel(size=len(score))
    order = np.argsort(-np.logaddexp(0.0, -score) + noise)
    return order[len(score) - round(share * len(score)) :]
