"""What a trained MNISTCNN looks for, and where it finds it in a digit: python -m examples.features

Section 31.3 of the chapter and exercise 31.3: the filters of the first convolution, and the feature maps of
both: what each filter answers at every place of one image, after the ReLU.
"""

from pathlib import Path

from examples.common import data
from examples.common.cli import Parser, fail, output_folder, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.features", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", type=Path, help="model.safetensors of train_mnist; trained now unless given")
    data.add_flags(parser)
    add("--digit", type=whole_number(0), default=0, help="which image of the test set")
    add("--backend", choices=["torch", "numpy"], default="torch", help="who trains")
    add("--epochs", type=whole_number(1), default=5, help="passes over the training set")
    add("--seed", type=whole_number(0), default=42, help="of the weights and of the order of the images")
    add("--output-dir", type=output_folder, default="runs/features", help="folder of the pictures")
    args = parser.parse_args(argv)

    from examples.common.figures import save
    from examples.experiments.features import load_model, portrait

    given = load_model(args.model) if args.model else None
    dataset = data.from_flags(args)
    if args.digit >= (images := len(dataset.test_images)):
        fail(f"--digit {args.digit}: the test images of {dataset.name} are 0 to {images - 1}")
    model, trained_on = given or (train_now(dataset, args), dataset.name)

    lines, figures = portrait(model, trained_on, dataset, args.digit)
    print(*lines, sep="\n")
    for name, figure in figures.items():
        save(figure, args.output_dir / f"{name}.png")
    return 0


def train_now(dataset: data.Dataset, args):
    """An MNISTCNN after the chapter's recipe."""
    from examples.common.models import start
    from examples.common.training import train

    def say(entry: dict) -> None:
        scores = f"train loss {entry['train_loss']:.4f}, test accuracy {entry['test_accuracy']:.2f} %"
        print(f"{dataset.name}: epoch {entry['epoch']}/{args.epochs}, {scores}", flush=True)

    model = start("MNISTCNN", args.backend, args.seed)
    where = f"{args.backend} on cpu, seed {args.seed}"
    print(f"{dataset.name}: MNISTCNN on {dataset}, {where}", flush=True)
    train(model, dataset, args.seed, args.epochs, say)
    return model


if __name__ == "__main__":
    run(main)
