"""Train MNISTCNN on handwritten digits, by hand in NumPy or with PyTorch: python -m examples.train_mnist

The recipe is the chapter's: 5 epochs, Adam with learning rate 1e-3, batches of 64. Both backends start from
the same weights and see the same batches, so one seed gives one training run, computed twice.
"""

import json
import math
import sys
import time
from datetime import datetime
from pathlib import Path

from examples.program import Parser, fail, positive_number, whole_number


def parse(argv):
    parser = Parser(prog="python -m examples.train_mnist", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--backend", choices=["torch", "numpy"], default="torch", help="who computes")
    add("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where torch computes")
    add("--dataset", choices=["auto", "mnist", "digits"], default="auto", help="auto: mnist, else digits")
    add("--data-dir", type=Path, default=Path("data"), help="folder that holds or gets MNIST/raw")
    add("--epochs", type=whole_number(0), default=5, help="passes over the training set; 0 only evaluates")
    add("--batch-size", type=whole_number(1), default=64, help="images to an optimiser step")
    add("--lr", type=positive_number, default=1e-3, help="learning rate of Adam")
    add("--seed", type=whole_number(0), default=42, help="of the weights and of the order of the images")
    add("--output-dir", type=Path, help="folder of the results; a new one under runs/ unless given")
    add("--quiet", action="store_true", help="print the result alone, and what became of MNIST")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse(argv)

    from examples import data  # imports below take seconds: --help and a mistyped flag need not wait

    device = choose_device(args.device, args.backend)
    output_dir = args.output_dir or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{args.backend}"
    if (output_dir / "metrics.jsonl").exists():
        fail(f"--output-dir {output_dir} holds an earlier run: name another folder")
    try:
        dataset, instead = data.load(args.dataset, args.data_dir)
    except data.DataError as error:
        fail(str(error))
    if instead:
        print(instead)
    images = len(dataset.train_images)
    if args.batch_size > images:
        fail(f"--batch-size {args.batch_size} is above the {images} training images of {dataset.name}")
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        (output_dir / "metrics.jsonl").touch()
    except OSError as error:
        fail(f"--output-dir {output_dir} cannot be written: {error.strerror}")

    def say(line: str) -> None:
        if not args.quiet:
            print(f"{dataset.name}: {line}", flush=True)

    say(f"MNISTCNN on {dataset}, {args.backend} on {device}, seed {args.seed}")
    accuracy = train(args, dataset, device, output_dir, say)
    result = f"test accuracy {accuracy:.2f} % after {args.epochs} epochs, {args.backend} on {device}"
    print(f"{dataset.name}: {result}, results in {output_dir}")
    return 0


def choose_device(wanted: str, backend: str) -> str:
    """The device to use. One that cannot be had ends the program: nothing falls back unasked."""
    if backend == "numpy":
        if wanted not in ("auto", "cpu"):
            fail(f"--device {wanted} with --backend numpy: NumPy computes on the CPU, use --device cpu")
        return "cpu"
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, there in available.items() if there)
    if not available[wanted]:
        fail(f"--device {wanted} requested but not available: use --device auto or cpu")
    return wanted


def set_up(backend: str, device: str, lr: float, rng):
    """The package that trains, its model, loss and optimiser, and how arrays become what it trains on."""
    import tinycnn_numpy

    model = tinycnn_numpy.MNISTCNN(rng=rng)
    if backend == "numpy":
        adam = tinycnn_numpy.Adam(model.parameters(), lr)
        return tinycnn_numpy, model, tinycnn_numpy.CrossEntropyLoss(), adam, lambda array: array

    import torch

    import tinycnn_torch
    from parity import copy_weights

    module = tinycnn_torch.MNISTCNN().to(device)
    copy_weights(model, module)
    optimizer = torch.optim.Adam(module.parameters(), lr)
    loss_fn = torch.nn.CrossEntropyLoss()
    return tinycnn_torch, module, loss_fn, optimizer, lambda array: torch.from_numpy(array).to(device)


def train(args, dataset, device: str, output_dir: Path, say) -> float:
    """Train, evaluate after every epoch, write all results to output_dir; return the test accuracy."""
    import numpy as np
    from tqdm import tqdm

    from examples.figures import training_curves
    from parity import save_weights

    rng = np.random.default_rng(args.seed)
    package, model, loss_fn, optimizer, place = set_up(args.backend, device, args.lr, rng)
    images, labels = place(dataset.train_images), place(dataset.train_labels)
    test_images, test_labels = place(dataset.test_images), place(dataset.test_labels)
    run = {"dataset": dataset.name, "backend": args.backend, "device": device, "seed": args.seed}

    losses, accuracies = [], []
    with open(output_dir / "metrics.jsonl", "w", encoding="utf-8") as metrics:
        for epoch in range(1, args.epochs + 1):
            order = place(rng.permutation(len(images)))
            batches = [order[i : i + args.batch_size] for i in range(0, len(order), args.batch_size)]
            bar = tqdm(batches, f"{dataset.name}: epoch {epoch}", leave=False, disable=args.quiet or None)
            start = time.perf_counter()
            losses.append(package.train_epoch(model, loss_fn, optimizer, images, labels, bar))
            seconds = time.perf_counter() - start
            if not math.isfinite(losses[-1]):
                fail(f"train loss is {losses[-1]} after epoch {epoch}: take an --lr below {args.lr:g}")
            accuracies.append(package.evaluate(model, test_images, test_labels))
            result = {"train_loss": losses[-1], "test_accuracy": accuracies[-1], "seconds": seconds}
            row = {"epoch": epoch, **result, **run, "batch_size": args.batch_size}
            print(json.dumps(row), file=metrics, flush=True)
            scores = f"train loss {losses[-1]:.4f}, test accuracy {accuracies[-1]:.2f} %"
            say(f"epoch {epoch}/{args.epochs}, {scores}, {seconds:.1f} s")

    save_weights(model, output_dir / "model.safetensors", {"dataset": dataset.name})
    if not losses:
        return package.evaluate(model, test_images, test_labels)
    title = f"MNISTCNN on {dataset.name}, {args.backend} on {device}, seed {args.seed}"
    curves = training_curves(range(1, args.epochs + 1), losses, accuracies, title)
    curves.savefig(output_dir / "training_curves.png", dpi=150)
    return accuracies[-1]


if __name__ == "__main__":
    sys.exit(main())
