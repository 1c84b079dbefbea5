"""Convolutions as public kernels, of images (m, h, w, c); a signal is an image of one row.

Windows of 3 x 3 beside each other, with enough channels and samples, go through Winograd's terms (Lavin and Gray,
2016), where a NaN or an infinity also reaches pixels beside those that see it.
"""

from ..codegen.arrays import flat, vector
from ..codegen.compiling import inner, routine
from ..codegen.kernel import kernel
from ..codegen.processor import TARGET, VECTOR_BYTES
from ..gemm.winograd_transforms import TILE
from ..layers.conv.taps import Axis, pixels_of_tap
from ..partition import n_blocks
from .conv_by_samples import convolve_by_samples, sum_weights_by_samples, winograd_tiles
from .conv_direct import Filters, Images, convolve_directly
from .conv_weights import sum_weights

_CYCLES_OF_TRANSPOSE = TARGET.cycles_of_transpose  # of a square of one vector's side
_WINOGRAD_TAPS = TARGET.winograd_taps


@inner
def _meetings(axis):
    """How many pairs of a pixel and a tap there are along an axis, without taps that lie beyond the edge."""
    count = 0
    for tap in range(axis.window):
        first, last = pixels_of_tap(axis, tap)
        count += last - first
    return count


@inner
def _is_by_samples(is_backward, m, groups, y, x, W, source, target):
    """Whether a vector is to hold samples, or channels of a pixel, by how many multiply-adds of vectors there are.

    Samples have to be transposed, but for them channels may be few and taps beyond the edge are left out.
    """
    lanes = VECTOR_BYTES // W.data.itemsize
    n, k = target.channels // groups, source.channels // groups
    blocks, pixels = n_blocks(m, lanes), target.height * target.width
    numbers = source.height * source.width * source.channels + pixels * target.channels
    products = _meetings(y) * _meetings(x)
    if winograd_tiles(groups, y, x, W) > 0:
        products = n_blocks(target.height, TILE) * n_blocks(target.width, TILE) * TILE**2 * _WINOGRAD_TAPS
    by_samples = blocks * (products * target.channels * k + numbers * _CYCLES_OF_TRANSPOSE / lanes)
    taps = W.height * W.width
    if is_backward:  # with a stride only some taps meet a pixel
        taps = n_blocks(taps, y.stride * x.stride)
    in_tiles = target.width + 3 * (target.width % 2)  # a pixel that is left takes as long as some
    by_channels = m * target.height * in_tiles * groups * n_blocks(n, lanes) * taps * k
    return by_samples < by_channels


@routine
def _convolve(is_backward, m, groups, y, x, W, b, source, target):
    if _is_by_samples(is_backward, m, groups, y, x, W, source, target):
        convolve_by_samples(is_backward, m, groups, y, x, W, b, source, target)
    else:
        convolve_directly(is_backward, m, groups, y, x, W, b, source, target)


@routine
def _sum_weights(m, groups, y, x, A_prev, dZ, W, db):
    lanes = VECTOR_BYTES // db.itemsize
    if 2 * W.count <= lanes and 2 * m >= lanes:
        sum_weights_by_samples(m, groups, y, x, A_prev, dZ, W, db)
    else:
        sum_weights(m, groups, y, x, A_prev, dZ, W, db)


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
    _sum_weights(m, groups, y, x, before, behind, Filters(flat(dW), n // groups, u, v, k), vector(flat(db), 0, n))
