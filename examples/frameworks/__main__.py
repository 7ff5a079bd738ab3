"""The same CNN in four frameworks and as an ONNX graph, from one weights file: python -m examples.frameworks

Shows how the weights are laid out elsewhere, where the frameworks' defaults differ, and that logits, loss and
gradients are equal all the same. Exit code 1 if they are not. A framework that is not installed is skipped.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

import tinycnn_numpy as tn
from examples.frameworks.compare import INSTALL, TITLES, is_present, parity_report
from examples.frameworks.tables import adam_table, defaults_table, layout_table, parity_table
from examples.program import Parser, fail, run, whole_number
from parity import Report, load_weights, numpy_state, save_weights, smooth_input

IMAGE = (1, 1, 28, 28)


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.frameworks", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, metavar="FILE", help="weights that train_mnist wrote; else new")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="write the network as an ONNX graph")
    parser.add_argument("--images", type=whole_number(1), default=5, help="random images to compare on")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of new weights, images and labels")
    parser.add_argument(
        "--output-dir", type=Path, default=Path("runs/frameworks"), help="folder for new weights"
    )
    args = parser.parse_args(argv)

    torch.set_num_threads(1)
    path = args.model or write_new_weights(args.output_dir / "model.safetensors", args.seed)
    model = read_weights(path)
    state, rng = numpy_state(model), np.random.default_rng([args.seed, 1])
    try:
        x = np.concatenate([smooth_input(model, IMAGE, np.float32, rng) for _ in range(args.images)])
    except ValueError:
        fail(f"{path}: on each of 100 random images rounding decides some ReLU or max pool")
    labels = rng.integers(10, size=args.images)
    present = [framework for framework in TITLES if is_present(framework)]
    if args.onnx:
        write_onnx(args.onnx, state)

    print(f"MNISTCNN in {', '.join(TITLES[framework] for framework in present)}; weights: {path}")
    section("Where the weights stand", layout_table(state, x))
    if "flax" in present:
        from examples.frameworks.printed import in_words

        section("The chapter's Flax network", in_words().splitlines())
    section("What they do unless told otherwise", defaults_table(present))
    section("Adam's epsilon", adam_table(present))
    reports = [
        {framework: parity_report(framework, state, x.astype(dtype), labels) for framework in present}
        for dtype in (np.float32, np.float64)
    ]
    section(f"{args.images} random images: largest error / what rounding may do", parity_table(reports))
    return verdict([report for each in reports for report in each.values()], present)


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


if __name__ == "__main__":
    run(main)
