"""A learning rate that changes from step to step. Formulas, names and defaults are PyTorch's OneCycleLR."""

import numpy as np

from tinycnn_numpy.checks import check_number, check_size
from tinycnn_numpy.optim import Optimizer


class OneCycle:
    """The learning rate goes up to max_lr and then down to almost 0, each time in a straight line.

    lr(0) = max_lr / 25                         small while the weights are still random
    lr(pct_start * total_steps - 1) = max_lr
    lr(total_steps - 1) = lr(0) / 10_000        the last step

    Large steps get far in one pass over the images, and the small ones at the end come to rest. In PyTorch:
    OneCycleLR(optimizer, max_lr, total_steps, anneal_strategy="linear", cycle_momentum=False).

    optimizer    its steps tell how far the run is, so that nothing is remembered here; its lr is set
    total_steps  of the whole run
    pct_start    the part of it in which the rate goes up

    Raises ValueError for a setting out of its range, and if there is no step on the way up.
    """

    def __init__(self, optimizer: Optimizer, max_lr: float, total_steps: int, pct_start: float = 0.3):
        self.optimizer = optimizer
        self.max_lr = check_number(self, "max_lr", max_lr)
        self.total_steps = check_size(self, "total_steps", total_steps)
        self.pct_start = check_number(self, "pct_start", pct_start, below=1)
        if self.pct_start * self.total_steps <= 1:
            part = f"pct_start {self.pct_start:g} of total_steps {self.total_steps}"
            raise ValueError(f"{self}: {part} is {self.pct_start * self.total_steps:g}, expected above 1")
        self.step()

    def __str__(self) -> str:
        return type(self).__name__

    def step(self) -> None:
        """Set the rate of the optimiser's next step."""
        self.optimizer.lr = self.lr(self.optimizer.steps)

    def lr(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        corners = [0, self.pct_start * self.total_steps - 1, self.total_steps - 1]
        first = self.max_lr / 25
        return float(np.interp(step, corners, [first, self.max_lr, first / 10_000]))
