"""Witnesses that owe nothing to PyTorch: SciPy, differences, transposes."""

import math
from collections.abc import Callable

import numpy as np
from scipy.signal import correlate

import tinycnn_numpy as tn
from parity.bounds import Array
from parity.report import Report, within

Pair = tuple[int, int]


def correlate_images(
    x: Array, weight: Array, bias: Array | None = None, stride: Pair = (1, 1), padding: Pair = (0, 0)
) -> Array:
    """The forward of a convolution by scipy.signal.correlate, one image and one filter at a time.

    x (N, C, H, W), weight (F, C, KH, KW), bias (F,) or None -> (N, F, OH, OW)
    """
    (PH, PW), (SH, SW) = padding, stride
    x = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])
    images = [[correlate(image, f, mode="valid", method="direct")[0] for f in weight] for image in x]
    out: Array = np.array(images)
    out = out[:, :, ::SH, ::SW]
    return out if bias is None else out + bias[:, None, None]


def check_gradients(layer: tn.Layer, x: Array, *, h: float = 1e-5, seed: int = 0) -> Report:
    """Compare each gradient of a layer or model with a central difference, along one random direction each.

    With a random dout the layer becomes a number, L = sum(forward(x) * dout), and along a random direction v

        (L(x + h*v) - L(x - h*v)) / 2h  =  sum(dx * v)

    up to the third derivative times h*h / 6; the same for every weight. One direction sees every entry of the
    gradient, at the price of four forwards. float64 only: in float32 the difference drowns in rounding.
    Bound: how far this quotient is from that for 2h, three times what curvature does, plus what rounding
    may do to L at either end, divided by h. Raises ValueError unless x is float64.
    """
    if x.dtype != np.float64:
        raise ValueError(f"check_gradients: x has dtype {x.dtype}, expected float64")
    rng = np.random.default_rng(seed)
    out = layer.forward(x)
    dout: Array = np.asarray(rng.standard_normal(out.shape))
    gradients: dict[str, Array] = {"dx": layer.backward(dout.copy())}
    places = {"dx": x.copy()}
    for name, parameter in layer.named_parameters():
        gradients["d" + name], places["d" + name] = parameter.grad, parameter.data

    def loss() -> float:
        return math.fsum((layer.forward(places["dx"]) * dout).ravel())

    rounding = roundings(layer, x) * float((majorant(layer, x) * np.abs(dout)).sum())

    report = Report(f"{type(layer).__name__}: gradients against central differences, h = {h:g}")
    for name, place in places.items():
        v: Array = np.asarray(rng.standard_normal(place.shape))
        numeric, coarse = (directional_derivative(loss, place, v, step) for step in (h, 2 * h))
        gap = abs(numeric - math.fsum((gradients[name] * v).ravel()))
        bound = abs(coarse - numeric) + rounding / h
        report.rows.append(within(type(layer).__name__, name, place.shape, gap, bound))
    return report


def directional_derivative(f: Callable[[], float], place: Array, v: Array, h: float) -> float:
    """(f at place + h*v, minus f at place - h*v) / 2h; `place` is changed in place and put back."""
    before = place.copy()
    place[...] = before + h * v
    plus = f()
    place[...] = before - h * v
    minus = f()
    place[...] = before
    return (plus - minus) / (2 * h)


def check_adjoint(layer: tn.Layer, x: Array, *, seed: int = 0) -> Report:
    """For a linear layer: sum(forward(x) * y) = sum(x * backward(y)) for every x and y, the bias aside.

    It says that backward is the transpose of forward, whatever forward is: no derivative, no reference. A
    wrong forward with its own transpose passes, and dweight and dbias are not looked at.
    Bound: what rounding may do to both sides, in any order of the sums: see `roundings` and `majorant`.
    """
    rng = np.random.default_rng(seed)
    linear = layer.forward(x) - layer.forward(np.zeros_like(x))  # without the bias
    layer.forward(x)
    y = rng.standard_normal(linear.shape).astype(x.dtype)
    dx = layer.backward(y.copy())
    left, right = (math.fsum((a.astype(np.float64) * b).ravel()) for a, b in ((linear, y), (x, dx)))
    bound = 2 * roundings(layer, x) * float((majorant(layer, x) * np.abs(y)).sum(dtype=np.float64))
    row = within(type(layer).__name__, "<f(x), y>", x.shape, abs(left - right), bound)
    return Report(f"{type(layer).__name__}, {x.dtype}: backward is the transpose of forward", [row])


def roundings(layer: tn.Layer, x: Array) -> float:
    """n * u: how far n roundings may move a sum of products, relative to the sum of their absolute values.

    A sum of n products is off by at most n*u times the sum of their absolute values, in whatever order it is
    computed (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1; u is half of eps). A number
    of a layer's out or dx is a sum over at most all of an image, or all of its dout, and each weight once.
    """
    out = layer.forward(x)
    n = math.prod(x.shape[1:]) + math.prod(out.shape[1:]) + sum(p.data.size for p in layer.parameters())
    return float(n * np.finfo(x.dtype).eps / 2)


def majorant(layer: tn.Layer, x: Array) -> Array:
    """An upper bound on the absolute products that make `out`: the layer of |weight| and |bias|, at |x|.

    True for what convolution, dense layers, ReLU, pooling and flatten are made of, also one behind the other.
    """
    out = np.abs(layer.forward(x))
    before = [(parameter, parameter.data.copy()) for parameter in layer.parameters()]
    for parameter, data in before:
        parameter.data[...] = np.abs(data)
    out = np.maximum(out, np.abs(layer.forward(np.abs(x))))
    for parameter, data in before:
        parameter.data[...] = data
    layer.forward(x)
    return out
