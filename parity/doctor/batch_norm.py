"""Mistakes in batch normalisation."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from parity.doctor.evidence import Cause, Evidence, Page, Predict, causes

Axes = tuple[int, ...]
CHANNEL = (0, 2, 3)
WRONG_AXES = {
    (0,): "each pixel has its own mean and var",
    (2, 3): "each image has its own mean and var",
    (0, 1, 2, 3): "all channels share one mean and var",
}
TERMS = "dx = weight / sqrt(var + eps) * (dout - dbias / M - x_hat * dweight / M)"


def total(array: Tensor, axes: Axes = CHANNEL) -> Tensor:
    return array.sum(dim=axes, keepdim=True)


def mean_over(array: Tensor, axes: Axes = CHANNEL) -> Tensor:
    return array.mean(dim=axes, keepdim=True)


def by_channel(e: Evidence, name: str) -> Tensor:
    return e.inputs[name].reshape(1, -1, 1, 1)


def of_batch(e: Evidence, axes: Axes = CHANNEL, ddof: int = 0) -> tuple[Tensor, Tensor]:
    """mean and var."""
    return mean_over(e.x, axes), e.x.var(dim=axes, correction=ddof, keepdim=True)


def running(e: Evidence) -> tuple[Tensor, Tensor]:
    return by_channel(e, "running_mean"), by_channel(e, "running_var")


def right(e: Evidence) -> tuple[Tensor, Tensor]:
    """x_hat and the root that it was divided by."""
    return normalised(e, *(of_batch(e) if e.stage.training else running(e)))


def normalised(e: Evidence, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    root = torch.sqrt(var + e.stage.eps)
    return (e.x - mean) / root, root


def scaled(e: Evidence, x_hat: Tensor) -> Tensor:
    return by_channel(e, "weight") * x_hat + by_channel(e, "bias")


def dx(
    e: Evidence,
    x_hat: Tensor,
    root: Tensor,
    mean: float = 1.0,
    var: float = 1.0,
    axes: Axes = CHANNEL,
    factor: Tensor | None = None,
) -> Tensor:
    """TERMS, in which `mean` and `var` weigh what comes through them, and `factor` stands in dweight."""
    g = by_channel(e, "weight") * e.dout
    through_var = x_hat * mean_over(g * (x_hat if factor is None else factor), axes)
    return (g - mean * mean_over(g, axes) - var * through_var) / root


def wrong_statistics() -> Iterator[tuple[str, str, Axes, Predict]]:
    """code, sentence, axes, and e -> the wrong x_hat and root, which spoil out, dweight and dx alike."""
    for source in (running, lambda e: running(after_update(e))):
        yield (
            "running-in-training",
            "training normalises by the statistics of the batch; the running ones are for evaluation.",
            CHANNEL,
            lambda e, source=source: normalised(e, *source(e)) if e.stage.training else None,
        )
    yield (
        "batch-in-evaluation",
        "evaluation normalises by running_mean and running_var; the batch's own are for training.",
        CHANNEL,
        lambda e: None if e.stage.training else normalised(e, *of_batch(e)),
    )
    yield (
        "ddof",
        "x is normalised by the var that divides by M - 1: divide by M; M - 1 is for running_var alone.",
        CHANNEL,
        lambda e: normalised(e, *of_batch(e, ddof=1)) if e.stage.training else None,
    )
    yield (
        "not-centred",
        "the mean is not subtracted: x_hat = (x - mean) / sqrt(var + eps).",
        CHANNEL,
        lambda e: not_centred(e, *right(e)),
    )
    for code, sentence, root in (
        ("eps-outside-root", "eps stands outside the root", lambda var, eps: torch.sqrt(var) + eps),
        ("eps-missing", "eps is missing", lambda var, eps: torch.sqrt(var)),
        ("root-missing", "the root is missing", lambda var, eps: var + eps),
    ):
        sentence = f"{sentence}: x_hat = (x - mean) / sqrt(var + eps)."
        yield code, sentence, CHANNEL, lambda e, root=root: with_root(e, root)
    for axes, sentence in WRONG_AXES.items():
        yield (
            "wrong-axes",
            f"{sentence}: take both over the axes 0, 2, 3, one of each a channel.",
            axes,
            lambda e, axes=axes: normalised(e, *of_batch(e, axes)) if e.stage.training else None,
        )


def half_of_the_batch() -> Iterator[tuple[str, str, Axes, Predict]]:
    """Of the batch's statistics one in evaluation; dx does not tell which."""
    yield (
        "batch-in-evaluation",
        "evaluation takes the batch's var: it takes running_mean and running_var.",
        CHANNEL,
        lambda e: None if e.stage.training else normalised(e, running(e)[0], of_batch(e)[1]),
    )
    yield (
        "batch-in-evaluation",
        "evaluation takes the batch's mean: it takes running_mean and running_var.",
        CHANNEL,
        lambda e: None if e.stage.training else normalised(e, of_batch(e)[0], running(e)[1]),
    )


