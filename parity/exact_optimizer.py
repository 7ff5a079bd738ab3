"""The exact weights after every step of an optimiser, and how far rounding may carry a right answer off.

An optimiser does so few operations an entry that the worst case is close enough: each rounds by at most u of
its result, and input errors propagate. The lines are those of tinycnn_numpy/optim.py, with
e_g the error of g, and so on.
"""

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from parity.bounds import Array, Exact, unit
from parity.kinds import KINDS
from parity.twins import twin_class

Settings = dict[str, Any]


def exact_steps(kind: str, settings: Settings, weight: Array, grads: Array) -> list[dict[str, Exact]]:
    """After each step: "weight", and "momentum_buffer" or "exp_avg" and "exp_avg_sq", computed in float64.

    weight  (...) in the dtype whose rounding is allowed for; grads (steps, ...)
    """
    parameter = torch.from_numpy(weight.astype(np.float64))
    complete = {**defaults_of(kind), **settings}
    memory: dict[str, Any] = {}
    state = {"w": weight.astype(np.float64), "e_w": np.zeros(weight.shape)}
    after = []
    for t, grad in enumerate(grads, start=1):
        step(kind, complete, parameter, torch.from_numpy(grad.astype(np.float64)), memory, t)
        errors = (sgd_errors if kind == "SGD" else adam_errors)(
            complete, state, grad.astype(np.float64), t, unit(weight.dtype)
        )
        state["w"] = parameter.numpy().copy()
        after.append(
            {"weight": _exact(state["w"], state["e_w"])}
            | {
                name: _exact(value.numpy().copy(), errors[name])
                for name, value in memory.items()
                if value is not None
            }
        )
    return after


def defaults_of(kind: str) -> Settings:
    """Those of PyTorch's class, by the names of the arguments that ours has too."""
    parameters = inspect.signature(twin_class(KINDS[kind])).parameters
    return {name: parameters[name].default for name in KINDS[kind].arguments}


def step(kind: str, s: Settings, parameter: Tensor, grad: Tensor, memory: dict[str, Any], t: int) -> None:
    """Step t of PyTorch's optimiser, in place. memory: what it remembers, empty before the first step.

    These are the functions that torch.optim.SGD and Adam call; to make an object of these classes would
    import PyTorch's compiler, for about two seconds.
    """
    if kind == "SGD":
        buffers = [memory.get("momentum_buffer")]
        sgd([parameter], [grad], buffers, dampening=0.0, maximize=False, **s)
        memory["momentum_buffer"] = buffers[0]
        return
    m, v = (memory.get(name, torch.zeros_like(parameter)) for name in ("exp_avg", "exp_avg_sq"))
    memory |= {"exp_avg": m, "exp_avg_sq": v}
    (beta1, beta2), rest = s["betas"], {name: value for name, value in s.items() if name != "betas"}
    steps = torch.tensor(t - 1.0)  # before this one
    adam(
        [parameter], [grad], [m], [v], [], [steps],
        beta1=beta1, beta2=beta2, amsgrad=False, maximize=False, foreach=False, **rest,
    )  # fmt: skip


def _exact(value: Array, error: Array) -> Exact:
    return Exact(value, error + float(np.finfo(np.float32).tiny), np.zeros(value.shape))


def stacked(after: list[dict[str, Exact]]) -> Exact:
    """The weights of all steps as one tensor (steps, ...)."""
    weights = [step["weight"] for step in after]
    return Exact(*(np.stack([getattr(w, part) for w in weights]) for part in ("value", "bound", "slack")))


def sgd_errors(s: Settings, state: dict[str, Array], grad: Array, t: int, u: float) -> dict[str, Array]:
    """Advance the errors of SGD's lines by one step; see SGD."""
    w, lr, mu, decay = state["w"], s["lr"], s["momentum"], s["weight_decay"]
    b, e_b = state.get("b", np.zeros_like(w)), state.get("e_b", np.zeros_like(w))
    g = grad + decay * w
    e_g = decay * state["e_w"] + 2 * u * (np.abs(grad) + decay * np.abs(w))
    e_b = mu * e_b + e_g + 2 * u * (mu * np.abs(b) + np.abs(g))
    b = mu * b + g
    step, e_step = b, e_b
    if s["nesterov"]:
        step = g + mu * b
        e_step = e_g + mu * e_b + 2 * u * (np.abs(g) + mu * np.abs(b))
    state |= {"b": b, "e_b": e_b}
    state["e_w"] = state["e_w"] + lr * e_step + 2 * u * (np.abs(w) + 2 * lr * np.abs(step))
    return {"momentum_buffer": e_b}


def adam_errors(s: Settings, state: dict[str, Array], grad: Array, t: int, u: float) -> dict[str, Array]:
    """Advance the errors of Adam's lines by one step; see Adam."""
    w, lr, (beta1, beta2), eps, decay = state["w"], s["lr"], s["betas"], s["eps"], s["weight_decay"]
    zeros = np.zeros_like(w)
    m, e_m, v, e_v = (state.get(name, zeros) for name in ("m", "e_m", "v", "e_v"))
    g = grad + decay * w
    e_g = decay * state["e_w"] + 2 * u * (np.abs(grad) + decay * np.abs(w))
    e_m = beta1 * e_m + (1 - beta1) * e_g + 3 * u * (beta1 * np.abs(m) + (1 - beta1) * np.abs(g))
    e_v = beta2 * e_v + (1 - beta2) * 2 * np.abs(g) * e_g + 4 * u * (beta2 * v + (1 - beta2) * g * g)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat, root = m / (1 - beta1**t), np.sqrt(v / (1 - beta2**t))
    e_root = 3 * u * root + np.divide(e_v / (1 - beta2**t), 2 * root, out=zeros.copy(), where=root > 0)
    below = root + eps
    step = np.divide(lr * m_hat, below, out=zeros.copy(), where=below > 0)
    relative = np.divide(e_root + u * below, below, out=zeros.copy(), where=below > 0)
    relative = relative + unit(np.float64) * (
        1 / (1 - beta1**t) + 1 / (1 - beta2**t)
    )  # of what cancels there
    e_step = np.divide(lr * e_m / (1 - beta1**t), below, out=zeros.copy(), where=below > 0)
    e_step = e_step + np.abs(step) * (relative + 6 * u)
    state |= {"m": m, "e_m": e_m, "v": v, "e_v": e_v}
    state["e_w"] = state["e_w"] + e_step + 2 * u * (np.abs(w) + np.abs(step))
    return {"exp_avg": e_m, "exp_avg_sq": e_v}
