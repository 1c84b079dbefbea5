"""Predictions from Python: one sample, and many at once."""

import numba
import numpy as np

from fastnet.benchmarks.peers.fastnet_network import FastnetPeer
from fastnet.benchmarks.workloads import INFERENCE_NETWORK

from .common import THREADS


class Predict:
    params = ((1, 100, 10_000), ["float32", "float64"], THREADS)
    param_names = ("samples", "dtype", "threads")

    def setup(self, samples, dtype, threads):
        numba.set_num_threads(threads)
        X = np.random.default_rng(0).random((samples, INFERENCE_NETWORK.sizes[0])).astype(dtype)
        self.peer = FastnetPeer(INFERENCE_NETWORK, dtype)
        self.peer.load(X, np.arange(samples) % 10)
        self.peer.reset(INFERENCE_NETWORK.weights(dtype))
        self.peer.predict()

    def time_predict_proba(self, samples, dtype, threads):
        self.peer.predict()
