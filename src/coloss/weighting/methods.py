"""Every weighting by its short name, and what a user may write for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coloss.objective.errors import nearest
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

METHODS: dict[str, type[Weighting]] = {
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
}
"""A new method is added here, and inherits what is tested for all of them."""


def resolve(given: Any) -> Weighting | None:
    """Return a weighting from what a user wrote.

    Args:
        given: a `Weighting`, its class, its short name ("dwa"), what `to_config`
            returned, or None.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything else.
    """
    if given is None or isinstance(given, Weighting):
        return given
    if isinstance(given, type) and issubclass(given, Weighting):
        return given()
    if isinstance(given, str):
        return _class(given)()
    if isinstance(given, Mapping) and "method" in given:
        options = dict(given)
        return _class(options.pop("method")).from_config(options)
    raise TypeError(
        "`weighting` must be one of coloss.weighting's methods, its short name "
        f"({', '.join(METHODS)}) or None; found {given!r}."
    )


def to_config(weighting: Weighting) -> dict[str, Any]:
    """Return a weighting as what JSON can hold.

    Args:
        weighting: one of this package.

    Raises:
        TypeError: if it is a method of the user's own, which cannot be saved.
    """
    for name, cls in METHODS.items():
        if type(weighting) is cls:
            return {"method": name, **weighting.get_config()}
    raise TypeError(
        f"the weighting {type(weighting).__name__} cannot be saved: it is none of "
        f"{', '.join(METHODS)}."
    )


def _class(name: str) -> type[Weighting]:
    known = str(name).lower().replace("-", "_").replace(" ", "_")
    if known not in METHODS:
        raise ValueError(
            f"`weighting`: no method {name!r}{nearest(known, METHODS)} (methods: "
            f"{', '.join(METHODS)})."
        )
    return METHODS[known]
