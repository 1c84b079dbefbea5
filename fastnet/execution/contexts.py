"""Memory and order for threads that share a network.

Any number of threads may read a network's parameters at once, each in an execution context of its own. What changes
parameters runs alone, between the others: whoever predicts beside a training sees the parameters of one of its steps.
"""

import os
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from .device import ExecutionContext

Result = TypeVar("Result")


class ContextPool:
    """The execution contexts of one network, as many as there were threads that ran it at once, and who may use them.

    `strategy(batch_size, repeats)` tells which mini-batches can share a context, if it was made for the largest of
    them, and `make(batch_size, strategy)` makes one.

    Ctrl-C may come between any two lines of a thread. So a context is taken by a `pop`, and one that is never given
    back is merely made anew; and locks are held by `with` statements alone, which no interrupt can tear.
    """

    def __init__(self, strategy: Callable[[int, bool], Hashable], make: Callable[[int, Any], ExecutionContext]) -> None:
        self._strategy, self._make = strategy, make
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        self._own = threading.local()  # `lock`: a thread's own, which it holds while it reads
        self._locks: weakref.WeakSet[Any] = weakref.WeakSet()  # of all threads
        # Of `_locks`, and of what runs alone. A handler of a signal may come while the main thread has it, and read.
        self._lock = threading.RLock()
        self._is_wanted_alone = False
        self.clear()

    # ---------------------------------------------------------------- who may use the network

    def reading(self) -> Any:
        """To be held, by `with`, while the calling thread reads parameters: nobody changes them meanwhile.

        Nobody else's code may be called inside: it might want to change them.
        """
        try:
            lock = self._own.lock
        except AttributeError:
            lock = threading.RLock()
            with self._lock:
                self._locks.add(lock)
            self._own.lock = lock
        # Whoever wants to run alone goes first, else many readers would keep it waiting; but not before one that has
        # begun to read, and whose lock it waits for.
        if self._is_wanted_alone and not lock._is_owned():
            with self._lock:
                pass
        return lock

    def alone(self, call: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        """`call(...)`, while no other thread reads or changes the network."""
        self._is_wanted_alone = True
        with self._lock:
            result = _while_locked(list(self._locks), 0, call, arguments, options)
        self._is_wanted_alone = False  # and if an error comes before, readers have a little more to do: that is all
        return result

    # ---------------------------------------------------------------- memory

    def clear(self) -> None:
        """Forget all contexts; those that are in use do not come back."""
        self._idle: dict[tuple[int, bool], list[ExecutionContext]] = {}  # the same list for all of one strategy
        self._idle_by_strategy: dict[Hashable, list[ExecutionContext]] = {}
        self.of_lengths: dict[int, Any] = {}  # what runs the network on sequences of other lengths

    def take(self, batch_size: int, repeats: bool) -> ExecutionContext:
        """One for mini-batches of this size that no other thread uses, until it is put back among its `idle` ones."""
        try:
            context = self._idle[batch_size, repeats].pop()
            if context.plan.batch_size >= batch_size:
                return context
        except (KeyError, IndexError):  # none yet, or all in use
            pass
        strategy = self._strategy(batch_size, repeats)
        idle = self._idle_by_strategy.setdefault(strategy, [])
        self._idle[batch_size, repeats] = idle
        context = self._make(batch_size, strategy)
        context.idle = idle
        return context


def _while_locked(
    locks: Sequence[Any], first: int, call: Callable[..., Result], arguments: Sequence[Any], options: dict[str, Any]
) -> Result:
    """`call(...)`, holding all locks from `first` on: by `with` statements inside each other, some in each call."""
    if first >= len(locks):
        return call(*arguments, **options)
    a, b, c, d = (locks[i] if i < len(locks) else threading.RLock() for i in range(first, first + 4))
    with a, b, c, d:
        return _while_locked(locks, first + 4, call, arguments, options)


_pools: "weakref.WeakSet[ContextPool]" = weakref.WeakSet()


def _after_fork() -> None:
    """A forked child has only the thread that forked: what the others held would stay locked for ever."""
    for pool in list(_pools):
        pool._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
