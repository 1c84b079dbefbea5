"""Who trains a network: one call at a time, in one thread."""

import os
import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Claim:
    """One call that trains a network: in which process and thread."""

    process: int = field(default_factory=os.getpid)
    thread: int = field(default_factory=threading.get_ident)

    @property
    def is_alive(self) -> bool:
        """Whether it is a call of this process: a forked child has none of its parent's."""
        return self.process == os.getpid()


class TrainingClaim:
    """The claim on one network, if there is one.

    Whoever trains takes it by `take(me)` and gives it up as here, where no interrupt can come in between:

        try:
            claim.take(me, "fit")
            ...
        finally:
            if claim.holder is me:
                claim.holder = None
    """

    def __init__(self) -> None:
        self.holder: Claim | None = None
        self._lock = threading.Lock()

    def take(self, me: Claim, what: str) -> None:
        """Let `me` hold it. RuntimeError, in which `what` names the call, if another call does."""
        with self._lock:
            if self.holder is None or not self.holder.is_alive:
                self.holder = me
        if self.holder is not me:
            self.refuse(what)

    def refuse(self, what: str, *, by_others: bool = False) -> None:
        """RuntimeError if the network is being trained; or only if it is by another thread, so that a callback may."""
        holder = self.holder
        if holder is None or not holder.is_alive:
            return
        is_own = holder.thread == threading.get_ident()
        if is_own and by_others:
            return
        who = "this thread, in a callback or in what gives it samples" if is_own else "another thread"
        raise RuntimeError(
            f"{what} was asked for while this network is being trained (by {who}): do it when fit has returned, or "
            "with a copy, net.copy()"
        )
