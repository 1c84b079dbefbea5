"""Tables from files: CSV, plain or compressed by gzip, and Parquet."""

import codecs
import csv
import gzip
import io
import itertools
import os
import re
import stat
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .columns_read import ColumnRead, MostlyTextError
from .frames import table_of_frame
from .table import CATEGORY, Categories, Column, Kind, Table, check_kinds, check_names, is_wanted, listed, require

# As pandas and spreadsheets write what is missing, and "?" as older data sets do.
MISSING = frozenset(
    {"", "#N/A", "<NA>", "NAN", "?", "N/A", "NA", "NULL", "NaN", "None", "n/a", "na", "nan", "null", "-nan", "-NaN"}
)
_COMMA = re.compile(r"[-+]?\d+,\d+")
_OF_NUMBERS = "; missing=[TEXT] (--missing TEXT) takes a text for a gap, decimal=',' (--decimal ,) commas for points"
_OF_CATEGORIES = "a column whose texts are names is one of categories: kinds={NAME: 'category'} (--categories NAME)"
_DELIMITERS = ",;\t|"
_ROWS = 8192  # of a chunk
_MOST_SHOWN = 5  # bad rows of a message


class BadRow(NamedTuple):
    """A row that cannot be used."""

    line: int
    why: str


class BadRowsError(ValueError):
    """Rows of a file that cannot be used: `rows`, each with its line and why."""

    def __init__(self, message: str, rows: Sequence[BadRow]) -> None:
        super().__init__(message)
        self.rows = rows


def read_table(
    path: str | os.PathLike[str],
    *,
    kinds: Mapping[str, Kind] | None = None,
    only: Collection[str] | None = None,
    ignore: Collection[str] = (),
    skip_bad_rows: bool = False,
    delimiter: str | None = None,
    decimal: str = ".",
    missing: Collection[str] = MISSING,
    has_header: bool = True,
    encoding: str = "utf-8",
) -> Table:
    """Read a table from a CSV file, also one compressed by gzip, or from a Parquet file (extra `[tables]`).

    What the file is, is seen by its first bytes. A column of a CSV file holds numbers if at least half of its texts are
    numbers, and categories if not. A row with another number of fields than the header, or a text where there should be
    a number, is bad.

    Parameters
    ----------
    path : str or path
    kinds : mapping of str to "number" or "category", optional
        What columns hold, whatever they look like.
    only, ignore : collection of str, optional
        The columns that are wanted, if not all, and those that are not.
    skip_bad_rows : bool
        Leave bad rows out, with a warning that counts them.
    delimiter : str, optional
        Between fields; by default the one of comma, semicolon, tab and bar that the first line has most of.
    decimal : str
        "." or ",".
    missing : collection of str
        Texts for what is missing.
    has_header : bool
        Whether the first line names the columns; if not, they are "column 1", "column 2" and so on.
    encoding : str
        Of the text.

    Returns
    -------
    Table

    Raises
    ------
    BadRowsError
        A ValueError, for bad rows: the first ones, each with its line.
    ValueError
        For an empty or damaged file, another encoding, columns of `only` or `ignore` that are not there, names that
        occur twice, and unknown options.
    OSError
        If it cannot be read.
    ModuleNotFoundError
        For a Parquet file without pyarrow.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fastnet as fn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text("age,sex\\n41,f\\n,m\\n")
    ...     table = fn.tables.read_table(path)
    >>> table
    Table(2 rows: age (number), sex (category))
    """
    if decimal not in (".", ","):
        raise ValueError(f"decimal={decimal!r} is not known: choose one of '.', ','")
    check_kinds(kinds)
    for name, given in (("only", only), ("ignore", ignore), ("missing", missing)):
        check_names(name, given)
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise ValueError(f"delimiter={delimiter!r} is no single character that could stand between fields")
    try:
        "".encode(encoding)  # which also refuses those that are not of text
    except LookupError as error:
        raise ValueError(f"encoding={encoding!r} is not known: give one such as 'utf-8' or 'latin-1'") from error
    with open(path, "rb") as file:
        # A pipe can be read once only.
        content = None if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else file.read()
        magic = file.read(4) if content is None else content[:4]
    if magic == b"PAR1":
        return _from_parquet(path if content is None else io.BytesIO(content), kinds, only, ignore)
    if not magic:
        raise ValueError(f"{os.fspath(path)} is empty: give a file with a line of names and a row at least")
    source = _Source(path, content, magic[:2] == b"\x1f\x8b", encoding, delimiter, has_header)
    known = dict(kinds or {})
    while True:
        try:
            return _from_csv(source, known, only, ignore, skip_bad_rows, decimal, missing)
        except _ReadAgain as again:
            known[again.name] = CATEGORY


