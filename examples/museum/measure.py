"""What finds a bug, and how well a network learns with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinycnn_numpy as tn
from examples.bugs import Bug
from examples.experiments.train_tinycnn import line_patterns
from parity import check_gradients, compare, twin
from parity.kinds import names_of
from parity.record import run_stages, set_arrays
from parity.record_torch import trace_torch
from parity.student.checkup import Check
from parity.student.examine import check_class, module_of, questions
from parity.student.run_case import build

LAYERS = names_of("layer")
ORDER = (
    "x",
    "dout",
    "logits",
    "weight",
    "running_mean",
    "running_var",
    "out",
    "loss",
    "dlogits",
    "dweight",
    "dbias",
    "dx",
)  # of computation


@dataclass
class Finding:
    """What the checks said of one bug, seed by seed."""

    exhibit: Bug
    caught: list[bool] = field(default_factory=list)
    tensor: list[bool] = field(default_factory=list)  # the first wrong tensor is the right one
    stage: list[bool] = field(
        default_factory=list
    )  # inside a model; empty where the bug does not show in one
    named: list[bool] = field(default_factory=list)  # the first diagnosis is the right one
    said: list[str] = field(default_factory=list)
    by_ones: bool | None = None
    by_differences: bool | None = None
    cases: list[str] = field(default_factory=list)  # that show it, in the last seed
    accuracy: dict[str, float] = field(default_factory=dict)


def examine(exhibit: Bug, seeds: list[int]) -> Finding:
    """Put one bug before every check, with fresh shapes and numbers for each seed."""
    found = Finding(exhibit)
    for seed in seeds:
        checkup = check_class(exhibit.cls, exhibit.replaces, seed)
        first = first_diagnosis(checkup.checks)
        found.caught.append(not checkup.ok)
        found.tensor.append(first[0] == exhibit.tensor)
        found.named.append(first[1] == exhibit.cause)
        found.said.append(first[1])
        found.cases = [c.case for c in checkup.checks if not c.ok]
        stage = stage_found(exhibit, seed)
        if stage is not None:
            found.stage.append(stage)
    if exhibit.replaces in LAYERS and exhibit.replaces != "Dropout":  # whose forward draws anew each time
        found.by_ones, found.by_differences = by_ones(exhibit), by_differences(exhibit)
    return found


def first_diagnosis(checks: list[Check]) -> tuple[str, str]:
    """(tensor, code) of what is wrong first, in the order of computation."""
    found = [("weight" if d.tensor.isdigit() else d.tensor, d.code) for c in checks for d in c.diagnoses]
    if not found:
        return "", next((c.error for c in checks if c.error), "")
    return min(found, key=lambda pair: ORDER.index(pair[0]) if pair[0] in ORDER else len(ORDER))


def odd_model(rng: np.random.Generator, replace: dict[str, Any] | None = None) -> tn.Sequential:
    """Every kind of layer once or twice, with overlap, padding and strides that do not divide."""
    classes: dict[str, Any] = {"conv1": tn.Conv2D, "conv2": tn.Conv2D} | {
        "relu": tn.ReLU,
        "pool1": tn.MaxPool2D,
    }
    classes |= {"pool2": tn.AvgPool2D, "flatten": tn.Flatten, "fc": tn.Dense} | (replace or {})
    return tn.Sequential(
        conv1=classes["conv1"](2, 3, (3, 2), (2, 1), (2, 1), rng=rng),  # (N, 2, 11, 9) -> (N, 3, 7, 10)
        relu=classes["relu"](),
        pool1=classes["pool1"]((3, 2), (2, 1), (1, 0)),  # -> (N, 3, 4, 9)
        conv2=classes["conv2"](3, 3, (2, 3), (1, 2), rng=rng),  # -> (N, 3, 3, 4)
        pool2=classes["pool2"]((2, 3), (1, 2), (1, 1)),  # -> (N, 3, 4, 2)
        flatten=classes["flatten"](),
        fc=classes["fc"](24, 4, rng=rng),
    )


STAGES = {
    "Conv2D": "conv2",
    "ReLU": "relu",
    "MaxPool2D": "pool1",
    "AvgPool2D": "pool2",
    "Flatten": "flatten",
    "Dense": "fc",
}


def stage_found(exhibit: Bug, seed: int) -> bool | None:
    """Whether the first mismatch inside a model is the stage with the bug; None if it does not show there."""
    if exhibit.replaces not in STAGES:
        return None
    stages = {STAGES[exhibit.replaces]} | ({"conv1"} if exhibit.replaces == "Conv2D" else set())
    for stage in sorted(stages):  # conv1 is padded and has a stride, conv2 is followed by more
        rng = np.random.default_rng([seed, 7])
        model = odd_model(rng, {stage: exhibit.cls})
        right = odd_model(rng)
        right.load_state_dict(model.state_dict())
        x = rng.standard_normal((3, 2, 11, 9)).astype(np.float32)
        if exhibit.replaces == "MaxPool2D":
            x = np.sign(x)
        report = compare(model, x, twin(right), seed=seed)
        if not report.ok:
            return bool(report.mismatches) and report.mismatches[0].stage == stage
    return None


def by_ones(exhibit: Bug) -> bool:
    """Whether the usual test finds it: one plain case, an upstream gradient of ones, allclose(1e-3)."""
    case = next(iter(questions(exhibit.replaces, 0)))
    layer = build(exhibit.cls, case.positional, case.settings, case.dtype)
    set_arrays(layer, case.weights)
    data = {"x": case.first["x"], "dout": np.ones_like(case.first["dout"])}
    run = run_stages(layer, {"layer": layer}, **data)
    theirs = trace_torch({"layer": module_of(case, "first")}, **data)
    return bool(run.failure) or not all(
        key in run.arrays
        and run.arrays[key].shape == right.shape
        and np.allclose(run.arrays[key], right, rtol=1e-3, atol=1e-3)
        for key, right in theirs.items()
    )


def by_differences(exhibit: Bug) -> bool:
    """Whether central differences find it: of the code's own forward, in float64, on one plain case."""
    case = next(iter(questions(exhibit.replaces, 0)))
    layer = build(exhibit.cls, case.positional, case.settings, np.float64)
    set_arrays(layer, {name: weight.astype(np.float64) for name, weight in case.weights.items()})
    try:
        return not check_gradients(layer, case.first["x"].astype(np.float64)).ok
    except Exception:
        return True


