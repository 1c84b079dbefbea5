"""Recurrent layers: h[t] from x[t] and h[t - 1], step by step, and back through time.

A step is a row block of a sequence (t, n, samples). `cells` has the formulas of one step, `memory` says where gates and
states lie, `steps` goes through time in both directions, and `weight_gradient` sums dW over all steps.
"""

from .steps import backward, forward, through_time
from .weight_gradient import parameters_of, weight_gradient

__all__ = ["backward", "forward", "parameters_of", "through_time", "weight_gradient"]
