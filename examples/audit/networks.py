"""Sections 31.1 and 31.2: the two networks, their shapes, sizes and lines of code."""

import inspect
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.audit.claim import (
    NotHereError,
    claim,
    confirmed,
    exactly,
    holds,
    only_if,
    open_,
    rounded,
    wrong,
)
from examples.common.data import MEAN, STD
from examples.experiments.ladder import six_loops
from examples.experiments.shapes import ShapeRow, outputs, trace
from examples.experiments.train_tinycnn import line_patterns
from examples.experiments.zoo import count
from examples.side_by_side.lines import code_lines
from parity import compare, smooth_input, twin


def rng() -> np.random.Generator:
    """The same for every check, so that one alone computes what it computes among all."""
    return np.random.default_rng(31)


LAYERS = {
    "Conv2D": tn.Conv2D(2, 3, (3, 2), rng=rng(), dtype=np.float64),
    "ReLU": tn.ReLU(),
    "MaxPool2D": tn.MaxPool2D(2),
    "Flatten": tn.Flatten(),
    "Dense": tn.Dense(5, 3, rng=rng(), dtype=np.float64),
}


def lines_of(kind: str, *methods: str) -> int:
    cls = getattr(tn, kind)
    return sum(len(code_lines(getattr(cls, method))) for method in methods if method in vars(cls))


@claim("31", "the NumPy network took minutes to train on 200 synthetic images", by="examples.train_tinycnn")
def minutes(lab):
    images, labels = line_patterns(200, np.random.default_rng(0))
    model = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64)
    optimizer, batches = tn.SGD(model.parameters(), 0.1), np.split(np.arange(200), 10)
    start = time.perf_counter()
    tn.train_epoch(model, tn.CrossEntropyLoss(), optimizer, images, labels, batches)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    six_loops(images[:10], model.conv.weight, model.conv.bias, (1, 1), (0, 0))
    loops = 3 * 20 * (time.perf_counter() - start)  # 200 images; the backward pass is two more of them
    text = f"an epoch takes {ours:.2f} s here, and about {loops:.1f} s in six Python loops"
    raise NotHereError(f"needs the code that the chapter speaks of; {text}")


@claim("31", "PyTorch will process millions of images", by="examples.train_mnist")
def millions(lab):
    """20 training steps, timed: what an hour allows. In the chapter itself: five epochs."""
    model, (x, y) = tt.MNISTCNN(), (torch.randn(64, 1, 28, 28), torch.arange(64) % 10)
    loss_fn, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters())
    start = time.perf_counter()
    for _ in range(20):
        tt.train_step(model, loss_fn, optimizer, x, y)
    return millions_of_images(5 * 60_000, 20 * 64 / (time.perf_counter() - start))


def millions_of_images(seen: int, rate: float):
    """seen: in the chapter's training; rate: images a second. The chapter gives no time: we give an hour."""
    text = f"the chapter trains on {seen:,}; at {rate:,.0f} images a second, two million take "
    text += f"{2e6 / rate / 60:.0f} minutes"
    if seen >= 2e6:
        return confirmed(text)
    if 3600 * rate < 2e6:
        return open_(f"{text}: too slow here and now, which is no mistake of the chapter's")
    return only_if(f"{text}: it can, and here it need not")


@claim("31", "MNIST has 60,000 images of 28 x 28 pixels", by="examples.train_mnist")
def mnist_images(lab):
    return exactly((60_000, 28, 28), lab.mnist().train_images[:, 0].shape)


@claim("31.1", "TinyCNN: 4 filters of 3 x 3 for one channel, ReLU, 2 x 2 pooling by stride 2, 2 classes")
def tinycnn(lab):
    conv, _, pool, _, fc = tn.TinyCNN(rng=rng()).stages.values()
    layers = (
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        pool.kernel_size,
        pool.stride,
        fc.out_features,
    )
    return exactly((1, 4, (3, 3), (2, 2), (2, 2), 2), layers)


