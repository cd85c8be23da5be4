"""Train several Keras networks together, so that one learns from the others."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from coloss import _pages
from coloss._backend import choose_backend, quiet_tensorflow, require_backend
from coloss._version import __version__

if TYPE_CHECKING:
    from coloss import (
        aggregation,
        callbacks,
        cli,
        data,
        distributed,
        joint,
        losses,
        objective,
        recipes,
        report,
        study,
        transfer,
        weighting,
    )
    from coloss.joint import (
        Inputs,
        JointModel,
        JointOptimizer,
        NonFiniteLossError,
        Recorded,
    )
    from coloss.objective import (
        Expression,
        Objective,
        ObjectiveError,
        ObjectiveWarning,
        coefficient,
        loss,
    )
    from coloss.study import Study
    from coloss.weighting import Cosine, Ramp, Steps, Trainable

# Here, before anything imports Keras: it reads its backend once. That none is
# installed is no error yet; objectives can be read and explained without one.
choose_backend()
quiet_tensorflow()

# Where each public name lives. Nothing is imported before it is asked for, so that
# reading and explaining an objective needs no Keras.
_OBJECTIVE = (
    "Expression",
    "Objective",
    "ObjectiveError",
    "ObjectiveWarning",
    "coefficient",
    "loss",
)
_JOINT = (
    "Inputs",
    "JointModel",
    "JointOptimizer",
    "NonFiniteLossError",
    "Recorded",
)
_HOMES = {
    **dict.fromkeys(_OBJECTIVE, "objective"),
    **dict.fromkeys(("Cosine", "Ramp", "Steps", "Trainable"), "weighting"),
    "Study": "study",
    **dict.fromkeys(_JOINT, "joint"),
}
_MODULES = (
    "aggregation",
    "callbacks",
    "cli",
    "data",
    "distributed",
    "joint",
    "losses",
    "objective",
    "recipes",
    "report",
    "study",
    "transfer",
    "weighting",
)
_NEED_KERAS = (
    "aggregation",
    "callbacks",
    "distributed",
    "joint",
    "losses",
    "study",
    "transfer",
)


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    home = _HOMES.get(name, name)
    if home in _NEED_KERAS:
        require_backend()
    if home in _MODULES:
        module = importlib.import_module(f"coloss.{home}")
        value = module if home == name else getattr(module, name)
    else:
        value = _word(name)
    globals()[name] = value
    return value


def _word(name: str) -> Any:
    """Return the builder of a word of the objective language, such as `distill`."""
    from coloss.objective.functions import FUNCTIONS, builder

    if name in FUNCTIONS:
        return builder(name)
    raise AttributeError(f"module 'coloss' has no attribute {name!r}")


def _write_study(result: Any, path: Any) -> Any:
    """Write the page of a study; what draws it is imported then."""
    return importlib.import_module("coloss.report").write_study(result, path)


_pages.register("study", _write_study)


def __dir__() -> list[str]:
    """List the public names."""
    from coloss.objective.functions import FUNCTIONS

    return sorted({*_HOMES, *_MODULES, *FUNCTIONS, "__version__"})


__all__ = [
    "Cosine",
    "Expression",
    "Inputs",
    "JointModel",
    "JointOptimizer",
    "NonFiniteLossError",
    "Objective",
    "ObjectiveError",
    "ObjectiveWarning",
    "Ramp",
    "Recorded",
    "Steps",
    "Study",
    "Trainable",
    "__version__",
    "aggregation",
    "callbacks",
    "cli",
    "coefficient",
    "data",
    "distributed",
    "joint",
    "loss",
    "losses",
    "objective",
    "recipes",
    "report",
    "study",
    "transfer",
    "weighting",
]
