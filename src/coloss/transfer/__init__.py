"""Knowledge between networks: pure functions of tensors, learner first.

Every term takes `learner` and `source` (logits, layer outputs, or losses for
`coteach`), an optional `mask` of the rows that count, and returns a scalar. Terms that
have a value for each row return these with `per_row=True`, and take a mask of positions
(steps, pixels) as well. Nothing is detached here unless a term says so: pass
`keras.ops.stop_gradient(source)`.
"""

from coloss.transfer.confidence import confidence_weights
from coloss.transfer.correction import corrected
from coloss.transfer.decoupled import dist, dkd
from coloss.transfer.divergences import between
from coloss.transfer.feature import (
    attention,
    contrast,
    hint,
    vid,
)
from coloss.transfer.gate import network_gate, rank_gate, row_gate
from coloss.transfer.masks import masked_mean
from coloss.transfer.mixture import consensus
from coloss.transfer.noisy import coteach
from coloss.transfer.registry import register, unregister
from coloss.transfer.relation import cka, pkt, sp
from coloss.transfer.response import (
    distill,
    match_logits,
    mutual,
    pseudo_label,
)
from coloss.transfer.rkd import rkd_angle, rkd_distance
from coloss.transfer.terms import TERMS, Term

__all__ = [
    "TERMS",
    "Term",
    "attention",
    "between",
    "cka",
    "confidence_weights",
    "consensus",
    "contrast",
    "corrected",
    "coteach",
    "dist",
    "distill",
    "dkd",
    "hint",
    "masked_mean",
    "match_logits",
    "mutual",
    "network_gate",
    "pkt",
    "pseudo_label",
    "rank_gate",
    "register",
    "rkd_angle",
    "rkd_distance",
    "row_gate",
    "sp",
    "unregister",
    "vid",
]
