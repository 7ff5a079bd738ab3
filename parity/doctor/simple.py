"""Mistakes in ReLU, flatten and dense layers."""

from collections.abc import Iterator
from itertools import permutations

from torch import Tensor
from torch.nn import functional

from parity.doctor.arithmetic import one_of_many
from parity.doctor.convolution import dbias_causes
from parity.doctor.evidence import Cause, Evidence


def relu_out_causes() -> Iterator[Cause]:
    for code, sentence, predict in (
        ("mask-missing", "negative numbers pass", lambda e: e.x),
        (
            "mask-inverted",
            "what is negative passes and what is positive is stopped",
            lambda e: e.x.clamp(max=0),
        ),
        ("absolute-value", "negative numbers come out positive", lambda e: e.x.abs()),
        ("mask-for-out", "out is 1 where x is positive", lambda e: (e.x > 0).double()),
        ("leaky", "a hundredth of what is negative passes", lambda e: functional.leaky_relu(e.x)),
    ):
        yield Cause(code, f"{sentence}: out = max(x, 0).", predict)


def relu_dx_causes() -> Iterator[Cause]:
    for code, sentence, predict in (
        ("mask-missing", "dout passes everywhere", lambda e: e.dout),
        ("upstream-ignored", "dx is the mask alone, dout is forgotten", lambda e: (e.x > 0).double()),
        ("upstream-ignored", "dx is the mask alone, dout is forgotten", lambda e: (e.x >= 0).double()),
        ("mask-from-dout", "the sign of dout decides", lambda e: e.dout.clamp(min=0)),
        ("mask-from-dout", "the signs of dout and x decide", lambda e: e.dout.clamp(min=0) * (e.x > 0)),
        ("mask-includes-zero", "dout passes where x is 0, as by >=", lambda e: e.dout * (e.x >= 0)),
        ("mask-inverted", "dout passes where x is negative", lambda e: e.dout * (e.x < 0)),
        ("mask-inverted", "dout passes where x is not positive", lambda e: e.dout * (e.x <= 0)),
        ("multiplied-by-x", "dout is multiplied by out", lambda e: e.dout * e.x.clamp(min=0)),
        ("multiplied-by-x", "dout is multiplied by x", lambda e: e.dout * e.x),
        ("sign-of-x", "dout is multiplied by the sign of x", lambda e: e.dout * e.x.sign()),
        (
            "leaky",
            "a hundredth passes where x is negative",
            lambda e: e.dout * (e.x > 0).double().clamp(min=0.01),
        ),
    ):
        yield Cause(
            code, f"{sentence}: dx = dout * [x > 0], open where x was positive and shut elsewhere.", predict
        )


def flatten_out_causes() -> Iterator[Cause]:
    for order in permutations(range(4)):
        yield Cause(
            "reading-order",
            "the pixels of an image stand in another order: out = x.reshape(N, C*H*W), channels "
            "slowest, columns "
            "fastest; another order (H, W, C, say) needs the next layer's weights in that order too.",
            lambda e, order=order: (
                e.x.permute(order).reshape(e.exact["out"].shape) if e.x.ndim == 4 else None
            ),
        )


def flatten_dx_causes() -> Iterator[Cause]:
    for order in permutations(range(4)):
        yield Cause(
            "reading-order",
            "the gradient is folded back in another order than forward flattened: dx = "
            "dout.reshape(x.shape).",
            lambda e, order=order: folded(e, order),
        )


def folded(e: Evidence, order: tuple[int, ...]) -> Tensor | None:
    if e.x.ndim != 4:
        return None
    back = [order.index(axis) for axis in range(4)]
    return e.dout.reshape([e.x.shape[axis] for axis in order]).permute(back)


def square(e: Evidence) -> bool:
    return e.weight.shape[0] == e.weight.shape[1]


def dense_out_causes() -> Iterator[Cause]:
    formula = "out[n,m] = bias[m] + sum_k x[n,k] * weight[m,k]"
    yield Cause(
        "weight-transposed",
        f"x @ weight stands where x @ weight.T is meant: weight is (out_features, in_features), {formula}.",
        lambda e: functional.linear(e.x, e.weight.T, e.inputs.get("bias")) if square(e) else None,
    )
    for code, times, what in (("bias-dropped", 0, "not added"), ("bias-twice", 2, "added twice")):
        yield Cause(
            code,
            f"the bias is {what}: {formula}.",
            lambda e, times=times: (
                functional.linear(e.x, e.weight, times * e.bias) if "bias" in e.inputs else None
            ),
        )
    yield from one_of_many(
        "out",
        "input",
        "k",
        lambda e, keep: functional.linear(e.x * keep(e.x, 1), e.weight, e.inputs.get("bias")),
    )


def dense_dx_causes() -> Iterator[Cause]:
    formula = "dx[n,k] = sum_m dout[n,m] * weight[m,k]"
    yield Cause(
        "weight-transposed",
        f"dout @ weight.T stands where dout @ weight is meant: {formula}.",
        lambda e: e.dout @ e.weight.T if square(e) else None,
    )
    yield from one_of_many("dx", "output", "m", lambda e, keep: (e.dout * keep(e.dout, 1)) @ e.weight)


def dense_dweight_causes() -> Iterator[Cause]:
    yield Cause(
        "axes-swapped",
        "dweight is transposed: it has the shape of weight, dweight[m,k] = sum_n dout[n,m] * x[n,k] "
        "= (dout.T @ x).",
        lambda e: e.x.T @ e.dout,
    )
    yield from one_of_many(
        "dweight", "image of the batch", "n", lambda e, keep: (e.dout * keep(e.dout, 0)).T @ e.x
    )


RELU_CAUSES = {"out": relu_out_causes, "dx": relu_dx_causes}
FLATTEN_CAUSES = {"out": flatten_out_causes, "dx": flatten_dx_causes}
DENSE_CAUSES = {
    "out": dense_out_causes,
    "dweight": dense_dweight_causes,
    "dbias": lambda: dbias_causes((0,)),
    "dx": dense_dx_causes,
}
