"""Cases with the right answer from PyTorch in float64, and a way to put them to any interface."""

import numpy as np
import torch
from torch.nn import functional

RNG = np.random.default_rng(7)
IMAGE = {"NHWC": (0, 2, 3, 1), "NCHW": (0, 1, 2, 3)}
KERNEL = {"FCHW": (0, 1, 2, 3), "HWCF": (2, 3, 1, 0), "FHWC": (0, 2, 3, 1), "MK": (0, 1), "KM": (1, 0)}


def case(f, x, *weights, rows_are=None):
    """x, weights and a random dout, with out and the gradients of f(x, *weights) as torch finds them."""
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, *weights)]
    out = f(*tensors)
    dout = RNG.standard_normal(out.shape)
    grads = torch.autograd.grad(out, tensors, torch.tensor(dout))
    names = ("dx", "dweight", "dbias")
    want = {"out": out.detach().numpy(), **dict(zip(names, (g.numpy() for g in grads), strict=False))}
    return {
        "x": x,
        "w": weights[0] if weights else None,
        "b": weights[1] if weights[1:] else None,
        "dout": dout,
        "want": want | {"x": x, "dout": dout},
    }


def conv(n=2, c=3, f=4, hw=(8, 7), k=(3, 3), stride=1, padding=0):
    x, w, b = RNG.standard_normal((n, c, *hw)), RNG.standard_normal((f, c, *k)), RNG.standard_normal(f)
    return case(lambda x, w, b: functional.conv2d(x, w, b, stride, padding), x, w, b)


def dense(n=5, k=6, m=4):
    x, w, b = RNG.standard_normal((n, k)), RNG.standard_normal((m, k)), RNG.standard_normal(m)
    return case(functional.linear, x, w, b)


def images(n=2, c=3, hw=(9, 7)):
    return RNG.integers(-3, 4, (n, c, *hw)).astype(float)  # many ties, many zeros


def relu(shape=(4, 6)):
    return case(torch.relu, RNG.integers(-2, 3, shape).astype(float))


def max_pool(k=3, stride=2, padding=0, **kw):
    return case(lambda x: functional.max_pool2d(x, k, stride, padding), images(**kw))


def avg_pool(k=3, stride=2, padding=0, **kw):
    return case(lambda x: functional.avg_pool2d(x, k, stride, padding), images(**kw))


def flatten(**kw):
    return case(lambda x: x.flatten(1), images(**kw))


def to_image(a, spec):
    if a.ndim != 4:
        return a.copy()
    if spec in IMAGE:
        return a.transpose(IMAGE[spec]).copy()
    return {"CHW": a[0], "HWC": a[0].transpose(1, 2, 0), "HW": a[0, 0]}[spec].copy()


def from_image(a, spec):
    if a is None or a.ndim < 3:
        return a
    if a.ndim == 4:
        return a.transpose(np.argsort(IMAGE.get(spec, IMAGE["NCHW"])))
    return a[None] if spec == "CHW" else a.transpose(2, 0, 1)[None]


def look(owner, path):
    for key in path.split("."):
        owner = (
            owner[int(key) if isinstance(owner, list) else key]
            if isinstance(owner, dict | list)
            else getattr(owner, key)
        )
    return owner


def put(owner, path, value):
    *way, last = path.split(".")
    owner = look(owner, ".".join(way)) if way else owner
    if isinstance(owner, dict | list):
        owner[int(last) if isinstance(owner, list) else last] = value
    else:
        setattr(owner, last, value)


class Pair:
    """Two functions as an object: forward(x, w, b, *extra) -> out, cache and backward(dout, cache)."""

    W = b = None

    def __init__(self, forward, backward, *extra, bias_shape=(-1,)):
        self.functions, self.extra, self.bias_shape = (forward, backward), extra, bias_shape

    def forward(self, x):
        weights = () if self.W is None else (self.W, self.b.reshape(self.bias_shape))
        out, self.cache = self.functions[0](x, *weights, *self.extra)
        return out

    def backward(self, dout):
        return self.functions[1](dout, self.cache)


