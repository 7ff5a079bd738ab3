"""The museum's bugs, real and classic: BUGS, in the order of their numbers."""

from examples.bugs import convolution, pooling, relu_flatten_dense, loss, optimizers, batch_norm_dropout  # noqa: F401, I001  # the order of the numbers
from examples.bugs.bug import BUGS, Bug

__all__ = ["BUGS", "Bug"]
