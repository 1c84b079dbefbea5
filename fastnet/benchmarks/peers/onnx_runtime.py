"""ONNX Runtime, for inference only: a graph of Conv, MaxPool, RNN, LSTM, GRU, Gemm, Relu and Softmax, all graph
optimisations on."""

import os
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ..convolutional import Conv
from ..workloads import Weights
from . import Peer
from .channels import channels_first, images
from .gates import split


class OnnxRuntimePeer(Peer):
    optimizers = ()
    networks = ("dense", "convolutional", "recurrent")

    @staticmethod
    def version() -> str:
        return f"ONNX Runtime {onnxruntime.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        # Of sequences steps come first there.
        self.X = images(X) if self.workload.recurrence is None else np.ascontiguousarray(X.swapaxes(0, 1))
        self.states: dict[str, np.ndarray] = {}  # the first ones
        self.bound: Any = None

    def reset(self, weights: Weights) -> None:
        kind = TensorProto.FLOAT if self.dtype == "float32" else TensorProto.DOUBLE
        weights = channels_first(self.workload, weights)
        n_kernels = len(weights) - len(self.workload.sizes) + 1
        constants = []
        for l, (W, b) in enumerate(weights, start=1):
            constants += [numpy_helper.from_array(W, f"W{l}"), numpy_helper.from_array(b, f"b{l}")]
        nodes, A = self._front()
        states: list[str] = []
        if self.workload.recurrence is not None:
            more, made, A, states = self._recurrence(*weights[0])
            constants, nodes = [*constants[2:], *more], made
            units = self.workload.recurrence.units
            self.states = {name: np.zeros((1, self.X.shape[1], units), self.dtype) for name in states}
        for l in range(n_kernels + 1, len(weights) + 1):
            nodes.append(helper.make_node("Gemm", [A, f"W{l}", f"b{l}"], [f"Z{l}"], transB=1))
            last = "Sigmoid" if self.workload.sizes[-1] == 1 else "Softmax"
            hidden = {"relu": "Relu", "tanh": "Tanh"}[self.workload.hidden]
            nodes.append(helper.make_node(last if l == len(weights) else hidden, [f"Z{l}"], [f"A{l}"]))
            A = f"A{l}"
        graph = helper.make_graph(
            nodes,
            "network",
            [
                helper.make_tensor_value_info("X", kind, ["m" if not states else len(self.X), *self.X.shape[1:]]),
                *(helper.make_tensor_value_info(name, kind, self.states[name].shape) for name in states),
            ],
            [
                helper.make_tensor_value_info(A, kind, ["m", self.workload.sizes[-1]]),
                *(helper.make_tensor_value_info(f"last_{name}", kind, self.states[name].shape) for name in states),
            ],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        if states:
            self._bind()

    def _front(self) -> tuple[list[Any], str]:
        """Nodes of what stands before the dense layers, and what they make."""
        nodes: list[Any] = []
        A, l, axes = "X", 0, len(self.workload.input_shape) - 1
        for place, layer in enumerate(self.workload.front):
            windows, made = {"kernel_shape": [layer.size] * axes}, f"front{place}"
            if isinstance(layer, Conv):
                l += 1
                pads = [layer.pad] * 2 * axes
                nodes.append(helper.make_node("Conv", [A, f"W{l}", f"b{l}"], [f"Z{l}"], pads=pads, **windows))
                nodes.append(helper.make_node("Relu", [f"Z{l}"], [made]))
            else:
                nodes.append(helper.make_node("MaxPool", [A], [made], strides=[layer.size] * axes, **windows))
            A = made
        if nodes:
            nodes.append(helper.make_node("Flatten", [A], ["features"]))
            A = "features"
        return nodes, A

    def _recurrence(self, W: np.ndarray, b: np.ndarray) -> tuple[list[Any], list[Any], str, list[str]]:
        """Constants and nodes of a recurrent layer, what they make, (m t, n) or (m, n), and the names of its states."""
        recurrence = self.workload.recurrence
        assert recurrence is not None
        # The order of gates there.
        operator, order, names = {
            "rnn": ("RNN", [0], ["h"]), "lstm": ("LSTM", [0, 3, 1, 2], ["h", "c"]), "gru": ("GRU", [1, 0, 2], ["h"])
        }[recurrence.kind]  # fmt: skip
        gates = split(recurrence, (W, b)).in_order(order)
        arrays = {"W_x": gates.of_input, "W_h": gates.of_state, "b_xh": np.concatenate(gates[2:])}
        constants = [numpy_helper.from_array(array[np.newaxis], name) for name, array in arrays.items()]
        constants.append(numpy_helper.from_array(np.array([-1, recurrence.units]), "rows"))
        settings = {"linear_before_reset": 1} if recurrence.kind == "gru" else {}
        inputs, outputs = ["X", *arrays, "", *names], ["all", *(f"last_{name}" for name in names)]
        nodes = [helper.make_node(operator, inputs, outputs, hidden_size=recurrence.units, **settings)]
        found = "last_h"
        if recurrence.all_steps:  # steps and directions come before samples there
            nodes.append(helper.make_node("Transpose", ["all"], ["by_sample"], perm=[2, 0, 1, 3]))
            found = "by_sample"
        nodes.append(helper.make_node("Reshape", [found, "rows"], ["states"]))
        return constants, nodes, "states", names

    def train(self, epochs: int) -> None:
        raise TypeError("ONNX Runtime is here for inference only")

    def weights(self) -> Weights:
        raise TypeError("ONNX Runtime is here for inference only")

    def predict(self) -> Any:
        return self.session.run(None, {"X": self.X, **self.states})[0]

    def advance(self) -> Any:
        """With everything bound to memory of its own: measured faster than `run`."""
        binding, before, behind = self.bound
        for name in self.states:
            binding.bind_ortvalue_input(name, before[name])
            binding.bind_ortvalue_output(f"last_{name}", behind[name])
        self.session.run_with_iobinding(binding)
        self.bound = binding, behind, before
        return self.found.numpy()

    def _bind(self) -> None:
        """Make the memory for `advance`, with the first states."""
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        m = self.X.shape[1]
        self.found = value(np.zeros((m, self.workload.sizes[-1]), self.dtype))
        before, behind = ({name: value(state.copy()) for name, state in self.states.items()} for _ in range(2))
        self.bound = self.session.io_binding(), before, behind
        self.bound[0].bind_ortvalue_input("X", value(self.X))
        self.bound[0].bind_ortvalue_output(self.session.get_outputs()[0].name, self.found)
