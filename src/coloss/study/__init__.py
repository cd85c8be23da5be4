"""Did it help? The same question asked of several arms, over many seeds."""

from coloss.study.design import Study
from coloss.study.result import StudyResult
from coloss.study.statistics import (
    Gain,
    bootstrap_gain,
    paired_gain,
    seeds_needed,
)

__all__ = [
    "Gain",
    "Study",
    "StudyResult",
    "bootstrap_gain",
    "paired_gain",
    "seeds_needed",
]
