"""Where a training step of tinycnn_numpy spends its time, stage by stage; a part of examples.benchmark.

A stage cannot be faster than its multiply-adds in one large matrix product, or than the copy of what it must
read and write: x and out forward, dout and dx backward, and x or out once more where a derivative needs it.
Its floor is the sum of both, at the rates of this machine on one thread.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import tinycnn_numpy as tn
from examples.common import data
from examples.common.cli import fail
from examples.experiments.benchmark_steps import matrix_rate


def measure(dataset: data.Dataset, batch_size: int, steps: int) -> list[dict]:
    """One row for each stage and way: median milliseconds of `steps`, and those of its floor."""
    model, loss_fn = tn.MNISTCNN(rng=np.random.default_rng(0)), tn.CrossEntropyLoss()
    adam, rng = tn.Adam(model.parameters()), np.random.default_rng(0)
    layers = list(model.named_layers())
    times: dict[tuple[str, str], list[float]] = {}
    moved: dict[tuple[str, str], tuple[int, int]] = {}  # multiply-adds, bytes

    def timed(stage, way, function, *arguments):
        began = time.perf_counter()
        result = function(*arguments)
        times.setdefault((stage, way), []).append(time.perf_counter() - began)
        return result

    for _ in range(steps):
        batch = rng.integers(len(dataset.train_images), size=batch_size)
        x, labels = dataset.train_images[batch], dataset.train_labels[batch]
        first = layers[0][0]
        for name, layer in layers:
            out = timed(name, "forward", layer, x)
            products = 0 if layer.weight is None else out.size * layer.weight[0].size
            moved[name, "forward"] = products, x.nbytes + out.nbytes
            needed = 0 if isinstance(layer, tn.Flatten) else x.nbytes
            moved[name, "backward"] = (
                products * (1 if name == first else 2),
                (out.nbytes + needed + (0 if name == first else x.nbytes)),
            )
            x = out
        timed("loss", "forward", loss_fn, x, labels)
        dout = timed("loss", "backward", loss_fn.backward)
        moved["loss", "forward"] = moved["loss", "backward"] = 0, x.nbytes + dout.nbytes
        for name, layer in reversed(layers):
            dout = timed(name, "backward", layer.backward_weights if name == first else layer.backward, dout)
        timed("Adam", "step", adam.step)
        moved["Adam", "step"] = 0, 7 * sum(p.data.nbytes for p in adam.parameters)  # 3 of 4 are written too
    multiply_adds, copied = matrix_rate(), copy_rate(max(size for _, size in moved.values()) // 2)
    return [
        {
            "batch_size": batch_size,
            "stage": stage,
            "way": way,
            "ms": 1000 * float(np.median(seconds[1:])),
            "floor_ms": 1000 * (moved[stage, way][0] / multiply_adds + moved[stage, way][1] / copied),
        }
        for (stage, way), seconds in times.items()
    ]


def copy_rate(size: int) -> float:
    """Bytes a second, read and written, of a copy of an array of `size` bytes."""
    source = np.ones(size, np.uint8)
    target, times = np.empty_like(source), []
    for _ in range(20):
        began = time.perf_counter()
        target[...] = source
        times.append(time.perf_counter() - began)
    return 2 * size / min(times)


if __name__ == "__main__":
    name, data_dir, steps, batch_sizes, file = sys.argv[1:]
    try:
        dataset, _ = data.load(name, Path(data_dir))
    except data.DataError as error:
        fail(str(error))
    with threadpool_limits(1):
        rows = [row for size in batch_sizes.split(",") for row in measure(dataset, int(size), int(steps))]
    Path(file).write_text(json.dumps(rows), encoding="utf-8")
