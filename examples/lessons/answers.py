"""What the functions that a student fills in must give, and the mistakes by which they usually go wrong.

SPOILER: this file holds answers. A lesson's `check` looks a function up by its name.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch.nn import grad

from examples.common.models import start
from examples.exercises.answers import wrong as wrong_in_the_chapter
from examples.experiments.features import feature_maps
from parity import exact_run
from parity.report import judge

Case = tuple[Any, ...]


@dataclass(frozen=True)
class Exercise:
    """A function to write.

    right     gives the right result
    cases     the arguments to try it on; whole numbers, so that results are equal and not close
    mistakes  what is wrong, in words, and a function with this mistake
    """

    right: Callable[..., Any]
    cases: Callable[[], list[Case]]
    mistakes: dict[str, Callable[..., Any]] = field(default_factory=dict)


def whole(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Whole numbers as float64, none of them 0."""
    return rng.choice([-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0], shape)


# Station 1


def weight_counts(H: int, W: int, K: int, F: int) -> tuple[int, int, int]:
    """Weights, without biases, of a dense, a locally connected and a shared map from (1, H, W) to F maps."""
    OH, OW = H - K + 1, W - K + 1
    return H * W * F * OH * OW, F * OH * OW * K * K, F * K * K


# Station 2


def convolution(x, weight, bias, S=1):
    """PyTorch's: (N, C, H, W), (F, C, KH, KW), (F,) -> (N, F, OH, OW)."""
    image, kernel, offset = map(torch.from_numpy, (x, weight, bias))
    return torch.nn.functional.conv2d(image, kernel, offset, S).numpy()


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(2)
    shapes = [
        ((2, 3, 8, 11), (4, 3, 2, 3), 1),
        ((1, 2, 5, 8), (3, 2, 3, 3), 2),
        ((3, 1, 7, 4), (2, 1, 1, 2), 3),
    ]
    return [(whole(rng, *x), whole(rng, *w), whole(rng, w[0]), S) for x, w, S in shapes]


def without_stride(x, weight, bias, S):
    OH, OW = convolution(x, weight, bias, S).shape[2:]
    return convolution(x, weight, bias)[:, :, :OH, :OW]


CONVOLUTION = Exercise(
    convolution,
    convolution_cases,
    {
        "the filter is turned by 180 degrees: entry i, j meets the pixel h + i, w + j": lambda x, w, b, S: (
            convolution(x, np.ascontiguousarray(w[:, :, ::-1, ::-1]), b, S)
        ),
        "the bias is missing: each filter adds its own number to every place": lambda x, w, b, S: convolution(
            x, w, 0 * b, S
        ),
        "the stride is ignored: place h reads from row h*S on": without_stride,
        "only the last channel counts: = where += belongs": lambda x, w, b, S: convolution(
            np.ascontiguousarray(x[:, -1:]), np.ascontiguousarray(w[:, -1:]), b, S
        ),
        "the bias is added once for every weight: it belongs outside the sum": lambda x, w, b, S: convolution(
            x, w, b * w[0].size, S
        ),
    },
)


def shift_left() -> np.ndarray:
    """The right neighbour's value comes to every pixel."""
    return np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 0]])


def one_by_one(x, weight, bias):  # (N, C, H, W), (F, C), (F,) -> (N, F, H, W)
    return convolution(x, weight[:, :, None, None], bias)


def one_by_one_cases() -> list[Case]:
    rng = np.random.default_rng(1)
    return [
        (whole(rng, 2, 3, 4, 5), whole(rng, 6, 3), whole(rng, 6)),
        (whole(rng, 1, 2, 3, 1), whole(rng, 2, 2), whole(rng, 2)),
    ]


def multiplications(C: int, F: int, OH: int, OW: int, KH: int, KW: int) -> int:
    return C * F * OH * OW * KH * KW


# Station 3


