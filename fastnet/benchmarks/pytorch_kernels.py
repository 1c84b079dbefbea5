"""The public kernels as PyTorch computes them: of each kernel a function that makes the call to be timed.

A function is named as the kernel is and takes the same arguments in the same order, arrays as tensors that share their
memory. What it returns is called again and again, eagerly and without autograd: operators write into the outputs by
`out=` or `grad_input=` where PyTorch has that, and where it has not, the call returns the outputs, with None for one
that PyTorch does not compute. Where there are several ways, this is the fastest one. A reader who knows a faster one
should change it here.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from .kernels import Case

aten = torch.ops.aten
Call = Callable[[], Any]

_NONE, _FALSE = 0, False  # a loss that is not reduced, a flag
_ALL = [True, True, True]
_RANDOM = ("dropout",)  # the same formula with other random bits


@contextlib.contextmanager
def measuring(threads: int) -> Iterator[None]:
    """PyTorch on so many threads, without autograd."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def bound(case: Case) -> Call:
    """The call of PyTorch's operators on the arrays of a case; NotImplementedError where PyTorch has no such call."""
    return _bound([*case.inputs, *case.outputs], case.kernel)


def results(case: Case) -> list[np.ndarray | None] | None:
    """What PyTorch computes, in arrays of its own, None for an output that it does not; None alone for random bits."""
    if case.kernel in _RANDOM:
        return None
    inputs, outputs = case.copies()
    made = _bound([*inputs, *outputs], case.kernel)()
    if isinstance(made, list):
        return [None if tensor is None else tensor.numpy() for tensor in made]
    return [*(outputs or case.changed(inputs))]


def _bound(arguments: list[Any], kernel: str) -> Call:
    make: Callable[..., Call] = _CALLS[kernel]
    return make(*(torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in arguments))


def dense_forward(A_prev: Any, W: Any, b: Any, Z: Any) -> Call:
    return lambda: torch.addmm(b, A_prev, W.t(), out=Z)


def dense_backward(dZ: Any, A_prev: Any, W: Any, dW: Any, db: Any, dA_prev: Any) -> Call:
    def call() -> None:
        torch.mm(dZ.t(), A_prev, out=dW)
        torch.sum(dZ, 0, out=db)
        torch.mm(dZ, W, out=dA_prev)

    return call


def linear(Z: Any, A: Any) -> Call:
    return lambda: A.copy_(Z)


def linear_backward(dA: Any, A: Any, dZ: Any) -> Call:
    return lambda: dZ.copy_(dA)


def sigmoid(Z: Any, A: Any) -> Call:
    return lambda: torch.sigmoid(Z, out=A)


def sigmoid_backward(dA: Any, A: Any, dZ: Any) -> Call:
    return lambda: aten.sigmoid_backward.grad_input(dA, A, grad_input=dZ)


def tanh(Z: Any, A: Any) -> Call:
    return lambda: torch.tanh(Z, out=A)


def tanh_backward(dA: Any, A: Any, dZ: Any) -> Call:
    return lambda: aten.tanh_backward.grad_input(dA, A, grad_input=dZ)


def relu(Z: Any, A: Any) -> Call:
    return lambda: torch.clamp_min(Z, 0, out=A)  # torch.relu has no out= that does without a copy


def relu_backward(dA: Any, A: Any, dZ: Any) -> Call:
    return lambda: aten.threshold_backward.grad_input(dA, A, 0, grad_input=dZ)


def leaky_relu(Z: Any, slope: float, A: Any) -> Call:
    return lambda: aten.leaky_relu.out(Z, slope, out=A)


def leaky_relu_backward(dA: Any, A: Any, slope: float, dZ: Any) -> Call:
    return lambda: aten.leaky_relu_backward.grad_input(dA, A, slope, True, grad_input=dZ)


def softplus(Z: Any, A: Any) -> Call:
    return lambda: aten.softplus.out(Z, out=A)


