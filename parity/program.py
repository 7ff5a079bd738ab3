"""Show that both sides compute the same: python -m parity; and the flags of python -m parity explain

For each model and dtype: every stage under a random upstream gradient, the whole model through the loss,
each optimiser on random gradients, and training steps in lockstep. Exit code 0 only if everything holds.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NoReturn

MODELS = ("TinyCNN", "MNISTCNN", "MLP")


class Parser(argparse.ArgumentParser):
    """argparse without the usage text before an error."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(fail(f"{message} (see --help)"))


def main(argv: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m parity",
        description="Show that both sides compute the same: python -m parity",
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
    parser.add_argument("--steps", type=int, default=40, help="of each training run in lockstep")
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
    if args.steps < 1:
        return fail(f"--steps is {args.steps}, expected a whole number >= 1")

    import numpy as np  # --help and a mistyped flag need not wait for these
    import torch

    from parity.proof import prove

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
            for report in prove(model, np.dtype(dtype), args.device, args.seed, args.steps):
                reports.append(report)
                if args.json != "-":
                    print(
                        f"{report.title}\n{report.summary()}\n"
                        if " steps" in report.title and report.ok
                        else f"{report}\n",
                        flush=True,
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


def explain(argv: list[str]) -> int:
    parser = Parser(
        prog="python -m parity explain",
        description="What a cause is, a wrong and a right example, and why it matters.",
    )
    parser.add_argument("code", nargs="?", help="as a report shows it in [brackets]; all, if none is given")
    code = parser.parse_args(argv).code

    from parity.doctor.explain import explain

    return explain(code)


def fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