def dweight_of(dout, windows):  # (N, F, OH, OW), (N, C, OH, OW, KH, KW) -> (F, C, KH, KW), PyTorch's
    N, C, OH, OW, KH, KW = windows.shape
    x = np.zeros((N, C, OH + KH - 1, OW + KW - 1))
    for i, j in np.ndindex(KH, KW):
        x[:, :, i : i + OH, j : j + OW] = windows[..., i, j]
    shape = (dout.shape[1], C, KH, KW)
    return grad.conv2d_weight(torch.from_numpy(x), shape, torch.from_numpy(dout)).numpy()


def dbias_of(dout):
    return dout.sum(axis=(0, 2, 3))


def dx_of(dout, weight, H, W):  # PyTorch's
    shape = (len(dout), weight.shape[1], H, W)
    return grad.conv2d_input(shape, torch.from_numpy(weight), torch.from_numpy(dout)).numpy()


def backward_cases() -> list[dict[str, Any]]:
    """Two convolutions with stride 1: dout, windows, weight and the sides of x."""
    rng, found = np.random.default_rng(3), []
    for (N, C, H, W), (F, _, KH, KW) in (((2, 3, 6, 8), (4, 3, 2, 3)), ((1, 2, 5, 4), (3, 2, 3, 2))):
        windows = sliding_window_view(whole(rng, N, C, H, W), (KH, KW), axis=(2, 3))
        dout, weight = whole(rng, N, F, H - KH + 1, W - KW + 1), whole(rng, F, C, KH, KW)
        found.append({"dout": dout, "windows": windows, "weight": weight, "H": H, "W": W})
    return found


def arguments(*names: str) -> Callable[[], list[Case]]:
    return lambda: [tuple(case[name] for name in names) for case in backward_cases()]


def scattered(dwindows, H, W, add=True):
    """dwindows (N, C, OH, OW, KH, KW) back to (N, C, H, W); with add=False the last window wins."""
    N, C, OH, OW, KH, KW = dwindows.shape
    dx = np.zeros((N, C, H, W))
    for i, j in np.ndindex(KH, KW):
        there = dx[:, :, i : i + OH, j : j + OW]
        there[...] = dwindows[..., i, j] + (there if add else 0)
    return dx


def dwindows_of(dout, weight):
    return np.einsum("nfhw,fcij->nchwij", dout, weight)


def hidden_mistake(answer: Callable[..., Any]) -> str:
    """What is wrong with a wrong dweight that should be right under ones and wrong under random numbers."""
    for case in backward_cases():
        dout, windows = case["dout"], case["windows"]
        ones = np.ones_like(dout)
        if not np.array_equal(answer(ones, windows), dweight_of(ones, windows)):
            return "under ones it is seen: it gives another dweight there"
        if np.array_equal(answer(dout, windows), dweight_of(dout, windows)):
            return "it is no mistake: under random numbers it gives the right dweight"
    return ""


# Station 7


def as_matrix(weight):  # (F, C, KH, KW) -> (F, KH*KW*C)
    return weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)


def in_memory_order(x):  # (N, C, H, W) -> (H, W, C, N)
    return x.transpose(2, 3, 1, 0)


def images() -> list[Case]:
    rng = np.random.default_rng(7)
    return [(whole(rng, 2, 3, 4, 5),), (whole(rng, 4, 2, 3, 3),)]


# Station 8


def split(images, labels, share):  # the last share of the training images is kept for validation
    kept = len(images) - int(len(images) * share)
    return images[:kept], labels[:kept], images[kept:], labels[kept:]


def wrong_split(answer: Callable[..., Any]) -> str:
    """What is wrong with a split into training and validation images, whichever images it keeps."""
    images, labels = np.arange(40.0).reshape(40, 1), np.arange(40)
    for share, count in ((0.1, 4), (0.25, 10)):
        parts = answer(images.copy(), labels.copy(), share)
        if not isinstance(parts, tuple) or len(parts) != 4:
            return "expected four arrays: training images and labels, validation images and labels"
        train, train_labels, kept, kept_labels = parts
        if len(kept) != count or len(train) != 40 - count:
            return f"{len(kept)} of 40 images are kept with a share of {share}, expected {count}"
        if set(train_labels) & set(kept_labels) or len(set(train_labels) | set(kept_labels)) < 40:
            return "an image is in both parts or in none"
        if not (train[:, 0] == train_labels).all() or not (kept[:, 0] == kept_labels).all():
            return "images have lost their labels"
    return ""


