"""Feature files of any usual kind, as ids and numbers. Imports no Keras."""

from coloss.data.readers.errors import DataError
from coloss.data.readers.features import (
    Features,
    choose_columns,
    features_of,
    read_features,
)
from coloss.data.readers.id_differences import IdDifference, id_difference
from coloss.data.readers.ids import column_as_text, ids_of, read_ids
from coloss.data.readers.label_copies import label_like
from coloss.data.readers.left_out import LeftOut, told_left_out
from coloss.data.readers.tables import (
    TABLE_SUFFIXES,
    column_names,
    looks_headerless,
    read_table,
)

__all__ = [
    "TABLE_SUFFIXES",
    "DataError",
    "Features",
    "IdDifference",
    "LeftOut",
    "choose_columns",
    "column_as_text",
    "column_names",
    "features_of",
    "id_difference",
    "ids_of",
    "label_like",
    "looks_headerless",
    "read_features",
    "read_ids",
    "read_table",
    "told_left_out",
]