def softplus_backward(dA: Any, Z: Any, dZ: Any) -> Call:
    return lambda: aten.softplus_backward.grad_input(dA, Z, 1, 20, grad_input=dZ)


def silu(Z: Any, A: Any) -> Call:
    return lambda: aten.silu.out(Z, out=A)


def silu_backward(dA: Any, Z: Any, dZ: Any) -> Call:
    return lambda: aten.silu_backward.grad_input(dA, Z, grad_input=dZ)


def gelu(Z: Any, A: Any) -> Call:
    return lambda: aten.gelu.out(Z, out=A)


def gelu_backward(dA: Any, Z: Any, dZ: Any) -> Call:
    return lambda: aten.gelu_backward.grad_input(dA, Z, grad_input=dZ)


def hard_sigmoid(Z: Any, A: Any) -> Call:
    return lambda: aten.hardsigmoid.out(Z, out=A)


def hard_sigmoid_backward(dA: Any, A: Any, dZ: Any) -> Call:
    Z = A * 6 - 3  # PyTorch asks for what A was made of
    return lambda: aten.hardsigmoid_backward.grad_input(dA, Z, grad_input=dZ)


def hard_silu(Z: Any, A: Any) -> Call:
    return lambda: aten.hardswish.out(Z, out=A)


def hard_silu_backward(dA: Any, Z: Any, dZ: Any) -> Call:
    return lambda: [aten.hardswish_backward(dA, Z)]


def elu(Z: Any, alpha: float, A: Any) -> Call:
    return lambda: aten.elu.out(Z, alpha, out=A)


def elu_backward(dA: Any, Z: Any, alpha: float, dZ: Any) -> Call:
    return lambda: aten.elu_backward.grad_input(dA, alpha, 1, 1, _FALSE, Z, grad_input=dZ)


def softmax(Z: Any, A: Any) -> Call:
    return lambda: torch.softmax(Z, 1, out=A)


# The losses give one number a sample and the derivative of their mean, for which PyTorch has no single operator: these
# are its own, without a pass over the numbers that could be saved.


def squared_error(A: Any, Y: Any, L: Any, dA: Any) -> Call:
    share = 1 / len(A)

    def call() -> None:
        torch.sub(A, Y, out=dA)
        torch.linalg.vector_norm(dA, dim=1, out=L)
        L.square_().mul_(0.5)
        dA.mul_(share)

    return call


def absolute_error(A: Any, Y: Any, L: Any, dA: Any) -> Call:
    share, size = 1 / len(A), torch.empty_like(A)

    def call() -> None:
        torch.sub(A, Y, out=dA)
        torch.abs(dA, out=size)
        torch.sum(size, 1, out=L)
        dA.sign_().mul_(share)

    return call


def huber(A: Any, Y: Any, delta: float, L: Any, dA: Any) -> Call:
    share, each = torch.tensor(1 / len(A), dtype=A.dtype), torch.empty_like(A)

    def call() -> None:
        aten.huber_loss.out(A, Y, _NONE, delta, out=each)
        torch.sum(each, 1, out=L)
        aten.huber_loss_backward.out(share, A, Y, _NONE, delta, grad_input=dA)

    return call


def quantile(A: Any, Y: Any, q: float, L: Any, dA: Any) -> Call:
    # (1 - q) times a leaky ReLU of A - Y, whose slope below 0 is -q / (1 - q). Its derivative at 0 is that below 0.
    slope, each, difference = -q / (1 - q), torch.empty_like(A), torch.empty_like(A)
    share = torch.full_like(A[:1, :1], (1 - q) / len(A)).expand(A.shape)

    def call() -> None:
        torch.sub(A, Y, out=difference)
        aten.leaky_relu.out(difference, slope, out=each)
        torch.sum(each, 1, out=L)
        L.mul_(1 - q)
        aten.leaky_relu_backward.grad_input(share, difference, slope, _FALSE, grad_input=dA)

    return call