@claim("31.1", "each layer takes 50 to 100 lines of NumPy, forward and backward", by="examples.side_by_side")
def lines_of_a_layer(lab):
    counts = {kind: lines_of(kind, "forward", "backward", "backward_weights") for kind in LAYERS}
    text = ", ".join(f"{kind} {lines}" for kind, lines in counts.items())
    raise NotHereError(f"needs the code that the chapter speaks of; in this library: {text}")


@claim("31.1", "the backward pass is about 150 lines by hand", by="examples.side_by_side")
def lines_of_backward(lab):
    total = sum(lines_of(kind, "backward", "backward_weights") for kind in LAYERS)
    total += lines_of("CrossEntropyLoss", "backward") + lines_of("Sequential", "backward", "backward_weights")
    text = f"in this library {total} lines: five layers, the loss, the loop over the stages"
    raise NotHereError(f"needs the code that the chapter speaks of; {text}")


@claim("31.1", "the backward pass is one line in PyTorch", by="examples.side_by_side")
def one_line(lab):
    lines = [line.strip() for line in inspect.getsource(tt.train_step).splitlines()]
    weight = torch.ones(3, requires_grad=True)
    for _ in range(2):  # the second time without zero_grad
        weight.sum().backward()
    twice = weight.grad is not None and weight.grad.tolist() == [2, 2, 2]
    text = "loss.backward(), and zero_grad() before it: without it gradients add up"
    return only_if(text) if twice and lines.count("loss.backward()") == 1 else wrong(text)


@claim("31.1", "np.maximum(0, x) is nn.ReLU()", by="parity")
def relu(lab):
    x = np.append(rng().standard_normal(100), [0.0, -0.0, np.nan, np.inf, -np.inf])
    ours, theirs = np.maximum(0, x), torch.relu(torch.from_numpy(x)).numpy()
    if not np.array_equal(ours, theirs, equal_nan=True):
        return wrong(f"differs at x = {x[ours != theirs]}")
    signs = np.signbit(ours) != np.signbit(theirs)
    return (
        only_if("equal but for the sign of zero") if signs[x == 0].any() else confirmed("equal bit for bit")
    )


@claim("31.1", "max pooling that remembers the argmax is nn.MaxPool2d", by="parity")
def pooling(lab):
    x = rng().integers(3, size=(2, 3, 6, 7)).astype(float)  # full of ties
    report = compare(tn.MaxPool2D(2), x)
    return holds(report.ok, f"{report.summary()}, on images full of ties: the first of a window wins")


@claim("31.1", "x.reshape(batch, -1) is nn.Flatten()", by="parity")
def flatten(lab):
    x = rng().standard_normal((3, 2, 4, 5))
    if not np.array_equal(x.reshape(3, -1), nn.Flatten()(torch.from_numpy(x)).numpy()):
        return wrong("differs")
    try:
        x[:0].reshape(0, -1)
    except ValueError:
        return only_if("equal; an empty batch cannot be reshaped so, nn.Flatten takes it")
    return confirmed("equal")


@claim("31.1", "a dense layer by hand is nn.Linear", by="parity")
def dense(lab):
    report = compare(LAYERS["Dense"], rng().standard_normal((4, 5)))
    return holds(report.ok, f"{report.summary()}; the weight is stored (out, in), as x @ weight.T needs it")


@claim("31.1", "Conv2D by hand is nn.Conv2d", by="parity")
def convolution(lab):
    report = compare(LAYERS["Conv2D"], rng().standard_normal((3, 2, 6, 5)))
    return holds(report.ok, report.summary())


@claim("31.1", "what these layers compute is called a convolution", by="examples.ladder")
def correlation(lab):
    generator = rng()
    image, kernel = generator.standard_normal((6, 5)), generator.standard_normal((3, 3))
    x, weight = torch.from_numpy(image)[None, None], torch.from_numpy(kernel)[None, None]
    return convolution_or_correlation(image, kernel, nn.functional.conv2d(x, weight)[0, 0].numpy())


