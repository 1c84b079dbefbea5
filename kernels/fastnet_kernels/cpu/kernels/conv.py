"""Convolutions as public kernels, of images (m, h, w, c); a signal is an image of one row."""

from ..codegen.arrays import flat, vector
from ..codegen.compiling import inner, routine
from ..codegen.kernel import kernel
from ..codegen.processor import VECTOR_BYTES
from ..layers.conv.taps import Axis
from .conv_by_samples import convolve_by_samples
from .conv_direct import Filters, Images, convolve_directly
from .conv_weights import sum_weights


_WAY = 0


@inner
def _is_by_samples(m, groups, channels, like):
    """Whether a vector holds samples rather than the channels of one pixel: where a group has few."""
    lanes = VECTOR_BYTES // like.itemsize
    return _WAY == 1 or (_WAY == 0 and 2 * (channels // groups) < lanes and 2 * m >= lanes)


@routine
def _convolve(is_backward, m, groups, y, x, W, b, source, target):
    if _is_by_samples(m, groups, target.channels, W.data):
        convolve_by_samples(is_backward, m, groups, y, x, W, b, source, target)
    else:
        convolve_directly(is_backward, m, groups, y, x, W, b, source, target)


@kernel
def conv2d_forward(A_prev, W, b, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, Z):
    """Z (m, h', w', n) from A_prev (m, h, w, c), W (n, window height, window width, c / groups) and b (n,)."""
    m, h, w, c = A_prev.shape
    n, u, v, k = W.shape
    y = Axis(h, Z.shape[1], u, stride_y, pad_y, dilation_y)
    x = Axis(w, Z.shape[2], v, stride_x, pad_x, dilation_x)
    given, made = Images(flat(A_prev), h, w, c), Images(flat(Z), Z.shape[1], Z.shape[2], n)
    _convolve(0, m, groups, y, x, Filters(flat(W), n // groups, u, v, k), vector(flat(b), 0, n), given, made)


@kernel
def conv2d_backward_data(dZ, W, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, dA_prev):
    """dA_prev (m, h, w, c) from dZ (m, h', w', n): what each window has taken from a pixel it gives back."""
    m, h, w, c = dA_prev.shape
    n, u, v, k = W.shape
    y = Axis(h, dZ.shape[1], u, stride_y, pad_y, dilation_y)
    x = Axis(w, dZ.shape[2], v, stride_x, pad_x, dilation_x)
    made, given = Images(flat(dA_prev), h, w, c), Images(flat(dZ), dZ.shape[1], dZ.shape[2], n)
    filters, nothing = Filters(flat(W), n // groups, u, v, k), vector(flat(W), 0, 0)
    _convolve(1, m, groups, y, x, filters, nothing, given, made)


@kernel
def conv2d_backward_weights(dZ, A_prev, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, groups, dW, db):
    """dW, as W, and db (n,), summed over samples and pixels, from dZ (m, h', w', n) and A_prev (m, h, w, c)."""
    m, h, w, c = A_prev.shape
    n, u, v, k = dW.shape
    y = Axis(h, dZ.shape[1], u, stride_y, pad_y, dilation_y)
    x = Axis(w, dZ.shape[2], v, stride_x, pad_x, dilation_x)
    before, behind = Images(flat(A_prev), h, w, c), Images(flat(dZ), dZ.shape[1], dZ.shape[2], n)
    sum_weights(m, groups, y, x, before, behind, Filters(flat(dW), n // groups, u, v, k), vector(flat(db), 0, n))