def hinge(Z: Any, Y: Any, L: Any, dZ: Any) -> Call:
    share, one, each = -1 / len(Z), torch.ones_like(Z[:1, :1]), torch.empty_like(Z)

    def call() -> None:
        torch.addcmul(one, Y, Z, value=-1, out=each)
        aten.threshold_backward.grad_input(Y, each, 0, grad_input=dZ)
        dZ.mul_(share)
        each.clamp_min_(0)
        torch.sum(each, 1, out=L)

    return call


def log_loss(Z: Any, Y: Any, L: Any, dZ: Any) -> Call:
    share, each = 1 / len(Z), torch.empty_like(Z)

    def call() -> None:  # binary_cross_entropy_with_logits takes longer, as it makes arrays on its way
        aten.softplus.out(Z, out=each)
        each.addcmul_(Y, Z, value=-1)
        torch.sum(each, 1, out=L)
        torch.sigmoid(Z, out=dZ)
        dZ.sub_(Y).mul_(share)

    return call


def cross_entropy(Z: Any, Y: Any, smoothing: float, L: Any, dZ: Any) -> Call:
    if smoothing:
        raise NotImplementedError("its losses of single samples have no label smoothing here")
    labels = Y[:, 0].long()  # as PyTorch takes them
    logarithms, sparse = (torch.empty(Z.shape, dtype=Z.dtype) for _ in range(2))
    made = dZ if dZ.is_contiguous() else torch.empty(Z.shape, dtype=Z.dtype)  # which strides are not looked at
    share, total = torch.full_like(L, 1 / len(Z)), torch.empty_like(L[0])

    def call() -> None:
        torch.log_softmax(Z, 1, out=logarithms)
        aten.nll_loss_forward.output(logarithms, labels, None, _NONE, -100, output=L, total_weight=total)
        aten.nll_loss_backward.grad_input(share, logarithms, labels, None, _NONE, -100, total, grad_input=sparse)
        aten._log_softmax_backward_data.out(sparse, logarithms, 1, Z.dtype, out=made)
        if made is not dZ:
            dZ.copy_(made)

    return call


def batch_norm(A_prev: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, inv_std: Any, A: Any) -> Call:
    arguments = A_prev, gamma, beta, None, None, True, 0.0, epsilon
    if A.is_contiguous():
        outputs = {"out": A, "save_mean": mean, "save_invstd": inv_std}
        return lambda: aten.native_batch_norm.out(*arguments, **outputs)

    def call() -> list[Any]:  # its out= does not look at strides
        made = torch.native_batch_norm(*arguments)
        return [made[1], made[2], made[0]]

    return call


def batch_norm_backward(
    dA: Any, A_prev: Any, gamma: Any, mean: Any, inv_std: Any, dgamma: Any, dbeta: Any, dA_prev: Any
) -> Call:
    def call() -> list[Any]:  # its out= copies what this returns
        made = aten.native_batch_norm_backward(dA, A_prev, gamma, None, None, mean, inv_std, True, 0.0, _ALL)
        return [made[1], made[2], made[0]]

    return call


def layer_norm(A_prev: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, inv_std: Any, A: Any) -> Call:
    n = [A_prev.shape[1]]

    def call() -> list[Any]:
        made = torch.native_layer_norm(A_prev, n, gamma, beta, epsilon)
        return [made[1][:, 0], made[2][:, 0], made[0]]

    return call


def layer_norm_backward(
    dA: Any, A_prev: Any, gamma: Any, mean: Any, inv_std: Any, means: Any, dgamma: Any, dbeta: Any, dA_prev: Any
) -> Call:
    n, mean, inv_std = [A_prev.shape[1]], mean[:, None].contiguous(), inv_std[:, None].contiguous()
    beta = torch.zeros_like(gamma)  # without it there is no dbeta

    def call() -> list[Any]:
        made = aten.native_layer_norm_backward(dA, A_prev, n, mean, inv_std, gamma, beta, _ALL)
        return [None, made[1], made[2], made[0]]

    return call


