"""Mistakes in Adam."""

from collections.abc import Iterator

from parity.doctor.evidence import ANY, Cause, Page, causes
from parity.doctor.formulas import Vocabulary
from parity.doctor.optimizers import DECAY, GRADIENT, Optimizer, either

LINES = (
    "t = t + 1",
    GRADIENT,
    "m = beta1 * m + (1 - beta1) * g",
    "v = beta2 * v + (1 - beta2) * g ** 2",
    "m_hat = m / (1 - beta1 ** t)",
    "v_hat = v / (1 - beta2 ** t)",
    "change = m_hat / (sqrt(v_hat) + eps)",
    "data = data - lr * change",
)
SETTINGS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
OTHER_SETTINGS = {
    "lr": (0.01, 0.1, 1e-4, 3e-4, 2e-3, 5e-4, 1.0),
    "beta1": (0.5, 0.8, 0.95, 0.99, 0.999, 0.0),
    "beta2": (0.99, 0.9, 0.95, 0.98, 0.9999, 0.0),
    "eps": (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1e-10, 1e-12, 0.0),
    "weight_decay": (0.01, 0.1, 1e-3, 1e-4, 5e-4),
}
VOCABULARY = Vocabulary(
    names=(("grad", "g", "m", "v", "m_hat", "v_hat", "change", "data"),
           ("beta1", "beta2", "lr", "eps", "weight_decay")),
    factors=("2", "1 / 2", "-1", "lr", "(1 - beta1)", "(1 - beta2)", "1 / sqrt(t)"),
)  # fmt: skip


