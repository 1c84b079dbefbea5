"""What a run came to, item by item, in one file of JSON that is whole at any time and that its processes share.

A section of the file is a part of the run, done by one process after another:

    {"planned": 3, "ended": {"a": "passed", "b": "failed"}, "trying": "c", "errors": {"b": "why"}, "records": [...]}

What a process was trying when it ended, by itself or by others, counts as hung, and the next process goes on behind it.
"""

import contextlib
import faulthandler
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Sections = dict[str, dict[str, Any]]


def read(path: Path) -> Sections:
    """The sections of the file; none where there is no file yet."""
    found: Sections = json.loads(path.read_text()) if path.exists() else {}
    return found


def left_in(section: Mapping[str, Any]) -> int | None:
    """How many items have not ended; None where nobody came so far as to count them."""
    return section["planned"] - len(section["ended"]) if "planned" in section else None


@contextlib.contextmanager
def changing(path: Path) -> Iterator[Sections]:
    """The sections, to be changed, while no other process changes them."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        sections = read(path)
        yield sections
        temporary = Path(f"{path}.part")
        temporary.write_text(json.dumps(sections, default=float, indent=1))
        temporary.replace(path)
    finally:
        os.close(folder)


class Journal:
    """One process's hand on a section. If nothing is written for `patience` seconds, the process ends.

    It prints where it was, then. Python has no say in that, so that a call which never returns is no obstacle.
    """

    def __init__(self, path: Path, section: str, patience: float) -> None:
        self.path, self.section, self.patience = path, section, patience
        self._errors = os.dup(2)  # which pytest puts something else in the place of
        with changing(path) as sections:
            sections.setdefault(section, {})
        with self._mine() as mine:
            self._end(mine, mine.get("trying"), "hung", "it did not end, or it ended its process")

    def plan(self, items: Iterable[str]) -> list[str]:
        """Of all items those that are still to be done."""
        with self._mine() as mine:
            ended = mine.setdefault("ended", {})
            mine["planned"] = len({*ended, *(items := list(items))})
        return [item for item in items if item not in ended]

    def start(self, item: str) -> None:
        with self._mine() as mine:
            mine["trying"] = item

    def end(self, item: str, outcome: str, error: str = "", records: Sequence[Record] = ()) -> None:
        """Note that an item has "passed", "failed", or was "skipped"."""
        with self._mine() as mine:
            self._end(mine, item, outcome, error)
            mine.setdefault("records", []).extend(records)

    @contextlib.contextmanager
    def trying(self, item: str) -> Iterator[list[Record]]:
        """One item, from start to end, and the list that takes its records. An error is noted, and goes on its way."""
        records: list[Record] = []
        self.start(item)
        try:
            yield records
        except Exception as error:
            self.end(item, "failed", f"{type(error).__name__}: {error}")
            raise
        self.end(item, "passed", records=records)

    def note(self, line: str) -> None:
        """Keep what people should know."""
        with self._mine() as mine:
            mine.setdefault("notes", []).append(line)

    def close(self) -> None:
        """From now on the process may take any time."""
        faulthandler.cancel_dump_traceback_later()
        os.close(self._errors)

    @contextlib.contextmanager
    def _mine(self) -> Iterator[dict[str, Any]]:
        faulthandler.dump_traceback_later(self.patience, exit=True, file=self._errors)
        with changing(self.path) as sections:
            yield sections[self.section]

    @staticmethod
    def _end(mine: dict[str, Any], item: str | None, outcome: str, error: str) -> None:
        mine.pop("trying", None)
        if item is not None:
            mine.setdefault("ended", {})[item] = outcome
            if error:
                mine.setdefault("errors", {})[item] = error
