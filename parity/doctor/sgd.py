"""Mistakes in SGD."""

from collections.abc import Iterator

from parity.doctor.evidence import ANY, Cause, Page, causes
from parity.doctor.formulas import Vocabulary
from parity.doctor.optimizers import DECAY, GRADIENT, Optimizer, either

LINES = (
    "t = t + 1",
    GRADIENT,
    "b = momentum * b + g",
    "change = g + momentum * b if nesterov else b",
    "data = data - lr * change",
)
SETTINGS = {"lr": 1e-3, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
OTHER_SETTINGS = {
    "momentum": (0.9, 0.5, 0.99, 0.95, 0.8),
    "weight_decay": (0.01, 0.1, 1e-3, 1e-4, 5e-4, 1e-5),
}
VOCABULARY = Vocabulary(
    names=(("grad", "g", "b", "change", "data"), ("momentum", "lr", "weight_decay")),
    factors=("2", "1 / 2", "-1", "lr", "momentum", "(1 - momentum)", "1 / (1 - momentum)",
             "1 / (1 - momentum ** t)", "1 / sqrt(t)"),
)  # fmt: skip


@causes("SGD", ANY)
def sgd_causes(tensor: str) -> Iterator[Cause]:
    sgd = Optimizer(tensor, LINES, {"b": 0.0}, SETTINGS)
    mistake, b, step = sgd.mistake, "b = momentum * b + g", "data -= lr * (g + momentum * b)"
    yield from either(tensor)
    yield mistake(
        "momentum-damped",
        f"the gradient is multiplied by 1 - momentum: PyTorch has {b}.",
        b="momentum * b + (1 - momentum) * g",
    )
    for change in ("g + momentum * b if nesterov else b", "b"):
        for code, sentence, wrong in (
            ("momentum-misplaced", f"momentum multiplies g, so b never decays: {b}.", "b + momentum * g"),
            ("momentum-ignored", f"momentum does nothing: {b}, data -= lr * b.", "g"),
            (
                "momentum-misplaced",
                f"the buffer is not multiplied by momentum, so it never fades: {b}.",
                "b + g",
            ),
            (
                "lr-twice",
                f"lr enters the buffer and then the step as well: {b}, data -= lr * b.",
                "momentum * b + lr * g",
            ),
        ):
            wrong = wrong if wrong == "g" else f"{wrong} if momentum else g"
            yield mistake(code, sentence, b=wrong, change=change)
    yield mistake("lr-twice", "the step is lr * lr * b: data -= lr * b.", data="data - lr * lr * change")
    yield mistake("lr-ignored", "lr does nothing: data -= lr * b.", data="data - change")
    for code, what, change in (
        ("nesterov-ignored", f"nesterov does nothing: {step}", "b"),
        ("nesterov-always", "every momentum is Nesterov's: without it data -= lr * b", "g + momentum * b"),
        ("nesterov-formula", f"b is not multiplied by momentum: {step}", "g + b if nesterov else b"),
        ("nesterov-formula", f"nesterov uses b in place of g: {step}", "b + momentum * b if nesterov else b"),
        ("nesterov-sign", f"nesterov subtracts the buffer: {step}", "g - momentum * b if nesterov else b"),
    ):
        yield mistake(code, f"{what}.", change=change)
    yield mistake(
        "decay-decoupled",
        f"weight decay skips the momentum buffer: {DECAY}.",
        g="grad",
        data="data - lr * (change + weight_decay * data)",
    )
    yield from sgd.decay_causes()
    yield mistake("wrong-sign", "the step has the wrong sign: data -= lr * b.", data="data + lr * change")
    yield from sgd.rate_causes("change")
    yield mistake(
        "nesterov-formula",
        f"the first step is not Nesterov's: {step}.",
        change="g + momentum * b if nesterov and t > 1 else b",
    )
    yield mistake(
        "momentum-damped",
        f"the first gradient enters the buffer whole, the others by 1 - momentum: PyTorch has {b}.",
        b="momentum * b + (1 - momentum) * g if t > 1 else g",
    )
    yield mistake(
        "momentum-damped",
        f"the gradient enters the buffer by 1 - momentum from the second step on: PyTorch has {b}.",
        b="momentum * b + g if t > 1 else (1 - momentum) * g",
    )
    pairs = list(sgd.pairs())  # of the mistakes so far, the frequent ones
    yield from sgd.gradient_causes()
    yield from sgd.setting_causes(OTHER_SETTINGS)
    yield from sgd.slip_causes(VOCABULARY)
    yield from pairs


PAGES = [
    Page(
        "nesterov-always",
        kind="SGD",
        what="Every momentum is Nesterov's.",
        right="change = g + self.momentum * b if self.nesterov else b",
        wrong="change = g + self.momentum * b",
        why="It trains as well or better. Only against PyTorch does it show.",
    ),
    Page(
        "momentum-damped",
        kind="SGD",
        what="The gradient enters the buffer with 1 - momentum.",
        right="b[...] = self.momentum * b + g",
        wrong="b[...] = self.momentum * b + (1 - self.momentum) * g if self.momentum else g",
        why="A common other definition. With it the same lr takes steps that are 1 - momentum as long.",
    ),
    Page(
        "momentum-misplaced",
        kind="SGD",
        what="momentum stands at the gradient, not at the buffer.",
        right="b[...] = self.momentum * b + g",
        wrong="b[...] = b + self.momentum * g if self.momentum else g",
        why="The buffer never fades: it adds up every gradient since the start.",
    ),
    Page(
        "momentum-ignored",
        kind="SGD",
        what="momentum does nothing.",
        right="b[...] = self.momentum * b + g",
        wrong="b[...] = g",
        why="Plain gradient descent trains too, more slowly. The first step is the same either way.",
    ),
    Page(
        "nesterov-ignored",
        kind="SGD",
        what="nesterov does nothing.",
        right="change = g + self.momentum * b if self.nesterov else b",
        wrong="change = b",
        why="The two differ by one gradient's share of a step, too little to see in a loss curve.",
    ),
    Page(
        "nesterov-formula",
        kind="SGD",
        what="nesterov adds the buffer where the gradient is meant.",
        right="change = g + self.momentum * b if self.nesterov else b",
        wrong="change = b + self.momentum * b if self.nesterov else b",
        why="PyTorch looks ahead with g + momentum * b.",
    ),
    Page(
        "nesterov-sign",
        kind="SGD",
        what="The buffer enters nesterov's step with the wrong sign.",
        right="change = g + self.momentum * b if self.nesterov else b",
        wrong="change = g - self.momentum * b if self.nesterov else b",
        why="The step goes back where it came from.",
    ),
]