def dropout(A_prev: Any, rate: float, key: int, A: Any) -> Call:
    kept = 1 - rate
    return lambda: A.bernoulli_(kept).div_(kept).mul_(A_prev)  # native_dropout makes new arrays, and takes longer


# Images (m, h, w, c) are views (m, c, h, w) in PyTorch's format channels_last, and a signal is an image of one row.


def max_pool2d(A_prev: Any, height: int, width: int, stride_y: int, stride_x: int, A: Any) -> Call:
    X, out = A_prev.permute(0, 3, 1, 2), A.permute(0, 3, 1, 2)
    window, strides, indices = [height, width], [stride_y, stride_x], torch.empty_like(out, dtype=torch.int64)
    return lambda: aten.max_pool2d_with_indices.out(X, window, strides, out=out, indices=indices)


def max_pool2d_backward(
    dA: Any, A_prev: Any, A: Any, height: int, width: int, stride_y: int, stride_x: int, dA_prev: Any
) -> Call:
    G, X, out = (tensor.permute(0, 3, 1, 2) for tensor in (dA, A_prev, dA_prev))
    window, strides = [height, width], [stride_y, stride_x]
    indices = aten.max_pool2d_with_indices(X, window, strides)[1]  # known from the way there, as A is
    return lambda: aten.max_pool2d_with_indices_backward.grad_input(
        G, X, window, strides, [0, 0], [1, 1], False, indices, grad_input=out
    )


def max_pool1d(A_prev: Any, size: int, stride: int, A: Any) -> Call:
    return max_pool2d(A_prev[:, None], 1, size, 1, stride, A[:, None])


def max_pool1d_backward(dA: Any, A_prev: Any, A: Any, size: int, stride: int, dA_prev: Any) -> Call:
    return max_pool2d_backward(dA[:, None], A_prev[:, None], A[:, None], 1, size, 1, stride, dA_prev[:, None])


def average_pool2d(A_prev: Any, height: int, width: int, stride_y: int, stride_x: int, A: Any) -> Call:
    X, out = A_prev.permute(0, 3, 1, 2), A.permute(0, 3, 1, 2)
    return lambda: aten.avg_pool2d.out(X, [height, width], [stride_y, stride_x], out=out)


def average_pool2d_backward(dA: Any, height: int, width: int, stride_y: int, stride_x: int, dA_prev: Any) -> Call:
    G, out = dA.permute(0, 3, 1, 2), dA_prev.permute(0, 3, 1, 2)
    window, strides = [height, width], [stride_y, stride_x]
    return lambda: aten.avg_pool2d_backward.grad_input(
        G, out, window, strides, [0, 0], False, True, None, grad_input=out
    )


def _settings(windows: tuple[int, ...]) -> list[Any]:
    """Stride, padding, dilation, that it is not transposed, no padding of the output, groups."""
    stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups = windows
    return [[stride_y, stride_x], [pad_y, pad_x], [dilation_y, dilation_x], False, [0, 0], groups]


# W (n, window height, window width, c / groups) is a view in that format, too. Their out= copies what they return.


def conv2d_forward(A_prev: Any, W: Any, b: Any, *rest: Any) -> Call:
    X, filters, settings = A_prev.permute(0, 3, 1, 2), W.permute(0, 3, 1, 2), _settings(rest[:-1])
    return lambda: [aten.convolution(X, filters, b, *settings).permute(0, 2, 3, 1)]


def conv2d_backward_data(dZ: Any, W: Any, *rest: Any) -> Call:
    G, filters, settings = dZ.permute(0, 3, 1, 2), W.permute(0, 3, 1, 2), _settings(rest[:-1])
    X = rest[-1].permute(0, 3, 1, 2)

    def call() -> list[Any]:
        made = aten.convolution_backward(G, X, filters, None, *settings, [True, False, False])
        return [made[0].permute(0, 2, 3, 1)]

    return call


