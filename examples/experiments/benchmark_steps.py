"""MNISTCNN at work in every framework at hand; a part of examples.benchmark, which starts it.

A training step is forward, loss, backward, Adam; an answer is forward alone. In float32, on real images:
random ones would flatter NumPy, since PyTorch's max pool is slow where it cannot predict the winner. With T
threads a side of one process has T threads, a side of T processes one thread each.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common import data, processes
from examples.common.cli import fail
from examples.common.processes import COUNT, RANK, Processes


def measure(
    dataset: data.Dataset, work: str, threads: int, batch_sizes, turns: int, images_a_turn: int
) -> list[dict]:
    """One row for each batch size and side; ratio: NumPy's time over its, [10 %, 50 %, 90 %] of turns.

    work: "step" or "answer".
    """
    group = Processes("cpu")
    images, labels = dataset.train_images[:12800], dataset.train_labels[:12800]
    sides = training_sides(images, labels, group) if work == "step" else answering_sides(images)
    ours = [name for name in sides if name.startswith("tinycnn_numpy")][-1]  # on all threads
    rng, rows = np.random.default_rng(0), []
    rate = matrix_rate() if RANK == 0 else 1.0  # on all threads, while the others wait
    group.mean(0.0)
    for batch_size in batch_sizes:
        steps = -(-images_a_turn // batch_size)
        times: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(turns + 1):
            batches = [rng.integers(len(images), size=batch_size) for _ in range(steps)]
            for name in sorted(sides, reverse=turn % 2 == 1):
                together, go = sides[name]
                limit = 1 if together else threads
                torch.set_num_threads(limit)
                with threadpool_limits(limit):
                    group.mean(0.0)  # all begin together
                    start = time.perf_counter()
                    if go:
                        go(batches)
                    times[name].append((time.perf_counter() - start) / steps)
        fastest = batch_size * multiply_adds_an_image(work) / rate
        for name, seconds in times.items():
            if sides[name][1] is None:
                continue
            ratio = np.array(times[ours][1:]) / np.array(seconds[1:])  # the first turn warms up
            rows.append(
                {
                    "dataset": dataset.name,
                    "threads": threads,
                    "batch_size": batch_size,
                    "side": name,
                    "ms": 1000 * float(np.median(seconds[1:])),
                    "ratio": np.percentile(ratio, [10, 50, 90]).tolist(),
                    "times_limit": float(np.median(seconds[1:])) / fastest,
                }
            )
    group.end()
    return rows


def training_sides(images, labels, group: Processes) -> dict:
    """name -> (whether all processes work together, train(batches)); alone, the first process works.

    train is None where there is nothing to do: in the other processes, or without a compiler.
    """
    tensors = torch.from_numpy(images), torch.from_numpy(labels)

    def numpy_side(parallel=False):
        model: tn.Layer = tn.MNISTCNN(rng=np.random.default_rng(0))
        loss_fn: Any = tn.CrossEntropyLoss()
        adam = tn.Adam(model.parameters())
        if parallel:
            model = tn.DataParallel(model, RANK, COUNT, group.all_reduce)
            loss_fn = tn.LossShare(loss_fn, RANK, COUNT)
        return lambda batches: tn.train_epoch(model, loss_fn, adam, images, labels, batches)

    def torch_side(wrap=lambda module: module, loss_fn=None, fused=None):
        module = tt.MNISTCNN()
        adam = torch.optim.Adam(module.parameters(), fused=fused)
        model, loss_fn = wrap(module), loss_fn or torch.nn.CrossEntropyLoss()

        def train(batches):
            tt.train_epoch(model, loss_fn, adam, *tensors, [torch.from_numpy(batch) for batch in batches])

        return train

    sides = alone(numpy_side, torch_side, lambda: flax_side(images, labels), fused=True)
    if COUNT > 1:
        ddp = torch_side(lambda module: tt.DataParallel(module, RANK, COUNT), tt.LossShare(RANK, COUNT))
        sides[f"PyTorch DDP, {COUNT} processes"] = True, ddp
        sides[f"tinycnn_numpy, {COUNT} processes"] = True, numpy_side(parallel=True)
    return sides


def answering_sides(images) -> dict:
    """name -> (False, answer(batches)), forward alone in one process."""
    tensor = torch.from_numpy(images)

    def numpy_side():
        model = tn.MNISTCNN(rng=np.random.default_rng(0)).eval()

        @tn.no_grad()
        def answer(batches):
            for batch in batches:
                model(images[batch])

        return answer

    def torch_side(wrap=lambda module: module):
        model = wrap(tt.MNISTCNN().eval())

        @torch.inference_mode()
        def answer(batches):
            for batch in batches:
                model(tensor[torch.from_numpy(batch)])

        return answer

    def answering_flax():
        import jax

        from examples.frameworks.flax_model import MNISTCNN

        pixels_last, model = np.ascontiguousarray(images.transpose(0, 2, 3, 1)), MNISTCNN()
        weights, forward = model.init(jax.random.key(0), pixels_last[:1]), jax.jit(model.apply)

        def answer(batches):
            for batch in batches:
                forward(weights, pixels_last[batch]).block_until_ready()

        return answer

    return alone(numpy_side, torch_side, answering_flax)


def alone(numpy_side: Callable, torch_side: Callable, flax_side: Callable, **channels_last) -> dict:
    """The sides of one process, each made by its function, in the first process only."""

    def compiled():
        go = torch_side(partial(torch.compile, dynamic=False))
        try:
            go([np.arange(2)])
        except Exception:  # no C++ compiler, say; the table says that this row is missing
            return None
        return go

    sides: dict[str, Callable] = {
        "tinycnn_numpy": numpy_side,
        "PyTorch eager": torch_side,
        "PyTorch channels last": partial(
            torch_side, lambda module: module.to(memory_format=torch.channels_last), **channels_last
        ),
        "PyTorch compiled": compiled,
    }
    if importlib.util.find_spec("flax") and importlib.util.find_spec("optax"):
        sides["JAX/Flax jit"] = flax_side
    return {name: (False, make() if RANK == 0 else None) for name, make in sides.items()}


def flax_side(images, labels):
    """The same network in Flax, whose images run N, H, W, C; the whole step is one compiled function."""
    import jax
    import optax

    from examples.frameworks.flax_model import MNISTCNN

    pixels_last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    model, adam = MNISTCNN(), optax.adam(1e-3)
    weights = model.init(jax.random.key(0), pixels_last[:1])
    moments = adam.init(weights)

    @jax.jit
    def step(weights, moments, x, y):
        def mean_loss(weights):
            return optax.softmax_cross_entropy_with_integer_labels(model.apply(weights, x), y).mean()

        loss, gradients = jax.value_and_grad(mean_loss)(weights)
        updates, moments = adam.update(gradients, moments)
        return optax.apply_updates(weights, updates), moments, loss

    def train(batches):
        nonlocal weights, moments
        for batch in batches:
            weights, moments, loss = step(weights, moments, pixels_last[batch], labels[batch])
        loss.block_until_ready()

    return train


def multiply_adds_an_image(work: str = "step") -> int:
    """Forward; of a step as many again for the weights, and for dx, which the first layer leaves out."""
    model, x = tn.MNISTCNN(rng=np.random.default_rng(0)), np.zeros((1, 1, 28, 28), np.float32)
    total = 0
    for i, layer in enumerate(layer for _, layer in model.named_layers()):
        x = layer(x)
        if layer.weight is not None:
            forward = x.size * layer.weight[0].size
            total += forward * (1 if work == "answer" else 2 if i == 0 else 3)
    return total


def matrix_rate(size: int = 1024) -> float:
    """Multiply-adds a second of a large float32 matrix product here and now, on this process's threads."""
    a = np.ones((size, size), np.float32)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return size**3 / min(times)


if __name__ == "__main__":
    work, name, data_dir, threads, turns, images, batch_sizes, file = sys.argv[1:]
    try:
        dataset, _ = data.load(name, Path(data_dir))
    except data.DataError as error:
        fail(str(error))
    sizes = [int(size) for size in batch_sizes.split(",")]
    rows = measure(dataset, work, int(threads), sizes, int(turns), int(images))
    if processes.RANK == 0:
        Path(file).write_text(json.dumps(rows), encoding="utf-8")
