"""How far a right answer may lie from the exact one: the one place where a tolerance is computed.

PyTorch in float64 gives the exact answer. Beside the value of every entry goes its variance, the square of
the error that rounding usually leaves there. A sum of n products p_k is rounded n times, each time by at
most u = eps/2 of the sum so far, up or down as if by chance, so that the squares of the errors add up. In
an order that owes nothing to their sizes, the square of the sum so far is on average at most
sum p_k^2 + (sum p_k)^2. So

    variance = n * u^2 * (sum_k p_k^2 + (sum_k p_k)^2)

(after Higham and Mary, SIAM J. Sci. Comput. 2019 and 2020; an order chosen to make the partial sums large may
exceed it), and sum p_k^2 is what the same layer gives for squared weights and squared inputs. An input that
carries errors itself hands them on times its weights, and again the squares add up: the layer of squares,
applied to the input's variance. Forward and backward, nothing more is needed. The bound is four times the
root.

No entry is held to less than the mean over its tensor: a Fourier transform, which is a right way to
convolve, spreads its rounding over the image. ReLU, flatten and a max pool whose windows do not overlap
round nothing: fed with equal numbers they must agree bit for bit.

They decide, though. Where a ReLU's input lies within its own bound of 0, or two entries of a pooling window
within theirs of each other, a right answer may send the gradient here or there. Such a place is a witness,
and `slack` carries along, by absolute weights, how much it may move each gradient behind it.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

ROOTS = 4.0  # bound = ROOTS * sqrt(variance)
TINY = float(np.finfo(np.float32).tiny)  # below this numbers lose digits, and then vanish


@dataclass
class Known:
    """A tensor of the exact run with what a right answer may do to it; all three have one shape."""

    value: Tensor
    variance: Tensor
    slack: Tensor

    def numpy(self) -> "Exact":
        bound = (ROOTS * self.variance.sqrt()).numpy()
        return Exact(self.value.numpy(), bound, self.slack.numpy())


@dataclass(frozen=True)
class Exact:
    """The exact value of every entry, the bound on a right answer's rounding, and what its decisions add."""

    value: np.ndarray
    bound: np.ndarray
    slack: np.ndarray


@dataclass(frozen=True)
class Witness:
    """Why a gradient cannot be judged: at `index` of the input of `stage` rounding decides."""

    stage: str
    index: tuple[int, ...]
    gap: float  # from 0, or from the largest of the window
    bound: float

    def __str__(self) -> str:
        place = f"{self.stage}: x[{', '.join(map(str, self.index))}]"
        return f"{place} is {self.gap:.1e} from the turning point, rounding may move it by {self.bound:.1e}"


@dataclass
class ExactRun:
    """All tensors of a forward and backward pass by (stage, name), and where rounding decides."""

    tensors: dict[tuple[str, str], Exact] = field(default_factory=dict)
    witnesses: list[Witness] = field(default_factory=list)


def exact_run(
    stages: Mapping[str, nn.Module], x: np.ndarray, *, dout=None, labels=None, margin: float = 1.0
) -> ExactRun:
    """Run `stages` (PyTorch, any precision) on x (N, ...) in float64, forward and backward.

    Either the upstream gradient `dout` starts the backward pass or the cross-entropy of `labels` (N,) does;
    with neither there is none.
    The bounds are those of a run in the dtype of x. `margin` widens what counts as a witness. Raises
    ValueError for a stage that has no rule here.
    """
    u2 = unit(x.dtype) ** 2
    found = ExactRun()
    value, passed = exactly(x), []
    for name, stage in stages.items():
        stage = copy.deepcopy(stage).cpu().double()
        passed.append((name, stage, value, turning_points(name, stage, value, margin, found.witnesses)))
        value = forward(stage, value, u2)
        found.tensors[name, "out"] = value.numpy()
    if labels is not None:
        loss, upstream = cross_entropy(value, torch.from_numpy(labels.astype(np.int64)), u2)
        found.tensors["loss", "loss"], found.tensors["loss", "dlogits"] = loss.numpy(), upstream.numpy()
    elif dout is not None:
        upstream = exactly(dout)
    else:
        return found
    for name, stage, value, unsure in reversed(passed):
        gradients = backward(stage, value, upstream, unsure, u2)
        found.tensors |= {(name, tensor): known.numpy() for tensor, known in gradients.items()}
        upstream = gradients["dx"]
    return found


def unit(dtype) -> float:
    """u of a comparison: the rounding of `dtype`, and of the float64 that it is held against."""
    return math.hypot(np.finfo(dtype).eps / 2, np.finfo(np.float64).eps / 2)


def exactly(array: np.ndarray) -> Known:
    value = torch.from_numpy(np.array(array, np.float64))
    return Known(value, torch.zeros_like(value), torch.zeros_like(value))


def forward(stage: nn.Module, x: Known, u2: float) -> Known:
    """`out` of one stage. A forward pass is continuous: nothing is undecided on the way."""
    with torch.no_grad():
        out = stage(x.value)
        match stage:
            case nn.Conv2d() | nn.Linear() | nn.AvgPool2d():
                nu2 = terms(stage, x.value)["out"] * u2
                squares = run(stage, weights_of(stage, torch.square), x.variance / nu2 + x.value**2)
                variance = spread(nu2 * (squares + out**2), images=True)
            case nn.ReLU():
                variance = x.variance * (x.value + ROOTS * x.variance.sqrt() > 0)
            case nn.MaxPool2d() | nn.Flatten():  # the largest is no further off than the worst that may win
                variance = stage(x.variance)
            case _:
                raise ValueError(f"{type(stage).__name__} has no rule in parity.exact, expected one")
    return Known(out, variance, torch.zeros_like(out))


