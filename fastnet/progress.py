"""A progress bar in a terminal or a notebook; in a log file now and then a line."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm.auto import tqdm

_SECONDS_A_LINE = 10.0
_RUNNING = "{desc} |{bar}| <{remaining}"
_DONE = "{desc} |{bar}| {elapsed}"
_ENDLESS = "{desc} {n_fmt} steps {elapsed}"  # where nobody knows how many steps there are
_SHORT = "{desc}"  # in very narrow terminals
_NARROWER = 5  # columns by which the bar may be narrower than tqdm makes it where there is room


class _Lines:
    """A stream that begins a new line where a terminal would write over the old one."""

    def write(self, text: str) -> int:
        line = text.replace("\r", "").strip()
        return sys.stderr.write(line + "\n") if line else 0

    def flush(self) -> None:
        sys.stderr.flush()


class ProgressBar(tqdm):  # type: ignore[misc]
    """A bar of steps with the epoch before and what was measured behind it, as much as there is room for."""

    measured: Sequence[str] = ()

    def show(self, epoch: int, epochs: int, history: Mapping[str, Sequence[float]]) -> None:
        """After an epoch: its number, and the last entries of the history."""
        self.set_description_str(f"epoch {epoch}/{epochs}", refresh=False)
        self.measured = [f"{name}={values[-1]:.4g}" for name, values in history.items() if name != "seconds" and values]

    def end(self, reason: str) -> None:
        """Stop where it stands, and say why on a line of its own."""
        is_shown = not self.disable
        self.close()
        if is_shown:
            print(reason, file=sys.stderr, flush=True)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What tqdm makes its text of: the first measurements, whole, as many as the terminal has room for."""
        found: dict[str, Any] = super().format_dict
        form = _ENDLESS if self.total is None else _DONE if self.n >= self.total else _RUNNING
        for count in range(len(self.measured), -1, -1):
            measured = "".join(f" {text}" for text in self.measured[:count]).replace("{", "{{").replace("}", "}}")
            found["bar_format"] = form + measured
            if _fits(found):
                return found
        return found | {"bar_format": _SHORT}


def _fits(found: dict[str, Any]) -> bool:
    columns = found["ncols"]
    to_spare = _NARROWER if "{bar}" in found["bar_format"] else 0
    return not columns or len(tqdm.format_meter(**(found | {"ncols": None}))) - to_spare <= columns


def progress_bar(total: int | None, *, is_shown: bool) -> ProgressBar:
    """A bar of `total` steps, or of steps without an end, on standard error."""
    options: dict[str, Any] = {"total": total, "unit": "step", "disable": not is_shown, "desc": "training"}
    if is_shown and not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        options |= {"file": _Lines(), "mininterval": _SECONDS_A_LINE, "ascii": True}
    else:
        options |= {"dynamic_ncols": True}
    return ProgressBar(**options)