@causes("Adam", ANY)
def adam_causes(tensor: str) -> Iterator[Cause]:
    adam = Optimizer(tensor, LINES, {"m": 0.0, "v": 0.0, "top": 0.0}, SETTINGS)
    mistake, step = adam.mistake, "data -= lr * m_hat / (sqrt(v_hat) + eps)"
    correction = "m and v start at 0: m_hat = m / (1 - beta1**t), v_hat = v / (1 - beta2**t)"
    averages = "m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g * g"
    yield from either(tensor)
    for what, lines in (
        ("neither m nor v is corrected", {"m_hat": "m", "v_hat": "v"}),
        ("v is not corrected", {"v_hat": "v"}),
        ("m is not corrected", {"m_hat": "m"}),
    ):
        yield mistake("no-bias-correction", f"{what}: {correction}.", **lines)
    yield mistake(
        "multiplied-not-divided",
        f"the correction multiplies and should divide: {correction}.",
        m_hat="m * (1 - beta1 ** t)",
        v_hat="v * (1 - beta2 ** t)",
    )
    for code, what, change in (
        ("multiplied-not-divided", "m_hat is multiplied by the root:", "m_hat * (sqrt(v_hat) + eps)"),
        ("eps-inside-root", "eps stands inside the root:", "m_hat / sqrt(v_hat + eps)"),
        (
            "eps-before-correction",
            "eps is added before v is corrected (the paper's epsilon-hat, Keras's form): PyTorch has",
            "m_hat / ((sqrt(v) + eps) / sqrt(1 - beta2 ** t))",
        ),
        ("eps-ignored", "eps does nothing:", "m_hat / sqrt(v_hat)"),
        ("root-missing", "the root is missing:", "m_hat / (v_hat + eps)"),
    ):
        yield mistake(code, f"{what} {step}.", change=change)
    for what, t in (
        ("t stays 1, or **t is missing", "1"),
        ("t is 2 at the first step", "(t + 1)"),
        ("t counts parameters instead of steps", "(parameters * (t - 1) + i + 1)"),
        ("t is 0 at the first step, and the correction divides by 0", "(t - 1)"),
    ):
        sentence = f"{what}: {correction}, t = 1, 2, 3 ..."
        hats = {"m_hat": f"m / (1 - beta1 ** {t})", "v_hat": f"v / (1 - beta2 ** {t})"}
        yield mistake("step-not-counted", sentence, **hats)
    forgotten = {"m": "(1 - beta1) * g", "v": "(1 - beta2) * g ** 2"}
    yield mistake(
        "not-in-place",
        "m and v start at 0 in every step, as by zeros made there or by `m = ...`: m[...] = ... keeps it.",
        **forgotten,
    )
    stored = {"m_hat": "(m := m / (1 - beta1 ** t))", "v_hat": "(v := v / (1 - beta2 ** t))"}
    for name in "mv":
        sentence = f"{name} starts at 0 in every step: write into it, {name}[...] = ..., or assign it again."
        yield mistake("not-in-place", sentence, **{name: forgotten[name]})
        sentence = f"{name}_hat is kept as {name}, and corrected again in the next step: {correction}."
        yield mistake("correction-stored", sentence, **{f"{name}_hat": stored[f"{name}_hat"]})
    yield mistake("correction-stored", f"m_hat and v_hat are kept as m and v: {correction}.", **stored)
    for name, what, wrong in (
        ("m", "m adds the whole g", "beta1 * m + g"),
        ("m", "in m the weights of old and new are exchanged", "(1 - beta1) * m + beta1 * g"),
        ("v", "v adds the whole g * g", "beta2 * v + g ** 2"),
        ("v", "in v the weights of old and new are exchanged", "(1 - beta2) * v + beta2 * g ** 2"),
        ("v", "v is the larger of beta2 * v and g * g", "maximum(beta2 * v, g ** 2)"),
        ("v", "v is the larger of its two terms, not their sum", "maximum(beta2 * v, (1 - beta2) * g ** 2)"),
        ("v", "v is the largest g * g", "maximum(v, g ** 2)"),
        ("m", "m weighs g by 1 - beta2", "beta1 * m + (1 - beta2) * g"),
        ("v", "v weighs g * g by 1 - beta1", "beta2 * v + (1 - beta1) * g ** 2"),
    ):
        yield mistake("average-weights", f"{what}: {averages}.", **{name: wrong})
    for what, one, other in (
        ("the betas are exchanged in the correction", "beta2 ** t", "beta1 ** t"),
        ("v is corrected with beta1", "beta1 ** t", "beta1 ** t"),
        ("m is corrected with beta2", "beta2 ** t", "beta2 ** t"),
    ):
        hats = {"m_hat": f"m / (1 - {one})", "v_hat": f"v / (1 - {other})"}
        yield mistake("betas-swapped", f"{what}: {correction}.", **hats)
    yield mistake(
        "step-not-counted",
        f"beta * t stands in place of beta**t: {correction}.",
        m_hat="m / (1 - beta1 * t)",
        v_hat="v / (1 - beta2 * t)",
    )
    yield mistake(
        "multiplied-not-divided",
        f"m is multiplied by its correction: {correction}.",
        m_hat="m * (1 - beta1 ** t)",
    )
    sentence = f"the step is multiplied by lr twice: {step}."
    yield mistake("lr-twice", sentence, data="data - lr * lr * change")
    yield mistake("lr-ignored", f"lr does nothing: {step}.", data="data - change")
    yield mistake(
        "betas-swapped",
        "beta1 and beta2 are exchanged: beta1 is m's, beta2 is v's.",
        m="beta2 * m + (1 - beta2) * g",
        v="beta1 * v + (1 - beta1) * g ** 2",
        m_hat="m / (1 - beta2 ** t)",
        v_hat="v / (1 - beta1 ** t)",
    )
    for code, what, square in (
        ("not-squared", "v averages |g|: it should average g * g", "abs(g)"),
        ("not-squared", "v averages g: it should average g * g", "g"),
        ("wrong-moment", "v averages m * m: it should average g * g", "m ** 2"),
        (
            "wrong-moment",
            "v averages the square of g - m, which is AdaBelief: Adam averages g * g",
            "(g - m) ** 2",
        ),
        (
            "wrong-moment",
            "v averages one number for all entries, the mean of g * g: each has its own",
            "average(g ** 2)",
        ),
        (
            "wrong-moment",
            "v averages one number for all entries, the sum of g * g: each has its own",
            "norm(g) ** 2",
        ),
    ):
        yield mistake(code, f"{what}.", v=f"beta2 * v + (1 - beta2) * {square}")
    yield mistake("momentum-ignored", f"g in place of m_hat: {step}.", m_hat="g")
    yield mistake("momentum-ignored", f"g in place of m: {step}.", m_hat="g / (1 - beta1 ** t)")
    yield mistake(
        "decay-decoupled",
        f"weight decay skips m and v, which is AdamW: {DECAY}.",
        g="grad",
        data="data - lr * (change + weight_decay * data)",
    )
    yield from adam.decay_causes()
    yield mistake(
        "decay-ignored",
        f"weight decay enters m and not v: {DECAY}.",
        v="beta2 * v + (1 - beta2) * grad ** 2",
    )
    yield mistake(
        "parentheses", f"the power is taken of 1 - beta1: {correction}.", m_hat="m / (1 - beta1) ** t"
    )
    yield mistake(
        "parentheses", f"the power is taken of 1 - beta2: {correction}.", v_hat="v / (1 - beta2) ** t"
    )
    yield mistake("wrong-sign", f"the step has the wrong sign: {step}.", data="data + lr * change")
    pairs = list(adam.pairs())  # of the mistakes so far, the frequent ones
    yield from other_rules(adam, step)
    yield from starts(adam)
    yield from adam.gradient_causes()
    yield from adam.rate_causes("change")
    yield from adam.setting_causes(OTHER_SETTINGS)
    yield from adam.slip_causes(VOCABULARY)
    yield from pairs


