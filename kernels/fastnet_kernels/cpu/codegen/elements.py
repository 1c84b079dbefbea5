"""What `map_numbers` does most: numbers as they are, zeros and sums; and a vector of zeros."""

from .compiling import inner


@inner
def same(number):
    """The number itself."""
    return number


@inner
def zero(number):
    """0 of its type."""
    return type(number)(0)


@inner
def added(a, b):
    """a + b."""
    return a + b


@inner
def clear(numbers):
    """numbers (n,) = 0."""
    for i in range(numbers.size):
        numbers[i] = 0
