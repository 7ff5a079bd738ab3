"""What is this digit, and why does the network say so? A picture of your own: python -m examples.predict FILE

The picture becomes an image like those that the network has learned from; every step is said. Then come the
probabilities, the feature maps of both convolutions, and the gradient of the winning logit with respect to
each pixel, by the library's own backward. --draw opens a window in which to draw a digit with the mouse.
"""

from pathlib import Path

from examples.common.cli import Parser, fail, output_folder, run


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.predict", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("picture", type=Path, nargs="?", metavar="FILE", help="PNG, JPEG, BMP, GIF, TIFF or WEBP")
    add("--draw", action="store_true", help="draw it now instead, and keep it in --output-dir")
    add("--run", type=Path, help="--output-dir of train_mnist; the playground's network unless given")
    add("--output-dir", type=output_folder, default="runs/predict", help="folder of the pictures")
    args = parser.parse_args(argv)
    if bool(args.picture) == args.draw:
        fail("name the FILE of one picture, or --draw one")

    from examples.common.figures import save
    from examples.experiments.drawing import draw
    from examples.experiments.predict import (
        PictureError,
        decide,
        load_run,
        load_weights_of,
        open_picture,
        pictures_of,
    )
    from examples.playground.start import MNIST_WEIGHTS

    trained = load_run(args.run) if args.run else load_weights_of(MNIST_WEIGHTS)
    try:
        if args.draw:
            args.picture = args.output_dir / "drawing.png"
            draw().save(args.picture)
        picture = open_picture(args.picture)
        image, pixels, done = trained.prepare(picture)
    except PictureError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{args.picture} cannot be written: {error.strerror}")

    decision = decide(trained.model, image)
    of = f"{args.run or 'the network of the playground'}, trained on {trained.dataset}"
    print(f"{args.picture}, {picture.height} x {picture.width} pixels; {of}")
    print(*(f"  {step}" for step in done), sep="\n")
    order = (-decision.probabilities).argsort()
    shares = ", ".join(f"{label}: {decision.probabilities[label]:.2%}" for label in order[:3])
    print(f"it is a {decision.answer} ({shares})")
    title = f"{args.picture.name}: it is a {decision.answer}, says {type(trained.model).__name__}"
    for name, figure in pictures_of(picture, image, pixels, decision, title).items():
        save(figure, args.output_dir / f"{name}.png")
    return 0


if __name__ == "__main__":
    run(main)
