"""What is wrong with an answer of your own, to 31.1, 31.2 or 31.4: wrong("31.1", model)."""

import contextlib
import copy
import io
from collections.abc import Callable

import torch
from torch import nn

import tinycnn_torch as tt
from examples.common import models
from tinycnn_numpy.checks import check_state

SOLUTIONS = {"31.1": models.TorchThirdConvolution, "31.2": models.TorchAveragePooling}


def wrong(exercise: str, answer) -> str:
    """A sentence with what is wrong with an answer, "" if it is right.

    exercise  31.1 or 31.2: `answer` is a PyTorch model whose layers are called as in the chapter (conv1,
              conv2, conv3, fc). It is right if it computes what the solution computes with the same weights,
              however it is written.
              31.4: `answer` is count_parameters. Raises ValueError for another exercise.
    """
    if exercise == "31.4":
        return wrong_count(answer)
    if exercise not in SOLUTIONS:
        raise ValueError(f"wrong: exercise is {exercise!r}, expected 31.1, 31.2 or 31.4")
    return wrong_model(answer, SOLUTIONS[exercise]())


@torch.no_grad()
def wrong_model(answer: nn.Module, solution: nn.Module) -> str:
    """Give the answer the solution's weights and compare the logits of random images."""
    answer, solution = copy.deepcopy(answer).double().cpu(), solution.double()
    try:
        check_state("your model", solution.state_dict(), answer.state_dict())
    except ValueError as error:
        return str(error)
    answer.load_state_dict(solution.state_dict())
    x = torch.randn(5, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    try:
        logits = answer(x)
    except RuntimeError as error:
        return f"your model: forward fails: {str(error).splitlines()[0]}"
    expected = solution(x)
    if logits.shape != expected.shape:
        return f"your model: gives {tuple(logits.shape)} for 5 images, expected {tuple(expected.shape)}"
    if not torch.allclose(logits, expected, rtol=1e-9, atol=1e-9):
        apart = float((logits - expected).abs().max())
        return f"your model: has the right parameters and other logits, by up to {apart:.2g}: see its stages"
    return ""


def wrong_count(count_parameters: Callable) -> str:
    """Let it count models whose totals are known."""
    for model in (tt.TinyCNN(), tt.MNISTCNN(), tt.MLP()):
        total = sum(parameter.numel() for parameter in model.parameters())
        weights = sum(parameter.numel() for name, parameter in model.named_parameters() if "weight" in name)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            found = count_parameters(model)
        kind = type(model).__name__
        if found == weights:
            return f"{kind}: returns {found}, expected {total}: the biases are missing"
        if found != total:
            return f"{kind}: returns {found!r}, expected {total}"
        if missing := [name for name in model.state_dict() if name not in printed.getvalue()]:
            return f"{kind}: returns the right total and does not print {missing[0]}"
    return ""
