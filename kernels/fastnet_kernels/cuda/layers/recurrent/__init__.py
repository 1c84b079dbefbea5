"""Recurrent layers: h[t] from x[t] and h[t - 1], step by step, and back through time.

What the inputs give to Z is one product over all steps, and so are dA of the layer below, and dW. In between each step
is an instruction, behind which all blocks wait: a task makes the state's part of Z for a tile of samples and units, and
goes on with the cells of these at once. `memory` says where gates and states lie, `products` which matrices are
multiplied, `cells` has the formulas, `steps` what is done with each number of a step, and `weights` W and b.
"""

from .steps import begin
from .tasks import count_products, multiply_sequences
from .weights import change_biases, finish_weights

__all__ = ["begin", "change_biases", "count_products", "finish_weights", "multiply_sequences"]
