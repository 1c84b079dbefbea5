"""What an optimizer does to the parameters, in one pass over the flat buffers."""


def sgd(parameters, gradients, learning_rate):
    """parameters -= learning_rate * gradients, in place; both (n,)."""
    parameters -= learning_rate * gradients