def other_rules(adam: Optimizer, step: str) -> Iterator[Cause]:
    """Rules that have a name of their own, and are not Adam's."""
    for what, lines in (
        (
            "the largest v_hat so far, which is AMSGrad",
            {"v_hat": "(top := maximum(top, v / (1 - beta2 ** t)))"},
        ),
        (
            "the largest v so far, which is AMSGrad",
            {"v_hat": "(top := maximum(top, v)) / (1 - beta2 ** t)"},
        ),
        (
            "the mean of the coming step, which is Nadam",
            {"m_hat": "(beta1 * m + (1 - beta1) * g) / (1 - beta1 ** t)"},
        ),
        (
            "the mean of the coming step, which is Nadam",
            {"m_hat": "beta1 * m / (1 - beta1 ** (t + 1)) + (1 - beta1) * g / (1 - beta1 ** t)"},
        ),
        (
            "the largest |g|, fading by beta2, which is Adamax",
            {"v": "maximum(beta2 * v, abs(g))", "change": "m_hat / (v + eps)"},
        ),
        ("the sum of all g * g, which is Adagrad", {"v": "v + g ** 2", "v_hat": "v"}),
    ):
        yield adam.mistake("other-rule", f"the step takes {what}: {step}.", **lines)


def starts(adam: Optimizer) -> Iterator[Cause]:
    """m or v is not 0 before the first step, or both are one array."""
    right = dict(line.split(" = ", 1) for line in LINES)
    for name, value, what in (
        ("m", "g", "the first gradient"),
        ("v", "g ** 2", "the square of the first gradient"),
        ("m", "1", "1"),
        ("v", "1", "1"),
        ("v", "eps", "eps"),
    ):
        old = f"({name} if t > 1 else {value})"
        wrong = right[name].replace(f"* {name} ", f"* {old} ")
        sentence = f"{name} starts at {what}: it starts at 0, and the correction makes up for it."
        yield adam.mistake("other-start", sentence, **{name: wrong})
    for name, value in (("m", "g"), ("v", "g ** 2")):
        sentence = f"{name} is {value} in the first step: it starts at 0, and the correction makes up for it."
        yield adam.mistake("other-start", sentence, **{name: f"{right[name]} if t > 1 else {value}"})
    yield adam.mistake(
        "one-array",
        "m and v are one array: each has zeros of its own.",
        v="(m := beta2 * m + (1 - beta2) * g ** 2)",
    )


