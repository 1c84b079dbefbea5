"""The word that kernels are being compiled, which takes a while, the first time only; and how long that was."""

import contextlib
import time
from collections.abc import Iterator
from types import ModuleType

from fastnet_kernels.first_use import is_apart, seconds_waited, tell


def seconds_compiling() -> float:
    """How long the calling thread has waited, since it began, for kernels to be compiled or loaded."""
    return seconds_waited()


@contextlib.contextmanager
def announced(what: str, event: ModuleType, kind: str) -> Iterator[None]:
    """Inside of work that is done `apart`, say what is compiled, if anything is.

    `event` is the compiler's module of events, and `kind` one that it broadcasts when it compiles.
    """
    started: list[float] = []

    class Listener(event.Listener):  # type: ignore[misc, name-defined]
        def on_start(self, _: object) -> None:
            if not started and is_apart():  # another thread may compile something of its own
                started.append(time.perf_counter())
                tell(f"fastnet: compiling {what} ...")

        def on_end(self, _: object) -> None:
            pass

    with event.install_listener(kind, Listener()):
        yield
    if started:
        tell(f" done in {time.perf_counter() - started[0]:.1f} s\n")
