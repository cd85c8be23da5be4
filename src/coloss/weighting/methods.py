"""Every weighting by its short name."""

from __future__ import annotations

from coloss.registry import Registry
from coloss.weighting.agm import AGM
from coloss.weighting.base import Weighting
from coloss.weighting.dwa import DWA
from coloss.weighting.famo import FAMO
from coloss.weighting.geometric_mean import GeometricMean
from coloss.weighting.gradient_blending import GradientBlending
from coloss.weighting.gradnorm import GradNorm
from coloss.weighting.imtl_l import IMTLL
from coloss.weighting.minimax import Minimax
from coloss.weighting.mmpareto import MMPareto
from coloss.weighting.ogm_ge import OGMGE
from coloss.weighting.random_weights import RandomWeights
from coloss.weighting.uncertainty import Uncertainty

METHODS: Registry[Weighting] = Registry(
    argument="weighting",
    key="method",
    module="coloss.weighting",
    base=Weighting,  # type: ignore[type-abstract]
    classes={
        "random_weights": RandomWeights,
        "uncertainty": Uncertainty,
        "dwa": DWA,
        "geometric_mean": GeometricMean,
        "imtll": IMTLL,
        "famo": FAMO,
        "gradnorm": GradNorm,
        "minimax": Minimax,
        "ogmge": OGMGE,
        "agm": AGM,
        "gradient_blending": GradientBlending,
        "mmpareto": MMPareto,
    },
)
"""A new method is added here, and inherits what is tested for all of them."""
