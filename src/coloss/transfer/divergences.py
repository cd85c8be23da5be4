"""Divergences between two distributions over classes, from their logarithms."""

from __future__ import annotations

import math

from keras import ops

from coloss.names import nearest
from coloss.typing import Tensor

FORWARD, REVERSE, JSD = "forward", "reverse", "jsd"
DIVERGENCES = (FORWARD, REVERSE, JSD)


def check_divergence(term: str, kind: str) -> None:
    """Refuse a divergence that does not exist."""
    if kind not in DIVERGENCES:
        raise ValueError(
            f'{term} needs divergence="forward", "reverse" or "jsd"; found '
            f"{kind!r}{nearest(kind, DIVERGENCES)}"
        )


def between(log_s: Tensor, log_t: Tensor, kind: str = FORWARD) -> Tensor:
    """Return a divergence of the learner from the source, summed over the classes.

    Args:
        log_s: (B, ..., C) log-probabilities of the learner, s.
        log_t: the same of the source, t.
        kind: "forward", KL(t || s), which covers all that the source holds for
            possible; "reverse", KL(s || t), which settles on what it holds for likely;
            "jsd", the mean of KL(t || m) and KL(s || m) with m = (s + t) / 2
            (Jensen-Shannon, at most log 2).

    Returns:
        (B, ...), 0 or more up to rounding.
    """
    if kind == FORWARD:
        return _kl(log_t, log_s)
    if kind == REVERSE:
        return _kl(log_s, log_t)
    log_m = ops.logaddexp(log_s, log_t) - math.log(2.0)
    return 0.5 * (_kl(log_t, log_m) + _kl(log_s, log_m))


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)
