"""What each class is asked to do: odd shapes, ties, overlaps. NumPy alone; the answers come from elsewhere.

Every case is drawn from a generator, so that another seed asks the same questions with other shapes and
numbers. What makes a case worth asking is in its name; each is there because some real mistake passes all
the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

import tinycnn_numpy
from parity.foreign.subject import WHATEVER, Offer
from parity.kinds import KINDS, STATES, names_of

Array = np.ndarray[Any, Any]
Pair = tuple[int, int]
Order = Literal["C", "F"]  # of memory
STEPS = 6  # of an optimiser


@dataclass(frozen=True)
class Case:
    """One question: build `kind` with these arguments, give it these weights, then run it on all of `runs`.

    first      what it is asked
    second     the same object again, on data of the same shapes: what it remembers or adds up shows there
    beside     the first data again, while another object of the class has the second: what they share shows
    third      a batch of another size
    fourth     images of another size
    All hold x and dout of a layer, logits and labels of a loss, x and labels of a model, the gradients of all
    steps of an optimiser (which has one run).
    weights    of a layer also its states, such as running_mean; training: or else evaluation
    isolated   x and dout for each stage of a model by itself
    built      what a new object holds is asked, or its first out: arrays of the shapes and dtype of weights
    """

    kind: str
    name: str
    runs: dict[str, dict[str, Any]]
    positional: tuple[Any, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)
    dtype: Any = np.float32
    training: bool = True
    isolated: dict[str, dict[str, Array]] = field(default_factory=dict)
    built: bool = False

    def weights_in(self, run: str) -> dict[str, Array]:
        """The weights of a run: after the first a layer has others, as after a step of training."""
        if run in ("first", "beside"):
            return self.weights
        signs = {name: 1 if name in STATES else -1 for name in self.weights}
        return {name: np.roll(signs[name] * array, 1) for name, array in self.weights.items()}

    @property
    def first(self) -> dict[str, Any]:
        return self.runs["first"]


def runs_of(
    draw: Callable[[], dict[str, Array]], larger: Callable[[], dict[str, Array]] | None = None
) -> dict[str, dict[str, Array]]:
    """Two runs of one shape, one beside another object, one with an image more, and one on larger images."""
    first, second = draw(), draw()
    third = {name: np.concatenate([array, second[name][:1]]) for name, array in first.items()}
    runs = {"first": first, "second": second, "beside": first, "third": third}
    return runs | {"fourth": larger()} if larger else runs


Draw = Callable[[str, np.random.Generator, Offer], Iterator[Case]]
_DRAWN_BY: dict[str, Draw] = {}


def questions_for(*kinds: str) -> Callable[[Draw], Draw]:
    """The function below draws the cases of these kinds."""

    def register(draw: Draw) -> Draw:
        _DRAWN_BY.update(dict.fromkeys(kinds, draw))
        return draw

    return register


def cases_of(kind: str, rng: np.random.Generator, offer: Offer = WHATEVER) -> list[Case]:
    """All cases of a class of the library, by its name, in the form that a class takes."""
    return [case for case in _DRAWN_BY[kind](kind, rng, offer) if is_offered(case, offer)]


def is_offered(case: Case, offer: Offer) -> bool:
    if case.dtype == np.float64 and not offer.float64:
        return False
    if not (case.training or offer.evaluates):
        return False
    asked = {name for name, value in case.settings.items() if value != offer.own.get(name)}
    return offer.options is None or asked <= set(offer.options)


def normal(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> Array:
    return rng.standard_normal(shape).astype(dtype)


def of_every_size(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> Array:
    """From 0.001 to 2000, on both sides of 0."""
    sizes = 10 ** rng.uniform(-3, np.log10(2000), shape)
    return (rng.choice([-1.0, 1.0], shape) * sizes).astype(dtype)


def as_built(
    kind: str,
    positional: tuple[Any, ...],
    x: tuple[int, ...],
    dtype: Any = np.float64,
    **shapes: tuple[int, ...],
) -> Case:
    """The question what the constructor makes, `out` in a first forward of ones.

    x: the shape of an input that the object takes.
    """
    weights = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
    runs, name = {"first": {"x": np.ones(x, dtype)}}, f"as it is built in {np.dtype(dtype).name}"
    return Case(kind, name, runs, positional, weights=weights, dtype=dtype, built=True)


def as_written(size: Pair) -> int | Pair:
    """As a person would write it: one number where both are the same."""
    return size[0] if size[0] == size[1] else size


def _out_shape(x_shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    (H, W), (KH, KW), (SH, SW), (PH, PW) = x_shape[2:], kernel, stride, padding
    return (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1


@questions_for("Conv2D")
def _conv2d(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    def case(
        name: str,
        C: int,
        F: int,
        kernel: Pair,
        sides: Pair,
        stride: Pair = (1, 1),
        padding: Pair = (0, 0),
        N: int = 2,
        bias: bool = True,
        draw: Callable[..., Array] = normal,
        order: Order = "C",
        dtype: Any = np.float32,
    ) -> Case:
        C, F = offer.channels or C, offer.filters or F
        kernel = offer.window(kernel)
        stride, padding = offer.step(stride, kernel), offer.margin(padding, kernel)
        bias = bias if offer.bias is None else offer.bias
        settings: dict[str, Any] = {}
        if stride != (1, 1):
            settings["stride"] = as_written(stride)
        if padding != (0, 0):
            settings["padding"] = as_written(padding)
        if not bias:
            settings["bias"] = False
        weights = {
            "weight": normal(rng, F, C, *kernel, dtype=dtype) / np.sqrt(C * np.prod(kernel)).astype(dtype)
        }
        if bias:
            weights["bias"] = normal(rng, F, dtype=dtype)

        def data(sides: Pair) -> dict[str, Array]:
            shape = (N, C, *offer.sides(sides, kernel, stride, padding))
            out_sides = _out_shape(shape, kernel, stride, padding)
            return {
                "x": np.asarray(draw(rng, *shape, dtype=dtype), order=order),
                "dout": np.asarray(normal(rng, N, F, *out_sides, dtype=dtype), order=order),
            }

        runs = runs_of(lambda: data(sides), offer.larger(lambda: data((sides[0] + 1, sides[1] + 3))))
        return Case(kind, name, runs, (C, F, as_written(kernel)), settings, weights, dtype)

    def some(low: int, high: int) -> int:
        return int(rng.integers(low, high))

    C, F = rng.permutation([1, 2, 3, 4])[:2].tolist()
    H, W = rng.permutation([5, 6, 7, 8])[:2].tolist()
    yield case("a square kernel, as many filters as channels", 3, 3, (3, 3), (H, H))
    yield case("nothing square", C, F, (3, 2), (H, W), N=3)
    yield case("padding", C, F, (3, 3), (H, W), padding=(2, 1))
    yield case("padding of the width alone", C, F, (2, 3), (H, W), padding=(0, 1))
    yield case(
        "stride that does not divide", C, F, (3, 2), (2 * some(3, 5), 3 * some(2, 4)), stride=(2, 3), N=3
    )
    yield case("stride and padding, windows overlap", F, C, (3, 4), (H + 1, W), stride=(2, 3), padding=(1, 2))
    yield case("stride larger than the kernel", C, F, (1, 2), (H, W), stride=(2, 3))
    yield case("batch of one", C, F, (2, 3), (H, W), N=1)
    yield case("one pixel a window", F, C, (1, 1), (W, H))
    yield case("padding as large as the window", F, C, (2, 3), (H, W), padding=(2, 3))
    yield case("memory in Fortran's order", C, F, (3, 2), (W, H), N=3, order="F")
    yield case("one image of one channel, one window", 1, 1, (2, 3), (2, 3), N=1)
    yield case("numbers from 0.001 to 2000", C, F, (2, 3), (H, W), padding=(1, 1), draw=of_every_size)
    yield case("no bias", C, F, (2, 2), (H, W), bias=False)
    yield case("float64", C, F, (3, 2), (W, H), padding=(1, 0), dtype=np.float64)
    if offer == WHATEVER:
        yield as_built(kind, (4, 6, 3), (2, 4, 5, 5), weight=(6, 4, 3, 3), bias=(6,))


@questions_for("MaxPool2D", "AvgPool2D")
def _pool(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    C, N = rng.permutation([2, 3, 4])[:2].tolist()
    H, W = rng.permutation([6, 7, 9])[:2].tolist()

    def case(
        name: str,
        kernel: Pair,
        sides: Pair,
        stride: Pair | None = None,
        padding: Pair = (0, 0),
        N: int = N,
        C: int = C,
        draw: Callable[..., Array] = normal,
        order: Order = "C",
        dtype: Any = np.float32,
    ) -> Case:
        kernel = offer.window(kernel)
        step, padding = offer.step(stride or kernel, kernel), offer.margin(padding, kernel)
        settings: dict[str, Any] = {}
        if step != kernel:
            settings["stride"] = as_written(step)
        if padding != (0, 0):
            settings["padding"] = as_written(padding)

        def data(sides: Pair) -> dict[str, Array]:
            shape = (N, offer.channels or C, *offer.sides(sides, kernel, step, padding))
            out_sides = _out_shape(shape, kernel, step, padding)
            return {
                "x": np.asarray(draw(rng, *shape, dtype=dtype), order=order),
                "dout": np.asarray(normal(rng, *shape[:2], *out_sides, dtype=dtype), order=order),
            }

        runs = runs_of(lambda: data(sides), offer.larger(lambda: data((sides[0] + 1, sides[1] + 3))))
        return Case(kind, name, runs, (as_written(kernel),), settings, {}, dtype)

    def few(rng: np.random.Generator, *shape: int, dtype: Any) -> Array:
        return rng.integers(-2, 3, shape).astype(dtype)

    def negative(rng: np.random.Generator, *shape: int, dtype: Any) -> Array:
        largest = -1001 if kind == "MaxPool2D" else -1  # below what is written in place of -inf
        x: Array = largest * (1 + rng.random(shape).astype(dtype))
        if offer.kinks:
            x[-1] = x.min()  # which is written there, too
        return x

    yield case("windows tile the image", (2, 2), (6, 8))
    yield case("image is no multiple of the window", (2, 2), (7, 9))
    yield case("nothing square", (2, 3), (H, W))
    yield case("windows overlap", (3, 3), (H, W), stride=(2, 2))
    yield case("windows overlap at every pixel", (2, 3), (H, W), stride=(1, 1))
    yield case("stride larger than the window", (2, 2), (H, W), stride=(3, 4))
    yield case("padding", (3, 4), (H, W), stride=(2, 3), padding=(1, 2))
    yield case("padding of the width alone", (2, 3), (H, W), padding=(0, 1))
    yield case(
        "padding around negative numbers", (3, 3), (H, W), stride=(2, 2), padding=(1, 1), draw=negative
    )
    if offer.kinks:
        yield case("ties", (2, 2), (6, 8), draw=few)
        yield case("ties where windows overlap", (3, 3), (H, W), stride=(2, 1), draw=few)
    yield case("batch of one", (2, 2), (H, W), N=1)
    yield case("one image of one channel", (2, 2), (H, W), N=1, C=1)
    yield case("the window is the image", (2, 3), (2, 3))
    yield case("memory in Fortran's order", (2, 3), (H, W), stride=(2, 2), order="F")
    yield case("one pixel a window", (1, 1), (H, W))
    yield case("float64", (3, 2), (H, W), dtype=np.float64)


@questions_for("ReLU")
def _relu(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    def case(name: str, *shape: int, draw: Callable[..., Array] = normal, dtype: Any = np.float32) -> Case:
        def data(*shape: int) -> dict[str, Array]:
            return {"x": draw(rng, *shape, dtype=dtype), "dout": normal(rng, *shape, dtype=dtype)}

        runs = runs_of(lambda: data(*shape), offer.larger(lambda: data(*shape[:-1], shape[-1] + 2)))
        return Case(kind, name, runs, dtype=dtype)

    def zeros(rng: np.random.Generator, *shape: int, dtype: Any) -> Array:
        return rng.choice(np.array([-1.5, -0.0, 0.0, 0.75], dtype), shape)

    N, C, H, W = rng.permutation([2, 3, 4, 5]).tolist()
    yield case("images", N, C, H, W)
    yield case("rows", N, 7)
    if offer.kinks:
        yield case("zeros among the inputs", N, C, H, W, draw=zeros)
    yield case("numbers from 0.001 to 2000", N, 10 * C, draw=of_every_size)
    yield case("batch of one", 1, C, W, H)
    yield case("float64", N, C, H, W, dtype=np.float64)


@questions_for("BatchNorm2D")
def _batch_norm(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    def case(
        name: str,
        N: int,
        C: int,
        sides: Pair,
        training: bool = True,
        offset: float = 0.0,
        scale: float = 1.0,
        dtype: Any = np.float32,
        **settings: float,
    ) -> Case:
        weights = {
            "weight": normal(rng, C, dtype=dtype),
            "bias": normal(rng, C, dtype=dtype),
            "running_mean": normal(rng, C, dtype=dtype),
            "running_var": rng.uniform(0.5, 2, C).astype(dtype),
        }

        def data(H: int, W: int) -> dict[str, Array]:
            return {
                "x": (offset + scale * normal(rng, N, C, H, W)).astype(dtype),
                "dout": normal(rng, N, C, H, W, dtype=dtype),
            }

        runs = runs_of(lambda: data(*sides), offer.larger(lambda: data(sides[0] + 1, sides[1] + 3)))
        settings = offer.own | settings
        return Case(kind, name, runs, (C,), settings, weights, dtype, training)

    N, C = rng.permutation([2, 3, 4])[:2].tolist()
    H, W = rng.permutation([3, 4, 5])[:2].tolist()
    yield case("training", N, C, (H, W))
    yield case("evaluation", N, C, (W, H), training=False)
    yield case("as many images as channels, square", 3, 3, (3, 3))
    yield case("few numbers a channel", 2, C, (1, 2))
    yield case("batch of one", 1, C, (H, W))
    yield case("one pixel an image", 4, C, (1, 1))
    yield case("one channel", N, 1, (H, W))
    yield case("eps and momentum of one's own", N, C, (H, W), eps=0.1, momentum=0.3, scale=0.3)
    yield case("evaluation, eps of one's own", N, C, (H, W), training=False, eps=0.1)
    yield case("mean far from 0", N, C, (H, W), offset=3.0)
    yield case("float64", N, C, (W, H), dtype=np.float64)
    for dtype in (np.float64, np.float32) if offer == WHATEVER else ():
        shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (5,))
        yield as_built(kind, (5,), (2, 5, 3, 3), dtype, **shapes)


@questions_for("Dropout")
def _dropout(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    def case(name: str, p: float, *shape: int, training: bool = True, dtype: Any = np.float32) -> Case:
        def data(*shape: int) -> dict[str, Array]:
            return {"x": normal(rng, *shape, dtype=dtype), "dout": normal(rng, *shape, dtype=dtype)}

        runs = runs_of(lambda: data(*shape), offer.larger(lambda: data(*shape[:-1], shape[-1] + 2)))
        return Case(kind, name, runs, (p,), dtype=dtype, training=training)

    N, C, H, W = rng.permutation([2, 3, 4, 5]).tolist()
    yield case("half of all entries", 0.5, N, C, 2 * H, 2 * W)
    yield case("a quarter of all entries", 0.25, N, C, 2 * H, 2 * W)
    yield case("most entries", 0.8, N, 10 * C)
    yield case("evaluation", 0.4, N, C, H, W, training=False)
    yield case("p = 0", 0.0, N, C, H, W)
    yield case("batch of one", 0.5, 1, 10 * C)
    yield case("float64", 0.3, N, C, W, H, dtype=np.float64)
    if offer == WHATEVER:
        yield as_built(kind, (0.5,), (N, 10 * C), out=(N, 10 * C))


@questions_for("Flatten")
def _flatten(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    def case(name: str, N: int, *shape: int, order: Order = "C", dtype: Any = np.float32) -> Case:
        def data(*shape: int) -> dict[str, Array]:
            x, dout = normal(rng, N, *shape, dtype=dtype), normal(rng, N, int(np.prod(shape)), dtype=dtype)
            return {"x": np.asarray(x, order=order), "dout": np.asarray(dout, order=order)}

        runs = runs_of(lambda: data(*shape), offer.larger(lambda: data(*shape[:-1], shape[-1] + 2)))
        return Case(kind, name, runs, dtype=dtype)

    N, C, H, W = rng.permutation([2, 3, 4, 5]).tolist()
    yield case("images", N, C, H, W)
    yield case("batch of one", 1, C, H, W)
    yield case("one pixel an image", N, 1, 1, 1)
    yield case("memory in Fortran's order", N, C, H, W, order="F")
    yield case("float64", N, H, C, W, dtype=np.float64)


@questions_for("Dense")
def _dense(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    def case(name: str, N: int, K: int, M: int, bias: bool = True, dtype: Any = np.float32) -> Case:
        bias = bias if offer.bias is None else offer.bias
        weights = {"weight": normal(rng, M, K, dtype=dtype)}
        if bias:
            weights["bias"] = normal(rng, M, dtype=dtype)
        runs = runs_of(lambda: {"x": normal(rng, N, K, dtype=dtype), "dout": normal(rng, N, M, dtype=dtype)})
        return Case(kind, name, runs, (K, M), {} if bias else {"bias": False}, weights, dtype)

    N, K, M = rng.permutation([2, 3, 5, 6]).tolist()[:3]
    yield case("more inputs than outputs" if K > M else "more outputs than inputs", N, K, M)
    yield case("as many outputs as inputs", N, 4, 4)
    yield case("as many images, inputs and outputs", 3, 3, 3)
    yield case("batch of one", 1, K, M)
    yield case("one input, one output", N, 1, 1)
    yield case("no bias", N, M, K, bias=False)
    yield case("float64", N, K, M, dtype=np.float64)
    if offer == WHATEVER:
        yield as_built(kind, (36, 20), (2, 36), weight=(20, 36), bias=(20,))


@questions_for("CrossEntropyLoss")
def _crossentropyloss(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    def case(
        name: str,
        N: int,
        classes: int,
        scale: float = 1.0,
        offset: float = 0.0,
        labels: Callable[[Array], Array] | None = None,
        dtype: Any = np.float32,
    ) -> Case:
        def draw() -> dict[str, Array]:
            logits = (offset + scale * normal(rng, N, classes)).astype(dtype)
            return {"logits": logits, "labels": labels(logits) if labels else rng.integers(classes, size=N)}

        return Case(kind, name, runs_of(draw), dtype=dtype)

    N, classes = rng.permutation([3, 4, 5, 7])[:2].tolist()
    yield case("ordinary logits", N, classes)
    yield case("as many images as classes", 4, 4)
    yield case("batch of one", 1, classes)
    yield case("two classes", N, 2)
    if not offer.wide:  # the logarithm of a probability that has become 0
        yield case("float64", N, classes, dtype=np.float64)
        return
    yield case("sure and wrong", N, classes, scale=20.0, labels=lambda logits: logits.argmin(axis=1))
    yield case("logits around 1000", N, classes, offset=1000.0)
    yield case("logits around -1000", N, classes, offset=-1000.0)
    yield case("one row far above the others", N, classes, scale=200.0)
    yield case("float64", N, classes, dtype=np.float64)


def _optimizer(
    kind: str,
    rng: np.random.Generator,
    name: str,
    dtype: Any = np.float32,
    scale: float = 1.0,
    **settings: Any,
) -> Case:
    shapes = {"0": tuple(rng.integers(2, 5, 2).tolist()), "1": (int(rng.integers(2, 6)),)}
    weights = {name: normal(rng, *shape, dtype=dtype) for name, shape in shapes.items()}
    grads = {name: (scale * normal(rng, STEPS, *shape)).astype(dtype) for name, shape in shapes.items()}
    return Case(kind, name, {"first": grads}, settings=settings, weights=weights, dtype=dtype)


@questions_for("SGD")
def _sgd(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    yield _optimizer(kind, rng, "plain", lr=0.1)
    yield _optimizer(kind, rng, "momentum", lr=0.1, momentum=0.9)
    yield _optimizer(kind, rng, "weight decay", lr=0.1, weight_decay=0.3)
    yield _optimizer(kind, rng, "momentum and weight decay", lr=0.1, momentum=0.7, weight_decay=0.3)
    yield _optimizer(kind, rng, "nesterov", lr=0.1, momentum=0.8, nesterov=True)
    yield _optimizer(kind, rng, "float64", np.float64, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)


@questions_for("Adam")
def _adam(kind: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    scale = 1.0 if offer.wide else 1000.0
    yield _optimizer(kind, rng, "as PyTorch's defaults", scale=scale)
    yield _optimizer(kind, rng, "large steps", scale=scale, lr=0.1)
    yield _optimizer(kind, rng, "other betas", scale=scale, lr=0.1, betas=(0.6, 0.8))
    yield _optimizer(kind, rng, "eps that counts", lr=0.1, eps=0.1)
    yield _optimizer(kind, rng, "small gradients", lr=0.1, scale=1e-4, eps=1e-4)
    yield _optimizer(kind, rng, "weight decay", lr=0.1, weight_decay=0.3)
    yield _optimizer(kind, rng, "float64", np.float64, lr=0.1, eps=0.01, weight_decay=0.1)


@questions_for(*names_of("model"))
def _model(name: str, rng: np.random.Generator, offer: Offer) -> Iterator[Case]:
    shape, classes = KINDS[name].shape, KINDS[name].classes
    library = getattr(tinycnn_numpy, KINDS[name].twin)
    for title, N, dtype in (("batch of three", 3, np.float32), ("batch of one, float64", 1, np.float64)):
        model = library(rng=rng, dtype=dtype)

        def draw(N: int = N, dtype: Any = dtype) -> dict[str, Array]:
            return {"x": normal(rng, N, *shape, dtype=dtype), "labels": rng.integers(classes, size=N)}

        runs = runs_of(draw)
        del runs["beside"]  # its layers are asked that
        yield Case(name, title, runs, weights=model.state_dict(), dtype=dtype)
