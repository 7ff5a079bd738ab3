"""The same CNN in four frameworks and as an ONNX graph, from one weights file: python -m examples.frameworks

Shows how the weights are laid out elsewhere, where the frameworks' defaults differ, and that logits, loss and
gradients are equal all the same. Exit code 1 if they are not. A framework that is not installed is skipped.
"""

from pathlib import Path

from examples.common.cli import Parser, fail, run, whole_number


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

    import numpy as np
    import torch

    from examples.frameworks.checking import (
        IMAGE,
        read_weights,
        section,
        verdict,
        write_new_weights,
        write_onnx,
    )
    from examples.frameworks.compare import TITLES, is_present, parity_report
    from examples.frameworks.tables import adam_table, defaults_table, layout_table, parity_table
    from parity import numpy_state, smooth_input

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


if __name__ == "__main__":
    run(main)
