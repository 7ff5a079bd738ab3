"""All that is claimed of a GPU, measured by one command in nine minutes: python -m examples.gpu

Without a GPU the same runs on the CPU, an ordinary step in the place of the CUDA graph: that tries the
script, and shows nothing of a GPU. What the time does not suffice for is left out, and named.
"""

import signal
import time
from collections.abc import Callable
from contextlib import contextmanager

from examples.common.cli import Parser, fail, in_words, machine, run, whole_number
from examples.common.data import add_flags, from_flags

GOAL = "goals on a GPU: 5 epochs in 1.5 s of training, 15 x faster than the chapter's loop; 99 % in 0.76 s"


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.gpu", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--device", choices=["auto", "cuda", "cpu"], default="auto", help="auto: cuda if there is a GPU")
    add("--seeds", type=whole_number(1), default=5, help="runs of each recipe: seeds 0, 1, 2, ...")
    add("--epochs", type=whole_number(1), default=5, help="of the chapter's recipe")
    add("--steps", type=whole_number(5), default=200, help="of each turn of the step table")
    add("--limit", type=whole_number(1), default=540, help="seconds for everything")
    add_flags(parser)
    args = parser.parse_args(argv)
    began = time.monotonic()

    import torch

    there = torch.cuda.is_available()
    if args.device == "cuda" and not there:
        fail("--device cuda requested but not available: use --device auto or cpu")
    if args.device == "auto":
        args.device = "cuda" if there else "cpu"
    print(in_words(machine()))
    if args.device == "cpu":
        print("no GPU is used: the CUDA graph is an ordinary step here, and no figure below is a GPU's")
    dataset = from_flags(args)
    failed = 0
    for name, (part, share) in PARTS.items():
        print(f"\n{name}", flush=True)
        try:
            with at_most(min(share * args.limit, args.limit - (time.monotonic() - began))):
                failed += not part(args, dataset)
        except TimeoutError as error:
            failed += 1
            print(f"left out from here on: {error}", flush=True)
    print(f"\n{GOAL}\n{time.monotonic() - began:.0f} s in all")
    return 1 if failed else 0


@contextmanager
def at_most(seconds: float):
    """Raise TimeoutError in what takes longer, by the clock's alarm."""

    def over(signum, frame):
        raise TimeoutError(f"its {max(seconds, 0):.0f} s are over")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def the_captured_step(args, dataset) -> bool:
    from examples.experiments.gpu import step_times

    print("batch  captured ms  eager ms  captured / eager")
    for batch_size in (64, 256, 1024):
        size = min(batch_size, len(dataset.train_images))
        times = step_times(dataset, args.device, size, turns=4, steps=args.steps)
        ratio = times["captured"] / times["eager"]
        print(f"{size:5}  {times['captured']:11.3f}  {times['eager']:8.3f}  {ratio:.2f}", flush=True)
    return True


def the_chapters_recipe(args, dataset) -> bool:
    from examples.experiments.gpu import chapters_loop, chapters_recipe

    seconds, accuracies = [], []
    print("seed  seconds  test accuracy")
    for seed in range(args.seeds):
        took, accuracy = chapters_recipe(dataset, args.device, seed, args.epochs)
        seconds.append(took)
        accuracies.append(accuracy)
        print(f"{seed:4}  {took:7.2f}  {accuracy:.2f} %", flush=True)
    mean = sum(accuracies) / len(accuracies)
    print(f"mean {mean:.2f} % ({min(accuracies):.2f} to {max(accuracies):.2f}), {args.epochs} epochs each")
    loop, ours = chapters_loop(dataset, args.device), sorted(seconds)[len(seconds) // 2] / args.epochs
    print(f"an epoch: {ours:.3f} s; of the chapter's loop {loop:.2f} s, {loop / ours:.1f} times as long")
    return True


def time_to_accuracy(args, dataset) -> bool:
    from examples.experiments.speedrun import TARGETS, one_cycle, reached

    print("target  step      seed  epochs  seconds  test accuracy")
    for captured in (True, False):
        for target, epochs in TARGETS.items():
            for seed in range(args.seeds):
                step = "captured" if captured else "eager"
                good, last = reached(
                    one_cycle(dataset, "torch", args.device, seed, epochs, captured=captured), target
                )
                row = f"{target:5} %  {step:8}  {seed:4}  {last.number:6}  {last.seconds:7.2f}"
                print(f"{row}  {last.accuracy:.2f} %{'' if good else ', not reached'}", flush=True)
    return True


def resumed(args, dataset) -> bool:
    from examples.experiments.gpu import resumes

    try:
        same = resumes(dataset.name, args.data_dir, args.device)
    except RuntimeError as error:
        same = False
        print(error)
    print(f"two epochs, and one with a second one resumed: {'the same bits' if same else 'NOT THE SAME'}")
    return same


def parity(args, dataset) -> bool:
    from examples.experiments.gpu import python

    code, said = python(["-m", "parity", "--device", args.device])
    print(said)
    return code == 0


def tests(args, dataset) -> bool:
    from examples.experiments.gpu import python

    code, said = python(["-m", "pytest", "-q", "-n", "0", "tests/tinycnn_torch/test_captured.py"])
    print(said)
    return code == 0


PARTS: dict[str, tuple[Callable, float]] = {  # each with its share of the time
    "A step of MNISTCNN, as a CUDA graph and launched kernel by kernel": (the_captured_step, 0.1),
    "The chapter's recipe": (the_chapters_recipe, 0.3),
    "The one-cycle schedule: how soon?": (time_to_accuracy, 0.2),
    "A run that is resumed": (resumed, 0.15),
    "python -m parity on the device": (parity, 0.15),
    "tests/tinycnn_torch/test_captured.py": (tests, 0.1),
}


if __name__ == "__main__":
    run(main)
