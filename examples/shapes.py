"""Trace the shapes through a model of both sides, for any input: python -m examples.shapes

Section 31.2 of the book: (B, 1, 28, 28) -> (B, 16, 26, 26) -> ... -> (B, 10). Nothing here is computed from a
formula of sizes: both models run, stage by stage, and where an input does not fit, the stage itself says so.
"""

from examples.common.cli import Parser, fail, output_folder, run, whole_number
from parity.kinds import KINDS

INPUTS = {name: kind.shape for name, kind in KINDS.items() if name in ("TinyCNN", "MNISTCNN", "MLP")}


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.shapes", description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=INPUTS, default="MNISTCNN")
    parser.add_argument(
        "--input",
        type=whole_number(1),
        nargs=3,
        metavar=("C", "H", "W"),
        help="of an image (default: the model's)",
    )
    parser.add_argument("--batch", type=whole_number(1), default=1, help="images")
    parser.add_argument(
        "--output-dir", type=output_folder, default="runs/shapes", help="folder of the picture"
    )
    args = parser.parse_args(argv)

    import numpy as np

    import tinycnn_numpy as tn
    import tinycnn_torch as tt
    from examples.common.figures import save
    from examples.experiments.shapes import as_text, diagram, fitting_sizes, trace_both

    shape = (args.batch, *(args.input or INPUTS[args.model]))
    hand, module = getattr(tn, args.model)(rng=np.random.default_rng(0)), getattr(tt, args.model)()
    try:
        pairs, refusal = trace_both(hand, module, shape)
    except MemoryError:
        fail(f"--input and --batch {shape} need more memory than there is")
    except ValueError as error:
        fail(f"the two sides of {args.model} differ. {error}")
    print(f"{args.model}, input {shape}, float32: both sides were run, and agree in every column")
    print(as_text(pairs))
    if refusal:
        fail(f"{args.model} does not take {shape}. {refusal}")
    less, more, why = fitting_sizes(hand, (1, *shape[1:]))
    _, _, H, W = shape
    fits = (
        f"{H - less} x {W - less} to {H + more} x {W + more} pixels fit"
        if less or more
        else "no other size fits"
    )
    print(f"{fits}; at {H + more + 1} x {W + more + 1} it would fail. {why}")
    title = f"{args.model}: what each stage gives, {sum(row.parameters for row, _ in pairs):,} parameters"
    save(diagram(title, shape, [row for row, _ in pairs]), args.output_dir / f"{args.model}.png")
    return 0


if __name__ == "__main__":
    run(main)