def accuracy(exhibit: Bug | None, data, images: int, kind: str = "") -> dict[str, float]:
    """Test accuracy in percent of TinyCNN and MNISTCNN, trained with the bug in every stage of its kind.

    Without an exhibit the right network with the optimiser and the pooling that `kind` needs.
    """
    kind = exhibit.replaces if exhibit else kind
    reached = {}
    for name in ("TinyCNN", "MNISTCNN"):
        rng = np.random.default_rng(1)
        model = getattr(tn, name)(rng=rng)
        for stage, layer in dict(model.named_layers()).items():
            if kind == "AvgPool2D" and isinstance(layer, tn.MaxPool2D):
                model.stages[stage] = tn.AvgPool2D(2)
            if exhibit and type(model.stages[stage]).__name__ == exhibit.replaces:
                model.stages[stage].__class__ = exhibit.cls
        loss_fn = exhibit.cls() if exhibit and kind == "CrossEntropyLoss" else tn.CrossEntropyLoss()
        optimizer: Any
        if kind == "SGD":
            cls = exhibit.cls if exhibit else tn.SGD
            optimizer = cls(model.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
        else:
            cls = exhibit.cls if exhibit and kind == "Adam" else tn.Adam
            optimizer = cls(model.parameters(), 2e-3)
        if name == "TinyCNN":
            x, y = line_patterns(800, rng)
            train, test = (x[:400].astype(np.float32), y[:400]), (x[400:].astype(np.float32), y[400:])
            epochs, size = 20, 20
        else:
            train = data.train_images[:images], data.train_labels[:images]
            test = data.test_images[:2000], data.test_labels[:2000]
            epochs, size = 1, 50
        with np.errstate(all="ignore"):
            for _ in range(epochs):
                tn.train_epoch(model, loss_fn, optimizer, *train, batches(len(train[0]), size, rng))
            reached[name] = tn.evaluate(model, *test)
    return reached


def batches(count: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    order = rng.permutation(count)
    yield from np.split(order, range(size, count, size))
