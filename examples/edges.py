"""Are the learned filters edge detectors, and are edge detectors the best? python -m examples.edges

The chapter says (31.3) that the network has found edge detection by itself, and that this first step is
"optimal". Both halves are measured here. How much of a filter is an edge: the share of its energy
(the sum of its squared weights) that lies in the span of edge filters, against untrained filters and against
chance. How good edges are: the test accuracy of a network whose first filters are fixed.
"""

from examples.common import data
from examples.common.cli import Parser, in_words, machine, output_folder, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.edges", description=__doc__.splitlines()[0])
    add = parser.add_argument
    data.add_flags(parser)
    add("--seeds", type=whole_number(2), default=5, help="how many networks: seeds 0, 1, 2, ...")
    add(
        "--epochs", type=whole_number(1), default=5, help="passes over the training set, to learn the filters"
    )
    add(
        "--fixed-epochs",
        type=whole_number(1),
        default=2,
        help="the same, to train the rest with fixed filters",
    )
    add("--null", type=whole_number(100), default=2000, help="untrained networks to compare with")
    add("--output-dir", type=output_folder, default="runs/edges", help="folder of the picture")
    args = parser.parse_args(argv)

    import numpy as np

    from examples.common.figures import save
    from examples.common.models import start
    from examples.common.training import train
    from examples.experiments.edges import (
        edge_verdict,
        first_filters,
        fixed_accuracies,
        optimum_verdict,
        picture,
        share_rows,
        untrained_filters,
    )
    from examples.experiments.seeds import epochs_in_words

    dataset = data.from_flags(args)
    trained_for = epochs_in_words(args.epochs)
    print(f"{dataset}, {trained_for}, seeds 0 to {args.seeds - 1}; {in_words(machine())}", flush=True)

    before, learned, free = [], [], []
    for seed in range(args.seeds):
        model = start("MNISTCNN", "torch", seed)
        before.append(first_filters(model))
        log = train(model, dataset, seed, args.epochs)
        learned.append(first_filters(model))
        free.append(log[min(args.fixed_epochs, args.epochs) - 1]["test_accuracy"])
        print(f"seed {seed}: test accuracy {log[-1]['test_accuracy']:.2f} %", flush=True)
    untrained = untrained_filters(args.null)

    print(f"share of the energy of {16 * args.seeds} filters; gain: trained minus the same filter untrained")
    print("measure                            chance  untrained  trained  gain +- std error  p")
    rows = share_rows(np.array(before), np.array(learned), untrained)
    for row in rows:
        chances = "" if np.isnan(row.chance) else f"{row.chance:.3f}"
        means = f"{row.untrained.mean():9.3f}  {row.trained.mean():7.3f}"
        print(f"{row.name:33}  {chances:>6}  {means}  {row.gain:+.3f} +- {row.error:.3f}     {row.p:.4f}")
    print(edge_verdict(rows[0]), flush=True)

    print(f"first filters fixed, with the learned norms; the rest: {epochs_in_words(args.fixed_epochs)}")
    accuracies = fixed_accuracies(dataset, learned, args.fixed_epochs)
    if args.fixed_epochs <= args.epochs:
        accuracies["not fixed"] = np.array(free)
    for kind, values in accuracies.items():
        print(f"{kind:10} test accuracy {values.mean():.2f} %, std {values.std(ddof=1):.2f} over seeds")
    print(optimum_verdict(accuracies))
    title = f"First filters of MNISTCNN on {dataset.name}, {trained_for}, {args.seeds} seeds"
    save(picture(rows[0], accuracies, title), args.output_dir / "edges.png")
    return 0


if __name__ == "__main__":
    run(main)
