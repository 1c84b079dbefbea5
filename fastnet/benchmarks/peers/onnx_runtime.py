"""ONNX Runtime, for inference only: a graph of Conv, MaxPool, Gemm, Relu and Softmax, all graph optimisations on."""

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


class OnnxRuntimePeer(Peer):
    optimizers = ()
    networks = ("dense", "convolutional")

    @staticmethod
    def version() -> str:
        return f"ONNX Runtime {onnxruntime.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X = images(X)

    def reset(self, weights: Weights) -> None:
        kind = TensorProto.FLOAT if self.dtype == "float32" else TensorProto.DOUBLE
        weights = channels_first(self.workload, weights)
        n_kernels = len(weights) - len(self.workload.sizes) + 1
        constants = []
        for l, (W, b) in enumerate(weights, start=1):
            constants += [numpy_helper.from_array(W, f"W{l}"), numpy_helper.from_array(b, f"b{l}")]
        nodes, A = self._front()
        for l in range(n_kernels + 1, len(weights) + 1):
            nodes.append(helper.make_node("Gemm", [A, f"W{l}", f"b{l}"], [f"Z{l}"], transB=1))
            last = "Sigmoid" if self.workload.sizes[-1] == 1 else "Softmax"
            hidden = {"relu": "Relu", "tanh": "Tanh"}[self.workload.hidden]
            nodes.append(helper.make_node(last if l == len(weights) else hidden, [f"Z{l}"], [f"A{l}"]))
            A = f"A{l}"
        graph = helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("X", kind, ["m", *self.X.shape[1:]])],
            [helper.make_tensor_value_info(A, kind, ["m", self.workload.sizes[-1]])],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

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

    def train(self, epochs: int) -> None:
        raise TypeError("ONNX Runtime is here for inference only")

    def weights(self) -> Weights:
        raise TypeError("ONNX Runtime is here for inference only")

    def predict(self) -> Any:
        return self.session.run(None, {"X": self.X})[0]
