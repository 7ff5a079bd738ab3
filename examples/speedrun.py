"""How soon is the network as good as the chapter's, 98.75 %, and 99 %? python -m examples.speedrun

MNISTCNN and Adam as they are, under the schedule of train_mnist --schedule one-cycle: by NumPy, by PyTorch
on the CPU and, if there is one, on a GPU; and the chapter's own loop. --peaks shows how the largest learning
rate was chosen, without a look at the test images.
"""

from collections.abc import Callable

from examples.common.cli import Parser, fail, in_words, machine, positive_number, run, whole_number
from examples.common.data import add_flags, from_flags

SIDES = ["numpy", "torch", "cuda", "chapter"]


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.speedrun", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", choices=SIDES, nargs="+", help="who runs; all unless given, cuda if there is a GPU")
    add("--seeds", type=whole_number(1), default=1, help="how many runs of each side: 0, 1, 2, ...")
    add("--epochs", type=whole_number(1), default=5, help="of the chapter's loop, at most")
    add("--threads", type=whole_number(1), default=1, help="of the CPU, for every side")
    add("--peaks", type=positive_number, nargs="+", help="only compare these on held back training images")
    add_flags(parser)
    args = parser.parse_args(argv)

    import torch
    from threadpoolctl import threadpool_limits

    if "cuda" in (args.only or ()) and not torch.cuda.is_available():
        fail("--only cuda requested but not available: leave it out")
    torch.set_num_threads(args.threads)
    with threadpool_limits(args.threads):
        print(in_words(machine()))
        dataset = from_flags(args)
        if args.peaks:
            compare_peaks(args, dataset)
        else:
            race(args, dataset)
    return 0


def race(args, dataset) -> None:
    from functools import cache, partial

    import torch

    from examples.experiments.speedrun import TARGETS, chapters_loop, one_cycle, reached

    whole = cache(lambda seed: list(chapters_loop(dataset, seed, args.epochs)))  # one run for both targets
    there = [side for side in SIDES if side != "cuda" or torch.cuda.is_available()]
    sides: dict[str, tuple[str, Callable]] = {
        "numpy": ("NumPy", partial(one_cycle, dataset, "numpy", "cpu")),
        "torch": ("PyTorch, CPU", partial(one_cycle, dataset, "torch", "cpu")),
        "cuda": ("PyTorch, GPU", partial(one_cycle, dataset, "torch", "cuda")),
        "chapter": ("the chapter's loop, CPU", lambda seed, epochs: whole(seed)),
    }
    print(f"MNISTCNN on {dataset}, threads {args.threads}, seeds 0 to {args.seeds - 1}")
    print("target  side                     seed  epochs  seconds  test accuracy")
    for target, epochs in TARGETS.items():
        for side in args.only or there:
            name, train = sides[side]
            for seed in range(args.seeds):
                good, last = reached(train(seed, epochs), target)
                row = f"{target:5} %  {name:23}  {seed:4}  {last.number:6}  {last.seconds:7.1f}"
                print(f"{row}  {last.accuracy:.2f} %{'' if good else ', not reached'}", flush=True)
    print("seconds of the training steps; what is tested after an epoch is not counted")


def compare_peaks(args, dataset) -> None:
    from examples.experiments.speedrun import TARGETS, held_back, one_cycle

    dataset = held_back(dataset)
    images = (
        f"{len(dataset.train_images):,} of the training images, judged by {len(dataset.test_images):,} others"
    )
    print(f"{dataset.name}: {images}, NumPy, seeds 0 to {args.seeds - 1}")
    print("epochs   peak  accuracy on what was held back: mean (smallest to largest)")
    for epochs in TARGETS.values():
        for peak in args.peaks:
            runs = [
                list(one_cycle(dataset, "numpy", "cpu", seed, epochs, peak)) for seed in range(args.seeds)
            ]
            found = [run[-1].accuracy for run in runs]
            mean = sum(found) / len(found)
            print(f"{epochs:6}  {peak:5g}  {mean:.3f} % ({min(found):.2f} to {max(found):.2f})", flush=True)


if __name__ == "__main__":
    run(main)
