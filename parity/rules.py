"""The rule of rounding of every kind of stage: how value, variance and slack go through it.

A new kind registers its functions here:

    forward(stage, x, u2) -> out                       required
    backward(stage, x, dout, unsure, u2) -> gradients  required: dx, and dweight and dbias where there are any
    states(stage, x, u2) -> arrays                     what forward leaves in the stage, such as running_mean
    turning_points(stage, x, reach) -> mask, places    where rounding decides what the stage does

stage is a torch module in float64; u2 the square of the unit roundoff; the formulas are those of
parity/bounds.py.
"""

import copy
import math
from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from parity.bounds import ROOTS, Known, pair, spread

Gradients = dict[str, Known]
Place = tuple[tuple[int, ...], float, float]  # index in x, gap, bound


@singledispatch
def forward(stage: nn.Module, x: Known, u2: float) -> Known:
    """`out` of one stage. A forward pass is continuous: nothing is undecided on the way."""
    raise ValueError(f"{type(stage).__name__} has no rule in parity.rules, expected one")


@singledispatch
def backward(stage: nn.Module, x: Known, dout: Known, unsure: Tensor, u2: float) -> Gradients:
    """dx, and dweight and dbias where a stage has them; `unsure` is the mask that `turning_points` gave."""
    raise ValueError(f"{type(stage).__name__} has no rule in parity.rules, expected one")


@singledispatch
def states(stage: nn.Module, x: Known, u2: float) -> Gradients:
    """What forward leaves in the stage besides `out`: nothing, for most."""
    return {}


@singledispatch
def turning_points(stage: nn.Module, x: Known, reach: Tensor) -> tuple[Tensor, list[Place]]:
    """Where rounding, which moves x by `reach`, decides what the stage does: nowhere, for most."""
    return torch.zeros((), dtype=torch.bool), []


# Conv2d, Linear and AvgPool2d are linear: sums of products.


@forward.register(nn.Conv2d)
@forward.register(nn.Linear)
@forward.register(nn.AvgPool2d)
def _(stage: nn.Module, x: Known, u2: float) -> Known:
    with torch.no_grad():
        out = stage(x.value)
        nu2 = terms(stage, x.value)["out"] * u2
        squares = run(stage, weights_of(stage, torch.square), x.variance / nu2 + x.value**2)
    return Known(out, spread(nu2 * (squares + out**2), images=True), torch.zeros_like(out))


@backward.register(nn.Conv2d)
@backward.register(nn.Linear)
@backward.register(nn.AvgPool2d)
def _(stage: nn.Module, x: Known, dout: Known, unsure: Tensor, u2: float) -> Gradients:
    exact = pull(stage, torch.clone, x.value, dout.value)
    at_stake = pull(stage, torch.abs, x.value.abs(), dout.slack)
    rounded = pull(stage, torch.square, x.value**2, dout.value**2)
    from_dout = pull(stage, torch.square, x.value**2, dout.variance)
    from_x = pull(stage, torch.square, x.variance, dout.value**2)
    n, known = terms(stage, x.value, dout.value), {}
    for name, value in sorted(exact.items(), key=lambda item: item[0] == "dx"):  # dx last
        variance = from_dout[name] + n[name] * u2 * (rounded[name] + value**2)
        variance += from_x[name] if name == "dweight" else 0
        known[name] = Known(value, spread(variance, images=name == "dx"), at_stake[name])
    return known


