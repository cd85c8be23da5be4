"""The table of transfer terms: what each computes on, needs and is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coloss.transfer import decoupled, feature, mixture, noisy, relation, response, rkd

CLASSES, OUTPUTS, FEATURES, LOSSES = "classes", "outputs", "features", "losses"
PRESENT, UNLABELED, LABELED = "present", "unlabeled", "labeled"


@dataclass(frozen=True)
class Term:
    """One transfer term.

    Attributes:
        name: as written in objectives.
        function: `function(learner, *sources, mask=, **options)`, a scalar.
        level: what it reads: "classes" (logits, equal classes), "outputs" (of equal
            shape), "features" (a layer's output) or "losses" (each network's own loss,
            row by row).
        per_row: whether a row has a value of its own: then the function takes
            `weights=` and `per_row=`, for (B,) in place of a scalar.
        min_rows: below this number of rows the term is 0.
        scope: the rows it uses: "present" (the input is there), "labeled" or
            "unlabeled" ones among them.
        options: keyword options with their defaults.
        paper: where it is from.
        sources: how many it takes: "none", "one" or "many".
        projector: the trained map it needs between layers of different widths:
            "none", "learner" (to the source's width), "both" (to one embedding) or
            "mean_variance" (to the source's width, and a variance a channel, which
            follows the source as a third tensor).
        labels: whether it takes `labels=`: "none", "optional" or "required".
        positions: whether it compares positions (time or space) of layers: "none"
            (rows as a whole), "optional" or "required".
        source_masks: whether it takes `source_masks=`, the rows that each source sees.
        masked: whether it can leave rows out; without, it refuses any mask.
    """

    name: str
    function: Callable[..., Any]
    level: str
    per_row: bool = False
    min_rows: int = 1
    scope: str = PRESENT
    options: dict[str, Any] = field(default_factory=dict)
    paper: str = ""
    sources: str = "one"
    projector: str = "none"
    labels: str = "none"
    positions: str = "none"
    source_masks: bool = False
    masked: bool = True

    @property
    def reads_labels(self) -> bool:
        """Whether it reads labels, if it takes them, with its options as they are."""
        return bool(self.options.get("correct", True))


_TABLE = (
    Term(
        "distill",
        response.distill,
        CLASSES,
        per_row=True,
        options={
            "temperature": 4.0,
            "standardize": False,
            "divergence": "forward",
            "correct": False,
        },
        paper="Hinton et al. 2015, arXiv:1503.02531; Sun et al. 2024, arXiv:2403.01427",
        labels="optional",
    ),
    Term(
        "match_logits",
        response.match_logits,
        OUTPUTS,
        per_row=True,
        paper="Ba and Caruana 2014, arXiv:1312.6184",
    ),
    Term(
        "mutual",
        response.mutual,
        CLASSES,
        per_row=True,
        options={"temperature": 1.0, "divergence": "forward"},
        paper="Zhang et al. 2018, arXiv:1706.00384",
        sources="many",
    ),
    Term(
        "dkd",
        decoupled.dkd,
        CLASSES,
        per_row=True,
        scope=LABELED,
        options={"alpha": 1.0, "beta": 1.0, "temperature": 4.0},
        paper="Zhao et al. 2022, arXiv:2203.08679",
        labels="required",
    ),
    Term(
        "dist",
        decoupled.dist,
        CLASSES,
        min_rows=2,
        options={"beta": 1.0, "gamma": 1.0, "temperature": 1.0},
        paper="Huang et al. 2022, arXiv:2205.10536",
    ),
    Term(
        "consensus",
        mixture.consensus,
        CLASSES,
        per_row=True,
        options={"how": "mean", "temperature": 4.0, "divergence": "forward"},
        paper="Anil et al. 2018, arXiv:1804.03235; Guo et al. 2020; "
        "Lan et al. 2018, arXiv:1806.04606",
        sources="many",
        labels="optional",
        source_masks=True,
    ),
    Term(
        "coteach",
        noisy.coteach,
        LOSSES,
        per_row=True,
        scope=LABELED,
        options={"temperature": 1.0},
        paper="Han et al. 2018, arXiv:1804.06872; Jiang et al. 2018, arXiv:1712.05055",
        sources="many",
        source_masks=True,
    ),
    Term(
        "hint",
        feature.hint,
        FEATURES,
        per_row=True,
        paper="Romero et al. 2015, arXiv:1412.6550",
        projector="learner",
        positions="optional",
    ),
    Term(
        "vid",
        feature.vid,
        FEATURES,
        per_row=True,
        paper="Ahn et al. 2019, arXiv:1904.05835",
        projector="mean_variance",
        positions="optional",
    ),
    Term(
        "attention",
        feature.attention,
        FEATURES,
        per_row=True,
        paper="Zagoruyko and Komodakis 2017, arXiv:1612.03928",
        positions="required",
    ),
    Term(
        "contrast",
        feature.contrast,
        FEATURES,
        per_row=True,
        min_rows=2,
        options={"temperature": 0.07},
        paper="Tian et al. 2020, arXiv:1910.10699; "
        "van den Oord et al. 2018, arXiv:1807.03748",
        projector="both",
    ),
    Term(
        "cka",
        relation.cka,
        FEATURES,
        min_rows=2,
        paper="Kornblith et al. 2019, arXiv:1905.00414",
    ),
    Term(
        "sp",
        relation.sp,
        FEATURES,
        min_rows=2,
        paper="Tung and Mori 2019, arXiv:1907.09682",
    ),
    Term(
        "rkd_distance",
        rkd.rkd_distance,
        FEATURES,
        min_rows=2,
        paper="Park et al. 2019, arXiv:1904.05068",
    ),
    Term(
        "rkd_angle",
        rkd.rkd_angle,
        FEATURES,
        min_rows=3,
        options={"max_rows": 32},
        paper="Park et al. 2019, arXiv:1904.05068",
    ),
    Term(
        "pkt",
        relation.pkt,
        FEATURES,
        min_rows=2,
        paper="Passalis and Tefas 2018, arXiv:1803.10837",
    ),
    Term(
        "pseudo_label",
        response.pseudo_label,
        CLASSES,
        per_row=True,
        scope=UNLABELED,
        options={"threshold": 0.95},
        paper="Lee 2013; Sohn et al. 2020, arXiv:2001.07685",
        sources="none",
    ),
)
TERMS: dict[str, Term] = {term.name: term for term in _TABLE}
