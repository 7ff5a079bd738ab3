"""Show that both sides compute the same: python -m parity

For each model and dtype: every stage under a random upstream gradient, the whole model through the loss,
each optimiser on random gradients, and 200 training steps in lockstep. Exit code 0 only if everything
holds.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

import tinycnn_numpy
import tinycnn_torch
from parity.comparison import compare, compare_optimizers
from parity.kinds import KINDS
from parity.report import Report
from parity.training import lockstep, smooth_batches, smooth_input
from parity.weights import copy_weights
from tinycnn_numpy.optim import Optimizer

MODELS = {name: KINDS[name] for name in ("TinyCNN", "MNISTCNN", "MLP")}
OPTIMIZERS: list[Callable[..., Optimizer]] = [
    partial(tinycnn_numpy.SGD, lr=0.002, momentum=0.9, nesterov=True, weight_decay=1e-3),
    # With eps = 1e-8, Adam's first step is lr * sign(gradient), which noise decides where a gradient cancels.
    partial(tinycnn_numpy.Adam, lr=1e-3, eps=1e-5),
]


class Parser(argparse.ArgumentParser):
    """argparse without the usage text before an error."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(fail(f"{message} (see --help)"))


def main(argv: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m parity",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog="python -m parity check FILE examines the layers that a file defines; "
        "python -m parity template prints a file to start from. Both take --help.",
    )
    parser.add_argument(
        "--model", choices=[*MODELS, "all"], help="one model, or all; TinyCNN and MNISTCNN if not given"
    )
    parser.add_argument(
        "--dtype", choices=["float32", "float64", "both"], default="both", help="precision of both sides"
    )
    parser.add_argument(
        "--device", choices=["cpu", "cuda", "mps"], default="cpu", help="where the PyTorch side computes"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of weights, inputs, upstream gradients and batches"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write every row as JSON to FILE, or in place of the table",
    )
    args = parser.parse_args(argv)
    models = {None: ["TinyCNN", "MNISTCNN"], "all": list(MODELS)}.get(args.model, [args.model])
    dtypes = ["float32", "float64"] if args.dtype == "both" else [args.dtype]
    if args.seed < 0:
        return fail(f"--seed is {args.seed}, expected a whole number >= 0")
    if args.device == "cuda" and not torch.cuda.is_available():
        return fail("--device cuda requested but not available: use --device cpu")
    if args.device == "mps" and not torch.backends.mps.is_available():
        return fail("--device mps requested but not available: use --device cpu")
    if args.device == "mps" and "float64" in dtypes:
        return fail("--device mps has no float64: add --dtype float32")
    if args.json not in (None, "-") and not Path(args.json).parent.is_dir():
        return fail(f"--json {args.json} cannot be written: there is no folder {Path(args.json).parent}")

    torch.set_num_threads(1)  # a batch of four gains nothing from more
    reports = []
    for model in models:
        for dtype in dtypes:
            for report in prove(model, np.dtype(dtype), args.device, args.seed):
                reports.append(report)
                if args.json != "-":
                    print(
                        f"{report.title}\n{report.summary()}\n"
                        if " steps" in report.title and report.ok
                        else f"{report}\n"
                    )
    ok = all(report.ok for report in reports)
    if args.json:
        facts = {
            "ok": ok,
            "device": args.device,
            "seed": args.seed,
            "numpy": np.__version__,
            "torch": torch.__version__,
        }
        text = json.dumps({**facts, "reports": [report.to_dict() for report in reports]}, indent=2)
        if args.json == "-":
            print(text)
        else:
            Path(args.json).write_text(text + "\n", encoding="utf-8")
    if args.json != "-":
        count = sum(len(report.rows) for report in reports)
        bad = sum(len(report.mismatches) for report in reports)
        print(
            f"PARITY HOLDS: {count} tensors equal"
            if ok
            else f"PARITY BROKEN: {bad} of {count} tensors differ"
        )
    return 0 if ok else 1


def prove(name: str, dtype: np.dtype[Any], device: str, seed: int) -> Iterator[Report]:
    """Yield the reports of one model in one precision."""
    rng = np.random.default_rng(seed)
    model = getattr(tinycnn_numpy, name)(rng=rng, dtype=dtype)
    module = getattr(tinycnn_torch, name)().to(device, getattr(torch, str(dtype)))
    copy_weights(model, module)

    x = smooth_input(model, (4, *MODELS[name].shape), dtype, rng)
    labels = rng.integers(MODELS[name].classes, size=4)
    yield compare(model, x, module, seed=seed)
    yield compare(model, x, module, labels=labels)
    prototypes = rng.standard_normal((MODELS[name].classes, *MODELS[name].shape))
    labels = rng.integers(MODELS[name].classes, size=256)
    images = (0.3 * prototypes[labels] + rng.standard_normal((256, *MODELS[name].shape))).astype(dtype)
    for optimizer in OPTIMIZERS:
        yield compare_optimizers(
            optimizer(getattr(tinycnn_numpy, name)(rng=rng, dtype=dtype).parameters()), seed=seed
        )
        copy_weights(model, module)
        student = getattr(tinycnn_numpy, name)(rng=rng, dtype=dtype)
        copy_weights(model, student)
        batches: Any = (rng.integers(256, size=2) for _ in range(200))  # in float64 rounding decides nothing
        if dtype == np.float32:
            batches = smooth_batches(student, images, 200, 2, rng)
        yield lockstep(student, module, optimizer(student.parameters()), images, labels, batches)


def fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