def convolution_or_correlation(image: np.ndarray, kernel: np.ndarray, out: np.ndarray):
    """out is a convolution (confirmed), one whose kernel is not flipped (a condition), or neither (wrong)."""
    from scipy.signal import convolve2d, correlate2d

    convolved, correlated = (np.abs(f(image, kernel, "valid") - out).max() for f in (convolve2d, correlate2d))
    text = f"SciPy's convolve2d is {convolved:.0e} away, its correlate2d {correlated:.0e}"
    if convolved < 1e-12:
        return confirmed(text)
    return only_if(f"{text}: the kernel is not flipped") if correlated < 1e-12 else wrong(text)


@claim("31.1", "optimizer.step() is param -= lr * grad", by="parity")
def update(lab):
    weight, grad = rng().standard_normal((2, 50))
    off = {}
    for optimizer in (torch.optim.SGD, torch.optim.Adam):
        parameter = nn.Parameter(torch.from_numpy(weight.copy()))
        parameter.grad = torch.from_numpy(grad)
        optimizer([parameter], lr=0.1).step()
        off[optimizer.__name__] = float(np.abs(parameter.detach().numpy() - (weight - 0.1 * grad)).max())
    text = f"SGD: {off['SGD']:.0e} apart; Adam, which the chapter uses: {off['Adam']:.2f} apart"
    return only_if(text) if off["SGD"] < 1e-15 < 1e-3 < off["Adam"] else holds(off["Adam"] < 1e-15, text)


@claim("31.1", "both implementations compute the same", by="parity")
def same_mathematics(lab):
    tensors, worst, ok = 0, 0.0, True
    for model in (tn.TinyCNN(rng=rng(), dtype=np.float64), tn.MNISTCNN(rng=rng(), dtype=np.float64)):
        side = 8 if isinstance(model, tn.TinyCNN) else 28
        x = smooth_input(model, (5, 1, side, side), np.float64, rng())
        report = compare(model, x, twin(model))
        tensors, worst = tensors + len(report.rows), max(worst, *(row.ratio for row in report.rows))
        ok = ok and report.ok
    return holds(ok, f"{tensors} tensors, forward and backward, float64: largest error / bound {worst:.2f}")


TRACE = {
    "conv1": (16, 26, 26),
    "pool1": (16, 13, 13),
    "conv2": (32, 11, 11),
    "pool2": (32, 5, 5),
    "flatten": (800,),
    "fc": (10,),
}
for stage, shape in TRACE.items():

    @claim("31.2", f"after {stage}: (B, {', '.join(map(str, shape))})", "examples.shapes", f"after_{stage}")
    def after(lab, stage=stage, shape=shape):
        return exactly(shape, traced()[stage].shape[1:])


def traced() -> dict[str, ShapeRow]:
    return {row.stage: row for row in trace(tt.MNISTCNN())}


@claim("31.2", "MNISTCNN has 12,810 parameters", by="examples.shapes --model MNISTCNN")
def parameters(lab):
    sizes = {count(tt.MNISTCNN()), sum(a.size for a in tn.MNISTCNN(rng=rng()).state_dict().values())}
    return exactly({12_810}, sizes) if len(sizes) > 1 else exactly(12_810, sizes.pop())