class _ReadAgain(Exception):  # noqa: N818 - no error
    def __init__(self, name: str) -> None:
        self.name = name


class _Source(NamedTuple):
    """A file of text, which can be read more than once."""

    path: str | os.PathLike[str]
    read: bytes | None  # of what is no regular file
    is_zipped: bool
    encoding: str
    delimiter: str | None
    has_header: bool

    @property
    def shown(self) -> str:
        return os.fspath(self.path)

    def opened(self) -> io.TextIOWrapper:
        """From its beginning."""
        is_utf8 = codecs.lookup(self.encoding).name == "utf-8"
        file: Any = open(self.path, "rb") if self.read is None else io.BytesIO(self.read)  # noqa: SIM115 - it is in it
        content: Any = gzip.GzipFile(fileobj=file) if self.is_zipped else file
        return io.TextIOWrapper(content, "utf-8-sig" if is_utf8 else self.encoding, newline="")


def _from_parquet(
    path: Any,
    kinds: Mapping[str, Kind] | None,
    only: Collection[str] | None,
    ignore: Collection[str],
) -> Table:
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Parquet files need the package pyarrow: pip install 'fastnet-numba[tables]'", name="pyarrow"
        ) from error
    with parquet.ParquetFile(path) as source:
        names = source.schema_arrow.names
        require("the Parquet file", [*(only or ()), *ignore], names)
        wanted = [name for name in names if is_wanted(name, only, ignore)]
        return table_of_frame(source.read(wanted), kinds, None, ())


# ---------------------------------------------------------------- CSV


def _from_csv(
    source: _Source, kinds: Mapping[str, Kind], only: Collection[str] | None, ignore: Collection[str],
    skip_bad_rows: bool, decimal: str, missing: Collection[str],
) -> Table:  # fmt: skip
    bad: list[BadRow] = []
    lines: list[np.ndarray] = []
    with _decoding(source), source.opened() as text:
        before, first = next(((at, line) for at, line in enumerate(text) if line.strip()), (0, ""))
        delimiter = source.delimiter or max(_DELIMITERS, key=_without_quoted(first).count)
        rows = _Rows(source.shown, itertools.chain([first], text), delimiter, before)
        names = rows.names(source.has_header)
        require(source.shown, [*(only or ()), *ignore], names)
        wanted = [(place, name) for place, name in enumerate(names) if is_wanted(name, only, ignore)]
        columns = [ColumnRead(kinds.get(name), missing, decimal) for _, name in wanted]
        for chunk, at in rows.chunks(len(names), bad):
            by_column = list(zip(*chunk, strict=True))
            lines.append(at)
            for column, (place, name) in zip(columns, wanted, strict=True):
                try:
                    column.add(by_column[place])
                except MostlyTextError:
                    raise _ReadAgain(name) from None
    if not lines:
        nothing = f"{source.shown} has names and no rows: give one at least"
        raise BadRowsError(_refused(source.shown, bad), bad) if bad else ValueError(nothing)
    at = np.concatenate(lines)
    found = {name: column.column() for column, (_, name) in zip(columns, wanted, strict=True)}
    is_bad = np.zeros(len(at), bool)  # and read
    for column, (_, name) in zip(columns, wanted, strict=True):
        for cell in column.bad:
            bad.append(BadRow(int(at[cell.row]), f"{name} is {cell.text!r}, which is no number"))
            is_bad[cell.row] = True
    bad.sort()
    if bad:
        message = _refused(source.shown, bad)
        if not skip_bad_rows or is_bad.all():
            raise BadRowsError(
                f"{message}\nskip_bad_rows=True (--skip-bad-rows) leaves them out"
                + (_OF_NUMBERS if any(column.bad for column in columns) else "")
                + ("; " + _OF_CATEGORIES if any(column.bad and not column.is_sure for column in columns) else ""),
                bad,
            )
        warnings.warn(f"left out: {message}", stacklevel=4)
    if decimal == ".":
        _warn_of_commas(found)
    table = Table(found, lambda row: f"line {at[row]}")
    return table.take(~is_bad) if is_bad.any() else table


