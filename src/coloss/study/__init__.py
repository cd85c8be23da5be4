"""Did it help? The same question asked of several arms, over many seeds."""

try:
    import pandas  # noqa: F401
    import scipy  # noqa: F401
except ImportError as error:
    raise ImportError(
        "studies need pandas and SciPy: pip install 'coloss[study]'"
    ) from error

from coloss.study.arms import Run
from coloss.study.design import Study
from coloss.study.result import StudyResult
from coloss.study.settings import Record
from coloss.study.statistics import (
    Gain,
    bootstrap_gain,
    mean_interval,
    paired_gain,
    seeds_needed,
)
from coloss.study.tuning import Tuned

__all__ = [
    "Gain",
    "Record",
    "Run",
    "Study",
    "StudyResult",
    "Tuned",
    "bootstrap_gain",
    "mean_interval",
    "paired_gain",
    "seeds_needed",
]
