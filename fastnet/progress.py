"""A progress bar in a terminal or a notebook; in a log file now and then a line."""

import sys
from typing import Any

from tqdm.auto import tqdm

_SECONDS_A_LINE = 10.0


class _Lines:
    """A stream that begins a new line where a terminal would write over the old one."""

    def write(self, text: str) -> int:
        line = text.replace("\r", "").strip()
        return sys.stderr.write(line + "\n") if line else 0

    def flush(self) -> None:
        sys.stderr.flush()


def progress_bar(total: int | None, *, is_shown: bool) -> Any:
    """A tqdm bar of steps."""
    options: dict[str, Any] = {"total": total, "unit": "step", "disable": not is_shown, "desc": "training"}
    if is_shown and not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        options |= {"file": _Lines(), "mininterval": _SECONDS_A_LINE, "ascii": True}
    return tqdm(**options)