def not_centred(e: Evidence, x_hat: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    return e.x / root, root


def with_root(e: Evidence, root_of: Callable[[Tensor, float], Tensor]) -> tuple[Tensor, Tensor]:
    mean, var = of_batch(e) if e.stage.training else running(e)
    root = root_of(var, e.stage.eps)
    return (e.x - mean) / root, root


def after(statistics: Predict, compute: Callable[[Evidence, Tensor, Tensor], Tensor]) -> Predict:
    """e -> compute(e, x_hat, root), or None where there are no such statistics."""
    return lambda e: compute(e, *found) if (found := statistics(e)) else None


@causes("BatchNorm2D", "out")
def out_causes() -> Iterator[Cause]:
    for code, sentence, _, statistics in (*wrong_statistics(), *half_of_the_batch()):
        yield Cause(code, sentence, after(statistics, lambda e, x_hat, root: scaled(e, x_hat)))
    for what, out in (
        ("weight and bias are not used", lambda e: right(e)[0]),
        ("the bias is not used", lambda e: by_channel(e, "weight") * right(e)[0]),
        ("the weight is not used", lambda e: right(e)[0] + by_channel(e, "bias")),
    ):
        yield Cause("not-scaled", f"{what}: out = weight * x_hat + bias.", out)


@causes("BatchNorm2D", "dx")
def dx_causes() -> Iterator[Cause]:
    for code, mean, var, what in (
        ("statistics-constant", 0.0, 0.0, "mean and var are treated as constants: both depend on every x"),
        ("mean-constant", 0.0, 1.0, "mean is treated as a constant: it depends on every x"),
        ("variance-constant", 1.0, 0.0, "var is treated as a constant: it depends on every x"),
    ):
        yield Cause(
            code,
            f"{what}; {TERMS}.",
            lambda e, mean=mean, var=var: dx(e, *right(e), mean, var) if e.stage.training else None,
        )
    yield Cause(
        "statistics-not-constant",
        "in evaluation mean and var do not depend on x: dx = weight / sqrt(running_var + eps) * dout.",
        lambda e: None if e.stage.training else dx(e, *right(e)),
    )
    yield Cause(
        "images-counted",
        f"the sums are divided by N, not by M = N*H*W: {TERMS}.",
        lambda e: dx(e, *right(e), *[e.x[0, 0].numel()] * 2) if e.stage.training else None,
    )
    yield Cause(
        "weight-missing",
        f"weight is missing: {TERMS}.",
        lambda e: dx_of_statistics(True, CHANNEL, under_weight_1(e), *right(e)),
    )
    yield Cause(
        "root-missing",
        f"dx is divided by sqrt(var + eps) twice, as where the root is missing: {TERMS}.",
        lambda e: e.exact["dx"] / right(e)[1].numpy(),
    )
    for sentence, factor in wrong_factors():
        yield Cause(
            "not-normalised",
            sentence,
            lambda e, factor=factor: (
                dx(e, *right(e), factor=factor(e)) if e.stage.training and "dweight" in e.wrong else None
            ),
        )
    for code, sentence, axes, statistics in wrong_statistics():
        for of_the_mode, over in itertools.product((True, False), dict.fromkeys((CHANNEL, axes))):
            compute = partial(dx_of_statistics, of_the_mode, over)
            yield Cause(code, sentence, after(statistics, compute))


def dx_of_statistics(of_the_mode: bool, axes: Axes, e: Evidence, x_hat: Tensor, root: Tensor) -> Tensor:
    """dx by the formula of training or that of evaluation: the one of the mode, or the other."""
    through = float(e.stage.training == of_the_mode)
    return dx(e, x_hat, root, through, through, axes)


def under_weight_1(e: Evidence) -> Evidence:
    return dataclasses.replace(e, inputs=e.inputs | {"weight": torch.ones_like(e.weight)})


def wrong_factors() -> Iterator[tuple[str, Predict]]:
    """What may stand in dweight where x_hat is meant."""
    formula = "dweight = sum of dout * x_hat over the axes 0, 2, 3"
    yield f"dout is multiplied by x: {formula}.", lambda e: e.x
    yield f"dout is multiplied by x - mean: {formula}.", lambda e: right(e)[0] * right(e)[1]
    yield f"dout is multiplied by out: {formula}.", lambda e: scaled(e, right(e)[0])


@causes("BatchNorm2D", "dweight")
def dweight_causes() -> Iterator[Cause]:
    for sentence, factor in wrong_factors():
        yield Cause("not-normalised", sentence, lambda e, factor=factor: total(e.dout * factor(e)).flatten())
    for code, sentence, _, statistics in (*wrong_statistics(), *half_of_the_batch()):
        yield Cause(code, sentence, after(statistics, lambda e, x_hat, root: total(e.dout * x_hat).flatten()))


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
    formula = "running_var = (1 - momentum) * running_var + momentum * var"
    yield from causes_of_running("running_var")
    yield Cause(
        "running-variance-biased",
        f"running_var takes the var that divides by M: PyTorch divides by M - 1 here; {formula}.",
        lambda e: moved(e, "running_var", of_batch(e)[1]) if e.stage.training else None,
    )
    yield Cause(
        "root-of-variance",
        f"running_var averages the standard deviation: {formula}.",
        lambda e: moved(e, "running_var", of_batch(e, ddof=1)[1].sqrt()) if e.stage.training else None,
    )
    yield Cause(
        "root-of-variance",
        f"running_var averages the standard deviation, of the biased var: {formula}.",
        lambda e: moved(e, "running_var", of_batch(e)[1].sqrt()) if e.stage.training else None,
    )
    yield Cause(
        "ddof",
        "var is multiplied by M / (M - 1) twice, as by that factor on x.var(ddof=1), which has it already.",
        lambda e: (
            moved(e, "running_var", of_batch(e, ddof=1)[1] ** 2 / of_batch(e)[1])
            if e.stage.training
            else None
        ),
    )


def causes_of_running(tensor: str) -> Iterator[Cause]:
    formula = f"{tensor} = (1 - momentum) * {tensor} + momentum * {tensor[8:]}"
    yield Cause(
        "running-not-updated",
        f"{tensor} is not updated: each forward in training moves it, {formula}.",
        lambda e: e.inputs[tensor] if e.stage.training else None,
    )
    yield Cause(
        "running-in-evaluation",
        f"evaluation updates {tensor}: only a forward in training does.",
        lambda e: None if e.stage.training else moved(e, tensor),
    )
    yield Cause(
        "momentum-reversed",
        f"momentum multiplies the old value: PyTorch has {formula}.",
        lambda e: moved(e, tensor, momentum=1 - e.stage.momentum) if e.stage.training else None,
    )
    yield Cause(
        "momentum-ignored",
        f"{tensor} is that of the last batch alone: {formula}.",
        lambda e: moved(e, tensor, momentum=1.0) if e.stage.training else None,
    )
    yield Cause(
        "wrong-axes",
        f"all channels share one {tensor}: take it over the axes 0, 2, 3, one a channel.",
        lambda e: shared_by_channels(e, tensor) if e.stage.training else None,
    )


def after_update(e: Evidence) -> Evidence:
    moves = {tensor: moved(e, tensor) for tensor in ("running_mean", "running_var")}
    return dataclasses.replace(e, inputs=e.inputs | moves)


def moved(e: Evidence, tensor: str, now: Tensor | None = None, momentum: float | None = None) -> Tensor:
    """A running statistic after a forward in training: the right one where nothing is given."""
    now = of_batch(e, ddof=1)[tensor == "running_var"] if now is None else now
    momentum = e.stage.momentum if momentum is None else momentum
    return (1 - momentum) * e.inputs[tensor] + momentum * now.flatten()


def shared_by_channels(e: Evidence, tensor: str) -> Tensor:
    """M is that of one channel, as in code that changes the axes of mean and var alone."""
    M = e.x.numel() / e.x.shape[1]
    mean, var = of_batch(e, (0, 1, 2, 3))
    return moved(e, tensor, mean if tensor == "running_mean" else var * M / (M - 1))


PAGES = [
    Page(
        "not-centred",
        kind="BatchNorm2D",
        what="The mean is not subtracted.",
        right="x_hat = (x - mean[:, None, None]) / root[:, None, None]",
        wrong="x_hat = x / root[:, None, None]",
        why="The variance is one even so. After a ReLU all numbers stay positive.",
    ),
    Page(
        "root-of-variance",
        kind="BatchNorm2D",
        what="running_var holds standard deviations.",
        right="unbiased = x.var(axis=(0, 2, 3), ddof=1)",
        wrong="unbiased = x.std(axis=(0, 2, 3), ddof=1)",
        why="Training never reads it. Only in evaluation are all numbers divided by the wrong root.",
    ),
    Page(
        "statistics-constant",
        kind="BatchNorm2D",
        what="mean and var are treated as constants in dx.",
        right="if not self.training:",
        wrong="if True:",
        why="""Every x moves the mean and the variance of its channel. Without both terms the layer pushes
        against its own normalisation.""",
    ),
    Page(
        "mean-constant",
        kind="BatchNorm2D",
        what="mean is treated as a constant in dx.",
        right="through_mean = self.dbias[:, None, None] / M",
        wrong="through_mean = 0",
        why="The gradient over a channel should sum to 0: moving all x together changes nothing.",
    ),
    Page(
        "variance-constant",
        kind="BatchNorm2D",
        what="var is treated as a constant in dx.",
        right="through_var = x_hat * self.dweight[:, None, None] / M",
        wrong="through_var = 0",
        why="Scaling all x of a channel changes nothing, so dx has no part along x_hat.",
    ),
    Page(
        "statistics-not-constant",
        kind="BatchNorm2D",
        what="In evaluation mean and var are treated as if they depended on x.",
        right="if not self.training:",
        wrong="if False:",
        why="""In evaluation the running statistics are fixed numbers. It shows only when gradients are taken
        in evaluation.""",
    ),
    Page(
        "images-counted",
        kind="BatchNorm2D",
        what="The sums are divided by N in place of N*H*W.",
        right="M = x.size // x.shape[1]",
        wrong="M = len(x)",
        why="A channel's statistics run over images and pixels. On one-pixel images the two agree.",
    ),
    Page(
        "ddof",
        kind="BatchNorm2D",
        what="var divides by M - 1 when it normalises.",
        right="mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))",
        wrong="mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3), ddof=1)",
        why="""PyTorch normalises by the variance that divides by M. With large batches the difference is
        small.""",
    ),
    Page(
        "eps-outside-root",
        kind="BatchNorm2D",
        what="eps stands outside the root.",
        right="root = np.sqrt(var + self.eps)",
        wrong="root = np.sqrt(var) + self.eps",
        why="With eps = 1e-5 it is hard to see; where var is small it decides.",
    ),
    Page(
        "eps-missing",
        kind="BatchNorm2D",
        what="eps is missing.",
        right="root = np.sqrt(var + self.eps)",
        wrong="root = np.sqrt(var)",
        why="A channel that is constant is divided by 0.",
    ),
    Page(
        "running-in-training",
        kind="BatchNorm2D",
        what="Training normalises by the running statistics.",
        right="root = np.sqrt(var + self.eps)",
        wrong="""
        mean, var = self.running_mean, self.running_var
        root = np.sqrt(var + self.eps)
        """,
        why="The batch is then not normalised at all, and the first steps run away.",
    ),
    Page(
        "batch-in-evaluation",
        kind="BatchNorm2D",
        what="Evaluation normalises by the statistics of the batch.",
        right="mean, var = self.running_mean, self.running_var",
        wrong="mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))",
        why="One image's answer then depends on the others beside it.",
    ),
    Page(
        "wrong-axes",
        kind="BatchNorm2D",
        what="mean and var are taken over the wrong axes.",
        right="mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))",
        wrong="mean, var = np.full_like(self.weight, x.mean()), np.full_like(self.weight, x.var())",
        why="""Here all channels share one mean and var. One mean an image is instance normalisation, another
        layer. The network trains, and a layer with one channel hides the mistake.""",
    ),
    Page(
        "not-scaled",
        kind="BatchNorm2D",
        what="weight and bias are not used.",
        right="out = self.weight[:, None, None] * x_hat + self.bias[:, None, None]",
        wrong="out = x_hat",
        why="They start as 1 and 0, so a fresh layer passes every test.",
    ),
    Page(
        "weight-missing",
        kind="BatchNorm2D",
        what="weight is missing from dx.",
        right="dx = (self.weight / root)[:, None, None] * (dout - through_mean - through_var)",
        wrong="dx = (1 / root)[:, None, None] * (dout - through_mean - through_var)",
        why="weight is 1 at first: a fresh layer hides it.",
    ),
    Page(
        "not-normalised",
        kind="BatchNorm2D",
        what="dout is multiplied by x where x_hat is meant.",
        right="self.dweight = (dout * x_hat).sum(axis=(0, 2, 3))",
        wrong="self.dweight = (dout * x).sum(axis=(0, 2, 3))",
        why="weight multiplies x_hat, so x_hat is its factor in the gradient.",
    ),
    Page(
        "running-not-updated",
        kind="BatchNorm2D",
        what="The running statistics are not updated.",
        right="self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean",
        wrong="pass",
        why="Training looks perfect; evaluation normalises by 0 and 1 and guesses.",
    ),
    Page(
        "running-in-evaluation",
        kind="BatchNorm2D",
        what="Evaluation updates the running statistics.",
        right="mean, var = self.running_mean, self.running_var",
        wrong="""
        mean, var = self.running_mean, self.running_var
        self.running_mean = (1 - self.momentum) * mean + self.momentum * x.mean(axis=(0, 2, 3))
        """,
        why="The test set then leaks into the network, and two evaluations differ.",
    ),
    Page(
        "momentum-reversed",
        kind="BatchNorm2D",
        what="momentum multiplies the old value, not the new one.",
        right="self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean",
        wrong="self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean",
        why="""Keras and the paper write it this way round, PyTorch the other. The running mean then is nearly
        that of the last batch.""",
    ),
    Page(
        "running-variance-biased",
        kind="BatchNorm2D",
        what="running_var takes the variance that divides by M.",
        right="self.running_var = (1 - self.momentum) * self.running_var + self.momentum * unbiased",
        wrong="self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var",
        why="PyTorch divides by M - 1 here. With small batches evaluation differs from training.",
    ),
]
