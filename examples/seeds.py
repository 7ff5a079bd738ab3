"""How much of an accuracy is chance? The same recipe from several seeds: python -m examples.seeds

Every finished run becomes a line of --results and is not trained again: a stopped program loses the run
under way and no other, and whoever asks for the same runs (compare_mlp, exercises, audit) finds them there.
"""

from examples.common.cli import Parser, run
from examples.common.flags import MODELS, add_seed_flags


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.seeds", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", choices=MODELS, nargs="+", default=["MNISTCNN", "MLP"], help="what is trained")
    add("--backends", choices=["numpy", "torch"], nargs="+", default=["numpy", "torch"], help="who computes")
    add_seed_flags(parser, seeds=10, output_dir="runs/seeds")
    args = parser.parse_args(argv)

    import numpy as np

    from examples.common import data
    from examples.common.figures import save
    from examples.common.statistics import of_comparisons, paired
    from examples.experiments.seeds import (
        HEADER,
        PRINTED,
        correct,
        dots,
        epochs_in_words,
        introduction,
        last_accuracies,
        logs,
        placed,
        sampling,
        spread,
    )

    dataset = data.from_flags(args)
    print(introduction(dataset, args.seeds, args.epochs))
    print(f"{'test accuracy in percent':28}{HEADER}")
    chapters_run = dataset.name == "mnist" and args.epochs == 5
    last: dict[tuple[str, str], np.ndarray] = {}
    right: dict[str, np.ndarray] = {}
    for model in dict.fromkeys(args.models):
        for backend in dict.fromkeys(args.backends):
            runs = logs(args.results, dataset, model, backend, range(args.seeds), args.epochs)
            last[model, backend] = last_accuracies(runs)
            right[backend] = correct(runs, len(dataset.test_images))
            remark = f"   {placed(last[model, backend])}" if chapters_run and model == "MNISTCNN" else ""
            print(f"{model:18}{backend:10}{spread(last[model, backend])}{remark}", flush=True)
        if {"numpy", "torch"} <= set(args.backends):
            print(f"{model}, NumPy - PyTorch: {paired(right['numpy'], right['torch'])}")
    if (count := len(set(args.models))) > 1 and len(set(args.backends)) > 1:
        print(of_comparisons(count))
    print(sampling(next(iter(last.values())).mean(), dataset))
    title = f"{dataset.name}: test accuracy of {args.seeds} seeds after {epochs_in_words(args.epochs)}"
    save(dots(last, title, PRINTED if chapters_run else None), args.output_dir / "seeds.png")
    return 0


if __name__ == "__main__":
    run(main)