def conv2d_backward_weights(dZ: Any, A_prev: Any, *rest: Any) -> Call:
    G, X, settings = dZ.permute(0, 3, 1, 2), A_prev.permute(0, 3, 1, 2), _settings(rest[:-2])
    filters, sizes = rest[-2].permute(0, 3, 1, 2), [dZ.shape[3]]

    def call() -> list[Any]:
        made = aten.convolution_backward(G, X, filters, sizes, *settings, [False, True, True])
        return [made[1].permute(0, 2, 3, 1), made[2]]

    return call


_RECURRENT = True, 1, 0.0, False, False, True  # biases, layers, dropout, no training, one direction, samples first


def _biases(b: Any, rows: int) -> tuple[Any, Any]:
    """Of the product of inputs and of that of states: of a GRU's candidate either has one of its own."""
    of_state = torch.zeros_like(b[:rows])
    n = len(b) - rows
    of_state[rows - n :] = b[rows:]
    return b[:rows], of_state


def _run(kind: Callable[..., Any], X: Any, W: Any, U: Any, biases: tuple[Any, Any], *first: Any) -> Callable[..., Any]:
    """A call of a recurrent layer, which gives its output and the last states, and no gates or cells of other steps."""
    states = tuple(state[None] for state in first)
    return lambda: kind(X, states if len(states) > 1 else states[0], [W, U, *biases], *_RECURRENT)


def recurrent_forward(X: Any, W: Any, U: Any, b: Any, h0: Any, relu: bool, h: Any) -> Call:
    run = _run(torch.rnn_relu if relu else torch.rnn_tanh, X, W, U, _biases(b, len(W)), h0)
    return lambda: [run()[0]]


def lstm_forward(X: Any, W: Any, U: Any, b: Any, h0: Any, c0: Any, h: Any, c: Any, gates: Any) -> Call:
    run = _run(torch.lstm, X, W, U, _biases(b, len(W)), h0, c0)
    return lambda: [run()[0], None, None]


def gru_forward(X: Any, W: Any, U: Any, b: Any, h0: Any, h: Any, gates: Any) -> Call:
    run = _run(torch.gru, X, W, U, _biases(b, len(W)), h0)
    return lambda: [run()[0], None]