def run(
    obj,
    case,
    w="W",
    b="b",
    gw=None,
    gb=None,
    fwd="forward",
    bwd="backward",
    out=None,
    dx=None,
    rate=None,
    image="NCHW",
    image_out=None,
    kernel="FCHW",
):
    """What obj makes of a case, in our layouts; (got, want)."""
    kernel = "MK" if kernel == "FCHW" and np.ndim(case["w"]) == 2 else kernel
    got, image_out, perm = {}, image_out or image, KERNEL[kernel]
    x, dout = to_image(case["x"], image), to_image(case["dout"], image_out)
    if case["w"] is not None:
        put(obj, w, case["w"].transpose(perm).copy())
    if case["b"] is not None and b:
        old = look(obj, b)
        put(obj, b, case["b"].copy() if old is None else case["b"].copy().reshape(old.shape))
    result = getattr(obj, fwd)(x)
    got["out"] = from_image((look(obj, out) if out else result).copy(), image_out)
    back = getattr(obj, bwd)(*((dout, rate) if rate else (dout,)))
    grads = {}
    if isinstance(back, tuple):
        back, *rest = back
        grads = dict(zip(("dweight", "dbias"), rest, strict=False))
    elif rate and case["w"] is not None:
        grads = {"dweight": (case["w"].transpose(perm) - look(obj, w)) / rate}
        grads |= {"dbias": (case["b"] - look(obj, b).ravel()) / rate} if b else {}
    elif gw:
        grads = {"dweight": look(obj, gw), "dbias": look(obj, gb)}
    got["dx"] = from_image(look(obj, dx) if dx else back, image)
    if "dweight" in grads:
        got["dweight"] = grads["dweight"].transpose(np.argsort(perm))
    if "dbias" in grads:
        got["dbias"] = np.ravel(grads["dbias"])
    got |= {"x": from_image(x, image) if image != "HW" else case["x"], "dout": from_image(dout, image_out)}
    return got, case["want"]


def loss_case(n=5, classes=4):
    logits, labels = RNG.standard_normal((n, classes)), RNG.integers(0, classes, n)
    t = torch.tensor(logits, requires_grad=True)
    loss = functional.cross_entropy(t, torch.tensor(labels))
    loss.backward()
    probs = torch.softmax(t, 1).detach().numpy()
    want = {"loss": loss.item(), "dlogits": t.grad.numpy()}
    return {
        "logits": logits,
        "labels": labels,
        "onehot": np.eye(classes)[labels],
        "probs": probs,
        "want": want,
    }


def optimise(make, steps=6, **settings):
    """Start, gradients and end: torch's optimiser `make(parameters, **settings)` on fixed gradients."""
    start = [RNG.standard_normal((3, 4)), RNG.standard_normal(4)]
    grads = [[RNG.standard_normal(a.shape) for a in start] for _ in range(steps)]
    tensors = [torch.tensor(a, requires_grad=True) for a in start]
    optimizer = make(tensors, **settings)
    for step in grads:
        for t, g in zip(tensors, step, strict=True):
            t.grad = torch.tensor(g)
        optimizer.step()
    return start, grads, [t.detach().numpy() for t in tensors]


def wrong_tensors(got, want, tolerance=1e-6):
    """The names in both whose shapes or values differ."""
    return sorted(
        name
        for name in got
        if name in want
        and got[name] is not None
        and (
            np.shape(got[name]) != np.shape(want[name])
            or not np.allclose(got[name], want[name], 1e-5, tolerance)
        )
    )


def numeric(f, x, dout, h=1e-6):
    """sum(dout * f(x)) differentiated by central differences."""
    dx = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        old = x[i]
        x[i] = old + h
        up = (f(x) * dout).sum()
        x[i] = old - h
        dx[i] = (up - (f(x) * dout).sum()) / (2 * h)
        x[i] = old
    return dx
