"""Coefficients and weights over time: schedules, trained and adaptive ones."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from coloss.weighting.schedules import (
    Cosine,
    Ramp,
    Schedule,
    Steps,
    from_config,
    to_config,
    value_at,
)
from coloss.weighting.trainable import Trainable

if TYPE_CHECKING:
    from coloss.weighting.agm import AGM
    from coloss.weighting.base import Summand, Weighting
    from coloss.weighting.dwa import DWA
    from coloss.weighting.famo import FAMO
    from coloss.weighting.geometric_mean import GeometricMean
    from coloss.weighting.gradient_blending import GradientBlending
    from coloss.weighting.gradnorm import GradNorm
    from coloss.weighting.imtl_l import IMTLL
    from coloss.weighting.methods import METHODS
    from coloss.weighting.minimax import Minimax
    from coloss.weighting.mmpareto import MMPareto
    from coloss.weighting.ogm_ge import OGMGE
    from coloss.weighting.random_weights import RandomWeights
    from coloss.weighting.uncertainty import Uncertainty

# These import Keras; schedules must not wait for it.
_HOMES = {
    "AGM": "agm",
    "DWA": "dwa",
    "FAMO": "famo",
    "GeometricMean": "geometric_mean",
    "GradNorm": "gradnorm",
    "GradientBlending": "gradient_blending",
    "IMTLL": "imtl_l",
    "METHODS": "methods",
    "MMPareto": "mmpareto",
    "Minimax": "minimax",
    "OGMGE": "ogm_ge",
    "RandomWeights": "random_weights",
    "Summand": "base",
    "Uncertainty": "uncertainty",
    "Weighting": "base",
}


def __getattr__(name: str) -> Any:
    """Import a method on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


__all__ = [
    "AGM",
    "DWA",
    "FAMO",
    "IMTLL",
    "METHODS",
    "OGMGE",
    "Cosine",
    "GeometricMean",
    "GradNorm",
    "GradientBlending",
    "MMPareto",
    "Minimax",
    "Ramp",
    "RandomWeights",
    "Schedule",
    "Steps",
    "Summand",
    "Trainable",
    "Uncertainty",
    "Weighting",
    "from_config",
    "to_config",
    "value_at",
]
