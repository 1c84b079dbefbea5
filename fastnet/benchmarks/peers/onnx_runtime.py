"""ONNX Runtime, for inference only: the network as a graph of Gemm, Relu and Softmax, all graph optimisations on."""

import os
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ..workloads import Weights
from . import Peer


class OnnxRuntimePeer(Peer):
    optimizers = ()

    @staticmethod
    def version() -> str:
        return f"ONNX Runtime {onnxruntime.__version__}"

    def load(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X = X

    def reset(self, weights: Weights) -> None:
        kind = TensorProto.FLOAT if self.dtype == "float32" else TensorProto.DOUBLE
        nodes, constants, A = [], [], "X"
        for l, (W, b) in enumerate(weights, start=1):
            constants += [numpy_helper.from_array(W, f"W{l}"), numpy_helper.from_array(b, f"b{l}")]
            nodes.append(helper.make_node("Gemm", [A, f"W{l}", f"b{l}"], [f"Z{l}"], transB=1))
            last = "Sigmoid" if self.workload.sizes[-1] == 1 else "Softmax"
            hidden = {"relu": "Relu", "tanh": "Tanh"}[self.workload.hidden]
            nodes.append(helper.make_node(last if l == len(weights) else hidden, [f"Z{l}"], [f"A{l}"]))
            A = f"A{l}"
        graph = helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("X", kind, ["m", self.workload.sizes[0]])],
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

    def train(self, epochs: int) -> None:
        raise TypeError("ONNX Runtime is here for inference only")

    def weights(self) -> Weights:
        raise TypeError("ONNX Runtime is here for inference only")

    def predict(self) -> Any:
        return self.session.run(None, {"X": self.X})[0]