def backward(stage: nn.Module, x: Known, dout: Known, unsure: Tensor, u2: float) -> dict[str, Known]:
    """dx, and dweight and dbias where a stage has them; `unsure` is what `turning_points` found."""
    match stage:
        case nn.Conv2d() | nn.Linear() | nn.AvgPool2d():
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
        case nn.MaxPool2d():
            overlaps = any(s < k for s, k in zip(pair(stage.stride), pair(stage.kernel_size), strict=True))
            nu2 = math.prod(pair(stage.kernel_size)) * u2 if overlaps else 0.0
            value, variance, slack = (
                pull(stage, torch.clone, x.value, part)["dx"]
                for part in (dout.value, dout.variance + nu2 * dout.value**2, dout.slack)
            )
            variance = spread(variance + nu2 * value**2, images=True) if overlaps else variance
            turned = unsure * (dout.value.abs() + dout.slack).flatten(2)[:, :, None]
            slack = slack + windows_back(stage, turned, x.value.shape)
            return {"dx": Known(value, variance, slack)}
        case nn.ReLU():
            mask = ~(x.value <= 0)
            slack = mask * dout.slack + unsure * (dout.value.abs() + dout.slack)
            value = torch.where(mask, dout.value, 0.0)
            return {"dx": Known(value, torch.where(mask | unsure, dout.variance, 0.0), slack)}
        case nn.Flatten():
            parts = (part.reshape(x.value.shape) for part in (dout.value, dout.variance, dout.slack))
            return {"dx": Known(*parts)}
    raise ValueError(f"{type(stage).__name__} has no rule in parity.exact, expected one")


def cross_entropy(logits: Known, labels: Tensor, u2: float) -> tuple[Known, Known]:
    """The loss of `labels` (N,), and dlogits. The logits' size matters: one is subtracted from another."""
    z, (N, classes) = logits.value, logits.value.shape
    value = functional.cross_entropy(z, labels)
    probs = z.softmax(dim=1)
    dlogits = (probs - functional.one_hot(labels, classes)) / max(N, 1)
    size = 1 + torch.nan_to_num(z, posinf=0, neginf=0).abs().amax(dim=1, keepdim=True)
    row = classes * u2 * size**2  # of the logarithm of a probability
    inherited = logits.variance + (probs**2 * logits.variance).sum(dim=1, keepdim=True)
    variance = (probs / max(N, 1)) ** 2 * (row + inherited) + classes * u2 * dlogits**2 + TINY**2
    loss_variance = (row / N**2).sum() + (dlogits**2 * logits.variance).sum() + N * u2 * value**2
    return (
        Known(value, loss_variance, torch.zeros(())),
        Known(dlogits, variance, torch.zeros_like(dlogits)),
    )


def turning_points(name: str, stage: nn.Module, x: Known, margin: float, witnesses: list[Witness]) -> Tensor:
    """Where rounding decides: a mask of x for a ReLU, of the windows (N, C, KH*KW, OH*OW) for a max pool."""
    reach = margin * ROOTS * x.variance.sqrt()
    if isinstance(stage, nn.ReLU):
        unsure = (x.value.abs() <= reach) & (reach > 0)
        gap, at = x.value.abs(), unsure.nonzero()
    elif isinstance(stage, nn.MaxPool2d):
        windows, reaches = windows_of(stage, x.value, -math.inf), windows_of(stage, reach, 0.0)
        top, winner = windows.max(dim=2, keepdim=True)
        gap, reach = top - windows, reaches + reaches.gather(2, winner)
        rivals = ((gap <= reach) & (reach > 0)).scatter(2, winner, False)
        unsure = rivals | (
            rivals.any(dim=2, keepdim=True) & torch.zeros_like(rivals).scatter(2, winner, True)
        )
        at = rivals.nonzero()
    else:
        return torch.zeros((), dtype=torch.bool)
    for index in map(tuple, at.tolist()):
        place = index if isinstance(stage, nn.ReLU) else pixel_of(stage, index, x.value.shape)
        witnesses.append(Witness(name, place, gap[index].item(), reach[index].item()))
    return unsure


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
    if isinstance(stage, nn.AvgPool2d):
        return stage(x) * (weights["share"] * math.prod(pair(stage.kernel_size)))
    return functional_call(stage, weights, (x,))


def pull(stage: nn.Module, change: Callable, x: Tensor, dout: Tensor) -> dict[str, Tensor]:
    """autograd's dx, dweight and dbias of a stage with changed weights, for the upstream gradient dout."""
    x = x.detach().requires_grad_()
    weights = {name: weight.requires_grad_() for name, weight in weights_of(stage, change).items()}
    out = run(stage, weights, x)
    gradients = torch.autograd.grad(out, [x, *weights.values()], dout)
    named = dict(zip(["dx", *(f"d{name}" for name in weights)], gradients, strict=True))
    named.pop("dshare", None)
    return named


def spread(variance: Tensor, images: bool) -> Tensor:
    """No entry below the mean of its tensor, or of its image; and none below the smallest normal number."""
    finite = torch.where(variance.isfinite(), variance, 0.0)
    mean = finite.flatten(1).mean(dim=1).reshape(-1, *[1] * (variance.ndim - 1)) if images else finite.mean()
    return torch.maximum(variance, mean) + TINY**2


def pair(size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


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
