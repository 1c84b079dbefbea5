"""Who trains a network: one call at a time, in one thread."""

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Claim:
    """One call that trains a network: in which process and thread."""

    process: int = field(default_factory=os.getpid)
    thread: int = field(default_factory=threading.get_ident)

    @property
    def is_alive(self) -> bool:
        """Whether it is a call of this process: a forked child has none of its parent's."""
        return self.process == os.getpid()

    @property
    def is_own(self) -> bool:
        """Whether it is of the calling thread."""
        return self.thread == threading.get_ident()


class TrainingClaim:
    """Who holds the claim on one network, if anybody does."""

    def __init__(self) -> None:
        self._holder: Claim | None = None
        self._lock = threading.Lock()
        _claims.add(self)

    def during(self, what: str, call: Callable[[], Result], *, may_be_own: bool = False) -> Result:
        """`call()`, while nobody else trains the network, or does what would disturb a training.

        RuntimeError, in which `what` names the call, if somebody does. What a callback may do, in the thread that
        trains, `may_be_own`.
        """
        me = Claim()
        try:
            with self._lock:
                holder = self._holder
                if holder is None or not holder.is_alive:
                    self._holder = holder = me
            if holder is not me and not (may_be_own and holder.is_own):
                who = "this thread, in a callback or in what gives it samples" if holder.is_own else "another thread"
                raise RuntimeError(
                    f"{what} was asked for while this network is being trained (by {who}): do it when fit has "
                    "returned, or with a copy, net.copy()"
                )
            return call()
        finally:  # no call in here, so that no interrupt comes in between
            if self._holder is me:
                self._holder = None


_claims: "weakref.WeakSet[TrainingClaim]" = weakref.WeakSet()


def _after_fork() -> None:
    """Another thread may have held a lock at the fork, which the child does not have."""
    for claim in list(_claims):
        claim._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
