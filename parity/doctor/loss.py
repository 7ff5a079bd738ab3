"""Mistakes in softmax and cross-entropy."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from parity.doctor.evidence import Cause, Evidence, Page, causes

LOG = "log p = z - max z - log(sum(exp(z - max z))), row by row"


def shifted_and_summed(z: Tensor, shift: int | None, total: int | None) -> Tensor:
    """log p where the largest logit is taken along one axis (None: of all), and the sum along another."""
    largest = z.amax() if shift is None else z.amax(dim=shift, keepdim=True)
    powers = (z - largest).exp()
    sums = powers.sum() if total is None else powers.sum(dim=total, keepdim=True)
    return z - largest - sums.log()


def log_softmax(z: Tensor, over: str) -> Tensor:
    if over.startswith("shift"):
        _, shift, total = over.split()
        axes = {"classes": 1, "batch": 0, "everything": None}
        return shifted_and_summed(z, axes[shift], axes[total])
    if over == "everything":
        return z - z.logsumexp(dim=(0, 1))
    return z.log_softmax(dim={"classes": 1, "batch": 0}[over])


def right_class(values: Tensor, labels: Tensor) -> Tensor:
    return values.gather(1, labels[:, None])[:, 0]


@causes("CrossEntropyLoss", "loss")
def loss_causes() -> Iterator[Cause]:
    def loss(z: Tensor, labels: Tensor, over: str = "classes") -> Tensor:
        return -right_class(log_softmax(z, over), labels).mean()

    yield from softmax_causes(loss)
    for what, wrong in (
        ("the class that the network favours is charged", lambda log_p, y: -log_p.amax(dim=1).mean()),
        ("all classes are charged", lambda log_p, y: -log_p.sum(dim=1).mean()),
        (
            "1 - p of the right class is charged",
            lambda log_p, y: -(1 - right_class(log_p, y).exp()).log().mean(),
        ),
    ):
        sentence = f"{what}: the loss is -mean(log_probs[np.arange(N), labels])."
        yield Cause(
            "label-ignored", sentence, lambda e, wrong=wrong: wrong(e.logits.log_softmax(dim=1), e.labels)
        )
    yield Cause(
        "log-of-mean",
        "the logarithm of the mean probability is taken: take the mean of the logarithms.",
        lambda e: -right_class(probabilities(e), e.labels).mean().log(),
    )
    yield Cause(
        "log-of-mean",
        "the loss is the median of the images': take their mean.",
        lambda e: np.median(-right_class(e.logits.log_softmax(dim=1), e.labels).numpy()),
    )
    for eps in (1e-2, 1e-3, 1e-4, 1e-15, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5):
        for how, p_of in (
            (f"log(p + {eps:g})", lambda p, eps=eps: p + eps),
            (f"a p cut off at {eps:g}", lambda p, eps=eps: p.clamp(min=eps)),
            (f"a p cut off at {eps:g} and 1 - {eps:g}", lambda p, eps=eps: p.clamp(eps, 1 - eps)),
        ):
            yield Cause(
                "epsilon-in-log",
                f"{how} limits the loss of a confident wrong answer: compute {LOG}, which needs no eps.",
                lambda e, p_of=p_of: -p_of(right_class(e.logits.softmax(dim=1), e.labels)).log().mean(),
            )
    yield Cause(
        "labels-crossed",
        "every image is charged with every label: log_probs[np.arange(N), labels] takes one an image.",
        lambda e: -e.logits.log_softmax(dim=1)[:, e.labels].mean(),
    )
    for which, index in (("last", -1), ("first", 0)):
        yield Cause(
            f"{which}-only",
            f"only the {which} image counts: the loss is the mean over the batch.",
            lambda e, index=index: -right_class(e.logits.log_softmax(dim=1), e.labels)[index],
        )
        yield Cause(
            f"{which}-only",
            f"only the {which} image counts: the loss is the mean over the batch.",
            lambda e, index=index: -right_class(e.logits.log_softmax(dim=1), e.labels)[index] / len(e.labels),
        )
    yield Cause(
        "not-summed",
        "the loss has one number an image: take the mean over the batch.",
        lambda e: -right_class(e.logits.log_softmax(dim=1), e.labels),
    )
    yield from overflow_causes("loss")


def softmax_causes(compute: Callable[..., Any]) -> Iterator[Cause]:
    """Wrong probabilities or labels; compute(z, labels, over) is the loss or its gradient."""
    axes = ("classes", "batch", "everything")
    the = {"classes": "the classes", "batch": "the images", "everything": "everything"}
    mixed = [
        f"shift {shift} {total}" for shift in axes for total in axes if (shift, total) != ("classes",) * 2
    ]
    for over in ("batch", "everything", *mixed):
        sentence = "the probabilities sum to 1 over the wrong axis"
        if over.startswith("shift"):
            _, shift, total = over.split()
            sentence = f"the maximum is taken over {the[shift]} and the sum of exp over {the[total]}"
        yield Cause(
            "softmax-over-batch",
            f"{sentence}: softmax runs over the classes, axis=1.",
            lambda e, over=over: compute(e.logits, e.labels, over),
        )
    yield Cause(
        "double-softmax",
        "softmax is taken twice: the loss expects logits, not probabilities.",
        lambda e: compute(e.logits.softmax(dim=1), e.labels),
    )
    for by in (1, -1):
        yield Cause(
            "labels-shifted",
            "the column beside the label's is used: label k is column k, counted from 0.",
            lambda e, by=by: compute(e.logits, (e.labels + by) % e.logits.shape[1]),
        )


def overflow_causes(tensor: str) -> Iterator[Cause]:
    for code, shift, sentence in (
        (
            "log-of-softmax",
            lambda z: z.amax(1, keepdim=True),
            "an exp overflows, or a probability rounds to 0 and its logarithm is infinite",
        ),
        (
            "max-of-batch",
            lambda z: z.amax(),
            "a row of exp or a probability vanishes, as where the batch's largest logit is subtracted",
        ),
        (
            "mean-for-max",
            lambda z: z.mean(1, keepdim=True),
            "exp overflows or vanishes, as where the mean of the logits is subtracted, not the largest",
        ),
        (
            "no-max-shift",
            lambda z: 0.0,
            "exp overflows, or a row vanishes: subtract the largest logit of each row",
        ),
    ):
        for log_of_probs in (True, False):
            yield Cause(
                code,
                f"{sentence}: compute {LOG}.",
                lambda e, shift=shift, log_of_probs=log_of_probs: in_precision(
                    e, tensor, shift, log_of_probs
                ),
            )


def in_precision(e: Evidence, tensor: str, shift: Callable[[Tensor], Any], log_of_probs: bool) -> Tensor:
    """The loss or its gradient in the precision of the run, with what overflows and vanishes there."""
    z = e.logits.to(torch.float32 if e.precision == 4 else torch.float64)
    z = z - shift(z)
    total = z.exp().sum(dim=1, keepdim=True)
    log_probs = (z.exp() / total).log() if log_of_probs else z - total.log()
    if tensor == "loss":
        return -right_class(log_probs, e.labels).mean().double()
    probs = z.exp() / total if log_of_probs else log_probs.exp()
    dlogits: Tensor = (probs - functional.one_hot(e.labels, z.shape[1])) / len(z)
    return dlogits.double()


@causes("CrossEntropyLoss", "dlogits")
def dlogits_causes() -> Iterator[Cause]:
    formula = "dlogits[n,k] = (probs[n,k] - [k is labels[n]]) / N"

    def dlogits(z: Tensor, labels: Tensor, over: str = "classes") -> Tensor:
        return (log_softmax(z, over).exp() - functional.one_hot(labels, z.shape[1])) / len(z)

    for times in (lambda e: 1 / len(e.logits), lambda e: 1.0):
        yield Cause(
            "label-not-subtracted",
            f"dlogits is the probabilities alone: subtract 1 at the right class, {formula}.",
            lambda e, times=times: e.logits.softmax(dim=1) * times(e),
        )
    for N in (1, None):
        yield Cause(
            "labels-crossed",
            f"1 is subtracted at every label of the batch: {formula}; dlogits[np.arange(N), labels] -= 1.",
            lambda e, N=N: every_label(e) / (N or len(e.logits)),
        )
    yield Cause(
        "softmax-not-differentiated",
        f"the derivative of softmax is missing, -[k is label] / p is dL/dprobs: {formula}.",
        lambda e: -functional.one_hot(e.labels, e.logits.shape[1]) / probabilities(e) / len(e.logits),
    )
    yield Cause(
        "label-alone",
        f"only the right class has a gradient: the others have their probabilities, {formula}.",
        lambda e: dlogits(e.logits, e.labels) * functional.one_hot(e.labels, e.logits.shape[1]),
    )
    yield Cause(
        "label-not-subtracted",
        f"1 is added at the right class: subtract it, {formula}.",
        lambda e: (e.logits.softmax(dim=1) + functional.one_hot(e.labels, e.logits.shape[1])) / len(e.logits),
    )
    yield Cause(
        "double-softmax",
        f"the derivative of softmax is applied once more: {formula} contains it.",
        lambda e: through_softmax(e.logits.softmax(dim=1), dlogits(e.logits, e.labels)),
    )
    yield Cause(
        "double-softmax",
        f"the derivative of softmax is applied once more, its diagonal alone: {formula} contains it.",
        lambda e: (p := e.logits.softmax(dim=1)) * (1 - p) * dlogits(e.logits, e.labels),
    )
    yield Cause(
        "double-softmax",
        f"dlogits is divided by p, as by the derivative of a logarithm: {formula} contains it.",
        lambda e: dlogits(e.logits, e.labels) / probabilities(e),
    )
    yield from softmax_causes(dlogits)
    yield from overflow_causes("dlogits")


def through_softmax(p: Tensor, dprobs: Tensor) -> Tensor:
    return p * (dprobs - (p * dprobs).sum(dim=1, keepdim=True))


def probabilities(e: Evidence) -> Tensor:
    """In the precision of the run, in which they vanish."""
    return e.logits.to(torch.float32 if e.precision == 4 else torch.float64).softmax(dim=1).double()


def every_label(e: Evidence) -> Tensor:
    probs = e.logits.softmax(dim=1).clone()
    probs[:, sorted(set(e.labels.tolist()))] -= 1
    return probs


PAGES = [
    Page(
        "label-alone",
        kind="CrossEntropyLoss",
        what="Only the logit of the right class gets a gradient.",
        right="dlogits = probs.copy()",
        wrong="dlogits = probs * np.eye(probs.shape[1], dtype=probs.dtype)[labels]",
        why="The right logit grows without end, and the others never learn to be small.",
    ),
    Page(
        "label-ignored",
        kind="CrossEntropyLoss",
        what="Another class than the right one is charged.",
        right="loss = -log_probs[np.arange(len(labels)), labels].mean()",
        wrong="loss = -log_probs.max(axis=1).mean()",
        why="The loss falls as the network grows sure of anything. Its gradient may be right even so.",
    ),
    Page(
        "log-of-mean",
        kind="CrossEntropyLoss",
        what="The images are not averaged as they should be.",
        right="loss = -log_probs[np.arange(len(labels)), labels].mean()",
        wrong="loss = -np.log(np.exp(log_probs)[np.arange(len(labels)), labels].mean())",
        why="The log of a mean is not the mean of logs. One sure and wrong image hardly counts.",
    ),
    Page(
        "softmax-over-batch",
        kind="CrossEntropyLoss",
        what="The probabilities sum to 1 over the wrong axis.",
        right="log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
        wrong="""
        shifted = logits - logits.max(axis=0)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=0))
        """,
        why="Softmax goes over the classes of one image. With as many images as classes no shape shows it.",
    ),
    Page(
        "double-softmax",
        kind="CrossEntropyLoss",
        what="Softmax is taken twice.",
        right="shifted = logits - logits.max(axis=1, keepdims=True)",
        wrong="""
        logits = np.exp(logits - logits.max(axis=1, keepdims=True))
        logits = logits / logits.sum(axis=1, keepdims=True)
        shifted = logits - logits.max(axis=1, keepdims=True)
        """,
        why="""The loss expects logits. The first loss looks right, and with 10 classes none ever falls below
        log(1 + 9/e) = 1.46.""",
    ),
    Page(
        "labels-shifted",
        kind="CrossEntropyLoss",
        what="The class beside the right one is charged.",
        right="loss = -log_probs[np.arange(len(labels)), labels].mean()",
        wrong="loss = -log_probs[np.arange(len(labels)), labels - 1].mean()",
        why="Label k is column k, counted from 0. Training works, and evaluation is wrong throughout.",
    ),
    Page(
        "epsilon-in-log",
        kind="CrossEntropyLoss",
        what="A small number is added inside the logarithm.",
        right="loss = -log_probs[np.arange(len(labels)), labels].mean()",
        wrong="""
        probs = np.exp(log_probs)
        loss = -np.log(probs[np.arange(len(labels)), labels] + logits.dtype.type(1e-8)).mean()
        """,
        why="""It caps the loss of an answer that is sure and wrong, where the gradient matters most.
        Subtracting the largest logit needs no such number.""",
    ),
    Page(
        "labels-crossed",
        kind="CrossEntropyLoss",
        what="Every image is charged with every label of the batch.",
        right="loss = -log_probs[np.arange(len(labels)), labels].mean()",
        wrong="loss = -log_probs[:, labels].mean()",
        why="""log_probs[:, labels] is (N, N); log_probs[np.arange(N), labels] is one number for each image. A
        batch of one hides it.""",
    ),
    Page(
        "log-of-softmax",
        kind="CrossEntropyLoss",
        what="The logarithm is taken of a probability that has vanished.",
        right="log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
        wrong="""
        probs = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
        log_probs = np.log(probs)
        """,
        why="""exp(-200) is 0 in float32, and its logarithm is infinite. With ordinary logits both formulas
        agree.""",
    ),
    Page(
        "max-of-batch",
        kind="CrossEntropyLoss",
        what="A row of exp or a probability vanishes, as where the batch's largest logit is subtracted.",
        right="shifted = logits - logits.max(axis=1, keepdims=True)",
        wrong="shifted = logits - logits.max()",
        why="A row far below the others becomes all zeros, and log(0) is infinite.",
    ),
    Page(
        "mean-for-max",
        kind="CrossEntropyLoss",
        what="exp overflows or vanishes, as where the mean of the logits is subtracted, not the largest.",
        right="shifted = logits - logits.max(axis=1, keepdims=True)",
        wrong="shifted = logits - logits.mean(axis=1, keepdims=True)",
        why="What is left may still be large, and exp overflows.",
    ),
    Page(
        "no-max-shift",
        kind="CrossEntropyLoss",
        what="exp overflows, or a row vanishes, as where nothing is subtracted from the logits.",
        right="shifted = logits - logits.max(axis=1, keepdims=True)",
        wrong="shifted = logits",
        why="exp(89) is too large for float32. It happens late in training, as a sudden NaN.",
    ),
    Page(
        "label-not-subtracted",
        kind="CrossEntropyLoss",
        what="dlogits are the probabilities; 1 is not subtracted at the right class.",
        right="dlogits[np.arange(len(labels)), labels] -= 1",
        wrong="pass",
        why="Every class is pushed down, the right one too: nothing is learned.",
    ),
    Page(
        "softmax-not-differentiated",
        kind="CrossEntropyLoss",
        what="This is the gradient of the probabilities, not of the logits.",
        right="dlogits = probs.copy()",
        wrong="""
        hit = np.eye(probs.shape[1], dtype=probs.dtype)[labels]
        return -hit / probs / len(labels)
        """,
        why="""Softmax stands between logits and loss, and its derivative is missing. The fused form, probs -
        onehot, has both.""",
    ),
]