# Station 9


def receptive_field(layers):  # [(kernel, stride), ...] from the image on -> pixels to a side
    size, step = 1, 1
    for kernel, stride in layers:
        size, step = size + (kernel - 1) * step, step * stride
    return size


RECEPTIVE_CASES: list[Case] = [
    ([(3, 1)],),
    ([(3, 1), (2, 2)],),
    ([(3, 1), (2, 2), (3, 1)],),
    ([(3, 1), (2, 2), (3, 1), (2, 2)],),
    ([(5, 3), (4, 2), (2, 1)],),
]


def without_strides(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def stride_too_early(layers):
    size, step = 1, 1
    for kernel, stride in layers:
        step *= stride
        size += (kernel - 1) * step
    return size


def wrong_maps(answer: Callable[..., Any]) -> str:
    """What is wrong with maps behind conv2 and its ReLU: feature_maps has the right ones, in float32 too."""
    model, rng = start("MNISTCNN", "torch", 0), np.random.default_rng(9)
    image = rng.standard_normal((1, 28, 28), dtype=np.float32)
    maps, found = feature_maps(model, image), answer(model, image)
    if np.shape(found) != (32, 11, 11):
        return f"shape {np.shape(found)}, expected (32, 11, 11)"
    if np.array_equal(found, maps["conv2"]):
        return "the ReLU is missing"
    exact = exact_run(dict(model.named_children()), image[None]).tensors["relu2", "out"]
    return "" if judge("relu2", "out", found[None], exact, np.float32).ok else "other numbers"


# Station 10


def wrong_snippet(answer: Callable[..., Any]) -> str:
    """What is wrong with a repaired Flax snippet: Python text in which each fnn.Conv says how it pads."""
    try:
        tree = ast.parse(answer())
    except (SyntaxError, TypeError, ValueError) as error:
        return f"it is no Python text: {error}"
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    convolutions = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "Conv"]
    if len(convolutions) != 2:
        return f"it has {len(convolutions)} convolutions, expected 2"
    for call in convolutions:
        padding = {word.arg: ast.unparse(word.value) for word in call.keywords}.get("padding")
        if padding not in ("'VALID'", "0"):
            return f"{ast.unparse(call)} pads: Flax keeps the size of the image unless it is told otherwise"
    return ""


def wrong_claim(answer: Callable[..., Any]) -> str:
    """What is wrong with a claim about a number: answer(number) -> whether the number supports it."""
    verdicts = {bool(answer(number)) for number in (-1e6, -1.0, -1e-9, 0.0, 1e-9, 1.0, 50.0, 98.75, 1e6)}
    return "" if len(verdicts) == 2 else "no number can refute it, or none support it: that is no claim"


