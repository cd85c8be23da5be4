"""Data of several views: splits, mixtures, joins, and the embedded digits."""

from coloss.data.aligning import Aligned, align
from coloss.data.amputing import ampute
from coloss.data.digits import NUM_CLASSES, WIDTHS, load_digits_views
from coloss.data.folding import Folds, folds
from coloss.data.mixing import mix
from coloss.data.split import Split
from coloss.data.standardizing import Standardizer

__all__ = [
    "NUM_CLASSES",
    "WIDTHS",
    "Aligned",
    "Folds",
    "Split",
    "Standardizer",
    "align",
    "ampute",
    "folds",
    "load_digits_views",
    "mix",
]