class PrintedMNISTCNN(nn.Module):
    """The chapter's class, as far as print shows it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=3)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3)
        self.pool = nn.MaxPool2d(2, 2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(32 * 5 * 5, 10)


PRINTED_MODEL = """MNISTCNN(
(conv1): Conv2d(1, 16, kernel_size=(3, 3), stride=(1, 1))
(conv2): Conv2d(16, 32, kernel_size=(3, 3), stride=(1, 1))
(pool): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
(flatten): Flatten(start_dim=1, end_dim=-1)
(fc): Linear(in_features=800, out_features=10, bias=True)
)"""


@claim("31.2", "print(cnn_model) shows conv1, conv2, pool, flatten, fc with their settings", by="parity")
def printed_model(lab):
    return printed_alike(PRINTED_MODEL, repr(PrintedMNISTCNN()).removeprefix("Printed"))


def printed_alike(printed: str, ours: str):
    """Line by line; blanks at the beginning of a line do not count."""
    left, right = ([line.strip() for line in text.splitlines()] for text in (printed, ours))
    other = [line for line in right if line not in left]
    text = f"{len(right)} lines, PyTorch {torch.__version__}"
    return holds(left == right, f"{text}; not printed so: {other}" if other else text)


@claim("31.2", "convolutions are equivariant: a moved image gives moved maps", by="examples.compare_mlp")
def equivariance(lab):
    """The chapter says translation invariance. Inside an empty border; conv1, pool1 and the logits."""
    return moves_with(tt.MNISTCNN().double())


def moves_with(model: nn.Module):
    """What stages conv1, pool1 and fc make of a random 12 x 12 patch that moves by 1 and by 2 pixels.

    Wrong unless conv1's maps move by as many pixels; confirmed if pool1's and fc's do what they should for
    an invariant network as well.
    """
    image = np.zeros((1, 1, 28, 28))
    image[..., 8:20, 8:20] = rng().random((12, 12))
    still, *moved = (outputs(model, torch.from_numpy(np.roll(image, by, axis=3))) for by in (0, 1, 2))

    def off(stage: str, by: int, pixels: int) -> float:
        expected = torch.roll(still[stage], pixels, 3) if pixels else still[stage]
        return float((moved[by - 1][stage] - expected).abs().max())

    conv = max(off("conv1", 1, 1), off("conv1", 2, 2))
    pool, logits = (off("pool1", 2, 1), off("pool1", 1, 0)), off("fc", 2, 0)
    text = f"conv1's maps of an image moved by 1 and by 2 pixels are {conv:.0e} from the moved maps, "
    text += f"pool1's by 2 {pool[0]:.0e}; "
    text += f"by 1 they are other maps ({pool[1]:.0e}), and so are logits ({logits:.0e})"
    if conv > 1e-12:
        return wrong(text)
    return only_if(f"{text}: equivariant, not invariant") if logits > 1e-9 else confirmed(text)


@claim("31.2", "one image (1, 1, 28, 28) gives (1, 10)", by="examples.shapes")
def one_image(lab):
    return exactly((1, 10), tuple(tt.MNISTCNN()(torch.randn(1, 1, 28, 28)).shape))


@claim("31.2", "938 training batches of 64", by="examples.train_mnist")
def training_batches(lab):
    return exactly(938, len(DataLoader(lab.mnist().train_labels, batch_size=64)))


@claim("31.2", "157 test batches of 64", by="examples.train_mnist")
def test_batches(lab):
    return exactly(157, len(DataLoader(lab.mnist().test_labels, batch_size=64)))


@claim("31.2", "MNIST's training pixels have mean 0.1307", by="examples.train_mnist")
def mean(lab):
    return rounded(0.1307, float(lab.mnist().train_images.mean(dtype=np.float64)) * STD + MEAN, 4)


@claim("31.2", "and standard deviation 0.3081", by="examples.train_mnist")
def deviation(lab):
    return rounded(0.3081, float(lab.mnist().train_images.std(dtype=np.float64)) * STD, 4)


@claim("31.2", "weights are shared: each is used at many places of an image", by="examples.shapes")
def weight_sharing(lab):
    uses = {name: stage.uses for name, stage in traced().items() if stage.weights}
    text = ", ".join(f"of {name} {count}" for name, count in uses.items())
    return holds(uses["conv1"] > 1 and uses["conv2"] > 1, f"uses of each weight for one image: {text}")
