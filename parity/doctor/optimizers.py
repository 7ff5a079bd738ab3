"""Mistakes in SGD and Adam: the same loop with one line changed."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from parity.doctor.evidence import Cause, Evidence

DECAY = "weight decay is added to the gradient first, g = grad + weight_decay * data"


def after_every_step(e: Evidence, tensor: str, update: Callable) -> np.ndarray:
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
        "this parameter is never updated and another is: step goes over all of them, biases too.",
        lambda e: unchanged(e, tensor) if others_are_right(e, tensor) else None,
    )
    yield Cause(
        "not-in-place",
        "the weights never change: `data = data - ...` gives a new array to a name; write into the "
        "array that the "
        "layer holds, data[...] -= ...",
        lambda e: unchanged(e, tensor),
    )


def unchanged(e: Evidence, tensor: str) -> np.ndarray:
    return np.repeat(e.inputs[tensor][None].numpy(), len(e.inputs[f"grad {tensor}"]), axis=0)


def last(e: Evidence) -> str:
    return str(len(e.given) - 1)


def others_are_right(e: Evidence, tensor: str) -> bool:
    return not (set(e.given) - {tensor}) & e.wrong


def decayed(g, w, weight_decay: float, how: str):
    """g with weight decay, by a right or wrong rule."""
    rules = {
        "coupled": g + weight_decay * w,
        "wrong sign": g - weight_decay * w,
        "sign of weights": g + weight_decay * w.sign(),
        "twice": g + 2 * weight_decay * w,
    }
    return rules.get(how, g)


def decay_causes(variant) -> Iterator[Cause]:
    sentence = f"weight decay leaves this parameter out: PyTorch decays them all, biases too; {DECAY}."
    yield variant("decay-ignored", sentence, decay="ignored here")
    yield variant("decay-ignored", f"weight_decay does nothing: {DECAY}.", decay="ignored")
    yield variant("decay-sign", f"weight decay makes weights grow: {DECAY}, plus.", decay="wrong sign")
    yield variant(
        "decay-sign", f"only the sign of the weights decays them: {DECAY}.", decay="sign of weights"
    )
    yield variant("decay-factor", f"weight decay counts twice: {DECAY}, without a factor 2.", decay="twice")


def sgd_causes(tensor: str) -> Iterator[Cause]:
    def variant(code, sentence, decay="coupled", momentum="torch", nesterov="torch", sign=-1.0) -> Cause:
        def predict(e: Evidence) -> np.ndarray | None:
            if decay == "ignored here" and not others_are_right(e, tensor):
                return None
            s: dict[str, Any] = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0} | e.settings
            mu = s["momentum"]

            def update(state, w, g, t):
                g = decayed(g, w, s["weight_decay"], decay)
                before = state.get("b", torch.zeros_like(w))
                b = {
                    "torch": mu * before + g,
                    "damped": mu * before + (1 - mu) * g if mu else g,
                    "ignored": g,
                    "on the gradient": before + mu * g if mu else g,
                }[momentum]
                state["b"] = b
                step = b
                if s["nesterov"]:
                    step = {"torch": g + mu * b, "ignored": b, "twice": mu * b + b, "minus": g - mu * b}[
                        nesterov
                    ]
                if decay == "decoupled":
                    step = step + s["weight_decay"] * w
                return w + sign * s["lr"] * step

            return after_every_step(e, tensor, update)

        return Cause(code, sentence, predict)

    b, step = "b = momentum * b + g", "data -= lr * (g + momentum * b)"
    yield from either(tensor)
    yield variant(
        "momentum-damped", f"the gradient enters with 1 - momentum: PyTorch has {b}.", momentum="damped"
    )
    for nesterov in ("torch", "ignored"):
        sentence = f"the factor stands at the gradient, b never fades: {b}."
        yield variant("momentum-misplaced", sentence, momentum="on the gradient", nesterov=nesterov)
        sentence = f"momentum does nothing: {b}, data -= lr * b."
        yield variant("momentum-ignored", sentence, momentum="ignored", nesterov=nesterov)
    yield variant("nesterov-ignored", f"nesterov does nothing: {step}.", nesterov="ignored")
    yield variant("nesterov-formula", f"nesterov adds b where g is meant: {step}.", nesterov="twice")
    yield variant(
        "nesterov-sign", f"nesterov's part of the buffer has the wrong sign: {step}.", nesterov="minus"
    )
    yield variant("decay-decoupled", f"weight decay goes past the momentum: {DECAY}.", decay="decoupled")
    yield from decay_causes(variant)
    yield variant("wrong-sign", "the weights climb: data -= lr * b, against the gradient.", sign=+1.0)


def adam_causes(tensor: str) -> Iterator[Cause]:
    def variant(
        code, sentence, decay="coupled", correct="mv", correction="divided", count=None, eps="outside",
        by_root="divided", swap=False, v_of=torch.square, first="m", forgets=False, sign=-1.0,
    ) -> Cause:  # fmt: skip
        def predict(e: Evidence) -> np.ndarray:
            s: dict[str, Any] = {
                "lr": 1e-3,
                "betas": (0.9, 0.999),
                "eps": 1e-8,
                "weight_decay": 0.0,
            } | e.settings
            beta1, beta2 = s["betas"][::-1] if swap else s["betas"]

            def update(state, w, g, t):
                g = decayed(g, w, s["weight_decay"], decay)
                old = {} if forgets else state
                m = beta1 * old.get("m", torch.zeros_like(w)) + (1 - beta1) * g
                v = beta2 * old.get("v", torch.zeros_like(w)) + (1 - beta2) * v_of(g)
                state |= {"m": m, "v": v}
                n = count(t, int(tensor), len(e.given)) if count else t
                c1, c2 = (
                    1 - beta**n if name in correct else 1.0 for name, beta in (("m", beta1), ("v", beta2))
                )
                if correction == "multiplied":
                    c1, c2 = 1 / c1, 1 / c2
                m_hat, v_hat = (m if first == "m" else g) / c1, v / c2
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
                return w + sign * s["lr"] * step

            return after_every_step(e, tensor, update)

        return Cause(code, sentence, predict)

    step = "data -= lr * m_hat / (sqrt(v_hat) + eps)"
    correction = "m and v start at 0: m_hat = m / (1 - beta1**t), v_hat = v / (1 - beta2**t)"
    yield from either(tensor)
    yield variant("no-bias-correction", f"neither m nor v is corrected: {correction}.", correct="")
    yield variant("no-bias-correction", f"v is not corrected: {correction}.", correct="m")
    yield variant("no-bias-correction", f"m is not corrected: {correction}.", correct="v")
    yield variant(
        "multiplied-not-divided", f"the correction multiplies: {correction}.", correction="multiplied"
    )
    yield variant("multiplied-not-divided", f"the step grows with the root: {step}.", by_root="multiplied")
    yield variant("eps-inside-root", f"eps stands inside the root: {step}.", eps="inside")
    yield variant(
        "eps-before-correction",
        f"eps is added before v is corrected (the paper's epsilon-hat, Keras's form): PyTorch has {step}.",
        eps="before correction",
    )
    yield variant("eps-ignored", f"eps does nothing: {step}.", eps="none")
    yield variant("root-missing", f"the root is missing: {step}.", eps="no root")
    for count, what in (
        (lambda t, i, n: 1, "t stays 1 (a power that is forgotten does the same)"),
        (lambda t, i, n: t + 1, "t is 2 at the first step"),
        (lambda t, i, n: n * (t - 1) + i + 1, "t counts parameters instead of steps"),
    ):
        yield variant("step-not-counted", f"{what}: {correction}, t = 1, 2, 3 ...", count=count)
    yield variant(
        "not-in-place",
        "m and v forget every step before: `m = ...` in the loop gives the mean to a local name, "
        "m[...] = ... keeps it.",
        forgets=True,
    )
    yield variant("betas-swapped", "beta1 and beta2 are exchanged: beta1 is m's, beta2 is v's.", swap=True)
    yield variant("not-squared", "v averages |g|: it is the mean of g * g.", v_of=torch.abs)
    yield variant("momentum-ignored", f"g stands where m_hat is meant: {step}.", first="g", correct="v")
    yield variant("momentum-ignored", f"g stands where m is meant: {step}.", first="g")
    yield variant(
        "decay-decoupled", f"weight decay goes past m and v, which is AdamW: {DECAY}.", decay="decoupled"
    )
    yield from decay_causes(variant)
    yield variant("wrong-sign", f"the weights climb: {step}, against the gradient.", sign=+1.0)


CAUSES = {"SGD": sgd_causes, "Adam": adam_causes}
