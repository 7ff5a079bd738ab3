"""Optimisers: what is done with a gradient. Formulas, defaults and state names are PyTorch's."""

from collections.abc import Mapping

import numpy as np

from tinycnn_numpy.checks import Array, cast_state, check_number
from tinycnn_numpy.layer import Parameter


class Optimizer:
    """Holds the parameters and counts the steps. `step` changes every parameter in place."""

    memory: tuple[str, ...] = ()  # names of the attributes that keep one array for each parameter

    def __init__(self, parameters: list[Parameter], lr: float, weight_decay: float):
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError(f"{self}: parameters is empty, expected model.parameters()")
        self.lr = check_number(self, "lr", lr)
        self.weight_decay = check_number(self, "weight_decay", weight_decay)
        self.steps = 0

    def __str__(self) -> str:
        return type(self).__name__

    def zeros(self) -> list[Array]:
        return [np.zeros_like(parameter.data) for parameter in self.parameters]

    def step(self) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Array]:
        """A copy of what the next step depends on besides the weights: "exp_avg.0" is the first one's."""
        return {name: array.copy() for name, array in self.named_arrays().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Go on from a state_dict. Raises ValueError as a layer's does; then nothing was copied."""
        own = self.named_arrays()
        for name, array in cast_state(self, own, state).items():
            own[name][...] = array
        self.steps = int(own["steps"])

    def named_arrays(self) -> dict[str, Array]:
        arrays = {f"{name}.{i}": a for name in self.memory for i, a in enumerate(getattr(self, name))}
        return {"steps": np.array(self.steps), **arrays}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as PyTorch defines it.

        g = grad + weight_decay * data
        b = momentum * b + g                    the momentum buffer, 0 at first
        data -= lr * b                          nesterov: data -= lr * (g + momentum * b)

    Raises ValueError for a setting out of its range, and for nesterov without momentum.
    """

    memory = ("momentum_buffer",)

    def __init__(
        self, parameters: list[Parameter], lr: float, momentum: float = 0.0, nesterov: bool = False,
        weight_decay: float = 0.0,
    ):  # fmt: skip
        super().__init__(parameters, lr, weight_decay)
        self.momentum = check_number(self, "momentum", momentum)
        if nesterov and momentum == 0:
            raise ValueError(f"{self}: nesterov is True and momentum is 0, expected momentum > 0")
        self.nesterov = nesterov
        self.momentum_buffer = self.zeros()

    def step(self) -> None:
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            b[...] = self.momentum * b + g
            parameter.data[...] -= self.lr * (g + self.momentum * b if self.nesterov else b)


class Adam(Optimizer):
    """Steps of about lr in every direction: the mean gradient over the root of its mean square.

        g = grad + weight_decay * data
        m = beta1 * m + (1 - beta1) * g         exp_avg, 0 at first
        v = beta2 * v + (1 - beta2) * g*g       exp_avg_sq, 0 at first
        m_hat = m / (1 - beta1**steps)          undoes the start at 0; v_hat likewise
        data -= lr * m_hat / (sqrt(v_hat) + eps)

    Raises ValueError for a setting out of its range.
    """

    memory = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, parameters: list[Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0,
    ):  # fmt: skip
        super().__init__(parameters, lr, weight_decay)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"{self}: betas is {betas!r}, expected a pair of numbers")
        beta1, beta2 = betas
        self.betas = check_number(self, "beta1", beta1, below=1), check_number(self, "beta2", beta2, below=1)
        self.eps = check_number(self, "eps", eps)
        self.exp_avg, self.exp_avg_sq = self.zeros(), self.zeros()

    def step(self) -> None:
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat = m / (1 - beta1**self.steps)
            v_hat = v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
