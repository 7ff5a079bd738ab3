"""Train MNISTCNN on handwritten digits, by hand in NumPy or with PyTorch: python -m examples.train_mnist

The recipe is the chapter's: 5 epochs, Adam with learning rate 1e-3, batches of 64. --schedule one-cycle gets
about as far in one epoch, with a rate that goes up and down. Both backends start from the same weights and
see the same batches, so one seed gives one training run, computed twice. On several processes:
torchrun --standalone --nproc-per-node=2 -m examples.train_mnist --device cpu

Images of your own: --data FILE.npz, with arrays x_train, y_train, x_test and y_test as in Keras' mnist.npz;
examples/common/own_images.py says which shapes. They train ImageCNN, MNISTCNN's form for their size.
"""

import time
from pathlib import Path

from examples.common import processes
from examples.common.cli import Parser, fail, positive_number, run, whole_number
from examples.common.data import add_flags
from examples.common.flags import RECIPES
from examples.common.processes import Processes


def make_parser() -> Parser:
    parser = Parser(prog="python -m examples.train_mnist", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--backend", choices=["torch", "numpy"], default="torch", help="who computes")
    add("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where torch computes")
    add_flags(parser)
    add("--data", type=Path, metavar="FILE.npz", help="images of your own instead of --dataset")
    add("--epochs", type=whole_number(0), default=5, help="passes over the training set; 0 only evaluates")
    add("--batch-size", type=whole_number(1), default=64, help="images to an optimiser step")
    add("--schedule", choices=list(RECIPES), default="constant", help="of the learning rate over the run")
    rates = " or ".join(f"{recipe.lr:g} ({name})" for name, recipe in RECIPES.items())
    add("--lr", type=positive_number, help=f"learning rate of Adam, the largest one; {rates} unless given")
    add("--seed", type=whole_number(0), default=42, help="of the weights and of the order of the images")
    add("--tf32", action="store_true", help="let a GPU round the factors of a product to 11 bits: faster")
    add("--output-dir", type=Path, help="folder of the results; a new one under runs/ unless given")
    add("--resume", action="store_true", help="go on with the run in --output-dir, bit for bit")
    add("--overwrite", action="store_true", help="remove the run in --output-dir and begin anew")
    add("--quiet", action="store_true", help="print the result alone, and what became of MNIST")
    return parser


def main(argv=None) -> int:
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.resume and (args.overwrite or not args.output_dir):
        fail("--resume needs the --output-dir of the run, and goes without --overwrite")
    if args.data and args.dataset != "auto":
        fail(f"--data {args.data} with --dataset {args.dataset}: name one of them")

    from examples.common import checkpoint  # takes seconds: --help and a mistyped flag need not wait
    from examples.common.models import start_for

    device = choose_device(args.device, args.backend)
    group = Processes(device)
    where = f"{args.backend} on {device}" + (f", {processes.COUNT} processes" if processes.COUNT > 1 else "")

    def say(line: str, always: bool = False) -> None:
        if processes.RANK == 0 and (always or not args.quiet):
            print(line, flush=True)

    with checkpoint.what_can_go_wrong(args, parser):
        dataset = load_data(args, group, say)
        with checkpoint.claimed_folder(args) as folder:
            folder = args.output_dir = Path(group.broadcast(str(folder)))
            model = start_for(dataset, args.backend, args.seed)
            what = f"{type(model).__name__} on {dataset}{described(dataset)}"
            say(f"{dataset.name}: {what}, {where}, seed {args.seed}, results in {folder}")
            accuracy = train(args, dataset, model, group, folder, say)
        epochs = f"{args.epochs} epoch{'s' * (args.epochs != 1)}"
        result = f"{dataset.name}: test accuracy {accuracy:.2f} % after {epochs}, {where}"
        say(result, always=True)
    group.end()
    return 0


def load_data(args, group: Processes, say):
    """The data set; the first process loads it, and perhaps downloads it, before the others."""
    from examples.common import data
    from examples.common.own_images import load_npz
    from examples.common.training import steps_of

    try:
        if args.data:
            dataset = load_npz(args.data)
        elif processes.RANK == 0:
            dataset, instead = data.load(args.dataset, args.data_dir)
            if instead:
                say(instead, always=True)
            group.broadcast(dataset.name)
        else:
            dataset, _ = data.load(group.broadcast(), args.data_dir)
    except data.DataError as error:
        fail(str(error))
    images = len(dataset.train_images)
    if args.batch_size > images:
        fail(f"--batch-size {args.batch_size} is above the {images} training images of {dataset.name}")
    steps = args.epochs * steps_of(images, args.batch_size)
    if args.schedule == "one-cycle" and 0 < steps < 4:
        fail(
            f"--schedule one-cycle has {steps} steps to go up and down in, expected at least 4: more --epochs"
        )
    return dataset


def described(dataset) -> str:
    """What tells images of one's own from others."""
    if not (facts := dataset.facts):
        return ""
    C, H, W = dataset.image
    return f" of {C} x {H} x {W} in {dataset.classes} classes, SHA-256 {facts['sha256'][:12]}..."


def choose_device(wanted: str, backend: str) -> str:
    """The device to use. One that cannot be had ends the program: nothing falls back unasked."""
    if backend == "numpy":
        if wanted not in ("auto", "cpu"):
            fail(f"--device {wanted} with --backend numpy: NumPy computes on the CPU, use --device cpu")
        return "cpu"
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = next(device for device, there in available.items() if there)
    if not available[wanted]:
        fail(f"--device {wanted} requested but not available: use --device auto or cpu")
    if wanted != "cuda" or processes.COUNT == 1:
        return wanted
    if (gpus := torch.cuda.device_count()) < processes.COUNT:
        fail(
            f"--device cuda with {processes.COUNT} processes on {gpus} GPUs: start fewer, or use --device cpu"
        )
    return f"cuda:{processes.RANK}"


def train(args, dataset, untrained, group: Processes, folder: Path, say) -> float:
    """Train, evaluate after every epoch, write all results to `folder`; return the test accuracy."""
    from tqdm import tqdm

    from examples.common.checkpoint import Checkpoint, replacing
    from examples.common.training import backend_of, batches_of, steps_of
    from parity import save_weights

    lr, betas, smoothing = RECIPES[args.schedule]
    lr = args.lr or lr
    backend = backend_of(untrained, lr, betas, group, args.tf32, stop_at_nan=True, label_smoothing=smoothing)
    images, labels = backend.place(dataset.train_images), backend.place(dataset.train_labels)
    ours = slice(processes.RANK, None, processes.COUNT)
    tests = backend.place(dataset.test_images[ours]), backend.place(dataset.test_labels[ours])
    device = group.device.partition(":")[0]  # the same for every process
    recipe = {"dataset": dataset.name, "backend": args.backend, "device": device, "seed": args.seed}
    recipe |= {"batch_size": args.batch_size, "lr": lr, "tf32": args.tf32} | dataset.facts
    one_cycle = args.schedule == "one-cycle" and args.epochs > 0
    recipe["schedule"] = f"one-cycle over {args.epochs} epochs, smoothed labels" if one_cycle else "constant"
    checkpoint = Checkpoint(folder, recipe)

    log = checkpoint.load(backend.model, backend.optimizer, args.epochs)
    steps = steps_of(len(images), args.batch_size)
    schedule = backend.one_cycle(lr, steps * args.epochs, steps * len(log)) if one_cycle else None
    for epoch in range(len(log) + 1, args.epochs + 1):
        batches = batches_of(backend.place, len(images), args.seed, epoch, args.batch_size)
        bar = tqdm(batches, f"{dataset.name}: epoch {epoch}", leave=False, disable=args.quiet or None)
        began = time.perf_counter()
        loss = group.mean(backend.train_epoch(images, labels, bar, schedule))
        seconds = time.perf_counter() - began
        accuracy = group.mean(backend.evaluate(*tests), weight=len(tests[0]))
        log.append({"epoch": epoch, "train_loss": loss, "test_accuracy": accuracy, "seconds": seconds})
        checkpoint.save(log, backend.model, backend.optimizer)
        scores = f"train loss {loss:.4f}, test accuracy {accuracy:.2f} %"
        say(f"{dataset.name}: epoch {epoch}/{args.epochs}, {scores}, {seconds:.1f} s")

    if processes.RANK == 0:
        with replacing(folder / "model.safetensors") as path:
            sha256 = f", SHA-256 {dataset.facts['sha256']}" if dataset.facts else ""
            save_weights(backend.model, path, {"dataset": dataset.name + sha256})
    if not log:
        return group.mean(backend.evaluate(*tests), weight=len(tests[0]))
    if processes.RANK == 0:
        from examples.common.figures import training_curves

        title = f"{type(untrained).__name__} on {dataset.name}, {args.backend} on {device}, seed {args.seed}"
        curves = training_curves({args.backend: log}, title)
        with replacing(folder / "training_curves.png") as path:
            curves.savefig(path, dpi=150)
    return log[-1]["test_accuracy"]


if __name__ == "__main__":
    run(main)
