"""TinyCNN by hand beside TinyCNN in PyTorch, layer by layer: python -m examples.side_by_side

Section 31.1 of the book. Prints the chapter's table with the real lines and their number, and writes it as a
picture, and one page that shows mathematics and code of both sides. It refuses, with exit code 2, when a side
has nothing to set beside the other. The numbers themselves can be touched: python -m examples.playground
"""

from examples.common.cli import Parser, output_folder, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.side_by_side", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=whole_number(0), default=42, help="of the image and the weights")
    parser.add_argument(
        "--output-dir", type=output_folder, default="runs/side_by_side", help="folder of page and picture"
    )
    args = parser.parse_args(argv)

    from examples.side_by_side.build import build

    build(args.output_dir, args.seed)
    return 0


if __name__ == "__main__":
    run(main)
