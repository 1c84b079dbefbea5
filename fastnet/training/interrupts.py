"""Ctrl-C while training: the steps that are running end first, so that nothing is half done."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from fastnet_kernels.first_use import main_thread_waits


class Interrupts:
    """Whether Ctrl-C was pressed inside the block; a second one ends at once, and more change nothing."""

    def __init__(self) -> None:
        self.came = self._ends = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if main_thread_waits():  # for kernels that are compiled, which nothing can tear
            raise KeyboardInterrupt
        if self.came and not self._ends:
            self._ends = True  # what is done about the second must not be torn by a third
            raise KeyboardInterrupt
        self.came = True

    @contextlib.contextmanager
    def noted(self) -> Iterator["Interrupts"]:
        """Where Python's own handler is in place: in the main thread, and unless somebody else has taken the signal."""
        is_ours = threading.current_thread() is threading.main_thread()
        if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield self
            return
        signal.signal(signal.SIGINT, self._note)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
