"""Mistakes in a dense layer."""

from collections.abc import Iterator

import torch
from torch.nn import functional

from parity.doctor.arithmetic import one_of_many
from parity.doctor.convolution import dbias_causes, shared_biases
from parity.doctor.evidence import Cause, Evidence, Page, causes


def square(e: Evidence) -> bool:
    return e.weight.shape[0] == e.weight.shape[1]


@causes("Dense", "out")
def out_causes() -> Iterator[Cause]:
    formula = "out[n,m] = bias[m] + sum_k x[n,k] * weight[m,k]"
    yield Cause(
        "weight-transposed",
        f"x @ weight in place of x @ weight.T: weight is (out_features, in_features), {formula}.",
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
    yield Cause(
        "weight-transposed",
        f"weight is reshaped to (in_features, out_features), not transposed: {formula}.",
        lambda e: functional.linear(e.x, e.weight.reshape(e.weight.shape[::-1]).T, e.inputs.get("bias")),
    )
    for what, change in shared_biases():
        yield Cause(
            "bias-shared",
            f"{what}: {formula}.",
            lambda e, change=change: (
                functional.linear(e.x, e.weight, change(e.bias)) if "bias" in e.inputs else None
            ),
        )
    yield from one_of_many(
        "out",
        "input",
        "k",
        lambda e, keep: functional.linear(e.x * keep(e.x, 1), e.weight, e.inputs.get("bias")),
    )


@causes("Dense", "dx")
def dx_causes() -> Iterator[Cause]:
    formula = "dx[n,k] = sum_m dout[n,m] * weight[m,k]"
    yield Cause(
        "weight-transposed",
        f"dout @ weight.T in place of dout @ weight: {formula}.",
        lambda e: e.dout @ e.weight.T if square(e) else None,
    )
    yield Cause(
        "weight-transposed",
        f"the weight is reshaped where it is transposed elsewhere: {formula}.",
        lambda e: e.dout @ e.weight.T.reshape(e.weight.shape),
    )
    yield Cause(
        "gradient-for-weight",
        f"dx is computed from dweight in place of weight: {formula}.",
        lambda e: e.dout @ torch.from_numpy(e.exact["dweight"]),
    )
    yield from one_of_many("dx", "output", "m", lambda e, keep: (e.dout * keep(e.dout, 1)) @ e.weight)


@causes("Dense", "dweight")
def dweight_causes() -> Iterator[Cause]:
    yield Cause(
        "axes-swapped",
        "dweight is transposed: dweight[m,k] = sum_n dout[n,m] * x[n,k], which is dout.T @ x.",
        lambda e: e.x.T @ e.dout,
    )
    yield from one_of_many(
        "dweight", "image of the batch", "n", lambda e, keep: (e.dout * keep(e.dout, 0)).T @ e.x
    )


@causes("Dense", "dbias")
def dense_dbias_causes() -> Iterator[Cause]:
    return dbias_causes((0,))


PAGES = [
    Page(
        "gradient-for-weight",
        kind="Dense",
        what="dweight stands where weight is meant.",
        right="dx = dout @ self.weight",
        wrong="dx = dout @ self.dweight",
        why="Both have one shape. One letter too many, and the gradient goes anywhere.",
    ),
    Page(
        "weight-transposed",
        kind="Dense",
        what="weight is used where its transpose is meant.",
        right="out = x @ self.weight.T",
        wrong="out = x @ self.weight",
        why="""weight is (out_features, in_features), as in PyTorch. With as many inputs as outputs the shapes
        fit and nothing raises.""",
    ),
]