def _backward_of(kind: Callable[..., Any], above: tuple[Any, ...], X: Any, W: Any, U: Any, *first: Any) -> Call:
    """Back through time by autograd, as there is no operator; the way there, with biases of 0, is made once before."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        X, W, U, *states = (tensor.clone().requires_grad_() for tensor in (X, W, U, *first))
        above = tuple(tensor.clone() for tensor in above)
        biases = tuple(torch.zeros(len(W), dtype=W.dtype, requires_grad=True) for _ in range(2))
        made = _run(kind, X, W, U, biases, *states)()
    outputs, derivatives = [made[0], *made[2:]], [above[0], *(tensor[None] for tensor in above[1:])]
    leaves, n = [W, U, *biases, X, *states], U.shape[1]

    def call() -> list[Any]:
        with torch.inference_mode(mode=False):
            dW, dU, db, of_state, *rest = torch.autograd.grad(outputs, leaves, derivatives, retain_graph=True)
        return [dW, dU, torch.cat((db, of_state[-n:])) if kind is torch.gru else db, *rest]

    return call


def recurrent_backward(dh: Any, X: Any, W: Any, U: Any, h0: Any, h: Any, relu: bool, *outputs: Any) -> Call:
    return _backward_of(torch.rnn_relu if relu else torch.rnn_tanh, (dh,), X, W, U, h0)


def lstm_backward(dh: Any, dc: Any, X: Any, W: Any, U: Any, h0: Any, c0: Any, *rest: Any) -> Call:
    return _backward_of(torch.lstm, (dh, dc), X, W, U, h0, c0)


def gru_backward(dh: Any, X: Any, W: Any, U: Any, h0: Any, *rest: Any) -> Call:
    return _backward_of(torch.gru, (dh,), X, W, U, h0)


def embedding(indices: Any, W: Any, A: Any) -> Call:
    rows = indices.long()
    return lambda: [torch.embedding(W, rows)]


def embedding_backward(dA: Any, indices: Any, dW: Any) -> Call:
    rows, v = indices.long(), len(dW)
    return lambda: [aten.embedding_dense_backward(dA, rows, v, -1, _FALSE)]


def _contiguous(*tensors: Any) -> None:
    """The fused updates take every tensor for a contiguous one, and change the wrong numbers of another."""
    if not all(tensor.is_contiguous() for tensor in tensors):
        raise NotImplementedError("its fused updates need contiguous arrays")


def sgd(parameters: Any, gradients: Any, learning_rate: float) -> Call:
    return lambda: parameters.add_(gradients, alpha=-learning_rate)  # faster than _fused_sgd_


def sgd_momentum(
    parameters: Any,
    gradients: Any,
    velocity: Any,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> Call:
    _contiguous(parameters, gradients, velocity)
    settings = {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    flags = {"dampening": 0.0, "maximize": False, "is_first_step": False}
    return lambda: torch._fused_sgd_([parameters], [gradients], [velocity], **settings, **flags)


def rmsprop(
    parameters: Any,
    gradients: Any,
    velocity: Any,
    mean_square: Any,
    learning_rate: float,
    decay: float,
    momentum: float,
    epsilon: float,
    weight_decay: float,
) -> Call:
    g, root = torch.empty_like(gradients), torch.empty_like(gradients)

    def call() -> None:  # as torch.optim.RMSprop does it, which is not fused, but into arrays that are there
        torch.add(gradients, parameters, alpha=weight_decay, out=g)
        mean_square.mul_(decay).addcmul_(g, g, value=1 - decay)
        torch.sqrt(mean_square, out=root)
        root.add_(epsilon)
        velocity.mul_(momentum).addcdiv_(g, root)
        parameters.add_(velocity, alpha=-learning_rate)

    return call


def _adam(fused: Callable[..., Any]) -> Callable[..., Call]:
    def adam(
        parameters: Any,
        gradients: Any,
        mean: Any,
        mean_square: Any,
        step: int,
        learning_rate: float,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
    ) -> Call:
        numbers: tuple[Any, ...] = parameters, gradients, mean, mean_square
        _contiguous(*numbers)
        lists: list[list[Any]] = [*([tensor] for tensor in numbers), [], [torch.tensor(float(step))]]
        settings = {"lr": learning_rate, "beta1": beta1, "beta2": beta2, "eps": epsilon, "weight_decay": weight_decay}
        return lambda: fused(*lists, **settings, amsgrad=False, maximize=False)

    return adam


_CALLS: dict[str, Callable[..., Call]] = {
    function.__name__: function
    for function in (
        *(dense_forward, dense_backward),
        *(linear, sigmoid, tanh, relu, leaky_relu, softmax),
        *(softplus, silu, gelu, hard_sigmoid, hard_silu, elu),
        *(linear_backward, sigmoid_backward, tanh_backward, relu_backward, leaky_relu_backward),
        *(softplus_backward, silu_backward, gelu_backward, hard_sigmoid_backward, hard_silu_backward, elu_backward),
        *(squared_error, absolute_error, huber, quantile, hinge, log_loss, cross_entropy),
        *(batch_norm, batch_norm_backward, layer_norm, layer_norm_backward, dropout),
        *(max_pool1d, max_pool1d_backward, max_pool2d, max_pool2d_backward),
        *(average_pool2d, average_pool2d_backward),
        *(conv2d_forward, conv2d_backward_data, conv2d_backward_weights),
        *(recurrent_forward, recurrent_backward, lstm_forward, lstm_backward, gru_forward, gru_backward),
        *(embedding, embedding_backward),
        *(sgd, sgd_momentum, rmsprop),
    )
} | {"adam": _adam(torch._fused_adam_), "adamw": _adam(torch._fused_adamw_)}
