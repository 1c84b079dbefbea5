"""Importing Numba, compiling kernels and loading them: one at a time, each in a thread of its own.

Numba does not stand two threads that import and compile it at the same time, nor an exception that comes from nowhere:
Python runs handlers of signals in the main thread, between any two bytecodes, and what they raise, KeyboardInterrupt
for one, leaves half of what was being registered. So the work goes to a thread that no signal reaches, and whoever
needs it waits. It may leave at any time: work that nobody waits for ends at the next `safe_point`, and what it has done
is kept for the next call.
"""

import contextlib
import gc
import importlib
import logging  # noqa: F401 - see `_before_fork`
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

_turn = threading.RLock()  # of the thread that works
_speaking = threading.RLock()  # of the thread whose line on standard error has not ended yet
_at_work: "_Work | None" = None
_waits_in_main_thread = False
_waited = threading.local()
_modules: dict[str, ModuleType] = {}
_said: set[str] = set()
_END = object()
_PATIENCE = 60.0  # seconds that a fork waits


class _NotWanted(BaseException):
    """Nobody waits for the work any more. Not an Exception, which Numba would take for an error in a kernel."""


class _Work:
    """Something to be done in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.is_wanted = True
        self.news: queue.SimpleQueue[Any] = queue.SimpleQueue()  # pieces of text, and then _END
        self.thread = 0
        self.result: Any = None
        self.error: BaseException | None = None

    def do(self) -> None:
        global _at_work
        try:
            with _turn, _without_collector():
                self.thread, _at_work = threading.get_ident(), self
                try:
                    safe_point()
                    self.result = self.function()
                except BaseException as error:
                    self.error = error
                finally:
                    _at_work = None
        finally:
            self.news.put(_END)


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Compiling makes millions of objects, of which the collector finds nothing to take away.

    It rests in all threads, for as long as the work takes.
    """
    pauses = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if pauses:
            gc.enable()


def apart(function: Callable[[], Any]) -> Any:
    """Call `function()` in a thread of its own, when its turn has come; returns, or raises, what that does.

    Inside of such work, just call it. KeyboardInterrupt after Ctrl-C: all is then as if the call had not been made, but
    that the next one will find some of its work done.
    """
    global _waits_in_main_thread
    if is_apart():
        return function()
    if not _is_whole:
        raise RuntimeError(
            "this process was forked while its parent compiled kernels: fork before, or when that has ended"
        )
    work, is_main = _Work(function), threading.current_thread() is threading.main_thread()
    start = time.perf_counter()
    with contextlib.closing(_Line()) as line:
        try:
            if is_main:
                _waits_in_main_thread = True
            try:
                threading.Thread(target=work.do, name="fastnet kernels").start()
            except RuntimeError:  # no more threads, or Python is about to end
                work.do()
            while (news := _next(work.news)) is not _END:
                line.write(news)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "compiling or loading kernels was interrupted: what is done is kept, and the next call goes on"
            ) from None
        finally:
            work.is_wanted = False
            _waited.seconds = seconds_waited() + time.perf_counter() - start
            if is_main:
                _waits_in_main_thread = False
    if work.error is not None:
        raise work.error
    return work.result


def _next(news: "queue.SimpleQueue[Any]") -> Any:
    """A second without any is news as well. Where a wait cannot be interrupted, as on Windows, Ctrl-C works then."""
    try:
        return news.get(timeout=1.0)
    except queue.Empty:
        return "."


def imported(name: str) -> ModuleType:
    """The module of that name: Numba, or one that needs it."""
    module = _modules.get(name)
    if module is None:
        module = _modules[name] = apart(lambda: importlib.import_module(name))
    return module


def has_started_threads() -> bool:
    """Whether Numba's threads were started in this process, or, in a forked one, in its parent: the child has none."""
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    return bool(getattr(parallel, "_is_initialized", parallel is not None))


def seconds_waited() -> float:
    """How long the calling thread has waited for such work since it began."""
    return getattr(_waited, "seconds", 0.0)


def is_apart() -> bool:
    """Whether the calling thread does work for others."""
    work = _at_work
    return work is not None and work.thread == threading.get_ident()


def main_thread_waits() -> bool:
    """Whether the main thread waits for such work, so that a handler of a signal may raise: nothing is torn."""
    return _waits_in_main_thread


def safe_point() -> None:
    """Called where work may end early."""
    if _at_work is not None and is_apart() and not _at_work.is_wanted:
        raise _NotWanted


# ---------------------------------------------------------------- what is said


def tell(text: str) -> None:
    """Write to standard error, from work in the name of whoever waits for it. A line may come in pieces."""
    if _at_work is not None and is_apart():
        _at_work.news.put(text)
    else:
        with contextlib.closing(_Line()) as line:
            line.write(text)


def complain(kind: str, text: str) -> None:
    """Tell a line, if none of its kind has been told in this process."""
    if kind not in _said:
        _said.add(kind)
        tell(f"fastnet: {text}\n")


class _Line:
    """One line after the other on standard error. While one is not finished no other thread writes."""

    def __init__(self) -> None:
        self.is_open = False

    def write(self, text: str) -> None:
        if text == "." and not self.is_open:
            return
        if self.is_open and text.startswith("fastnet:"):
            text = f"\n{text}"
        if not self.is_open:
            _speaking.acquire(timeout=1.0)  # a line that is never ended must not stop anybody
            self.is_open = True
        # There may be no standard error, as under pythonw, or nobody who reads it.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()
        if text.endswith("\n"):
            self._release()

    def _release(self) -> None:
        self.is_open = False
        with contextlib.suppress(RuntimeError):
            _speaking.release()

    def close(self) -> None:
        if self.is_open:
            self.write(" interrupted\n")


# ---------------------------------------------------------------- forks


_is_whole = True  # nobody was at work in the parent when this process was forked
_fork = threading.local()  # of the thread that forks: whether it has the turn


def _before_fork() -> None:
    """A fork waits until nobody works: a child would have half of it. Work may need logging's lock, which logging takes
    before a fork as well; the hooks of what was imported earlier, as that is, come later."""
    _fork.has_turn = False
    _fork.has_turn = _turn.acquire(timeout=_PATIENCE)


def _in_parent() -> None:
    if _fork.has_turn:
        _turn.release()


def _in_child() -> None:
    global _is_whole, _turn, _speaking, _waits_in_main_thread
    _is_whole = _is_whole and _fork.has_turn
    _turn, _speaking, _waits_in_main_thread = threading.RLock(), threading.RLock(), False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
