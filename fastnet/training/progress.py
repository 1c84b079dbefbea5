"""How far training is: a bar in a terminal or a notebook, in a log file now and then a line, or nothing."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fastnet_kernels.first_use import imported

_SECONDS_A_LINE = 10.0


class Bar(Protocol):
    """What shows how far training is."""

    def __enter__(self) -> "Bar": ...

    def __exit__(self, *error: Any) -> None: ...

    def update(self, steps: int) -> Any:
        """So many steps more are done."""

    def show(self, epoch: int, epochs: int, history: Mapping[str, Sequence[float]]) -> None:
        """An epoch is done, of so many, and this was measured."""

    def end(self, reason: str) -> None:
        """Why training ends before its last epoch."""


class NoBar:
    """What is shown where nothing is to be shown: it loads no tqdm, and starts no lock that a fork could meet."""

    def __enter__(self) -> "NoBar":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, steps: int) -> None:
        pass

    def show(self, epoch: int, epochs: int, history: Mapping[str, Sequence[float]]) -> None:
        pass

    def end(self, reason: str) -> None:
        pass


class _Lines:
    """A stream that begins a new line where a terminal would write over the old one."""

    def write(self, text: str) -> int:
        line = text.replace("\r", "").strip()
        return sys.stderr.write(line + "\n") if line else 0

    def flush(self) -> None:
        sys.stderr.flush()


def progress_bar(total: int | None, *, is_shown: bool) -> Bar:
    """A bar of `total` steps, or of steps without an end, on standard error."""
    if not is_shown or sys.stderr is None:  # as under pythonw
        return NoBar()
    options: dict[str, Any] = {"total": total, "unit": "step", "desc": "training"}
    if not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        options |= {"file": _Lines(), "mininterval": _SECONDS_A_LINE, "ascii": True}
    else:
        options |= {"dynamic_ncols": True}
    bar: Bar = imported("fastnet.training.progress_bar").ProgressBar(**options)  # which imports tqdm
    return bar
