"""Mistakes in batch normalisation."""

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from parity.doctor.evidence import Cause, Evidence, Page, causes

Axes = tuple[int, ...]
CHANNEL = (0, 2, 3)
TERMS = "dx = weight / sqrt(var + eps) * (dout - dbias / M - x_hat * dweight / M)"


def total(array: Tensor, axes: Axes = CHANNEL) -> Tensor:
    return array.sum(dim=axes, keepdim=True)


def by_channel(e: Evidence, name: str) -> Tensor:
    return e.inputs[name].reshape(1, -1, 1, 1)


def statistics(e: Evidence, training: bool, axes: Axes = CHANNEL, ddof: int = 0) -> tuple[Tensor, Tensor]:
    """mean and var, of the batch or the running ones."""
    if not training:
        return by_channel(e, "running_mean"), by_channel(e, "running_var")
    count = total(torch.ones_like(e.x), axes)
    mean = total(e.x, axes) / count
    return mean, total((e.x - mean) ** 2, axes) / (count - ddof)


def normalised(e: Evidence, training: bool, axes: Axes = CHANNEL, ddof: int = 0) -> tuple[Tensor, Tensor]:
    """x_hat and the root that it was divided by."""
    mean, var = statistics(e, training, axes, ddof)
    root = torch.sqrt(var + e.stage.eps)
    return (e.x - mean) / root, root


def scaled(e: Evidence, x_hat: Tensor) -> Tensor:
    return by_channel(e, "weight") * x_hat + by_channel(e, "bias")


@causes("BatchNorm2D", "out")
def out_causes() -> Iterator[Cause]:
    yield Cause(
        "running-in-training",
        "training normalises by the statistics of the batch; the running ones are for evaluation.",
        lambda e: scaled(e, normalised(e, training=False)[0]) if e.stage.training else None,
    )
    yield Cause(
        "running-in-training",
        "training normalises by the statistics of the batch; the running ones are for evaluation.",
        lambda e: scaled(e, normalised(after_update(e), training=False)[0]) if e.stage.training else None,
    )
    yield Cause(
        "batch-in-evaluation",
        "evaluation normalises by running_mean and running_var; the batch's own are for training.",
        lambda e: None if e.stage.training else scaled(e, normalised(e, training=True)[0]),
    )
    yield Cause(
        "ddof",
        "var divides by M - 1: normalising divides by M; M - 1 belongs in running_var alone.",
        lambda e: scaled(e, normalised(e, True, ddof=1)[0]) if e.stage.training else None,
    )
    for code, sentence, root in (
        ("eps-outside-root", "eps stands outside the root", lambda var, eps: torch.sqrt(var) + eps),
        ("eps-missing", "eps is missing", lambda var, eps: torch.sqrt(var)),
        ("root-missing", "the root is missing", lambda var, eps: var + eps),
    ):
        yield Cause(
            code,
            f"{sentence}: x_hat = (x - mean) / sqrt(var + eps).",
            lambda e, root=root: out_with_root(e, root),
        )
    for axes, what in (((0,), "each pixel"), ((2, 3), "each image"), ((0, 1, 2, 3), "all channels together")):
        yield Cause(
            "wrong-axes",
            f"{what} gets its own mean and var: they are taken over the axes 0, 2, 3, one for each channel.",
            lambda e, axes=axes: scaled(e, normalised(e, True, axes)[0]) if e.stage.training else None,
        )
    yield Cause(
        "not-scaled",
        "weight and bias are not used: out = weight * x_hat + bias.",
        lambda e: normalised(e, e.stage.training)[0],
    )


def out_with_root(e: Evidence, root: Callable[[Tensor, float], Tensor]) -> Tensor:
    mean, var = statistics(e, e.stage.training)
    return scaled(e, (e.x - mean) / root(var, e.stage.eps))