def _warn_of_commas(columns: Mapping[str, Column]) -> None:
    """Warn of texts that are numbers where the point is written as a comma."""
    strange = [
        name
        for name, column in columns.items()
        if isinstance(column, Categories)
        and 2 * sum(_COMMA.fullmatch(name) is not None for name in column.names) > len(column.names)
    ]
    if strange:
        warnings.warn(
            f"columns {listed(strange)} look like numbers with a decimal comma: read_table(..., decimal=',') "
            "(--decimal ,) takes them for numbers",
            stacklevel=5,
        )


def _refused(shown: str, bad: Sequence[BadRow]) -> str:
    by_line: dict[int, list[str]] = {}
    for row in bad:
        by_line.setdefault(row.line, []).append(row.why)
    first = [f"\n  line {line}: {'; '.join(why[:3])}" for line, why in list(by_line.items())[:_MOST_SHOWN]]
    rest = f"\n  and {len(by_line) - _MOST_SHOWN} more" if len(by_line) > _MOST_SHOWN else ""
    what = "row that is" if len(by_line) == 1 else "rows that are"
    return f"{shown} has {len(by_line)} {what} bad:{''.join(first)}{rest}"


class _Rows:
    """The rows of a text, in chunks."""

    def __init__(self, shown: str, text: Iterator[str], delimiter: str, before: int) -> None:
        self.shown, self.before = shown, before  # lines that say nothing
        self.reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
        self.taken: list[list[str]] = []  # for names, and a row

    def names(self, has_header: bool) -> list[str]:
        """Of the columns."""
        try:
            first = next((row for row in self.reader if row), None)
        except csv.Error as error:
            raise ValueError(f"{self.shown}, line {self.reader.line_num}: {error}") from error
        if first is None:
            raise ValueError(f"{self.shown} is empty: give a file with a line of names and a row at least")
        if not has_header:
            self.taken = [first]
            return [f"column {number}" for number in range(1, len(first) + 1)]
        names = [name.strip() or f"column {number}" for number, name in enumerate(first, 1)]
        twice = sorted({name for name, count in Counter(names).items() if count > 1})
        if twice:
            raise ValueError(f"{self.shown} has two columns called {listed(twice)}: give each a name of its own")
        if all(map(_is_number, names)):
            raise ValueError(
                f"{self.shown} begins with numbers, {listed(names)}, in place of names: put a line of names first, or "
                "give has_header=False (--no-header)"
            )
        return names

    def chunks(self, n: int, bad: list[BadRow]) -> Iterator[tuple[list[list[str]], np.ndarray]]:
        """Rows of n fields, and their lines; others are added to the bad ones."""
        reader, rows, lines = self.reader, self.taken, [self.before + 1] * len(self.taken)
        line = self.before + reader.line_num + 1  # where a row begins, which may have several
        while True:
            try:
                for row in reader:
                    if len(row) == n:
                        rows.append(row)
                        lines.append(line)
                        if len(rows) == _ROWS:
                            yield rows, np.array(lines)
                            rows, lines = [], []
                    elif row:
                        bad.append(BadRow(line, f"{len(row)} fields, and there are {n} columns"))
                    line = self.before + reader.line_num + 1
                break
            except csv.Error as error:
                if str(error).startswith(("unexpected end", "field larger")):  # what follows is inside a field
                    raise ValueError(
                        f"{self.shown}: a quoted field of the row in line {line} goes on for too long ({error}): mend "
                        "its quotes"
                    ) from error
                bad.append(BadRow(line, str(error)))
                line = self.before + reader.line_num + 1
        if rows:
            yield rows, np.array(lines)


def _without_quoted(line: str) -> str:
    return "".join(line.split('"')[::2])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _decoding:  # noqa: N801 - a context
    """Errors of what a file is packed and written in, in words."""

    def __init__(self, source: _Source) -> None:
        self.source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        shown = self.source.shown
        if isinstance(error, UnicodeError):
            raise ValueError(
                f"{shown} is no text in {self.source.encoding} ({error}): give its encoding, such as 'latin-1', "
                "'cp1252' or 'utf-16'"
            ) from error
        if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
            raise ValueError(f"{shown} is damaged or cut short ({error}): get it again") from error
