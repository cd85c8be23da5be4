"""Feature files of any usual kind, as ids and numbers. Imports no Keras."""

from coloss.data.readers.errors import DataError
from coloss.data.readers.features import (
    Features,
    choose_columns,
    features_of,
    read_features,
)
from coloss.data.readers.ids import column_as_text, ids_of, read_ids
from coloss.data.readers.tables import TABLE_SUFFIXES, column_names, read_table

__all__ = [
    "TABLE_SUFFIXES",
    "DataError",
    "Features",
    "choose_columns",
    "column_as_text",
    "column_names",
    "features_of",
    "ids_of",
    "read_features",
    "read_ids",
    "read_table",
]
