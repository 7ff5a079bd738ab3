"""What SGD and Adam share: a step is a few lines, and a mistake puts another one in the place of one."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence, Page
from parity.doctor.formulas import Lines, Vocabulary, computed, slips, too_late, with_lines

DECAY = "g = grad + weight_decay * data comes first"
GRADIENT = "g = grad + weight_decay * data"
LIMITS = ("0.01", "0.1", "0.5", "1", "2", "5", "10")


def after_every_step(e: Evidence, tensor: str, lines: Lines, values: Mapping[str, Any]) -> Array:
    """The weights (steps, ...) if every step runs the lines. values: what the lines may read at first."""
    data, grads = e.inputs[tensor].numpy(), e.inputs[f"grad {tensor}"].numpy()
    numbers = {name: np.float64(value) for name, value in values.items()}
    names: dict[str, Any] = numbers | {"data": data, "i": int(tensor), "parameters": len(e.given)}
    after: list[Array] = []
    for grad in grads:
        names = computed(lines, names | {"grad": grad})
        after.append(names["data"])
    return np.stack(after)


def either(tensor: str) -> Iterator[Cause]:
    """Mistakes that any optimiser may have."""
    yield Cause(
        "last-only",
        "only the last parameter is updated, as by a line outside of the loop: step must update all of them.",
        lambda e: (
            unchanged(e, tensor) if others_are_right(e, tensor) and is_first_of_two(e, tensor) else None
        ),
    )
    yield Cause(
        "parameter-forgotten",
        "this parameter is never updated, others are: step must update all of them, biases too.",
        lambda e: unchanged(e, tensor) if others_are_right(e, tensor) else None,
    )
    yield Cause(
        "not-in-place",
        "the weights never change, as by `data = data - ...`, which makes a new array, or by a line outside "
        "of the loop: data[...] -= ... for each.",
        lambda e: unchanged(e, tensor),
    )


def unchanged(e: Evidence, tensor: str) -> Array:
    return np.repeat(e.inputs[tensor][None].numpy(), len(e.inputs[f"grad {tensor}"]), axis=0)


def is_first_of_two(e: Evidence, tensor: str) -> bool:
    return tensor == "0" and len(e.given) == 2


def others_are_right(e: Evidence, tensor: str) -> bool:
    return not (set(e.given) - {tensor}) & e.wrong


class Optimizer:
    """The causes of one tensor of an optimiser whose step is `lines`.

    start     the states before the first step
    settings  those of PyTorch where the caller gives none
    """

    def __init__(self, tensor: str, lines: Lines, start: Mapping[str, Any], settings: Mapping[str, Any]):
        self.tensor, self.lines, self.start, self.settings = tensor, lines, start, settings
        self.made: list[tuple[Cause, dict[str, str]]] = []  # by mistake(), with its expressions

    def predicted(self, e: Evidence, lines: Lines, **forced: Any) -> Array:
        given = dict(e.settings)
        if "betas" in given:
            given["beta1"], given["beta2"] = given.pop("betas")
        values = {"t": 0, **self.start, **self.settings, **given, **forced}
        return after_every_step(e, self.tensor, lines, values)

    def mistake(self, code: str, sentence: str, **wrong: str) -> Cause:
        """The cause in which these names are computed by other expressions."""
        lines = with_lines(self.lines, **wrong)
        cause = Cause(code, sentence, lambda e: self.predicted(e, lines))
        self.made.append((cause, wrong))
        return cause

    def pairs(self) -> Iterator[Cause]:
        """Two mistakes at once, in different lines."""
        for (one, wrong), (other, too) in itertools.combinations(self.made, 2):
            if not wrong.keys() & too.keys():
                lines = with_lines(self.lines, **wrong, **too)
                yield Cause(
                    one.code,
                    f"{one.sentence} {other.sentence}",
                    lambda e, lines=lines: self.predicted(e, lines),
                    parts=(one, other),
                )

    def here_alone(self, cause: Cause) -> Cause:
        """The same where the other parameters are right."""
        return Cause(
            cause.code,
            cause.sentence,
            lambda e: cause.predict(e) if others_are_right(e, self.tensor) else None,
        )

    def decay_causes(self) -> Iterator[Cause]:
        sentence = "weight decay leaves this parameter out: PyTorch decays them all, biases too; "
        yield self.here_alone(self.mistake("decay-ignored", f"{sentence}{DECAY}.", g="grad"))
        for code, what, g in (
            ("decay-ignored", "weight_decay does nothing", "grad"),
            (
                "decay-sign",
                "weight decay has the wrong sign, and weights grow",
                "grad - weight_decay * data",
            ),
            (
                "decay-sign",
                "weight decay uses only the sign of the weights",
                "grad + weight_decay * sign(data)",
            ),
            ("decay-factor", "weight decay counts twice", "grad + 2 * weight_decay * data"),
            (
                "decay-factor",
                "weight decay is multiplied by lr inside g",
                "grad + lr * weight_decay * data",
            ),
        ):
            yield self.mistake(code, f"{what}: {DECAY}.", g=g)

    def gradient_causes(self) -> Iterator[Cause]:
        """Another gradient than the one that is given."""
        right = "the step takes grad as it is"
        for of, what in (("grad", "grad"), ("(grad + weight_decay * data)", "g")):
            decay = " + weight_decay * data" if of == "grad" else ""
            for limit in LIMITS:
                g = f"clip({of}, -{limit}, {limit}){decay}"
                yield self.mistake("clipped", f"{what} is clipped at -{limit} and {limit}: {right}.", g=g)
                g = f"{of} * minimum(1, {limit} / norm({of})){decay}"
                yield self.mistake("clipped", f"the norm of {what} is clipped at {limit}: {right}.", g=g)
            for by in ("norm", "average"):
                g = f"{of} / {by}({of if by == 'norm' else f'abs({of})'}){decay}"
                what_by = "its norm" if by == "norm" else "its mean size"
                yield self.mistake("extra-factor", f"{what} is divided by {what_by}: {right}.", g=g)
            yield self.mistake("extra-factor", f"the mean of {what} is subtracted: {right}.",
                               g=f"{of} - average({of}){decay}")  # fmt: skip
            yield self.mistake("other-function", f"only the sign of {what} counts: {right}.",
                               g=f"sign({of}){decay}")  # fmt: skip

    def rate_causes(self, change: str) -> Iterator[Cause]:
        right = f"the step is lr * {change}, and lr stays as it is given"
        for what, rate in (
            ("lr is divided by t", "lr / t"),
            ("lr is divided by the root of t", "lr / sqrt(t)"),
            ("lr is divided by t + 1", "lr / (t + 1)"),
            ("lr is multiplied by t", "lr * t"),
            *((f"lr is multiplied by {by} in every step", f"lr * {by} ** (t - 1)") for by in FADING),
            *((f"lr is multiplied by {by} in every step, the first too", f"lr * {by} ** t") for by in FADING),
        ):
            yield self.mistake("extra-factor", f"{what}: {right}.", data=f"data - {rate} * {change}")

    def setting_causes(self, other: Mapping[str, tuple[float, ...]]) -> Iterator[Cause]:
        """Another default, or a number in place of what the caller gives."""
        for name, number in ((name, number) for name, numbers in other.items() for number in numbers):
            plain = self.settings[name]
            yield Cause(
                "other-default",
                f"{name} is {number} where none is given: PyTorch's default is {plain}.",
                lambda e, name=name, number=number: (
                    None if name in given_to(e) else self.predicted(e, self.lines, **{name: number})
                ),
                alone=True,
            )
        for name, number in itertools.chain(
            ((name, self.settings[name]) for name in other), ((n, x) for n in other for x in other[n])
        ):
            yield Cause(
                "setting-ignored",
                f"{name} is {number} whatever the caller gives: use the {name} of the constructor.",
                lambda e, name=name, number=number: self.predicted(e, self.lines, **{name: number}),
                alone=True,
            )

    def slip_causes(self, vocabulary: Vocabulary) -> Iterator[Cause]:
        for slip in (*too_late(self.lines), *slips(self.lines, vocabulary)):
            yield Cause(
                slip.code,
                slip.sentence,
                lambda e, lines=slip.lines: self.predicted(e, lines),
                alone=True,
            )


FADING = ("0.5", "0.9", "0.95", "0.99", "0.999")


def given_to(e: Evidence) -> set[str]:
    """The settings that the caller gives."""
    return set(e.settings) | ({"beta1", "beta2"} if "betas" in e.settings else set())


PAGES = [
    Page(
        "lr-twice",
        kind="SGD",
        what="The step is multiplied by lr twice.",
        right="parameter.data[...] -= self.lr * change",
        wrong="parameter.data[...] -= self.lr * self.lr * change",
        why="With lr = 0.1 training is ten times as slow, and looks like a badly chosen rate.",
    ),
    Page(
        "lr-ignored",
        kind="SGD",
        what="lr does nothing.",
        right="parameter.data[...] -= self.lr * change",
        wrong="parameter.data[...] -= change",
        why="The steps are far too long, and no setting of lr helps.",
    ),
    Page(
        "parameter-forgotten",
        kind="SGD",
        what="One parameter is never updated.",
        right="for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):",
        wrong="for parameter, b in list(zip(self.parameters, self.momentum_buffer, strict=True))[:1]:",
        why="Often the bias. The rest of the network makes up for it.",
    ),
    Page(
        "not-in-place",
        kind="SGD",
        what="The weights never change, as where a new array gets their name.",
        right="parameter.data[...] -= self.lr * change",
        wrong="""
        data = parameter.data
        data = data - self.lr * change
        """,
        why="""`data = data - ...` binds the name anew; the layer still holds the old array. Write into it:
        data[...] -= ...""",
    ),
    Page(
        "decay-decoupled",
        kind="SGD",
        what="Weight decay does not pass through the momentum.",
        right="g = parameter.grad + self.weight_decay * parameter.data",
        wrong="""
        g, decay = parameter.grad, self.lr * self.weight_decay * parameter.data
        parameter.data[...] -= decay
        """,
        why="That is AdamW's rule. PyTorch's SGD and Adam add weight_decay * data to the gradient.",
    ),
    Page(
        "decay-ignored",
        kind="SGD",
        what="weight_decay does nothing.",
        right="g = parameter.grad + self.weight_decay * parameter.data",
        wrong="g = parameter.grad",
        why="Training is a little better and test accuracy a little worse: nobody suspects the optimiser.",
    ),
    Page(
        "decay-sign",
        kind="SGD",
        what="Weight decay makes the weights grow.",
        right="g = parameter.grad + self.weight_decay * parameter.data",
        wrong="g = parameter.grad - self.weight_decay * parameter.data",
        why="Decay adds the weight to the gradient, which is then subtracted.",
    ),
    Page(
        "decay-factor",
        kind="SGD",
        what="Weight decay counts twice.",
        right="g = parameter.grad + self.weight_decay * parameter.data",
        wrong="g = parameter.grad + 2 * self.weight_decay * parameter.data",
        why="The penalty of PyTorch is weight_decay / 2 * sum(data**2), whose gradient has no 2.",
    ),
    Page(
        "other-default",
        kind="Adam",
        what="A setting has another default.",
        right="change = m_hat / (np.sqrt(v_hat) + self.eps)",
        wrong="""
        eps = 1e-3 if self.eps == 1e-8 else self.eps
        change = m_hat / (np.sqrt(v_hat) + eps)
        """,
        why="Frameworks differ: Keras's eps is 1e-7 in Adam and 1e-3 in BatchNorm. Give what you rely on.",
    ),
    Page(
        "setting-ignored",
        kind="Adam",
        what="A number stands where the setting is meant.",
        right="t, (beta1, beta2) = self.steps, self.betas",
        wrong="t, (beta1, beta2) = self.steps, (0.9, self.betas[1])",
        why="With the default everything is right. Test with other settings.",
    ),
]
