"""Hold what a framework computes against the exact tensors, within parity's bounds.

Keras on JAX and Flax are two ways to write one computation for XLA, and often equal to the last bit: NumPy,
PyTorch, XLA and ONNX's reference are the four arithmetics that are compared.
"""

from collections.abc import Mapping
from importlib import import_module

import numpy as np

import tinycnn_torch
from examples.frameworks.layouts import Arrays
from parity import Report, exact_run, load_numpy_state
from parity.report import judge

TITLES = {"numpy": "NumPy", "torch": "PyTorch", "keras": "Keras", "flax": "Flax", "onnx": "ONNX"}
INSTALL = "pip install -e '.[frameworks]'"


def is_present(framework: str) -> bool:
    """Whether a framework of TITLES can be had; if not, a line says so."""
    try:
        import_module(f"examples.frameworks.{framework}_model")
    except ImportError as error:
        remedy = f": {INSTALL}" if isinstance(error, ModuleNotFoundError) else ""
        print(f"{TITLES[framework]} cannot be had here ({error}){remedy}")
        return False
    return True


def logits_and_gradients(
    framework: str, state: Mapping[str, np.ndarray], x: np.ndarray, labels: np.ndarray
) -> Arrays:
    """{(stage, tensor): array} of one framework of TITLES, in PyTorch's layouts and the dtype of x.

    state   MNISTCNN's weights by PyTorch's names, x (N, 1, 28, 28), labels (N,)

    ("fc", "out") are the logits; ("loss", "loss"), every dweight and every dbias follow. ONNX has no
    backward: it gives the output of every stage. Raises ImportError where the framework is not installed.
    """
    return import_module(f"examples.frameworks.{framework}_model").tensors(state, x, labels)


def parity_report(
    framework: str, state: Mapping[str, np.ndarray], x: np.ndarray, labels: np.ndarray
) -> Report:
    """Judge logits, loss and gradients of one framework, entry by entry; of ONNX every stage's output."""
    module = tinycnn_torch.MNISTCNN().double()
    load_numpy_state(module, dict(state))
    exact = exact_run(dict(module.named_children()), x, labels=labels)
    found = logits_and_gradients(framework, state, x, labels)
    witness = str(exact.witnesses[0]) if exact.witnesses else ""
    rows = [
        judge(stage, tensor, found.get((stage, tensor)), right, x.dtype, witness=witness)
        for (stage, tensor), right in exact.tensors.items()
        if is_promised(framework, stage, tensor)
    ]
    return Report(f"MNISTCNN, {x.dtype}: {TITLES[framework]} against the exact tensors", rows)


def is_promised(framework: str, stage: str, tensor: str) -> bool:
    if framework == "onnx":
        return tensor == "out"
    return (stage, tensor) == ("fc", "out") or tensor in ("loss", "dweight", "dbias")
