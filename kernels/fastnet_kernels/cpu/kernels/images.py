"""Images as tasks have them: one of many in a row."""

from ..codegen.arrays import image
from ..codegen.compiling import inner


@inner
def image_of(images, number, shape):
    """Image `number`, of `shape` (h, w, c), of a flat array of such."""
    height, width, channels = shape
    return image(images, number * height * width * channels, height, width, channels)
