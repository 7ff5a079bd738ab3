"""Mistakes in SGD and Adam: the same loop with one line changed."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity.bounds import Array
from parity.doctor.evidence import ANY, Cause, Evidence, Page, causes

Update = Callable[[dict[str, Any], Tensor, Tensor, int], Tensor]  # state, w, g, t -> w
DECAY = "g = grad + weight_decay * data comes first"


def after_every_step(e: Evidence, tensor: str, update: Update) -> Array:
    """The weights (steps, ...) by update(state, w, g, t), which returns the new weights."""
    w, after = e.inputs[tensor].clone(), []
    state: dict[str, Any] = {}
    for t, g in enumerate(e.inputs[f"grad {tensor}"], start=1):
        w = update(state, w, g, t)
        after.append(w)
    return torch.stack(after).numpy()


def either(tensor: str) -> Iterator[Cause]:
    """Mistakes that any optimiser may have."""
    yield Cause(
        "last-only",
        "only the last parameter is updated: the line that changes the weights belongs inside the loop.",
        lambda e: unchanged(e, tensor) if others_are_right(e, tensor) and tensor != last(e) else None,
    )
    yield Cause(
        "parameter-forgotten",
        "this parameter is never updated, others are: step must update all of them, biases too.",
        lambda e: unchanged(e, tensor) if others_are_right(e, tensor) else None,
    )
    yield Cause(
        "not-in-place",
        "the weights never change: `data = data - ...` makes a new array, data[...] -= ... does not.",
        lambda e: unchanged(e, tensor),
    )


def unchanged(e: Evidence, tensor: str) -> Array:
    return np.repeat(e.inputs[tensor][None].numpy(), len(e.inputs[f"grad {tensor}"]), axis=0)


def last(e: Evidence) -> str:
    return str(len(e.given) - 1)


def others_are_right(e: Evidence, tensor: str) -> bool:
    return not (set(e.given) - {tensor}) & e.wrong


def decayed(g: Tensor, w: Tensor, weight_decay: float, how: str) -> Tensor:
    """g with weight decay, by a right or wrong rule."""
    rules = {
        "coupled": g + weight_decay * w,
        "wrong sign": g - weight_decay * w,
        "sign of weights": g + weight_decay * w.sign(),
        "twice": g + 2 * weight_decay * w,
        "alone": weight_decay * w if weight_decay else g,
    }
    return rules.get(how, g)


def decay_causes(variant: Callable[..., Cause]) -> Iterator[Cause]:
    sentence = f"weight decay leaves this parameter out: PyTorch decays them all, biases too; {DECAY}."
    yield variant("decay-ignored", sentence, decay="ignored here")
    yield variant("decay-ignored", f"weight_decay does nothing: {DECAY}.", decay="ignored")
    yield variant(
        "decay-sign", f"weight decay has the wrong sign, and weights grow: {DECAY}.", decay="wrong sign"
    )
    yield variant(
        "decay-sign", f"weight decay uses only the sign of the weights: {DECAY}.", decay="sign of weights"
    )
    yield variant("decay-factor", f"weight decay counts twice: {DECAY}.", decay="twice")


@causes("SGD", ANY)
def sgd_causes(tensor: str) -> Iterator[Cause]:
    def variant(
        code: str, sentence: str, decay: str = "coupled", momentum: str = "torch", nesterov: str = "torch",
        sign: float = -1.0, rate: str = "torch",
    ) -> Cause:  # fmt: skip
        def predict(e: Evidence) -> Array | None:
            if decay == "ignored here" and not others_are_right(e, tensor):
                return None
            s: dict[str, Any] = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0} | e.settings
            mu = s["momentum"]

            def update(state: dict[str, Any], w: Tensor, g: Tensor, t: int) -> Tensor:
                g = decayed(g, w, s["weight_decay"], decay)
                before = state.get("b", torch.zeros_like(w))
                b = {
                    "torch": mu * before + g,
                    "damped": mu * before + (1 - mu) * g if mu else g,
                    "ignored": g,
                    "on the gradient": before + mu * g if mu else g,
                    "never shrinks": before + g if mu else g,
                    "with the rate": mu * before + s["lr"] * g if mu else g,
                }[momentum]
                state["b"] = b
                step = b
                if s["nesterov"]:
                    step = {"torch": g + mu * b, "ignored": b, "twice": mu * b + b, "minus": g - mu * b,
                            "not shrunk": g + b, "always": g + mu * b}[nesterov]  # fmt: skip
                elif nesterov == "always":
                    step = g + mu * b
                if decay == "decoupled":
                    step = step + s["weight_decay"] * w
                lr = {"torch": s["lr"], "ignored": 1.0, "twice": s["lr"] ** 2}[rate]
                return torch.as_tensor(w + sign * lr * step)

            return after_every_step(e, tensor, update)

        return Cause(code, sentence, predict)

    b, step = "b = momentum * b + g", "data -= lr * (g + momentum * b)"
    yield from either(tensor)
    yield variant(
        "momentum-damped", f"the gradient is multiplied by 1 - momentum: PyTorch has {b}.", momentum="damped"
    )
    for nesterov in ("torch", "ignored"):
        sentence = f"momentum multiplies g, so b never decays: {b}."
        yield variant("momentum-misplaced", sentence, momentum="on the gradient", nesterov=nesterov)
        sentence = f"momentum does nothing: {b}, data -= lr * b."
        yield variant("momentum-ignored", sentence, momentum="ignored", nesterov=nesterov)
        sentence = f"the buffer is not multiplied by momentum, so it never fades: {b}."
        yield variant("momentum-misplaced", sentence, momentum="never shrinks", nesterov=nesterov)
        sentence = f"lr enters the buffer and then the step as well: {b}, data -= lr * b."
        yield variant("lr-twice", sentence, momentum="with the rate", nesterov=nesterov)
    yield variant("lr-twice", "the step is lr * lr * b: data -= lr * b.", rate="twice")
    yield variant("lr-ignored", "lr does nothing: data -= lr * b.", rate="ignored")
    yield variant("nesterov-ignored", f"nesterov does nothing: {step}.", nesterov="ignored")
    yield variant(
        "nesterov-always", "every momentum is Nesterov's: without it data -= lr * b.", nesterov="always"
    )
    yield variant("nesterov-formula", f"b is not multiplied by momentum: {step}.", nesterov="not shrunk")
    yield variant("nesterov-formula", f"nesterov uses b in place of g: {step}.", nesterov="twice")
    yield variant("nesterov-sign", f"nesterov subtracts the buffer: {step}.", nesterov="minus")
    yield variant("decay-decoupled", f"weight decay skips the momentum buffer: {DECAY}.", decay="decoupled")
    yield from decay_causes(variant)
    yield variant("wrong-sign", "the step has the wrong sign: data -= lr * b.", sign=+1.0)


@causes("Adam", ANY)
def adam_causes(tensor: str) -> Iterator[Cause]:
    def variant(
        code: str, sentence: str, decay: str = "coupled", correct: str = "mv", correction: str = "divided",
        count: Callable[[int, int, int], int] | None = None, eps: str = "outside", by_root: str = "divided",
        swap: bool = False, v_of: Callable[[Tensor, Tensor], Tensor] = lambda g, m: g * g, first: str = "m",
        forgets: str = "", sign: float = -1.0, weigh: str = "torch", stored: str = "", rate: str = "torch",
        correct_by: Callable[[float, float, int], tuple[float, float]] = lambda b1, b2, t: (b1**t, b2**t),
    ) -> Cause:  # fmt: skip
        def predict(e: Evidence) -> Array:
            s: dict[str, Any] = {
                "lr": 1e-3,
                "betas": (0.9, 0.999),
                "eps": 1e-8,
                "weight_decay": 0.0,
            } | e.settings
            beta1, beta2 = s["betas"][::-1] if swap else s["betas"]

            def update(state: dict[str, Any], w: Tensor, g: Tensor, t: int) -> Tensor:
                g = decayed(g, w, s["weight_decay"] * (s["lr"] if decay == "times lr" else 1),
                            "coupled" if decay == "times lr" else decay)  # fmt: skip
                old_m, old_v = (
                    torch.zeros_like(w) if name in forgets or t == 1 else state[name] for name in "mv"
                )
                m = {
                    "m adds": beta1 * old_m + g,
                    "m reversed": (1 - beta1) * old_m + beta1 * g,
                }.get(weigh, beta1 * old_m + (1 - beta1) * g)
                square = v_of(g, m)
                v = {
                    "v adds": beta2 * old_v + square,
                    "v reversed": (1 - beta2) * old_v + beta2 * square,
                    "v maximum": torch.maximum(beta2 * old_v, square),
                    "v weighed maximum": torch.maximum(beta2 * old_v, (1 - beta2) * square),
                    "v larger": torch.maximum(old_v, square),
                }.get(weigh, beta2 * old_v + (1 - beta2) * square)
                n = count(t, int(tensor), len(e.given)) if count else t
                powers = zip("mv", correct_by(beta1, beta2, n), strict=True)
                c1, c2 = (1 - power if name in correct else 1.0 for name, power in powers)
                if correction.startswith("multiplied"):
                    c1, c2 = 1 / c1, c2 if correction == "multiplied, m alone" else 1 / c2
                m_hat, v_hat = (m if first == "m" else g) / c1, v / c2
                state |= {"m": m_hat if "m" in stored else m, "v": v_hat if "v" in stored else v}
                below = {
                    "outside": v_hat.sqrt() + s["eps"],
                    "inside": (v_hat + s["eps"]).sqrt(),
                    "before correction": (v.sqrt() + s["eps"]) / math.sqrt(c2),
                    "none": v_hat.sqrt(),
                    "no root": v_hat + s["eps"],
                }[eps]
                step = m_hat / below if by_root == "divided" else m_hat * below
                if decay == "decoupled":
                    step = step + s["weight_decay"] * w
                lr = {"torch": s["lr"], "ignored": 1.0, "twice": s["lr"] ** 2}[rate]
                return torch.as_tensor(w + sign * lr * step)

            return after_every_step(e, tensor, update)

        return Cause(code, sentence, predict)

    step = "data -= lr * m_hat / (sqrt(v_hat) + eps)"
    correction = "m and v start at 0: m_hat = m / (1 - beta1**t), v_hat = v / (1 - beta2**t)"
    yield from either(tensor)
    yield variant("no-bias-correction", f"neither m nor v is corrected: {correction}.", correct="")
    yield variant("no-bias-correction", f"v is not corrected: {correction}.", correct="m")
    yield variant("no-bias-correction", f"m is not corrected: {correction}.", correct="v")
    yield variant(
        "multiplied-not-divided",
        f"the correction multiplies and should divide: {correction}.",
        correction="multiplied",
    )
    yield variant("multiplied-not-divided", f"m_hat is multiplied by the root: {step}.", by_root="multiplied")
    yield variant("eps-inside-root", f"eps stands inside the root: {step}.", eps="inside")
    yield variant(
        "eps-before-correction",
        f"eps is added before v is corrected (the paper's epsilon-hat, Keras's form): PyTorch has {step}.",
        eps="before correction",
    )
    yield variant("eps-ignored", f"eps does nothing: {step}.", eps="none")
    yield variant("root-missing", f"the root is missing: {step}.", eps="no root")
    for count, what in (
        (lambda t, i, n: 1, "t stays 1, or **t is missing"),
        (lambda t, i, n: t + 1, "t is 2 at the first step"),
        (lambda t, i, n: n * (t - 1) + i + 1, "t counts parameters instead of steps"),
    ):
        yield variant("step-not-counted", f"{what}: {correction}, t = 1, 2, 3 ...", count=count)
    yield variant(
        "not-in-place",
        "m and v start at 0 in every step: `m = ...` makes a local array, m[...] = ... keeps the mean.",
        forgets="mv",
    )
    for name in "mv":
        sentence = f"{name} starts at 0 in every step: write into it, {name}[...] = ..., or assign it again."
        yield variant("not-in-place", sentence, forgets=name)
        sentence = f"{name}_hat is kept as {name}, and corrected again in the next step: {correction}."
        yield variant("correction-stored", sentence, stored=name)
    yield variant("correction-stored", f"m_hat and v_hat are kept as m and v: {correction}.", stored="mv")
    for weigh, what in (
        ("m adds", "m adds the whole g"),
        ("m reversed", "in m the weights of old and new are exchanged"),
        ("v adds", "v adds the whole g * g"),
        ("v reversed", "in v the weights of old and new are exchanged"),
        ("v maximum", "v is the larger of beta2 * v and g * g"),
        ("v weighed maximum", "v is the larger of its two terms, not their sum"),
        ("v larger", "v is the largest g * g"),
    ):
        averages = "m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g * g"
        yield variant("average-weights", f"{what}: {averages}.", weigh=weigh)
    for correct_by, what in (
        (lambda b1, b2, t: (b2**t, b1**t), "the betas are exchanged in the correction"),
        (lambda b1, b2, t: (b1**t, b1**t), "v is corrected with beta1"),
        (lambda b1, b2, t: (b2**t, b2**t), "m is corrected with beta2"),
    ):
        yield variant("betas-swapped", f"{what}: {correction}.", correct_by=correct_by)
    yield variant(
        "step-not-counted",
        f"beta * t stands in place of beta**t: {correction}.",
        correct_by=lambda b1, b2, t: (b1 * t, b2 * t),
    )
    yield variant(
        "multiplied-not-divided", f"m is multiplied by its correction: {correction}.",
        correction="multiplied, m alone",
    )  # fmt: skip
    yield variant("lr-twice", f"the step is multiplied by lr twice: {step}.", rate="twice")
    yield variant("lr-ignored", f"lr does nothing: {step}.", rate="ignored")
    yield variant("decay-factor", f"weight decay is multiplied by lr inside g: {DECAY}.", decay="times lr")
    yield variant("betas-swapped", "beta1 and beta2 are exchanged: beta1 is m's, beta2 is v's.", swap=True)
    yield variant("not-squared", "v averages |g|: it should average g * g.", v_of=lambda g, m: g.abs())
    yield variant("not-squared", "v averages g: it should average g * g.", v_of=lambda g, m: g)
    yield variant("wrong-moment", "v averages m * m: it should average g * g.", v_of=lambda g, m: m * m)
    yield variant(
        "wrong-moment", "v averages the square of g - m, which is AdaBelief: Adam averages g * g.",
        v_of=lambda g, m: (g - m) ** 2,
    )  # fmt: skip
    yield variant("momentum-ignored", f"g in place of m_hat: {step}.", first="g", correct="v")
    yield variant("momentum-ignored", f"g in place of m: {step}.", first="g")
    yield variant(
        "decay-decoupled", f"weight decay skips m and v, which is AdamW: {DECAY}.", decay="decoupled"
    )
    yield from decay_causes(variant)
    yield variant("wrong-sign", f"the step has the wrong sign: {step}.", sign=+1.0)


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
        "nesterov-always",
        kind="SGD",
        what="Every momentum is Nesterov's.",
        right="change = g + self.momentum * b if self.nesterov else b",
        wrong="change = g + self.momentum * b",
        why="It trains as well or better. Only against PyTorch does it show.",
    ),
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
        what="The weights never change: a new array gets a name.",
        right="parameter.data[...] -= self.lr * change",
        wrong="""
        data = parameter.data
        data = data - self.lr * change
        """,
        why="""`data = data - ...` binds the name anew; the layer still holds the old array. Write into it:
        data[...] -= ...""",
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
]
