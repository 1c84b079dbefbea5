"""A tqdm bar that shows whole measurements, as many as the terminal has room for."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # In a notebook without ipywidgets tqdm warns, and the bar is text: that is good enough.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

_RUNNING = "{desc} |{bar}| <{remaining}"
_DONE = "{desc} |{bar}| {elapsed}"
_ENDLESS = "{desc} {n_fmt} steps {elapsed}"  # where nobody knows how many steps there are
_SHORT = "{desc}"  # in very narrow terminals
_NARROWER = 5  # columns by which the bar may be narrower than tqdm makes it where there is room


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
        if self._is_widget:
            self.disp(bar_style="info", check_delay=False)  # tqdm has made it red, as of an error
        if is_shown:
            print(reason, file=sys.stderr, flush=True)

    @property
    def _is_widget(self) -> bool:
        """Whether it is shown in a notebook that has ipywidgets."""
        return hasattr(self, "container")

    @property
    def format_dict(self) -> dict[str, Any]:
        """What tqdm makes its text of: the first measurements, whole, as many as the terminal has room for."""
        found: dict[str, Any] = super().format_dict
        if self._is_widget:
            found["ncols"] = None  # of the terminal that the notebook was started from
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