PAGES = [
    Page(
        "average-weights",
        kind="Adam",
        what="m or v is no average: its weights do not add up to 1, or stand at the wrong terms.",
        right="m[...] = beta1 * m + (1 - beta1) * g",
        wrong="m[...] = beta1 * m + g",
        why="""The bias correction divides by what the weights add up to. Without 1 - beta the steps are
        1 / (1 - beta) times as long.""",
    ),
    Page(
        "wrong-moment",
        kind="Adam",
        what="v averages something else than g * g.",
        right="v[...] = beta2 * v + (1 - beta2) * g * g",
        wrong="v[...] = beta2 * v + (1 - beta2) * m * m",
        why="Its root is the size of a typical gradient, by which the step is divided.",
    ),
    Page(
        "correction-stored",
        kind="Adam",
        what="The corrected mean is kept, and corrected again.",
        right="m_hat = m / (1 - beta1**t)",
        wrong="""
        m[...] = m / (1 - beta1**t)
        m_hat = m
        """,
        why="The correction belongs to one step. m itself goes on as it is.",
    ),
    Page(
        "no-bias-correction",
        kind="Adam",
        what="m and v are used without their correction.",
        right="v_hat = v / (1 - beta2**t)",
        wrong="v_hat = v",
        why="""Both start at 0 and are too small at first. Without the correction the first steps are up to 30
        times too long.""",
    ),
    Page(
        "multiplied-not-divided",
        kind="Adam",
        what="The correction multiplies where it should divide.",
        right="m_hat = m / (1 - beta1**t)",
        wrong="m_hat, v = m * (1 - beta1**t), v * (1 - beta2**t) ** 2",
        why="m is too small at first and becomes smaller still.",
    ),
    Page(
        "eps-inside-root",
        kind="Adam",
        what="eps stands inside the root.",
        right="change = m_hat / (np.sqrt(v_hat) + self.eps)",
        wrong="change = m_hat / np.sqrt(v_hat + self.eps)",
        why="sqrt(1e-8) is 1e-4: small gradients take far smaller steps.",
    ),
    Page(
        "eps-before-correction",
        kind="Adam",
        what="eps is added before v is corrected.",
        right="change = m_hat / (np.sqrt(v_hat) + self.eps)",
        wrong="change = m_hat / ((np.sqrt(v) + self.eps) / np.sqrt(1 - beta2**t))",
        why="The paper's epsilon-hat, which Keras uses. Where gradients are small the curves part.",
    ),
    Page(
        "eps-ignored",
        kind="Adam",
        what="eps does nothing.",
        right="change = m_hat / (np.sqrt(v_hat) + self.eps)",
        wrong="change = m_hat / np.sqrt(v_hat)",
        why="A weight that never had a gradient is divided by 0.",
    ),
    Page(
        "root-missing",
        kind="Adam",
        what="The root is missing.",
        right="change = m_hat / (np.sqrt(v_hat) + self.eps)",
        wrong="change = m_hat / (v_hat + self.eps)",
        why="A small gradient then takes a huge step: g / g**2 is 1 / g.",
    ),
    Page(
        "step-not-counted",
        kind="Adam",
        what="t does not count the steps.",
        right="t, (beta1, beta2) = self.steps, self.betas",
        wrong="t, (beta1, beta2) = 1, self.betas",
        why="t = 1, 2, 3 ... With t fixed the correction never ends.",
    ),
    Page(
        "betas-swapped",
        kind="Adam",
        what="beta1 and beta2 are exchanged.",
        right="t, (beta1, beta2) = self.steps, self.betas",
        wrong="t, (beta2, beta1) = self.steps, self.betas",
        why="m should follow the gradient quickly, v slowly.",
    ),
    Page(
        "not-squared",
        kind="Adam",
        what="v averages |g|, not g * g.",
        right="v[...] = beta2 * v + (1 - beta2) * g * g",
        wrong="v[...] = beta2 * v + (1 - beta2) * abs(g)",
        why="Then the root has the wrong unit: twice the gradient no longer takes an equal step.",
    ),
    Page(
        "other-rule",
        kind="Adam",
        what="This is a rule of another name.",
        right="m_hat = m / (1 - beta1**t)",
        wrong="m_hat = (beta1 * m + (1 - beta1) * g) / (1 - beta1**t)",
        why="Nadam, AMSGrad, Adamax and Adagrad are close relatives, and none of them is Adam.",
    ),
    Page(
        "other-start",
        kind="Adam",
        what="m or v is not 0 before the first step.",
        right="m[...] = beta1 * m + (1 - beta1) * g",
        wrong="m[...] = beta1 * (m if t > 1 else g) + (1 - beta1) * g",
        why="The correction makes up for a start at 0. With another start it is too much.",
    ),
    Page(
        "one-array",
        kind="Adam",
        what="m and v are one array.",
        right="v[...] = beta2 * v + (1 - beta2) * g * g",
        wrong="""
        v = m
        v[...] = beta2 * v + (1 - beta2) * g * g
        """,
        why="`self.v = self.m` copies nothing: both names are the same array.",
    ),
]
