"""Tables: columns of numbers and of categories, from files and data frames, to networks and back."""

from .conversion import as_table
from .model import TableModel
from .preprocessing import Preprocessing
from .reading import BadRowsError, read_table
from .splitting import split
from .table import Categories, Numbers, Table

__all__ = [
    "BadRowsError",
    "Categories",
    "Numbers",
    "Preprocessing",
    "Table",
    "TableModel",
    "as_table",
    "read_table",
    "split",
]
