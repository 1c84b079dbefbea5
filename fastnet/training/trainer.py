"""The training loop: epochs, what comes after each of them, and what to do when training is interrupted or fails."""

import contextlib
import copy
import reprlib
from collections.abc import Sequence
from typing import NoReturn

from ..callbacks import Callback, in_order, names_of, stops_training
from ..execution.device import Batches
from ..optimizers import Optimizer
from .array_epochs import ArrayEpochs
from .batches import Stream
from .history import History
from .interrupts import Interrupts
from .progress import Bar, progress_bar
from .state import TrainingState, Unfinished
from .steps import Steps
from .streamed_epochs import StreamedEpochs
from .trainable import Trainable
from .validation import Validation


class Trainer:
    """One call of `fit`: everything is checked and encoded, the network is built and has its training state.

    An epoch is trained whole, or not at all: whatever goes wrong in the middle of one, network and state are then as
    they were before it. Only Ctrl-C, which waits for the steps that are running, leaves an `unfinished` one behind.
    """

    def __init__(
        self,
        network: Trainable,
        state: TrainingState,
        source: Batches | Stream,
        validation: Validation | None,
        epochs: int,
        optimizer: Optimizer,
        *,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        verbose: bool = True,
        is_one_step: bool = False,
    ) -> None:
        self.network, self.state, self.validation, self.epochs, self.verbose = (
            network,
            state,
            validation,
            epochs,
            verbose,
        )
        self.steps_an_epoch, self.interrupts = source.steps, Interrupts()
        self.callbacks = in_order(callbacks)
        self.names = names_of(self.callbacks)
        self.started: list[Callback] = []
        self.bar: Bar
        total = None if source.steps is None else epochs * source.steps
        batch_size = 0 if isinstance(source, Stream) else source.batch_size
        self.steps = Steps(network, state, optimizer, total, batch_size, self.interrupts)
        self.source: ArrayEpochs | StreamedEpochs
        if isinstance(source, Stream):
            self.source = StreamedEpochs(self.steps, source, validation, is_one_step=is_one_step)
        else:
            one_by_one = bool(validation or callbacks)
            self.source = ArrayEpochs(self.steps, source, epochs, shuffle=shuffle, one_by_one=one_by_one)

    @property
    def history(self) -> History:
        return self.state.history

    # ---------------------------------------------------------------- epochs

    def train(self) -> History:
        with self.interrupts.noted(), progress_bar(self.steps.total, is_shown=self.verbose) as self.bar:
            self.steps.bar, unfinished = self.bar, self.state.unfinished
            self.bar.update(self.history.epochs * (self.steps_an_epoch or 0) + (unfinished.step if unfinished else 0))
            try:
                self._begin()
                stopped_by = self._stopped_before()
                has_trained = False
                while self.history.epochs < self.epochs and stopped_by is None:
                    has_trained = True
                    self._train_whole_epochs()
                    stopped_by = self._end_epochs()
                self._tell("end")
                if stopped_by is not None:
                    self.bar.end(self._why(stopped_by))
                elif not has_trained:
                    self.bar.end(f"nothing to do: {self.epochs} epochs are trained, and epochs= counts them all")
            finally:
                self.history.complete()
                self._finish()
        if self.interrupts.came:
            raise KeyboardInterrupt(
                "training had come to its end, and the network has what it would have without Ctrl-C"
            )
        return self.history

    def _why(self, stopped_by: Callback) -> str:
        reason = getattr(stopped_by, "reason", "") or f"as {reprlib.repr(stopped_by)} asked for"
        return f"stopped after epoch {self.history.epochs} of {self.epochs}: {reason}"

    def _begin(self) -> None:
        for name, callback in zip(self.names, self.callbacks, strict=True):
            if hasattr(callback, "load_state_dict") and name in self.state.callbacks:
                callback.load_state_dict(copy.deepcopy(self.state.callbacks[name]))
        self._tell("start")

    def _stopped_before(self) -> Callback | None:
        """The callback that has stopped this training before it was resumed."""
        if not self.history.epochs or self.state.unfinished is not None:
            return None
        for callback in self.callbacks:
            stops = getattr(callback, "stops", None)
            if stops is not None and stops(self.history):
                return callback
        return None

    def _tell(self, what: str) -> None:
        for callback in self.callbacks:
            function = getattr(callback, what, None)
            if function is not None:
                function(self.network, self.history)
            if what == "start":
                self.started.append(callback)

    def _finish(self) -> None:
        """`finish` of every callback that has started, whatever the others raise."""
        with contextlib.ExitStack() as stack:
            for callback in reversed(self.started):
                function = getattr(callback, "finish", None)
                if function is not None:
                    stack.callback(function, self.network, self.history)

    def _end_epochs(self) -> Callback | None:
        """What comes after epochs; returns the callback that stops training, if one does."""
        number, history = self.history.epochs, self.history
        if self.validation is not None:
            for name, value in self.validation.measure(self.network).items():
                history.add(name, value)
        history.complete(history.measured)
        stopped_by = None
        for name, callback in zip(self.names, self.callbacks, strict=True):
            if stops_training(callback, callback(number, history, self.network)) and stopped_by is None:
                stopped_by = callback
            if hasattr(callback, "state_dict"):
                self.state.callbacks[name] = callback.state_dict()
        history.complete()
        self.bar.show(number, self.epochs, history)
        if self.interrupts.came and stopped_by is None and number < self.epochs:
            self._interrupt()
        return stopped_by

    def _train_whole_epochs(self) -> None:
        """Train one or more epochs and add them to the history."""
        state, unfinished = self.state, self.state.unfinished
        epochs, steps, rng = self.history.epochs, state.steps, self.network.rng.bit_generator
        self.steps.remember()
        rng_state = rng.state
        try:
            state.unfinished = None
            if unfinished is not None:
                rng.state = unfinished.rng_before
            found = self.source.train_epochs(unfinished)
        except BaseException:
            self.steps.go_back()
            rng.state, state.steps, state.unfinished = rng_state, steps, unfinished
            self.history.keep(epochs)
            raise
        if isinstance(found, Unfinished):
            state.unfinished = found
            self._interrupt()
        if found is not None:
            raise found

    def _interrupt(self) -> NoReturn:
        raise KeyboardInterrupt(
            f"training stopped in epoch {min(self.history.epochs + 1, self.epochs)}: the network keeps its parameters, "
            "and net.history what was measured; fit(..., resume=True) goes on from here"
        )
