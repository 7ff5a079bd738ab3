"""Slips in batch normalisation: its lines, in the three forms in which they are written."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence, slips_of
from parity.doctor.formulas import (
    Lines,
    Vocabulary,
    combined,
    computed,
    needed_for,
    slips,
    unless_contradicted,
    with_lines,
)

FORWARD = (
    "count = M",
    "mean = mean_nhw(x) if training else running_mean",
    "var = mean_nhw((x - mean) ** 2) if training else running_var",
    "unbiased = var * (count / (count - 1))",
    "new_mean = (1 - momentum) * running_mean + momentum * mean if training else running_mean",
    "new_var = (1 - momentum) * running_var + momentum * unbiased if training else running_var",
    "root = sqrt(var + eps)",
    "x_hat = (x - mean) / root",
    "out = weight * x_hat + bias",
    "dbias = sum_nhw(dout)",
    "dweight = sum_nhw(dout * x_hat)",
)
BY_SUMS = (
    *FORWARD,
    "size = M",
    "mean_term = dbias / size",
    "hat_term = x_hat * dweight / size",
    "dx = weight / root * (dout - mean_term - hat_term) if training else weight / root * dout",
)
BY_MEANS = (
    *with_lines(FORWARD, var="mean_nhw(x ** 2) - mean ** 2 if training else running_var"),
    "dx_hat = weight * dout",
    "mean_term = mean_nhw(dx_hat)",
    "hat_term = x_hat * mean_nhw(dx_hat * x_hat)",
    "dx = (dx_hat - mean_term - hat_term) / root if training else dx_hat / root",
)
BY_CHAIN_RULE = (
    *FORWARD,
    "dx_hat = weight * dout",
    "dvar = sum_nhw(dx_hat * (x - mean)) * (-1 / 2) * root ** (-3)",
    "dcentred = dx_hat / root + 2 * (x - mean) * dvar / M if training else dx_hat / root",
    "dx = dcentred - sum_nhw(dcentred) / M if training else dcentred",
)
VOCABULARY = Vocabulary(
    names=(
        ("x", "x_hat", "dout", "(x - mean)"),
        ("dx_hat", "dout", "x_hat"),
        ("mean", "running_mean", "moved_mean"),
        ("var", "running_var", "moved_var"),
        ("root", "var", "sqrt(running_var + eps)", "sqrt(moved_var + eps)"),
        ("weight", "bias"),
        ("dweight", "dbias"),
        ("M", "N", "C", "H * W", "N * C * H * W", "(M - 1)"),
    ),
    functions=(("mean_nhw", "mean_n", "mean_hw", "mean_nchw"), ("sum_nhw", "sum_n", "sum_hw", "sum_nchw")),
    factors=("2", "1 / 2", "-1", "1 / M", "M / (M - 1)", "weight"),
)  # fmt: skip
NAMES = {"running_mean": "new_mean", "running_var": "new_var"}  # of a tensor after a forward
OTHER_SETTINGS = {
    "eps": (1e-3, 1e-4, 1e-2, 1e-6, 1e-7, 1e-8, 1e-12, 0.0),
    "momentum": (0.9, 0.99, 0.01, 0.999, 0.5, 0.05, 0.001),
}
DEFAULTS = {"eps": 1e-5, "momentum": 0.1}


def over(axes: tuple[int, ...], name: str) -> Callable[[Any], Any]:
    return lambda array: getattr(np, name)(array, axis=axes, keepdims=True)


REDUCTIONS = {
    f"{name}_{letters}": over(axes, name)
    for name in ("mean", "sum")
    for letters, axes in {"nhw": (0, 2, 3), "n": (0,), "hw": (2, 3), "nchw": (0, 1, 2, 3)}.items()
}


def values_of(e: Evidence, **forced: float) -> dict[str, Any]:
    """What the lines read: statistics and weights are (1, C, 1, 1)."""
    N, C, H, W = e.x.shape
    sizes = {"N": N, "C": C, "H": H, "W": W, "M": N * H * W}
    arrays = {name: e.inputs[name].numpy() for name in ("x", "dout")}
    x = arrays["x"]
    for name in ("weight", "bias", "running_mean", "running_var"):
        arrays[name] = e.inputs[name].numpy().reshape(1, C, 1, 1)
    settings = {"eps": e.stage.eps, "momentum": e.stage.momentum, "training": e.stage.training} | forced
    numbers = {name: np.float64(value) for name, value in (sizes | settings).items()}
    before = {
        f"{name}_before": np.zeros((1, C, 1, 1))
        if e.before is None or name not in e.before.given
        else e.before.given[name].reshape(1, -1, 1, 1)
        for name in ("dweight", "dbias")
    }
    moved = {}
    if e.stage.training:
        mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), ddof=1, keepdims=True)
        for name, now in (("mean", mean), ("var", var)):
            old, momentum = arrays[f"running_{name}"], e.stage.momentum
            moved[f"moved_{name}"] = (1 - momentum) * old + momentum * now
    return {**numbers, **arrays, **REDUCTIONS, **before, **moved}


def predicted(e: Evidence, tensor: str, lines: Lines, **forced: float) -> Array:
    found = np.asarray(computed(lines, values_of(e, **forced))[NAMES.get(tensor, tensor)])
    right = e.exact[tensor]
    if found.size == right.size or right.ndim == 4:
        return np.broadcast_to(found, right.shape) if right.ndim == 4 else found.reshape(right.shape)
    return found


def of_all(e: Evidence, tensor: str, lines: Lines, whole: Lines) -> Array | None:
    """What wrong lines make of a tensor. whole: the right lines of all tensors."""
    wrong = with_lines(whole, **dict(line.split(" = ", 1) for line in lines))
    given = {NAMES.get(name, name): array for name, array in e.given.items()}
    found, name = predicted(e, tensor, lines), NAMES.get(tensor, tensor)
    return unless_contradicted(found, name, given, whole, wrong, lambda: values_of(e))


TERMS = {
    "out": "out = weight * x_hat + bias",
    "dx": "dx = weight / root * (dout - dbias / M - x_hat * dweight / M), the last two in training alone",
}


def terms_of(e: Evidence, tensor: str) -> list[Array]:
    """Those of the right answer; where a term has no place, in evaluation, it may be there by mistake."""
    right = computed(BY_SUMS, values_of(e))
    if tensor == "out":
        return [right["weight"] * right["x_hat"], right["bias"] + 0 * right["x"]]
    scale = right["weight"] / right["root"]
    return [scale * right["dout"], scale * (right["mean_term"] + 0 * right["x"]), scale * right["hat_term"]]


@slips_of("BatchNorm2D")
def lines_of_batch_norm(tensor: str) -> Iterator[Cause]:
    root = "the root is sqrt(var + eps)"
    for code, sentence, wrong in (
        ("eps-outside-root", f"eps is added once more outside of the root: {root}.",
         {"root": "sqrt(var + eps) + eps"}),
        ("part-missing", "the sums in dx are not divided by M: dx = weight / root * (dout - dbias / M - "
         "x_hat * dweight / M).", {"size": "1"}),
        ("accumulated", "dbias is added to that of the call before, and dx takes the sum: assign it.",
         {"dbias": "sum_nhw(dout) + dbias_before"}),
        ("accumulated", "dweight is added to that of the call before, and dx takes the sum: assign it.",
         {"dweight": "sum_nhw(dout * x_hat) + dweight_before"}),
    ):  # fmt: skip
        lines = with_lines(BY_SUMS, **wrong)
        yield Cause(code, sentence, lambda e, lines=lines: predicted(e, tensor, lines))
    for name, number in ((name, number) for name, numbers in OTHER_SETTINGS.items() for number in numbers):
        plain = DEFAULTS[name]
        yield Cause(
            "other-default",
            f"{name} is {number} where none is given: PyTorch's default is {plain}.",
            lambda e, name=name, number=number: (
                predicted(e, tensor, BY_SUMS, **{name: number})
                if getattr(e.stage, name) == DEFAULTS[name]
                else None
            ),
            alone=True,
        )
    for name in OTHER_SETTINGS:
        for number in (DEFAULTS[name], *OTHER_SETTINGS[name]):
            yield Cause(
                "setting-ignored",
                f"{name} is {number} whatever the caller gives: use the {name} of the constructor.",
                lambda e, name=name, number=number: predicted(e, tensor, BY_SUMS, **{name: number}),
                alone=True,
            )
    name = NAMES.get(tensor, tensor)
    forms = {needed_for(name, lines): lines for lines in (BY_CHAIN_RULE, BY_MEANS, BY_SUMS)}
    for needed, whole in reversed(forms.items()):
        for slip in slips(needed, VOCABULARY):
            predict = lambda e, lines=slip.lines, whole=whole: of_all(e, tensor, lines, whole)  # noqa: E731
            yield Cause(slip.code, slip.sentence, predict, alone=True)
    if tensor in TERMS:
        yield Cause(
            "extra-factor",
            f"{tensor} is made of its terms, but not every term has the factor 1: {TERMS[tensor]}.",
            lambda e: combined(e.given[tensor], terms_of(e, tensor)),
            alone=True,
        )
