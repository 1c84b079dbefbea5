"""Shared memory that vectors of 16 bytes are read from: it begins at a multiple of that."""

import numpy as np

from ..target import IS_SIMULATED
from .compiling import cuda, inner

# In the simulator the line says which array it is.
if IS_SIMULATED:

    def numbers_in_shared(count):
        """GPU code for `count` numbers of an array's dtype."""

        @inner
        def allocate(numbers):
            return cuda.shared.array(count, numbers.dtype)

        return allocate

    def integers_in_shared(count):
        """GPU code for `count` whole numbers of 32 bits; it gets an array of any kind, as `by_dtype` wants one."""

        @inner
        def allocate(numbers):
            return cuda.shared.array(count, np.int32)

        return allocate

else:

    def numbers_in_shared(count):
        """GPU code for `count` numbers of an array's dtype."""

        @inner
        def allocate(numbers):
            return cuda.shared.array(count, numbers.dtype, 16)

        return allocate

    def integers_in_shared(count):
        """GPU code for `count` whole numbers of 32 bits; it gets an array of any kind, as `by_dtype` wants one."""

        @inner
        def allocate(numbers):
            return cuda.shared.array(count, np.int32, 16)

        return allocate
