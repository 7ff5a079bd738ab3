"""The chapter's own training program, to be compared with: python -m examples.chapter

A DataLoader makes every image anew out of a PIL image, one generator draws weights and order alike, the loss
is read at every step, and the loss of an epoch is the mean over its batches.
"""

from examples.common import data
from examples.common.cli import Parser, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.chapter", description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=whole_number(1), default=5, help="passes over the training set")
    parser.add_argument("--seed", type=whole_number(0), default=42, help="of weights and order")
    data.add_flags(parser)
    args = parser.parse_args(argv)

    from examples.experiments.chapter import train

    dataset = data.from_flags(args)

    def say(entry: dict) -> None:
        scores = f"train loss {entry['train_loss']:.4f}, test accuracy {entry['test_accuracy']:.2f} %"
        print(f"{dataset.name}: epoch {entry['epoch']}/{args.epochs}, {scores}", flush=True)

    train(dataset, args.seed, args.epochs, say)
    return 0


if __name__ == "__main__":
    run(main)
