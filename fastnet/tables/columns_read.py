"""Columns of a file as they are read: texts come in chunks, and numbers or categories go out."""

import contextlib
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from .table import CATEGORY, NUMBER, Categories, Column, Kind, Numbers


class BadCell(NamedTuple):
    """A text that is no number, in a column of numbers."""

    row: int
    text: str


class MostlyTextError(Exception):
    """Too few texts of a column are numbers: it is to be read again, as categories."""


class ColumnRead:
    """A column that grows by chunks of texts.

    What it is, is decided by the first chunk that has anything: numbers if at least half of the texts are. What is no
    number in such a column is kept aside as `bad`.
    """

    def __init__(self, kind: Kind | None, missing: Collection[str], decimal: str = ".") -> None:
        self.kind, self.is_sure = kind, kind is not None
        self.missing, self.decimal = missing, decimal
        # Where a number may stand for nothing, each is to be looked at.
        self._reads_at_once = decimal == "." and not any(map(_is_number, missing))
        self.bad: list[BadCell] = []
        self._chunks: list[np.ndarray] = []
        self._codes: dict[str, int] = dict.fromkeys(missing, -1)
        self._n_missing_names = len(self._codes)
        self._n_rows = self._n_numbers = 0

    def add(self, texts: Sequence[str]) -> None:
        """Take a chunk; MostlyTextError if this turns out to be no column of numbers."""
        if self.kind != CATEGORY:
            numbers, bad = self._numbers(texts, self._n_rows)
            n_numbers = int(np.count_nonzero(~np.isnan(numbers)))
            if self.kind is None and (n_numbers or bad):
                self.kind = NUMBER if n_numbers >= len(bad) else CATEGORY
                if self.kind == CATEGORY:  # what came before was missing
                    self._chunks = [np.full(len(chunk), -1, np.int32) for chunk in self._chunks]
        if self.kind == CATEGORY:
            self._chunks.append(self._coded(texts))
        else:
            self._chunks.append(numbers)
            self.bad += bad
            self._n_numbers += n_numbers
            if not self.is_sure and len(self.bad) > self._n_numbers:
                raise MostlyTextError
        self._n_rows += len(texts)

    def _coded(self, texts: Sequence[str]) -> np.ndarray:
        codes = self._codes
        for text in dict.fromkeys(map(str.strip, texts)):
            if text not in codes:
                codes[text] = len(codes) - self._n_missing_names
        return np.fromiter((codes[text.strip()] for text in texts), np.int32, len(texts))

    def column(self) -> Column:
        """All of it; a column that is a list of numbers, though it did not begin as one, is one of numbers."""
        if self.kind != CATEGORY:
            return Numbers(np.concatenate(self._chunks))
        names = list(self._codes)[self._n_missing_names :]
        column = Categories(np.concatenate(self._chunks), names)
        if self.is_sure:
            return column
        values, bad = self._numbers(names, 0)
        of_words = column.counts()[[cell.row for cell in bad]].sum() if bad else 0
        if of_words > column.counts().sum() - of_words:
            return column
        self.bad = [
            BadCell(row, names[code]) for row, code in enumerate(column.codes) if code >= 0 and np.isnan(values[code])
        ]
        return Numbers(np.append(values, np.nan)[column.codes])

    def _numbers(self, texts: Sequence[str], first_row: int) -> tuple[np.ndarray, list[BadCell]]:
        """Numbers (m,), NaN for what is missing or bad."""
        if self._reads_at_once:
            with contextlib.suppress(ValueError):
                values = np.array(texts, np.float64)
                if np.isfinite(values).all() and "_" not in "".join(texts):  # which Python takes for a part of a number
                    return values, []
        bad: list[BadCell] = []
        values = np.full(len(texts), np.nan)
        for row, text in enumerate(texts):
            word = text.strip()
            if word in self.missing:
                continue
            number = self._number(word)
            if np.isfinite(number):
                values[row] = number
            else:
                bad.append(BadCell(first_row + row, word))
        return values, bad

    def _number(self, word: str) -> float:
        """NaN for what is none."""
        if self.decimal != ".":
            word = word.replace(".", "_").replace(self.decimal, ".")  # a point would stand between thousands
        try:
            return math.nan if "_" in word else float(word)
        except ValueError:
            return math.nan


def _is_number(word: str) -> bool:
    """Of numbers that can be read: NaN is none."""
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False
