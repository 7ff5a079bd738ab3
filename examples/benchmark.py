"""How fast is a training step by hand, against PyTorch? python -m examples.benchmark

One step of MNISTCNN (forward, loss, backward, Adam; float32) on real images, NumPy and PyTorch in turns
within one process, for one thread and for all cores. The ratio of each turn is what counts: absolute
times move with the machine.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from examples.program import Parser, fail, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--threads", type=whole_number(1), nargs="+", help="thread counts; 1 and all cores if not given"
    )
    parser.add_argument("--batch-size", type=whole_number(1), default=64, help="images to a step")
    parser.add_argument("--turns", type=whole_number(1), default=40, help="pairs of turns")
    parser.add_argument("--steps", type=whole_number(1), default=20, help="steps to a turn")
    parser.add_argument(
        "--dataset", choices=["auto", "mnist", "digits"], default="auto", help="auto: mnist, else digits"
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path("data"), help="folder that holds or gets MNIST/raw"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument(
        "--worker", action="store_true", help="measure one thread count in this process, print JSON"
    )
    args = parser.parse_args(argv)
    if args.worker:
        print(json.dumps(measure(args)))
        return 0

    if args.json and not args.json.parent.is_dir():
        fail(f"--json {args.json} cannot be written: there is no folder {args.json.parent}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    results = []
    for threads in args.threads or sorted({1, cores}):
        command = [sys.executable, "-m", "examples.benchmark", "--worker", "--threads", str(threads)]
        for name in ("batch_size", "turns", "steps", "dataset", "data_dir"):
            command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
        limits = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], str(threads))
        run = subprocess.run(command, env=os.environ | limits, capture_output=True, text=True, check=False)
        if run.returncode:
            fail(run.stderr.strip().splitlines()[-1].removeprefix("error: "))
        results.append(json.loads(run.stdout.splitlines()[-1]))
    first = results[0]
    print(f"training step of MNISTCNN on {first['dataset']}, batch {args.batch_size}, float32")
    print(f"{args.turns} turns of {args.steps} steps for each side, seed 0")
    print(f"{first['machine']}, NumPy {first['numpy']}, PyTorch {first['torch']}")
    print("threads  NumPy ms  PyTorch ms  NumPy / PyTorch: median (10 % to 90 %)")
    for r in results:
        low, middle, high = r["ratio"]
        milliseconds = f"{r['numpy_ms']:8.2f}  {r['torch_ms']:10.2f}"
        print(f"{r['threads']:7}  {milliseconds}  {middle:.2f} ({low:.2f} to {high:.2f})")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(args) -> dict:
    """Medians in milliseconds a step, and [10 %, 50 %, 90 %] of the ratios of the turns."""
    import numpy as np
    import torch

    import tinycnn_numpy
    import tinycnn_torch
    from examples import data
    from parity import copy_weights

    (threads,) = args.threads
    torch.set_num_threads(threads)
    try:
        dataset, _ = data.load(args.dataset, args.data_dir)
    except data.DataError as error:
        fail(str(error))
    images, labels = dataset.train_images, dataset.train_labels
    rng = np.random.default_rng(0)
    model = tinycnn_numpy.MNISTCNN(rng=rng)
    module = tinycnn_torch.MNISTCNN()
    copy_weights(model, module)
    numpy_side = (
        model,
        tinycnn_numpy.CrossEntropyLoss(),
        tinycnn_numpy.Adam(model.parameters()),
        images,
        labels,
    )
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    torch_side = module, torch.nn.CrossEntropyLoss(), torch.optim.Adam(module.parameters()), *tensors

    def turn(train_epoch, side, batches) -> float:
        start = time.perf_counter()
        train_epoch(*side, batches)
        return 1000 * (time.perf_counter() - start) / args.steps

    times = []
    for _ in range(args.turns + 1):
        batches = [rng.integers(len(images), size=args.batch_size) for _ in range(args.steps)]
        ours = turn(tinycnn_numpy.train_epoch, numpy_side, batches)
        times.append(
            (ours, turn(tinycnn_torch.train_epoch, torch_side, [torch.from_numpy(b) for b in batches]))
        )
    ours, theirs = np.array(times[1:]).T  # the first turns warm up
    return {
        "dataset": dataset.name,
        "threads": threads,
        "batch_size": args.batch_size,
        "numpy_ms": float(np.median(ours)),
        "torch_ms": float(np.median(theirs)),
        "ratio": np.percentile(ours / theirs, [10, 50, 90]).tolist(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "numpy": np.__version__,
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    run(main)
