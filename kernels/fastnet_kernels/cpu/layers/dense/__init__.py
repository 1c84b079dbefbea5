"""The dense layer, Z = A_prev W^T + b: forward, backward, weight gradient, and the tail of the batch."""
