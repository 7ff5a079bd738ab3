"""Train MNISTCNN on handwritten digits, by hand in NumPy or with PyTorch: python -m examples.train_mnist

The recipe is the chapter's: 5 epochs, Adam with learning rate 1e-3, batches of 64. Both backends start
from the same weights and see the same batches, so one seed gives one training run, computed twice.
"""

import json
import sys
import time
from datetime import datetime
from pathlib import Path

from examples.program import Parser, fail, positive_number, whole_number


def parse(argv):
    parser = Parser(prog="python -m examples.train_mnist", description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=["torch", "numpy"], default="torch", help="who computes")
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where torch computes"
    )
    parser.add_argument(
        "--dataset", choices=["auto", "mnist", "digits"], default="auto", help="auto: mnist, else digits"
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path("data"), help="folder that holds or gets MNIST/raw"
    )
    parser.add_argument(
        "--epochs", type=whole_number(0), default=5, help="passes over the training set; 0 evaluates"
    )
    parser.add_argument("--batch-size", type=whole_number(1), default=64, help="images to an optimiser step")
    parser.add_argument("--lr", type=positive_number, default=1e-3, help="learning rate of Adam")
    parser.add_argument(
        "--seed", type=whole_number(0), default=42, help="of the weights and of the order of the images"
    )
    parser.add_argument(
        "--output-dir", type=Path, help="folder of the results; a new one under runs/ unless given"
    )
    parser.add_argument("--quiet", action="store_true", help="print the last line only")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse(argv)

    from examples import data  # the imports below take seconds: --help and a mistyped flag need not wait

    device = choose_device(args.device, args.backend)
    output_dir = args.output_dir or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{args.backend}"
    if (output_dir / "metrics.jsonl").exists():
        fail(f"--output-dir {output_dir} holds an earlier run: name another folder")
    try:
        dataset, instead = data.load(args.dataset, args.data_dir)
        output_dir.mkdir(parents=True, exist_ok=True)
    except (data.DataError, OSError) as error:
        fail(f"{error}")
    if instead:
        print(instead)
    if args.batch_size > len(dataset.train_images):
        fail(
            f"--batch-size {args.batch_size} is above the {len(dataset.train_images)} training images of {dataset.name}"
        )

    def say(line: str) -> None:
        if not args.quiet:
            print(f"{dataset.name}: {line}", flush=True)

    say(f"MNISTCNN on {dataset}, {args.backend} on {device}, seed {args.seed}, results in {output_dir}")
    history = train(args, dataset, device, output_dir, say)
    last = history[-1]["test_accuracy"]
    print(
        f"{dataset.name}: test accuracy {last:.2f} % after {args.epochs} epochs, {args.backend} on {device}: {output_dir}"
    )
    return 0


def choose_device(wanted: str, backend: str) -> str:
    """The device to use. Ends the program if it cannot be had: a run never falls back on another one
    unasked."""
    if backend == "numpy":
        if wanted not in ("auto", "cpu"):
            fail(
                f"--device {wanted} with --backend numpy: NumPy computes on the CPU, use --device cpu or --backend torch"
            )
        return "cpu"
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, there in available.items() if there)
    if not available[wanted]:
        fail(f"--device {wanted} requested but not available: use --device auto or cpu")
    return wanted


def set_up(backend: str, device: str, dataset, lr: float, rng):
    """The package that trains, its model, loss and optimiser, and how arrays become what it trains on."""
    import tinycnn_numpy

    model = tinycnn_numpy.MNISTCNN(rng=rng)
    if backend == "numpy":
        ours = tinycnn_numpy.Adam(model.parameters(), lr)
        return tinycnn_numpy, model, tinycnn_numpy.CrossEntropyLoss(), ours, lambda array: array

    import torch

    import tinycnn_torch
    from parity import copy_weights

    module = tinycnn_torch.MNISTCNN().to(device)
    copy_weights(model, module)
    optimizer = torch.optim.Adam(module.parameters(), lr)
    return (
        tinycnn_torch,
        module,
        torch.nn.CrossEntropyLoss(),
        optimizer,
        lambda a: torch.from_numpy(a).to(device),
    )


def train(args, dataset, device: str, output_dir: Path, say) -> list[dict]:
    """Train and evaluate epoch by epoch, and write all results to output_dir; return the rows of
    metrics.jsonl."""
    import numpy as np
    from tqdm import tqdm

    from examples.figures import training_curves
    from parity import save_weights

    rng = np.random.default_rng(args.seed)
    package, model, loss_fn, optimizer, place = set_up(args.backend, device, dataset, args.lr, rng)
    images, labels = place(dataset.train_images), place(dataset.train_labels)
    test_images, test_labels = place(dataset.test_images), place(dataset.test_labels)

    facts = {"dataset": dataset.name, "backend": args.backend, "device": device}
    facts |= {"seed": args.seed, "batch_size": args.batch_size}
    history = []
    with open(output_dir / "metrics.jsonl", "w", encoding="utf-8") as metrics:
        for epoch in range(1, args.epochs + 1):
            order = place(rng.permutation(len(images)))
            batches = [order[i : i + args.batch_size] for i in range(0, len(order), args.batch_size)]
            bar = tqdm(
                batches,
                f"{dataset.name}: epoch {epoch}",
                leave=False,
                disable=None if not args.quiet else True,
            )
            start = time.perf_counter()
            loss = package.train_epoch(model, loss_fn, optimizer, images, labels, bar)
            seconds = time.perf_counter() - start
            accuracy = package.evaluate(model, test_images, test_labels)
            say(
                f"epoch {epoch}/{args.epochs}, train loss {loss:.4f}, test accuracy {accuracy:.2f} %, {seconds:.1f} s"
            )
            history.append(
                {"epoch": epoch, "train_loss": loss, "test_accuracy": accuracy, "seconds": seconds, **facts}
            )
            print(json.dumps(history[-1]), file=metrics, flush=True)

    save_weights(model, output_dir / "model.safetensors", {"dataset": dataset.name, "model": "MNISTCNN"})
    if history:
        epochs, losses, accuracies = zip(
            *[(row["epoch"], row["train_loss"], row["test_accuracy"]) for row in history], strict=True
        )
        title = f"MNISTCNN on {dataset.name}, {args.backend} on {device}, seed {args.seed}"
        training_curves(epochs, losses, accuracies, title).savefig(
            output_dir / "training_curves.png", dpi=150
        )
        return history
    return [{"test_accuracy": package.evaluate(model, test_images, test_labels)}]


if __name__ == "__main__":
    sys.exit(main())
