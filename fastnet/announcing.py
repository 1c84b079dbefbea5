"""The word that kernels are being compiled, which takes a while, the first time only."""

import contextlib
import gc
import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def announced_compilation(event: ModuleType) -> Iterator[None]:
    """Say on standard error that kernels are compiled, if they are, with a dot a second as a sign of life.

    `event` is the compiler's module of events.
    """
    done = threading.Event()
    started: list[float] = []

    def tick() -> None:
        while not done.wait(1.0):
            print(".", end="", file=sys.stderr, flush=True)

    class Listener(event.Listener):  # type: ignore[misc, name-defined]
        def on_start(self, _: object) -> None:
            if not started:
                started.append(time.perf_counter())
                print("fastnet: compiling kernels, first run only ", end="", file=sys.stderr, flush=True)
                threading.Thread(target=tick, daemon=True).start()

        def on_end(self, _: object) -> None:
            pass

    pauses = gc.isenabled()  # compiling makes millions of objects, of which the collector finds nothing to take away
    gc.disable()
    with event.install_listener("numba:compile", Listener()):
        try:
            yield
        finally:
            done.set()
            if pauses:
                gc.enable()
    if started:
        print(f" done in {time.perf_counter() - started[0]:.1f} s", file=sys.stderr, flush=True)
