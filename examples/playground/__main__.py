"""Touch the backward pass of TinyCNN, on one offline page: python -m examples.playground

Change a pixel or a weight and see every gradient move; ask any number where it came from; hold it against a
finite difference; break it; train it; draw a digit. The page needs no network and no server.
"""

from pathlib import Path

from examples.common.cli import Parser, fail, output_folder, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.playground", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--open", action="store_true", help="open the page in the browser")
    add("--output-dir", type=output_folder, default="runs/playground", help="folder of the page")
    add("--seed", type=whole_number(0), default=42, help="of the images and the first weights")
    add("--weights", type=Path, metavar="FILE", help="safetensors of a TinyCNN or an MNISTCNN to begin with")
    add("--model", type=Path, metavar="FILE", help="a student's file: shows where its TinyCNN differs")
    add("--no-mnist", action="store_true", help="leave the weights of MNIST out, for a smaller page")
    args = parser.parse_args(argv)

    from examples.playground.build import build, page_data
    from examples.playground.start import WeightsError
    from examples.playground.student import ModelError

    try:
        data = page_data(args.seed, args.weights, args.model, not args.no_mnist)
        path = build(args.output_dir, data, args.open)
    except (WeightsError, ModelError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"--output-dir {args.output_dir} cannot be written: {error.strerror}")
    print(f"page: {path}, {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    run(main)
