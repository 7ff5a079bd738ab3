"""The same CNN in four frameworks and as an ONNX graph, from one weights file.

Shows how the weights are laid out elsewhere, where the frameworks' defaults differ, and that logits, loss and
gradients are equal all the same. Exit code 1 if they are not. A framework that is not installed is skipped.
"""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError

import tinycnn_numpy as tn
from examples.common.cli import fail
from examples.frameworks.compare import INSTALL, TITLES
from parity import Report, load_weights, save_weights

IMAGE = (1, 1, 28, 28)


def write_new_weights(path: Path, seed: int) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_weights(tn.MNISTCNN(rng=np.random.default_rng(seed)), path)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    return path


def read_weights(path: Path) -> tn.MNISTCNN:
    model = tn.MNISTCNN(rng=np.random.default_rng(0))
    try:
        load_weights(model, path)
    except (OSError, SafetensorError, ValueError) as error:
        fail(f"{path} is no weights file of MNISTCNN: {error}")
    for name, array in model.state_dict().items():
        if not np.isfinite(array).all():
            fail(f"{path}: {name} is not finite")
    return model


def write_onnx(path: Path, state: dict[str, np.ndarray]) -> None:
    try:
        from examples.frameworks.onnx_model import graph_of, onnx
    except ImportError:
        fail(f"--onnx {path} needs onnx: {INSTALL}")
    graph = graph_of(state, np.float32)
    try:
        onnx.save(graph, path)
    except OSError as error:
        fail(f"--onnx {path} cannot be written: {error.strerror}")
    print(f"ONNX graph: {path}:", ", ".join(f"{node.name} {node.op_type}" for node in graph.graph.node))


def section(title: str, lines: list[str]) -> None:
    print(f"\n{title}\n", *lines, sep="\n")


def verdict(reports: list[Report], present: list[str]) -> int:
    """Say it in a line, print what differs, and return the exit code."""
    wrong = [report for report in reports if not report.ok]
    print("", *wrong, sep="\n")
    count = sum(len(report.rows) for report in reports)
    bad = sum(not row.ok for report in wrong for row in report.rows)
    skipped = "".join(f"; {title} skipped" for name, title in TITLES.items() if name not in present)
    equal = f"PARITY HOLDS: {count} tensors equal within their bounds"
    print((f"PARITY BROKEN: {bad} of {count} tensors differ" if wrong else equal) + skipped)
    return 1 if wrong else 0
