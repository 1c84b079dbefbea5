"""What runs a network: its parameters in one buffer, and the compiled program on a device."""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from fastnet_kernels import codes

from ..checks import all_finite, positive_integer
from ..data.arrays import as_array
from ..data.samples import as_rows, as_samples, is_converted_one_by_one
from ..layers import Layer, Masking, Shape
from ..layers.stack import uses_shape
from ..losses import Loss
from . import components
from .contexts import ContextPool
from .device import Batches, Device, ExecutionContext
from .graph import Graph
from .layout import ParameterSlot, aligned_zeros, slots_of

Result = TypeVar("Result")

_MOST_LENGTHS = 16  # of sequences, for which there is memory at a time
_ROWS_CONVERTED = 1 << 16  # of a file in memory, at a time, where it has another dtype


class Executor:
    """Layers, with their parameters once they are built, and what one needs to run them on samples.

    Any number of threads may run what only reads parameters; what changes them runs alone.
    """

    layers: list[Layer]
    loss_and_setting: Loss
    dtype: np.dtype
    device: Device
    input_shape: Shape | None  # of the samples it is built for, without their number; None before it is built
    feature_names: tuple[str, ...] | None = None  # of the data frame that it was trained on
    buffer: np.ndarray  # all parameters
    gradient_buffer: np.ndarray
    _graph: Graph
    _slots: list[ParameterSlot]
    _parameters: dict[str, np.ndarray]
    _contexts: ContextPool

    def __init__(self, layers: Sequence[Layer], loss: Loss, dtype: np.dtype, device: Device) -> None:
        self.layers, self.loss_and_setting, self.dtype, self.device = list(layers), loss, dtype, device
        self.input_shape = None
        self._contexts = ContextPool(self.strategy, self._make_context)

    # ---------------------------------------------------------------- parameters

    @property
    def n_inputs(self) -> int | None:
        """Numbers of a sample; None before the network is built."""
        return None if self.input_shape is None else self._graph.nodes[0].n_in

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """ "W1" (n_1, n_0), "b1" (n_1,), "W2" ...: views of the network's own parameters, which may be written to.

        Raises ValueError before the network is built.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Dense(3, "tanh"), fn.Dense(1)]).build(2)
        >>> net.parameters["b1"][:] = 0.5
        >>> {name: array.shape for name, array in net.parameters.items()}
        {'W1': (3, 2), 'b1': (3,), 'W2': (1, 3), 'b2': (1,)}
        """
        self.require_parameters()
        return MappingProxyType(self._parameters)

    def allocate(self, shape: Shape, rng: np.random.Generator | None = None, **more: Any) -> None:
        """Make the parameters for samples of `shape`: those that are random drawn from `rng`, or 0 without one.

        `more` are attributes that change with them.
        """
        graph = Graph.of(self.layers, shape, self.loss_and_setting)
        slots = slots_of(graph.nodes, self.dtype)
        buffer, gradient_buffer = (aligned_zeros(slots[-1].end, self.dtype) for _ in range(2))
        parameters = {slot.name: slot.view(buffer) for slot in slots}
        for slot in slots:
            draw = None if rng is None else slot.parameter.draw
            parameters[slot.name][...] = slot.parameter.value if draw is None else draw(rng)  # type: ignore[arg-type]
        self._contexts.clear()
        # At once, so that no interrupt and no want of memory leaves half of it.
        self.__dict__.update(
            input_shape=shape, _graph=graph, _slots=slots, buffer=buffer, gradient_buffer=gradient_buffer,
            _parameters=parameters, **more,
        )  # fmt: skip

    def replace_layers(self, layers: Sequence[Layer]) -> None:
        """Take layers of the same parameters in place of its own, such as the same ones frozen."""
        changed: dict[str, Any] = {"layers": list(layers)}
        if self.input_shape is not None:
            graph = Graph.of(layers, self.input_shape, self.loss_and_setting)
            changed |= {"_graph": graph, "_slots": slots_of(graph.nodes, self.dtype)}
            self._contexts.clear()
        self.__dict__.update(changed)  # at once, so that no interrupt leaves half of it

    def require_parameters(self) -> int:
        """How many numbers a sample has; ValueError before the network is built."""
        if self.input_shape is None:
            raise ValueError("this network has no parameters yet: call fit(X, y), or build(n_inputs), which draws them")
        return self._graph.nodes[0].n_in

    def require_features(self, batches: Batches) -> None:
        """ValueError if another thread has built the network anew since the samples were checked."""
        itemsize = 1 if batches.are_bytes else self.dtype.itemsize
        if batches.samples.nbytes != batches.m * self.require_parameters() * itemsize:
            raise ValueError(f"the network has just been built for {self.n_inputs} features, and X has others")

    def require_finite_parameters(self) -> None:
        """ValueError, which names the parameter, unless all are finite."""
        if all_finite(self.buffer):
            return
        for name, array in self._parameters.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds NaN or infinity: set the parameters anew, or build(n_inputs) again")

    def penalty(self) -> float:
        """What the weights add to the cost."""
        total = 0.0
        for node in self._graph.nodes:
            if node.layer.has_penalty:
                total += node.layer.penalty(functools.partial(self._parameter, node.number))
        return total

    def _parameter(self, number: int, name: str) -> np.ndarray:
        """A parameter of the layer with this number, by its name there: "W"."""
        return self._parameters[f"{name}{number}"]

    # ---------------------------------------------------------------- who may use it

    def alone(self, call: Callable[[], Result]) -> Result:
        """`call()`, while no other thread reads or changes this network."""
        return self._contexts.alone(call)

    def reading(self) -> Any:
        """To be held, by `with`, while the calling thread reads parameters: nobody changes them meanwhile."""
        return self._contexts.reading()

    # ---------------------------------------------------------------- what is run

    def as_batches(
        self, rows: np.ndarray, Y: np.ndarray, batch_size: int | None, weights: np.ndarray | None = None
    ) -> Batches:
        """Rows of `samples`, Y of `targets` and weights (empty: all 1), for the program.

        ValueError for samples that the first layer cannot take.
        """
        m = len(rows)
        self.layers[isinstance(self.layers[0], Masking)].check_samples(rows)
        size = m if batch_size is None else min(batch_size, m)
        if weights is None:
            weights = self.device.nothing
        are_bytes = rows.itemsize == 1
        if are_bytes or weights.size:
            self.device.prepare(components.of_samples(are_bytes=are_bytes, weights=weights))
        return Batches(rows.ravel().view(np.uint8), are_bytes, m, size, Y, weights)

    def prepare(self, optimizer: np.ndarray | None = None) -> None:
        """Compile, or load, what of the program this network needs, and what an optimizer of such settings does."""
        of_training = set() if optimizer is None else components.of_training(self._graph, optimizer)
        self.device.prepare(components.of_graph(self._graph) | of_training)

    def prepare_for(self, batches: Batches, *, repeats: bool = False) -> None:
        """Compile, or load, what runs on these samples need, and take the memory for them."""
        context = self._contexts.take(batches.batch_size, repeats)
        self.device.prepare_last(context, batches)
        context.idle.append(context)

    def run(
        self, mode: int, batches: Batches, first_step: int, last_step: int, *, repeats: bool = False, **options: Any
    ) -> int:
        """Run steps of the compiled program on this network's buffers; returns the step that comes next.

        Other threads may run it at the same time, unless this changes parameters. `repeats` tells that all of many
        steps have the same samples. For the options see `Device.execute`.
        """
        if mode >= codes.GRADIENT:
            return self._contexts.alone(self._run, mode, batches, first_step, last_step, repeats, **options)
        with self._contexts.reading():
            return self._run(mode, batches, first_step, last_step, repeats, **options)

    def _run(
        self, mode: int, batches: Batches, first_step: int, last_step: int, repeats: bool = False, **options: Any
    ) -> int:
        context = self._contexts.take(batches.batch_size, repeats)
        reached = self.device.execute(
            context, mode, self.buffer, self.gradient_buffer, batches, first_step, last_step, **options
        )
        context.idle.append(context)
        return reached

    def evaluated(self, batches: Batches) -> tuple[float, float]:
        """The cost of all of `batches`, and the sum of their scores."""
        costs, scores = np.zeros((2, batches.steps))
        step = 0
        while step < batches.steps:
            # A run also ends at a step whose cost is not finite; the next one goes on behind it.
            step = self.run(codes.EVALUATE, batches, step, batches.steps, costs=costs, scores=scores) + 1
        return float(costs @ batches.sizes / batches.m) + self.penalty(), scores.sum()

    def gradient_of(self, batches: Batches, dropout_seed: int) -> float:
        """Run one step that leaves the gradient in its buffer; returns the cost. To be called `alone`."""
        self.require_features(batches)
        costs, scores = np.zeros((2, 1))
        self._run(codes.GRADIENT, batches, 0, 1, costs=costs, scores=scores, dropout_seed=dropout_seed)
        return float(costs[0])

    def gradients_found(self) -> dict[str, np.ndarray]:
        """Copies of what `gradient_of` has left, of the parameters that are trained."""
        return {slot.name: slot.view(self.gradient_buffer).copy() for slot in self._slots if slot.is_trained}

    def outputs(self, X: Any, *, of_classes: bool = False, state: np.ndarray | None = None) -> np.ndarray:
        """The last layer's activations (m, n_L), or (m, t, n_L) at each step of sequences.

        Those `of_classes` may not be NaN, which is none: ValueError. Recurrent layers go on from a `state` of
        `first_state`, and leave there the one that they have come to. Sequences may have any number of steps, where
        parameters do not depend on it.
        """
        if self.input_shape is not None and self._graph.state_size:
            # Of lists by `as_array`, which says what to do where they have no shape.
            given = X.shape if type(X) is np.ndarray else np.shape(X if hasattr(X, "shape") else as_array("X", X))
            if state is not None and given[:1] != (0,):
                self._check_state(state, given[0] if given else 0)
            is_other = given[1:] != self.input_shape and given[2:] == self.input_shape[1:] and given[1:2] > (0,)
            if is_other and uses_shape(self.layers):
                with self.reading():
                    return self._of_length(given[1]).outputs(X, of_classes=of_classes, state=state)
        elif state is not None:
            raise ValueError("state=... is for networks with recurrent layers that are built: leave it out")
        if type(X) is not np.ndarray and is_converted_one_by_one(X, self.dtype) and len(X) > _ROWS_CONVERTED:
            pieces = range(0, len(X), _ROWS_CONVERTED)
            with self.reading():  # all of the same parameters
                return np.concatenate(
                    [
                        self.outputs(X[rows], of_classes=of_classes, state=None if state is None else state[rows])
                        for rows in (slice(i, i + _ROWS_CONVERTED) for i in pieces)
                    ]
                )
        shape = self.input_shape
        if shape is None:
            self.require_parameters()
        # That they are finite, the program notices on its way.
        rows, _ = as_samples(X, self.dtype, shape, names=self.feature_names, must_be_finite=False)
        with self._contexts.reading():
            if self.input_shape != shape:  # another thread has built the network anew
                raise ValueError(f"X has samples of shape {shape}: the network has just been built for others")
            outputs = np.empty((len(rows), self._graph.n_outputs), self.dtype)
            batches = self.as_batches(rows, outputs, self._graph.rows_at_once)
            before = None if state is None else state.copy()
            step = self._run(codes.PREDICT, batches, 0, batches.steps, outputs=outputs, states=state)
            if step < batches.steps:
                try:
                    as_rows(X, self.dtype, shape)
                except ValueError:
                    if state is not None:
                        state[...] = before
                    raise
                if of_classes:
                    self._refuse_nan(outputs[: (step + 1) * batches.batch_size])
                self._predict_rest(batches, step + 1, outputs, state)
                if of_classes:
                    self._refuse_nan(outputs)
            shape_of_output = self._graph.nodes[-1].output_shape
        return outputs if len(shape_of_output) == 1 else outputs.reshape(len(rows), *shape_of_output)

    def first_state(self, m: int = 1) -> np.ndarray:
        """What recurrent layers begin with, (m, n) zeros for m sequences: for predictions that go on piece by piece.

        Raises ValueError before the network is built, and for one without recurrent layers, or with a layer that sees
        more than the past: one that is bidirectional, or has windows.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnet as fn
        >>> net = fn.Network([fn.GRU(8), fn.Dense(1)]).build((20, 3))
        >>> X, state = np.ones((1, 20, 3)), net.first_state()
        >>> before = net.predict(X[:, :15], state=state)
        >>> bool(net.predict(X[:, 15:], state=state) == net.predict(X))
        True
        """
        self.require_parameters()
        if not self._graph.goes_on_from_states:
            layers = [node.layer for node in self._graph.nodes if node.layer.sees_other_steps]
            what = f"{layers[0]!r} sees steps that come later" if layers else "it has no recurrent layers"
            raise ValueError(f"this network cannot go on from a state: {what}; predict whole sequences with it")
        return np.zeros((positive_integer("m", m), self._graph.state_size), self.dtype)

    def _check_state(self, state: np.ndarray, m: int) -> None:
        """ValueError for what is no state of m sequences, as `first_state` makes it."""
        graph = self._graph
        is_one = type(state) is np.ndarray and state.shape == (m, graph.state_size) and state.dtype == self.dtype
        if is_one and state.flags.carray and graph.goes_on_from_states:
            return
        expected = self.first_state(max(m, 1)).shape
        given = f"{state.shape} of {state.dtype}" if isinstance(state, np.ndarray) else type(state).__name__
        given += ", which is not contiguous or cannot be written to" if is_one else ""
        raise ValueError(
            f"state is {given}: for {m} sequences give what first_state({m}) makes, {expected} of {self.dtype}"
        )

    def _of_length(self, steps: int) -> "Executor":
        """What runs this network on sequences of as many steps, by the same parameters; to be used while `reading`.

        ValueError where parameters depend on the number of steps.
        """
        found: dict[int, Executor] = self._contexts.of_lengths
        if steps in found:
            return found[steps]
        assert self.input_shape is not None
        shape = (steps, *self.input_shape[1:])
        graph = Graph.of(self.layers, shape, self.loss_and_setting)
        slots = slots_of(graph.nodes, self.dtype)
        if [(slot.shape, slot.offset) for slot in slots] != [(slot.shape, slot.offset) for slot in self._slots]:
            raise ValueError(
                f"X has sequences of {steps} steps, and this network was built for {self.input_shape[0]}, on which its "
                "parameters depend: give such"
            )
        twin = Executor(self.layers, self.loss_and_setting, self.dtype, self.device)
        shared = {name: getattr(self, name) for name in ("buffer", "gradient_buffer", "_parameters")}
        twin.__dict__.update(input_shape=shape, _graph=graph, _slots=slots, **shared)
        if len(found) >= _MOST_LENGTHS:
            found.clear()
        found[steps] = twin
        return twin

    def outputs_of(self, batches: Batches) -> np.ndarray:
        """The last layer's activations (m, n_L) of samples that have been checked and encoded."""
        outputs = np.empty((batches.m, self._graph.n_outputs), self.dtype)
        with self.reading():
            self._predict_rest(batches, 0, outputs)
        return outputs

    def _predict_rest(self, batches: Batches, step: int, outputs: np.ndarray, state: np.ndarray | None = None) -> None:
        """Outputs from a step on. A run ends at one that has other than finite ones, although its inputs are finite."""
        while step < batches.steps:
            step = self._run(codes.PREDICT, batches, step, batches.steps, outputs=outputs, states=state) + 1

    def _refuse_nan(self, outputs: np.ndarray) -> None:
        """Raise ValueError if an output is NaN, which is no class."""
        if not np.isnan(outputs).any():
            return
        self.require_finite_parameters()
        row = int(np.isnan(outputs).any(axis=1).argmax())
        raise ValueError(
            f"the output of the sample in row {row} is NaN, as sums over it are beyond {self.dtype}: scale the inputs, "
            "or make the network with dtype='float64'"
        )

    # ---------------------------------------------------------------- plans

    def workspace_bytes(self, batch_size: int) -> int:
        """Memory of a workspace for mini-batches of this size."""
        strategy = self.strategy(batch_size)
        return self.device.make_plan(self._graph, batch_size, strategy)[1] * self.dtype.itemsize

    def strategy(self, batch_size: int, repeats: bool = False) -> Any:
        """How mini-batches of this size go through the network, see `Device.strategy`."""
        self.require_parameters()
        return self.device.strategy(self._graph, batch_size, repeats=repeats)

    def _make_context(self, batch_size: int, strategy: Any) -> ExecutionContext:
        self.prepare()
        return self.device.allocate(*self.device.make_plan(self._graph, batch_size, strategy))