@causes("BatchNorm2D", "dx")
def dx_causes() -> Iterator[Cause]:
    for code, mean, var, what in (
        ("statistics-constant", 0.0, 0.0, "mean and var are treated as constants: both move with every x"),
        ("mean-constant", 0.0, 1.0, "mean is treated as a constant: it moves with every x"),
        ("variance-constant", 1.0, 0.0, "var is treated as a constant: it moves with every x"),
    ):
        yield Cause(
            code,
            f"{what}; {TERMS}.",
            lambda e, mean=mean, var=var: dx(e, mean, var) if e.stage.training else None,
        )
    yield Cause(
        "statistics-not-constant",
        "in evaluation mean and var do not move with x: dx = weight / sqrt(running_var + eps) * dout.",
        lambda e: None if e.stage.training else dx(e),
    )
    yield Cause(
        "batch-in-evaluation",
        "dx uses the statistics of the batch: in evaluation it is weight / sqrt(running_var + eps) * dout.",
        lambda e: None if e.stage.training else by_channel(e, "weight") / normalised(e, True)[1] * e.dout,
    )
    yield Cause(
        "images-counted",
        f"the sums are divided by N in place of M = N*H*W: {TERMS}.",
        lambda e: dx(e, *[e.x[0, 0].numel()] * 2) if e.stage.training else None,
    )
    yield Cause(
        "weight-missing",
        f"weight is missing: {TERMS}.",
        lambda e: e.exact["dx"] / by_channel(e, "weight").numpy(),
    )
    yield Cause(
        "root-missing",
        f"the root is missing: {TERMS}.",
        lambda e: e.exact["dx"] / normalised(e, e.stage.training)[1].numpy(),
    )


def dx(e: Evidence, mean: float = 1.0, var: float = 1.0) -> Tensor:
    """The right one where both are 1: mean and var weigh the terms that come through them."""
    M = e.x.numel() / e.x.shape[1]
    x_hat, root = normalised(e, e.stage.training)
    terms = e.dout - mean * total(e.dout) / M - var * x_hat * total(e.dout * x_hat) / M
    return by_channel(e, "weight") / root * terms


@causes("BatchNorm2D", "dweight")
def dweight_causes() -> Iterator[Cause]:
    for sentence, of in (
        ("dout is multiplied by x", lambda e: e.x),
        ("dout is multiplied by x - mean", lambda e: e.x - statistics(e, e.stage.training)[0]),
        ("dout is multiplied by out", lambda e: scaled(e, normalised(e, e.stage.training)[0])),
    ):
        yield Cause(
            "not-normalised",
            f"{sentence}: dweight = sum of dout * x_hat over the axes 0, 2, 3.",
            lambda e, of=of: total(e.dout * of(e)).flatten(),
        )


@causes("BatchNorm2D", "dbias")
def dbias_causes() -> Iterator[Cause]:
    yield Cause(
        "summed-over-all",
        "dbias is one number: it is the sum of dout over the axes 0, 2, 3, one for each channel.",
        lambda e: e.dout.sum(),
    )


@causes("BatchNorm2D", "running_mean")
def running_mean_causes() -> Iterator[Cause]:
    return causes_of_running("running_mean")


@causes("BatchNorm2D", "running_var")
def running_var_causes() -> Iterator[Cause]:
    return causes_of_running("running_var")


def causes_of_running(tensor: str) -> Iterator[Cause]:
    ddof = 1 if tensor == "running_var" else 0
    right = f"{tensor} = (1 - momentum) * {tensor} + momentum * {tensor[8:]}"
    yield Cause(
        "running-not-updated",
        f"{tensor} is not updated: each forward in training moves it, {right}.",
        lambda e: e.inputs[tensor] if e.stage.training else None,
    )
    yield Cause(
        "running-in-evaluation",
        f"evaluation updates {tensor}: only a forward in training does.",
        lambda e: None if e.stage.training else moved(e, tensor, e.stage.momentum, ddof),
    )
    yield Cause(
        "momentum-reversed",
        f"momentum weighs the old value: PyTorch has {right}.",
        lambda e: moved(e, tensor, 1 - e.stage.momentum, ddof) if e.stage.training else None,
    )
    if tensor == "running_var":
        yield Cause(
            "running-variance-biased",
            f"running_var takes the var that divides by M: PyTorch divides by M - 1 here; {right}.",
            lambda e: moved(e, tensor, e.stage.momentum, 0) if e.stage.training else None,
        )
    yield Cause(
        "momentum-ignored",
        f"{tensor} is that of the last batch alone: {right}.",
        lambda e: moved(e, tensor, 1.0, ddof) if e.stage.training else None,
    )