def terms(stage: Any, x: Tensor, dout: Tensor | None = None) -> dict[str, int]:
    """How many roundings an entry of each tensor of a linear stage suffers: one for each of its products.

    Of images not fewer than by three Fourier transforms, each of log2(H*W) steps; sums over windows that are
    differences of sums over half the image, an integral image, round as often.
    """
    if isinstance(stage, nn.AvgPool2d):
        n = dict.fromkeys(("out", "dx"), math.prod(pair(stage.kernel_size)))
    else:
        n = {"out": stage.weight[0].numel() + 1, "dx": stage.weight.numel() // stage.weight.shape[1]}
        if dout is not None:
            n |= dict.fromkeys(("dweight", "dbias"), dout.numel() // len(stage.weight))
    transforms = 3 * math.ceil(math.log2(max(1, x.shape[2:].numel())))  # 0 of rows
    return {name: max(count, transforms) for name, count in n.items()}


def weights_of(stage: Any, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """The stage's weights, each changed. An average pool has one, by which it multiplies every entry."""
    weights: dict[str, Tensor] = dict(stage.named_parameters())
    if isinstance(stage, nn.AvgPool2d):
        weights = {"share": torch.tensor(1 / math.prod(pair(stage.kernel_size)), dtype=torch.float64)}
    return {name: change(weight.detach()) for name, weight in weights.items()}


def run(stage: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    out: Tensor
    if isinstance(stage, nn.AvgPool2d):
        out = stage(x) * (weights["share"] * math.prod(pair(stage.kernel_size)))
    else:
        out = functional_call(stage, weights, (x,))
    return out


def pull(stage: nn.Module, change: Callable[[Tensor], Tensor], x: Tensor, dout: Tensor) -> dict[str, Tensor]:
    """autograd's dx, dweight and dbias of a stage with changed weights, for the upstream gradient dout."""
    x = x.detach().requires_grad_()
    weights = {name: weight.requires_grad_() for name, weight in weights_of(stage, change).items()}
    out = run(stage, weights, x)
    # The same as grad(out, ..., dout), for which PyTorch imports SymPy: a second
    gradients = torch.autograd.grad((out * dout).sum(), [x, *weights.values()])
    named = dict(zip(["dx", *(f"d{name}" for name in weights)], gradients, strict=True))
    named.pop("dshare", None)
    return named


# ReLU, max pooling and flatten round nothing, but ReLU and max pooling branch.


@forward.register(nn.ReLU)
def _(stage: nn.ReLU, x: Known, u2: float) -> Known:
    open_ = x.value + ROOTS * x.variance.sqrt() > 0
    return Known(stage(x.value), torch.where(open_, x.variance, 0.0), torch.zeros_like(x.value))


@turning_points.register(nn.ReLU)
def _(stage: nn.ReLU, x: Known, reach: Tensor) -> tuple[Tensor, list[Place]]:
    gap = x.value.abs()
    unsure = (gap <= reach) & (reach > 0)
    return unsure, [(i, gap[i].item(), reach[i].item()) for i in indices(unsure)]


@backward.register(nn.ReLU)
def _(stage: nn.ReLU, x: Known, dout: Known, unsure: Tensor, u2: float) -> Gradients:
    mask = ~(x.value <= 0)
    slack = mask * dout.slack + unsure * (dout.value.abs() + dout.slack)
    value = torch.where(mask, dout.value, 0.0)
    return {"dx": Known(value, torch.where(mask | unsure, dout.variance, 0.0), slack)}


@forward.register(nn.MaxPool2d)
@forward.register(nn.Flatten)
def _(stage: nn.Module, x: Known, u2: float) -> Known:
    out = stage(x.value)  # the largest is no further off than the worst that may win: -inf never does
    return Known(out, stage(torch.where(x.value.isfinite(), x.variance, 0.0)), torch.zeros_like(out))


@backward.register(nn.Flatten)
def _(stage: nn.Flatten, x: Known, dout: Known, unsure: Tensor, u2: float) -> Gradients:
    parts = (part.reshape(x.value.shape) for part in (dout.value, dout.variance, dout.slack))
    return {"dx": Known(*parts)}


@turning_points.register(nn.MaxPool2d)
def _(stage: nn.MaxPool2d, x: Known, reach: Tensor) -> tuple[Tensor, list[Place]]:
    """The mask is one of the windows, (N, C, KH*KW, OH*OW)."""
    windows, reaches = windows_of(stage, x.value, -math.inf), windows_of(stage, reach, 0.0)
    top, winner = windows.max(dim=2, keepdim=True)
    gap, bound = top - windows, reaches + reaches.gather(2, winner)
    rivals = ((gap <= bound) & (bound > 0)).scatter(2, winner, False)
    contested = rivals.any(dim=2, keepdim=True) & torch.zeros_like(rivals).scatter(2, winner, True)
    places = [(pixel_of(stage, i, x.value.shape), gap[i].item(), bound[i].item()) for i in indices(rivals)]
    return rivals | contested, places


@backward.register(nn.MaxPool2d)
def _(stage: nn.MaxPool2d, x: Known, dout: Known, unsure: Tensor, u2: float) -> Gradients:
    overlaps = any(s < k for s, k in zip(pair(stage.stride), pair(stage.kernel_size), strict=True))
    nu2 = math.prod(pair(stage.kernel_size)) * u2 if overlaps else 0.0
    value, variance, slack = (
        pull(stage, torch.clone, x.value, part)["dx"]
        for part in (dout.value, dout.variance + nu2 * dout.value**2, dout.slack)
    )
    variance = spread(variance + nu2 * value**2, images=True) if overlaps else variance
    turned = unsure * (dout.value.abs() + dout.slack).flatten(2)[:, :, None]
    return {"dx": Known(value, variance, slack + windows_back(stage, turned, x.value.shape))}


def indices(mask: Tensor) -> Iterator[tuple[int, ...]]:
    return map(tuple, mask.nonzero().tolist())


def windows_of(stage: nn.MaxPool2d, x: Tensor, fill: float) -> Tensor:
    """(N, C, H, W) -> (N, C, KH*KW, OH*OW), padded with `fill`."""
    PH, PW = pair(stage.padding)
    columns = functional.unfold(
        functional.pad(x, (PW, PW, PH, PH), value=fill), stage.kernel_size, stride=stage.stride
    )
    return columns.reshape(*x.shape[:2], math.prod(pair(stage.kernel_size)), columns.shape[-1])


def pixel_of(stage: Any, index: tuple[int, ...], shape: torch.Size) -> tuple[int, ...]:
    """Where in the image (N, C, H, W) the entry n, c, k, p of its windows (N, C, KH*KW, OH*OW) stands."""
    (_, KW), (SH, SW), (PH, PW) = map(pair, (stage.kernel_size, stage.stride, stage.padding))
    (n, c, k, p), OW = index, (shape[3] + 2 * PW - KW) // SW + 1
    return n, c, p // OW * SH + k // KW - PH, p % OW * SW + k % KW - PW


def windows_back(stage: nn.MaxPool2d, windows: Tensor, shape: torch.Size) -> Tensor:
    """Add the entries of windows (N, C, KH*KW, OH*OW) back to the pixels (N, C, H, W) they were read from."""
    (PH, PW), (H, W) = pair(stage.padding), shape[2:]
    padded = (H + 2 * PH, W + 2 * PW)
    image = functional.fold(windows.flatten(1, 2), padded, stage.kernel_size, stride=stage.stride)
    return image[:, :, PH : PH + H, PW : PW + W]


# Dropout multiplies by 0 or by 1 / (1 - p).


@forward.register(nn.Dropout)
def _(stage: nn.Dropout, x: Known, u2: float) -> Known:
    return scaled(x, factor_of(stage, x.value), u2, torch.zeros_like(x.value))


@backward.register(nn.Dropout)
def _(stage: nn.Dropout, x: Known, dout: Known, unsure: Tensor, u2: float) -> Gradients:
    factor = factor_of(stage, x.value)
    return {"dx": scaled(dout, factor, u2, dout.slack * factor)}


@states.register(nn.Dropout)
def _(stage: nn.Dropout, x: Known, u2: float) -> Gradients:
    """kept: the share of the entries that a dropout in training keeps, whose mask is random."""
    if not stage.training or not x.value.numel():
        return {}
    share = torch.tensor(1 - stage.p, dtype=torch.float64)
    return {"kept": Known(share, stage.p * (1 - stage.p) / x.value.numel() + u2 * share, torch.zeros(()))}


def factor_of(stage: nn.Dropout, x: Tensor) -> Tensor:
    if stage.training and not hasattr(stage, "mask"):
        raise ValueError("Dropout: the stage draws a mask of its own, expected parity.twins.MaskedDropout")
    factor: Tensor = stage(torch.ones_like(x))
    return factor


def scaled(known: Known, factor: Tensor, u2: float, slack: Tensor) -> Known:
    value = known.value * factor
    rounded = 2 * u2 * value**2 * (factor != 1)  # the scale is rounded, and so is the product
    return Known(value, known.variance * factor**2 + rounded, slack)


# Batch normalisation: x_hat = (x - mean) / sqrt(var + eps), out = weight * x_hat + bias, channel by channel.


def _by_channel(array: Tensor) -> Tensor:
    """(C,) -> (1, C, 1, 1)"""
    return array.reshape(1, -1, 1, 1)


class Statistics:
    """mean, var and 1 / sqrt(var + eps) of every channel, (1, C, 1, 1), and the variance of each one's error.

    In training the sums run over the M = N*H*W numbers of a channel, and may be taken in two passes or, as
    mean(x*x) - mean*mean, in one. In evaluation the running statistics are constants.
    """

    def __init__(self, stage: nn.BatchNorm2d, x: Known, u2: float):
        self.M = x.value.numel() // x.value.shape[1] if stage.training else math.inf
        zero = torch.zeros(1, x.value.shape[1], 1, 1, dtype=torch.float64)
        if stage.training:
            M, square = self.M, x.value**2
            self.mean, mean_square = channel_sum(x.value) / M, channel_sum(square) / M
            self.var = channel_sum((x.value - self.mean) ** 2) / M
            self.e_mean = M * u2 * (mean_square / M + self.mean**2) + channel_sum(x.variance) / M**2
            self.e_var = M * u2 * (channel_sum(square**2) / M**2 + mean_square**2)
            self.e_var = self.e_var + 4 * self.mean**2 * self.e_mean
            self.e_var = self.e_var + channel_sum((2 * (x.value - self.mean) / M) ** 2 * x.variance)
        else:
            assert stage.running_mean is not None and stage.running_var is not None
            self.mean, self.var = _by_channel(stage.running_mean), _by_channel(stage.running_var)
            self.e_mean, self.e_var = zero, zero
        self.root = 1 / torch.sqrt(self.var + stage.eps)
        self.relative = self.e_var * self.root**4 / 4 + 4 * u2  # of the error of root, squared
        self.x_hat = (x.value - self.mean) * self.root
        self.own = self.root**2 * (x.variance + 2 * u2 * (x.value**2 + self.mean**2))  # of one x_hat alone
        self.e_x_hat = self.own + self.root**2 * self.e_mean + self.x_hat**2 * (self.relative + 2 * u2)


def channel_sum(array: Tensor) -> Tensor:
    return array.sum(dim=(0, 2, 3), keepdim=True)


@forward.register(nn.BatchNorm2d)
def _(stage: nn.BatchNorm2d, x: Known, u2: float) -> Known:
    out, weight, bias = copy.deepcopy(stage)(x.value).detach(), *affine(stage)
    s = Statistics(stage, x, u2)
    variance = weight**2 * s.e_x_hat + 2 * u2 * ((weight * s.x_hat) ** 2 + bias**2 + out**2)
    return Known(out, spread(variance, images=True), torch.zeros_like(out))


@states.register(nn.BatchNorm2d)
def _(stage: nn.BatchNorm2d, x: Known, u2: float) -> Gradients:
    s, after = Statistics(stage, x, u2), copy.deepcopy(stage)
    after(x.value)
    known = {}
    for name, now, error in (("running_mean", s.mean, s.e_mean), ("running_var", s.var, s.e_var)):
        before, value = getattr(stage, name), getattr(after, name)
        variance = torch.zeros_like(value)
        if stage.training:
            m, unbiased = stage.momentum or 0.0, s.M / (s.M - 1) if name == "running_var" else 1.0
            now, error = now.flatten() * unbiased, error.flatten() * unbiased**2
            rounded = ((1 - m) * before) ** 2 + (m * now) ** 2 + value**2
            variance = spread(m**2 * error + 4 * u2 * rounded, images=False)
        known[name] = Known(value, variance, torch.zeros_like(value))
    return known


@backward.register(nn.BatchNorm2d)
def _(stage: nn.BatchNorm2d, x: Known, dout: Known, unsure: Tensor, u2: float) -> Gradients:
    value = pull(copy.deepcopy(stage), torch.clone, x.value, dout.value)
    s, (weight, _), n = Statistics(stage, x, u2), affine(stage), x.value.numel() // x.value.shape[1]
    g, dbias, dweight = dout.value, channel_sum(dout.value), channel_sum(dout.value * s.x_hat)
    e_dbias = n * u2 * (channel_sum(g**2) + dbias**2) + channel_sum(dout.variance)
    e_dweight = n * u2 * (channel_sum((g * s.x_hat) ** 2) + dweight**2)
    e_dweight = e_dweight + channel_sum(s.x_hat**2 * dout.variance + g**2 * s.own)
    e_dweight = e_dweight + dbias**2 * s.root**2 * s.e_mean + dweight**2 * s.relative
    # or in one pass, as sum(dout * x) - mean * dbias
    e_dweight = e_dweight + s.root**2 * n * u2 * (channel_sum((g * x.value) ** 2) + (s.mean * dbias) ** 2)
    parts = g**2 + (dbias / s.M) ** 2 + (s.x_hat * dweight / s.M) ** 2
    e_dx = dout.variance + e_dbias / s.M**2 + (s.x_hat / s.M) ** 2 * e_dweight
    e_dx = e_dx + (dweight / s.M) ** 2 * s.e_x_hat + 4 * u2 * parts
    e_dx = (weight * s.root) ** 2 * e_dx + value["dx"] ** 2 * (s.relative + 4 * u2)
    slack, size = dout.slack, s.x_hat.abs()
    at_stake = slack + channel_sum(slack) / s.M + size * channel_sum(size * slack) / s.M
    known = {
        "dweight": (e_dweight.flatten(), channel_sum(size * slack).flatten()),
        "dbias": (e_dbias.flatten(), channel_sum(slack).flatten()),
        "dx": (e_dx, (weight * s.root).abs() * at_stake),
    }
    return {
        name: Known(value[name], spread(variance, images=name == "dx"), stake)
        for name, (variance, stake) in known.items()
    }


def affine(stage: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    return _by_channel(stage.weight.detach()), _by_channel(stage.bias.detach())
