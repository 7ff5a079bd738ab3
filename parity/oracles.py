"""Witnesses that owe nothing to PyTorch: SciPy, differences, transposes."""

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

    up to the third derivative times h*h; the same for every weight. One direction sees every entry of the
    gradient, at the price of two forwards. float64 only: in float32 the difference drowns in rounding.
    Bound: 1e-7, relative to |dx|. Raises ValueError unless x is float64.
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
        return float((layer.forward(places["dx"]) * dout).sum())

    report = Report(f"{type(layer).__name__}: gradients against central differences, h = {h:g}")
    for name, place in places.items():
        v: Array = np.asarray(rng.standard_normal(place.shape))
        numeric = directional_derivative(loss, place, v, h)
        analytic = float((gradients[name] * v).sum())
        gap, scale = abs(numeric - analytic), float(np.linalg.norm(gradients[name]))
        scale = max(scale, abs(numeric))
        report.rows.append(within(type(layer).__name__, name, place.shape, gap, 1e-7 * scale))
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

    It says that backward is the transpose of forward, whatever forward is: no derivative, no reference.
    Bound: 200 eps times the norms of the two factors.
    """
    rng = np.random.default_rng(seed)
    linear = layer.forward(x) - layer.forward(np.zeros_like(x))  # without the bias
    layer.forward(x)
    y = rng.standard_normal(linear.shape).astype(x.dtype)
    dx = layer.backward(y.copy())
    left, right = float((linear * y).sum(dtype=np.float64)), float((x * dx).sum(dtype=np.float64))
    scale = float(np.linalg.norm(linear) * np.linalg.norm(y) + np.linalg.norm(x) * np.linalg.norm(dx)) / 2
    gap = abs(left - right)
    row = within(type(layer).__name__, "<f(x), y>", x.shape, gap, 200 * float(np.finfo(x.dtype).eps) * scale)
    return Report(f"{type(layer).__name__}, {x.dtype}: backward is the transpose of forward", [row])