def after_update(e: Evidence) -> Evidence:
    m = e.stage.momentum
    running = {"running_mean": moved(e, "running_mean", m, 0), "running_var": moved(e, "running_var", m, 1)}
    return dataclasses.replace(e, inputs=e.inputs | running)


def moved(e: Evidence, tensor: str, momentum: float, ddof: int) -> Tensor:
    now = statistics(e, True, ddof=ddof)[tensor == "running_var"].flatten()
    return (1 - momentum) * e.inputs[tensor] + momentum * now


PAGES = [
    Page(
        code="statistics-constant",
        kind="BatchNorm2D",
        what="mean and var are treated as constants in dx.",
        right=(
            "through_mean, through_var = self.dbias[:, None, None] / M, x_hat * self.dweight[:, "
            "None, None] / M"
        ),
        wrong="through_mean, through_var = 0, 0",
        why=(
            "Every x moves the mean and the variance of its channel. Without both terms the layer"
            " pushes against its own normalisation."
        ),
    ),
    Page(
        code="mean-constant",
        kind="BatchNorm2D",
        what="mean is treated as a constant in dx.",
        right=(
            "through_mean, through_var = self.dbias[:, None, None] / M, x_hat * self.dweight[:, "
            "None, None] / M"
        ),
        wrong="through_mean, through_var = 0, x_hat * self.dweight[:, None, None] / M",
        why="The gradient over a channel should sum to 0: moving all x together changes nothing.",
    ),
    Page(
        code="variance-constant",
        kind="BatchNorm2D",
        what="var is treated as a constant in dx.",
        right=(
            "through_mean, through_var = self.dbias[:, None, None] / M, x_hat * self.dweight[:, "
            "None, None] / M"
        ),
        wrong="through_mean, through_var = self.dbias[:, None, None] / M, 0",
        why="Scaling all x of a channel changes nothing, so dx has no part along x_hat.",
    ),
    Page(
        code="statistics-not-constant",
        kind="BatchNorm2D",
        what="In evaluation mean and var are treated as if they moved with x.",
        right="if not self.training:",
        wrong="if False:",
        why=(
            "In evaluation the running statistics are fixed numbers. It shows only when gradients"
            " are taken in evaluation."
        ),
    ),
    Page(
        code="images-counted",
        kind="BatchNorm2D",
        what="The sums are divided by N in place of N*H*W.",
        right=(
            "through_mean, through_var = self.dbias[:, None, None] / M, x_hat * self.dweight[:, "
            "None, None] / M"
        ),
        wrong=(
            "through_mean, through_var = self.dbias[:, None, None] / len(x), x_hat * "
            "self.dweight[:, None, None] / len(x)"
        ),
        why="A channel's statistics run over images and pixels. On one-pixel images the two agree.",
    ),
    Page(
        code="ddof",
        kind="BatchNorm2D",
        what="var divides by M - 1 when it normalises.",
        right="mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))",
        wrong="mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3), ddof=1)",
        why=(
            "PyTorch normalises by the variance that divides by M. With large batches the "
            "difference is small."
        ),
    ),
    Page(
        code="eps-outside-root",
        kind="BatchNorm2D",
        what="eps stands outside the root.",
        right="root = np.sqrt(var + self.eps)",
        wrong="root = np.sqrt(var) + self.eps",
        why="With eps = 1e-5 it is hard to see; where var is small it decides.",
    ),
    Page(
        code="eps-missing",
        kind="BatchNorm2D",
        what="eps is missing.",
        right="root = np.sqrt(var + self.eps)",
        wrong="root = np.sqrt(var)",
        why="A channel that is constant is divided by 0.",
    ),
    Page(
        code="running-in-training",
        kind="BatchNorm2D",
        what="Training normalises by the running statistics.",
        right="root = np.sqrt(var + self.eps)",
        wrong="mean, var = self.running_mean, self.running_var\nroot = np.sqrt(var + self.eps)",
        why="The batch is then not normalised at all, and the first steps run away.",
    ),
    Page(
        code="batch-in-evaluation",
        kind="BatchNorm2D",
        what="Evaluation normalises by the statistics of the batch.",
        right="mean, var = self.running_mean, self.running_var",
        wrong="mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))",
        why="One image's answer then depends on the others beside it.",
    ),
    Page(
        code="wrong-axes",
        kind="BatchNorm2D",
        what="mean and var are taken over the wrong axes.",
        right="x_hat = (x - mean[:, None, None]) / root[:, None, None]",
        wrong=(
            "if self.training:\n"
            "    mean, root = x.mean(axis=(2, 3)), np.sqrt(x.var(axis=(2, 3)) + self.eps)\n"
            "x_hat = (x - mean[..., None, None]) / root[..., None, None]\n"
            "root = root if root.ndim == 1 else root[0]"
        ),
        why=(
            "Over each image it is instance normalisation, over each pixel nothing anybody uses. "
            "A batch of one hides the first."
        ),
    ),
    Page(
        code="not-scaled",
        kind="BatchNorm2D",
        what="weight and bias are not used.",
        right="out = self.weight[:, None, None] * x_hat + self.bias[:, None, None]",
        wrong="out = x_hat",
        why="They start as 1 and 0, so a fresh layer passes every test.",
    ),
    Page(
        code="weight-missing",
        kind="BatchNorm2D",
        what="weight is missing from dx.",
        right="dx = (self.weight / root)[:, None, None] * (dout - through_mean - through_var)",
        wrong="dx = (1 / root)[:, None, None] * (dout - through_mean - through_var)",
        why="weight is 1 at first: a fresh layer hides it.",
    ),
    Page(
        code="not-normalised",
        kind="BatchNorm2D",
        what="dout is multiplied by x where x_hat is meant.",
        right="self.dweight = (dout * x_hat).sum(axis=(0, 2, 3))",
        wrong="x_hat = x_hat.copy()\nself.dweight = (dout * x).sum(axis=(0, 2, 3))",
        why="weight multiplies x_hat, so x_hat is its factor in the gradient.",
    ),
    Page(
        code="running-not-updated",
        kind="BatchNorm2D",
        what="The running statistics are not updated.",
        right="self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean",
        wrong="pass",
        why="Training looks perfect; evaluation normalises by 0 and 1 and guesses.",
    ),
    Page(
        code="running-in-evaluation",
        kind="BatchNorm2D",
        what="Evaluation updates the running statistics.",
        right="mean, var = self.running_mean, self.running_var",
        wrong=(
            "mean, var = self.running_mean, self.running_var\n"
            "self.running_mean = (1 - self.momentum) * mean + self.momentum * x.mean(axis=(0, 2, 3))"
        ),
        why="The test set then leaks into the network, and two evaluations differ.",
    ),
    Page(
        code="momentum-reversed",
        kind="BatchNorm2D",
        what="momentum weighs the old value, not the new one.",
        right="self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean",
        wrong="self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean",
        why=(
            "Keras and the paper write it this way round, PyTorch the other. The running mean "
            "then is nearly that of the last batch."
        ),
    ),
    Page(
        code="running-variance-biased",
        kind="BatchNorm2D",
        what="running_var takes the variance that divides by M.",
        right="self.running_var = (1 - self.momentum) * self.running_var + self.momentum * unbiased",
        wrong="self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var",
        why="PyTorch divides by M - 1 here. With small batches evaluation differs from training.",
    ),
]