EXERCISES = {
    "weight_counts": Exercise(
        weight_counts,
        lambda: [(28, 28, 3, 16), (8, 11, 2, 3), (5, 7, 5, 1)],
        {
            "a place for each pixel: a filter of K fits into H rows in H - K + 1 places": lambda H, W, K, F: (
                H * W * F * H * W,
                F * H * W * K * K,
                F * K * K,
            ),
            "the filters are missing in a count: each of F maps has weights of its own": lambda H, W, K, F: (
                H * W * (H - K + 1) * (W - K + 1),
                (H - K + 1) * (W - K + 1) * K * K,
                K * K,
            ),
        },
    ),
    "by_loops": CONVOLUTION,
    "by_windows": CONVOLUTION,
    "by_matmul": CONVOLUTION,
    "shift_left": Exercise(
        shift_left,
        lambda: [()],
        {
            "it moves the image to the right: the entry picks the pixel that comes here": lambda: (
                shift_left()[:, ::-1]
            ),
            "it moves the image up": lambda: shift_left().T,
            "its entry in the middle moves nothing": lambda: np.eye(3) * [0, 1, 0],
        },
    ),
    "one_by_one": Exercise(
        one_by_one,
        one_by_one_cases,
        {"the bias is missing": lambda x, weight, bias: one_by_one(x, weight, 0 * bias)},
    ),
    "multiplications": Exercise(
        multiplications,
        lambda: [(1, 16, 26, 26, 3, 3), (16, 32, 11, 11, 3, 3), (2, 3, 4, 5, 6, 7)],
        {
            "the channels are missing: a filter reads all of them": lambda C, *others: multiplications(
                1, *others
            )
        },
    ),
    "dbias_of": Exercise(
        dbias_of,
        arguments("dout"),
        {
            "only places are summed: every image uses the bias too": lambda dout: dout.sum(axis=(2, 3)),
            "a mean where a sum belongs": lambda dout: dout.mean(axis=(0, 2, 3)),
        },
    ),
    "dweight_of": Exercise(
        dweight_of,
        arguments("dout", "windows"),
        {
            "dout is turned by 180 degrees": lambda dout, windows: np.einsum(
                "nfhw,nchwij->fcij", dout[:, :, ::-1, ::-1], windows
            ),
            "only the last image counts: the sum runs over n too": lambda dout, windows: np.einsum(
                "nfhw,nchwij->fcij", dout[-1:], windows[-1:]
            ),
            "i and j are exchanged": lambda dout, windows: np.einsum("nfhw,nchwij->fcji", dout, windows),
            "a mean over the images: the loss has divided by N already": lambda dout, windows: (
                np.einsum("nfhw,nchwij->fcij", dout, windows) / len(dout)
            ),
        },
    ),
    "dx_of": Exercise(
        dx_of,
        arguments("dout", "weight", "H", "W"),
        {
            "= where += belongs: a pixel collects from all windows that read it": lambda dout, weight, H, W: (
                scattered(dwindows_of(dout, weight), H, W, add=False)
            ),
            "the filter is turned: dx has the filter as it stands": lambda dout, weight, H, W: scattered(
                dwindows_of(dout, weight[:, :, ::-1, ::-1]), H, W
            ),
            "only the last filter counts: the sum runs over f": lambda dout, weight, H, W: scattered(
                dwindows_of(dout[:, -1:], weight[-1:]), H, W
            ),
        },
    ),
    "as_matrix": Exercise(
        as_matrix,
        images,
        {
            "the weight's own order c, i, j meets columns in the order i, j, c": lambda weight: (
                weight.reshape(len(weight), -1)
            ),
            "i and j are exchanged": lambda weight: weight.transpose(0, 3, 2, 1).reshape(len(weight), -1),
        },
    ),
    "in_memory_order": Exercise(
        in_memory_order,
        images,
        {
            "reshape keeps the order of the numbers and cuts it anew: it moves no axis": lambda x: x.reshape(
                *x.shape[2:], x.shape[1], x.shape[0]
            ),
            "H and W are exchanged": lambda x: x.T,
        },
    ),
    "receptive_field": Exercise(
        receptive_field,
        lambda: RECEPTIVE_CASES,
        {
            "the strides are missing: behind a stride a step is several pixels": without_strides,
            "a layer's own stride counts for the layers behind it only": stride_too_early,
        },
    ),
}
PATIENTS = {"A": "GradientOfSum", "B": "KernelNotRotated", "C": "OnlyMeanCorrected"}  # bugs of the museum
# Answers that may differ: a sentence with what is wrong, or ""
SENTENCES: dict[str, Callable[[Any], str]] = {
    "hidden_mistake": hidden_mistake,
    "split": wrong_split,
    "third_convolution": lambda answer: wrong_in_the_chapter("31.1", answer()),
    "average_pooling": lambda answer: wrong_in_the_chapter("31.2", answer()),
    "count_parameters": lambda answer: wrong_in_the_chapter("31.4", answer),
    "repaired_snippet": wrong_snippet,
    "maps_behind_conv2": wrong_maps,
    "claim": wrong_claim,
}
