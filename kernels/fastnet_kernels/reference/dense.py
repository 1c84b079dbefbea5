"""The dense layer: Z = A_prev W^T + b, with one sample a row."""


def dense_forward(A_prev, W, b, Z):
    """Z = A_prev W^T + b, for A_prev (m, n_prev), W (n, n_prev), b (n,), Z (m, n)."""
    Z[...] = A_prev @ W.T + b


def dense_backward(dZ, A_prev, W, dW, db, dA_prev):
    """dW = dZ^T A_prev, db = the column sums of dZ, dA_prev = dZ W: each in the shape of what it is the derivative of.

    The 1/m of the cost is in dZ already: the losses put it there.
    """
    dW[...] = dZ.T @ A_prev
    db[...] = dZ.sum(axis=0)
    dA_prev[...] = dZ @ W
