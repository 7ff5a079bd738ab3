"""Is truth.json true? Every class in wild/ against PyTorch: python tests/parity/unseen/verify_wild.py

Each driver below yields (name in truth.json, got, want); the tensors that differ must be those that
truth.json calls wrong. Negatives are held against central differences: they are right, only no layer of ours.
"""

import ast
import importlib
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from unseen_cases import (
    Pair,
    avg_pool,
    conv,
    dense,
    flatten,
    images,
    loss_case,
    max_pool,
    numeric,
    optimise,
    put,
    relu,
    run,
    to_image,
    wrong_tensors,
)

WILD = Path(__file__).parent / "wild"
DRIVERS = {}


def load(name):
    """Imports that work, functions, classes and plain constants: what stands in a file besides its script."""
    path, module = WILD / name, types.ModuleType(name.partition(".")[0])
    sys.modules[module.__name__] = module
    text = path.read_text()
    if path.suffix == ".ipynb":
        cells = ["".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
        text = "\n".join(line for cell in cells for line in cell.splitlines() if line[:1] not in "%!")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign):
            try:
                exec(compile(ast.Module([node], []), str(path), "exec"), vars(module))
            except (ImportError, OSError, NameError):
                continue
    module.np = np
    return module


def driver(name):
    return lambda f: DRIVERS.setdefault(name, f)


def logits_loss(forward, backward, labels="labels"):
    """forward(logits, labels), then backward() -> dlogits."""
    case = loss_case()
    loss = forward(case["logits"].copy(), case[labels])
    return {"loss": np.mean(loss), "dlogits": np.array(backward())}, case["want"]


def pair_loss(f, labels="labels"):
    case = loss_case()
    loss, grad = f(case["logits"].copy(), case[labels])
    return {"loss": loss, "dlogits": grad}, case["want"]


def stepped(update, torch_class, **settings):
    """update(parameters, grads) changes the list `parameters` in place."""
    start, grads, want = optimise(torch_class, **settings)
    parameters = [a.copy() for a in start]
    for step in grads:
        update(parameters, step)
    flat = [np.concatenate([a.ravel() for a in arrays]) for arrays in (parameters, want)]
    return {"parameters": flat[0]}, {"parameters": flat[1]}


def stepped_dict(optimizer, torch_class, **settings):
    """update(params, grads) with dictionaries."""

    def update(parameters, grads):
        named = dict(zip("Wb", parameters, strict=True))
        optimizer.update(named, dict(zip("Wb", grads, strict=True)))
        parameters[:] = named.values()

    return stepped(update, torch_class, **settings)


def cs231n(m, stride, pad):
    param = {"stride": stride, "pad": pad}
    pool = {"pool_height": 3, "pool_width": 2, "stride": 2}
    if hasattr(m, "affine_forward"):
        yield (
            "affine_forward/affine_backward",
            *run(Pair(m.affine_forward, m.affine_backward), dense(), kernel="KM"),
        )
        yield "relu_forward/relu_backward", *run(Pair(m.relu_forward, m.relu_backward), relu())
        yield "softmax_loss", *pair_loss(m.softmax_loss)
    if hasattr(m, "conv_forward_naive"):
        yield (
            "conv_forward_naive/conv_backward_naive",
            *run(
                Pair(m.conv_forward_naive, m.conv_backward_naive, param),
                conv(stride=stride, padding=pad, k=(3, 2)),
            ),
        )
    if hasattr(m, "max_pool_forward_naive"):
        yield (
            "max_pool_forward_naive/max_pool_backward_naive",
            *run(Pair(m.max_pool_forward_naive, m.max_pool_backward_naive, pool), max_pool((3, 2), 2)),
        )


for file in (
    "cs231n_layers.py",
    "cs231n_pad_bug.py",
    "cs231n_ties_softmax.py",
    "cs231n_weight_decay_inside.py",
):
    driver(file)(lambda m: cs231n(m, 2, 1))


@driver("cs231n_fast_im2col.py")
def _(m):
    yield (
        "conv_forward_im2col/conv_backward_im2col",
        *run(
            Pair(m.conv_forward_im2col, m.conv_backward_im2col, {"stride": 2, "pad": 1}),
            conv(stride=2, padding=1, k=(3, 2)),
        ),
    )
    yield (
        "spatial_batchnorm_forward/spatial_batchnorm_backward",
        *batch_norm(
            lambda x, w, b: m.spatial_batchnorm_forward(x, w, b, {"mode": "train"}),
            lambda dout, cache: m.spatial_batchnorm_backward(dout, cache),
        ),
    )
    x, dout = np.ones((50, 40)), np.arange(2000.0).reshape(50, 40)
    out, cache = m.dropout_forward(x, {"p": 0.7, "mode": "train"})
    ok = 0.6 < (out > 0).mean() < 0.8 and np.allclose(out[out > 0], 1 / 0.7)
    yield (
        "dropout_forward/dropout_backward",
        {"out": ok, "dx": m.dropout_backward(dout, cache)},
        {"out": True, "dx": dout * out},
    )


def batch_norm(forward, backward, eps=1e-5):
    from unseen_cases import RNG, case

    x, w, b = RNG.standard_normal((3, 4, 5, 2)), RNG.standard_normal(4), RNG.standard_normal(4)
    c = case(lambda x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, True, 0.1, eps), x, w, b)
    out, cache = forward(x.copy(), w, b)
    dx, dw, db = backward(c["dout"].copy(), cache)
    return {"out": out, "dx": dx, "dweight": np.ravel(dw), "dbias": np.ravel(db)}, c["want"]


def coursera(m, stride, pad, names=("conv", "pool")):
    param = {"stride": stride, "pad": pad}
    yield (
        "conv_forward/conv_backward",
        *run(
            Pair(m.conv_forward, m.conv_backward, param, bias_shape=(1, 1, 1, -1)),
            conv(stride=stride, padding=pad),
            image="NHWC",
            kernel="HWCF",
        ),
    )
    if "pool" in names:
        for mode, make in (("max", max_pool), ("average", avg_pool)):
            yield (
                f"pool_forward/pool_backward, mode={mode}",
                *run(
                    Pair(
                        lambda x, mode=mode: m.pool_forward(x, {"f": 3, "stride": 2}, mode),
                        lambda dA, cache, mode=mode: m.pool_backward(dA, cache, mode),
                    ),
                    make(),
                    image="NHWC",
                ),
            )


driver("coursera_step_by_step.py")(lambda m: coursera(m, 2, 1))
driver("coursera_stride_bug.py")(lambda m: coursera(m, 2, 1))
driver("coursera_unpadded.py")(lambda m: coursera(m, 2, 1, ["conv"]))


@driver("zero_made_layers.py")
def _(m):
    named = {"gw": "dW", "gb": "db"}
    yield "Convolution", *run(m.Convolution(None, None, 2, 1), conv(stride=2, padding=1, k=(3, 2)), **named)
    yield "Affine", *run(m.Affine(None, None), dense(), kernel="KM", **named)
    yield "Relu", *run(m.Relu(), relu())
    yield "Pooling", *run(m.Pooling(3, 2, 2), max_pool((3, 2), 2))
    for labels in ("labels", "onehot"):
        loss = m.SoftmaxWithLoss()
        yield "SoftmaxWithLoss", *logits_loss(loss.forward, loss.backward, labels)


@driver("zero_optimizers.py")
def _(m):
    yield "SGD", *stepped_dict(m.SGD(0.1), torch.optim.SGD, lr=0.1)
    yield "Momentum", *stepped_dict(m.Momentum(0.1, 0.8), torch.optim.SGD, lr=0.1, momentum=0.8)
    yield "Adam", *stepped_dict(m.Adam(0.1), torch.optim.Adam, lr=0.1)
    yield "AdaGrad", *stepped_dict(m.AdaGrad(0.1), torch.optim.Adagrad, lr=0.1, eps=1e-7)


@driver("zero_wrong_conv.py")
def _(m):
    yield (
        "Convolution",
        *run(
            m.Convolution(None, None, 2, 1), conv(stride=2, padding=1, f=3, c=2, k=(3, 2)), gw="dW", gb="db"
        ),
    )
    yield "Relu", *run(m.Relu(), relu())


@driver("zero_loss_no_batch.py")
def _(m):
    yield (
        "Affine",
        *run(
            m.Affine(np.zeros((6, 4)), np.zeros(4)),
            dense(),
            w="params.0",
            b="params.1",
            gw="grads.0",
            gb="grads.1",
            kernel="KM",
        ),
    )
    for labels in ("labels", "onehot"):
        loss = m.SoftmaxWithLoss()
        yield "SoftmaxWithLoss", *logits_loss(loss.forward, loss.backward, labels)
    yield "SGD", *stepped(m.SGD(0.1).update, torch.optim.SGD, lr=0.1)


@driver("zero_batchnorm_dropout.py")
def _(m):
    def forward(x, w, b):
        layer = m.BatchNormalization(w, b)
        return layer.forward(x), layer

    yield (
        "BatchNormalization",
        *batch_norm(forward, lambda d, layer: (layer.backward(d), layer.dgamma, layer.dbeta), 1e-6),
    )
    layer, x = m.Dropout(0.3), np.full((50, 40), 2.0)
    out = layer.forward(x)
    ok = (
        0.6 < (out > 0).mean() < 0.8
        and set(np.unique(out)) == {0, 2}
        and np.allclose(layer.forward(x, False), 1.4)
    )
    layer.forward(x)
    yield "Dropout", {"out": ok, "dx": layer.backward(x)}, {"out": True, "dx": x * layer.mask}


def nnfs_optimizer(optimizer, torch_class, **settings):
    layer = types.SimpleNamespace()

    def update(parameters, grads):
        layer.weights, layer.biases = parameters
        layer.dweights, layer.dbiases = grads
        getattr(optimizer, "pre_update_params", int)()
        optimizer.update_params(layer)
        getattr(optimizer, "post_update_params", int)()
        parameters[:] = layer.weights, layer.biases

    return stepped(update, torch_class, **settings)


NNFS = {"w": "weights", "b": "biases", "gw": "dweights", "gb": "dbiases", "out": "output", "dx": "dinputs"}


@driver("nnfs_dense.py")
def _(m):
    yield "Layer_Dense", *run(m.Layer_Dense(6, 4), dense(), kernel="KM", **NNFS)
    yield "Activation_ReLU", *run(m.Activation_ReLU(), relu(), out="output", dx="dinputs")
    for labels in ("labels", "onehot"):
        yield fused(m, labels)
        yield apart(m, labels)
    yield (
        "Optimizer_SGD",
        *nnfs_optimizer(m.Optimizer_SGD(0.1, 0, 0.8), torch.optim.SGD, lr=0.1, momentum=0.8),
    )
    yield "Optimizer_Adam", *nnfs_optimizer(m.Optimizer_Adam(0.1), torch.optim.Adam, lr=0.1, eps=1e-7)


def fused(m, labels):
    c = loss_case()
    loss = m.Activation_Softmax_Loss_CategoricalCrossentropy()
    value = loss.forward(c["logits"], c[labels])
    loss.backward(loss.output, c[labels])
    got = {"loss": value, "dlogits": loss.dinputs}
    return "Activation_Softmax_Loss_CategoricalCrossentropy", got, c["want"]


def apart(m, labels):
    c = loss_case()
    softmax, loss = m.Activation_Softmax(), m.Loss_CategoricalCrossentropy()
    softmax.forward(c["logits"])
    value = loss.calculate(softmax.output, c[labels])
    loss.backward(softmax.output, c[labels])
    softmax.backward(loss.dinputs)
    return (
        "Activation_Softmax, Loss_CategoricalCrossentropy",
        {"loss": value, "dlogits": softmax.dinputs},
        c["want"],
    )


@driver("nnfs_wrong.py")
def _(m):
    yield "Layer_Dense", *run(m.Layer_Dense(6, 4), dense(), kernel="KM", **NNFS)
    yield "Activation_ReLU", *run(m.Activation_ReLU(), relu(), out="output", dx="dinputs")
    yield fused(m, "labels")
    yield "Optimizer_Adam", *nnfs_optimizer(m.Optimizer_Adam(0.1), torch.optim.Adam, lr=0.1, eps=1e-7)


@driver("nnfs_conv_nhwc.py")
def _(m):
    names = NNFS | {"w": "kernels", "gw": "dkernels"}
    yield (
        "Layer_Conv2D",
        *run(m.Layer_Conv2D(3, 4, 3, 2, 1), conv(stride=2, padding=1), kernel="HWCF", image="NHWC", **names),
    )
    yield "Layer_MaxPool", *run(m.Layer_MaxPool(3, 2), max_pool(), image="NHWC", out="output", dx="dinputs")
    yield "Layer_Flatten", *channels_last_flatten(m.Layer_Flatten(), out="output", dx="dinputs")


def channels_last_flatten(layer, **names):
    """Flatten of (N, H, W, C) in C order."""
    c = flatten()
    x = c["x"].transpose(0, 2, 3, 1).copy()
    want = {"out": x.reshape(len(x), -1), "dx": c["dout"].reshape(x.shape).transpose(0, 3, 1, 2)}
    got, _ = run(layer, c | {"want": None}, image="NHWC", **names)
    return got, want


NNML = {"w": "parameters.W", "b": "parameters.b", "gw": "gradients.W", "gb": "gradients.b"}


@driver("nnml_layers.py")
def _(m):
    layer = m.FullyConnected(4)
    layer.forward(np.ones((2, 6)), retain_derived=False)
    yield "FullyConnected", *run(layer, dense(), kernel="KM", **NNML)
    layer = m.Conv2D(4, (3, 2), 1, 2)
    layer.forward(np.ones((1, 5, 5, 3)), retain_derived=False)
    yield "Conv2D", *run(layer, conv(stride=2, padding=1, k=(3, 2)), image="NHWC", kernel="HWCF", **NNML)
    yield "Flatten", *channels_last_flatten(m.Flatten())


@driver("nnml_wrong_dw.py")
def _(m):
    yield "FullyConnected", *run(m.FullyConnected(6, 4), dense(), kernel="KM", **NNML)
    c = loss_case()
    yield (
        "CrossEntropy",
        {
            "loss": m.CrossEntropy.loss(c["onehot"], c["probs"]),
            "dlogits": m.CrossEntropy.grad(c["onehot"], c["probs"]),
        },
        c["want"],
    )


BACKPROP = {"bwd": "backprop", "w": "filters"}


@driver("one_image_conv3x3.py")
def _(m):
    c, layer = conv(1, 1), m.Conv3x3(4)
    layer.filters = c["w"][:, 0].copy()
    out = to_image(c["want"]["out"] - c["b"][:, None, None], "HWC")  # it has no bias
    got = {"out": layer.forward(c["x"][0, 0])}
    layer.backprop(to_image(c["dout"], "HWC"), 0.5)
    got["dweight"] = (c["w"] - layer.filters[:, None]) / 0.5
    yield "Conv3x3", got, c["want"] | {"out": out}
    yield "MaxPool2", *run(m.MaxPool2(), max_pool(2, 2, n=1), image="HWC", bwd="backprop")
    layer, x, d = m.Softmax(30, 4), np.random.default_rng(0).standard_normal((3, 5, 2)), np.arange(4.0)
    dx = numeric(layer.forward, x.copy(), d)
    layer.forward(x)
    old = layer.weights.copy()
    dw = numeric(lambda w: (put(layer, "weights", w), layer.forward(x))[1], old.copy(), d)
    got = {"dx": layer.backprop(d, 0.5), "dweight": (old - layer.weights) / 0.5}
    yield "Softmax", got, {"dx": dx, "dweight": dw}


@driver("one_image_colour.py")
def _(m):
    yield "Conv", *run(m.Conv(4, 3, 3), conv(1), b="bias", rate=1e-3, image="HWC", kernel="FHWC", **BACKPROP)
    yield "MaxPool2", *run(m.MaxPool2(), max_pool(2, 2, n=1), image="HWC", bwd="backprop")


@driver("columns_dense.py")
def _(m):
    layer, c = m.Linear(6, 4), dense()
    layer.W, layer.b = c["w"], c["b"][:, None]
    out, dx = layer.forward(c["x"].T), layer.backward(c["dout"].T)
    got = {"out": out.T, "dx": dx.T, "dweight": layer.dW, "dbias": layer.db[:, 0]}
    yield "Linear", got, c["want"]
    yield "relu/relu_backward", *run(Pair(m.relu, m.relu_backward), relu())


@driver("train_at_once.py")
def _(m):
    names = {
        "fwd": "forward_propagation",
        "bwd": "backward_propagation",
        "w": "weights",
        "b": "bias",
        "rate": 1e-2,
    }
    yield "DenseLayer", *run(m.DenseLayer(6, 4), dense(), kernel="KM", **names)
    yield "ConvLayer", *run(m.ConvLayer(3, 4, 3), conv(), **names)
    yield "ReLULayer", *run(m.ReLULayer(), relu(), **names)


@driver("scipy_convolutional.py")
def _(m):
    c = conv(1)
    layer = m.Convolutional((3, 8, 7), 3, 4)
    layer.kernels, layer.biases = c["w"].copy(), np.broadcast_to(c["b"][:, None, None], (4, 6, 5)).copy()
    start = layer.biases.copy()
    out, dx = layer.forward(c["x"][0]), layer.backward(c["dout"][0], 0.5)
    dbias = (start - layer.biases).sum((1, 2)) / 0.5  # a number for every pixel: summed it is ours
    got = {"out": out[None], "dx": dx[None], "dweight": (c["w"] - layer.kernels) / 0.5, "dbias": dbias}
    yield "Convolutional", got, c["want"]
    c, layer = dense(1), m.Dense(6, 4)
    layer.weights, layer.bias = c["w"].copy(), c["b"][:, None].copy()
    got = {"out": layer.forward(c["x"].T).T, "dx": layer.backward(c["dout"].T, 0.5).T}
    got |= {"dweight": (c["w"] - layer.weights) / 0.5, "dbias": (c["b"] - layer.bias[:, 0]) / 0.5}
    yield "Dense", got, c["want"]
    layer = m.Reshape((3, 9, 7), 189)
    x = images(1)[0]
    yield "Reshape", {"out": layer.forward(x)}, {"out": x.ravel()}


@driver("scipy_flip_bug.py")
def _(m):
    yield "ConvLayer", *run(m.ConvLayer(3, 4, 3), conv(), gw="dW", gb="db")
    yield "MeanPool", *run(m.MeanPool(2), avg_pool(2, 2))


@driver("grads_dict.py")
def _(m):
    names = {"w": "params.W", "b": "params.b", "gw": "grads.W", "gb": "grads.b"}
    yield "Conv2d", *run(m.Conv2d(3, 4, 3, 2, 1), conv(stride=2, padding=1), **names)
    yield "FC", *run(m.FC(6, 4), dense(), kernel="KM", **names)
    yield "MaxPool2d", *run(m.MaxPool2d(3, 2), max_pool())


@driver("parameter_objects.py")
def _(m):
    names = {"w": "W.value", "b": "B.value", "gw": "W.grad", "gb": "B.grad"}
    yield (
        "ConvolutionalLayer",
        *run(m.ConvolutionalLayer(3, 4, 3, 1), conv(padding=1), image="NHWC", kernel="HWCF", **names),
    )
    yield "FullyConnectedLayer", *run(m.FullyConnectedLayer(6, 4), dense(), kernel="KM", **names)
    yield "MaxPoolingLayer", *run(m.MaxPoolingLayer(3, 2), max_pool(), image="NHWC")
    yield "ReLULayer", *run(m.ReLULayer(), relu())
    yield "Flattener", *channels_last_flatten(m.Flattener())
    yield "softmax_with_cross_entropy", *pair_loss(m.softmax_with_cross_entropy)


@driver("module_with_grad.py")
def _(m):
    names = {"w": "weight.data", "b": "bias.data", "gw": "weight.grad", "gb": "bias.grad"}
    yield "Conv2d", *run(m.Conv2d(3, 4, 3, 2, 1), conv(stride=2, padding=1), **names)
    yield "Linear", *run(m.Linear(6, 4), dense(), **names)

    def torch_like(make, torch_class, **settings):
        state = {}

        def update(parameters, grads):
            if not state:
                state["p"] = [m.Parameter(a) for a in parameters]
                state["o"] = make(state["p"])
            for p, g in zip(state["p"], grads, strict=True):
                p.grad = g
            state["o"].step()
            parameters[:] = [p.data for p in state["p"]]

        return stepped(update, torch_class, **settings)

    yield "SGD", *torch_like(lambda p: m.SGD(p, 0.1, 0.8), torch.optim.SGD, lr=0.1, momentum=0.8)
    yield "Adam", *torch_like(lambda p: m.Adam(p, 0.1), torch.optim.Adam, lr=0.1)


@driver("losses_pair.py")
def _(m):
    yield "softmax_cross_entropy", *pair_loss(m.softmax_cross_entropy)
    yield "CrossEntropy", *pair_loss(m.CrossEntropy(), "onehot")
    got, want = pair_loss(m.SumCrossEntropy(), "onehot")
    yield "SumCrossEntropy", {k: v / 5 for k, v in got.items()}, want
    x, t = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    yield (
        "mse_loss",
        {"dx": m.mse_loss(x, t)[1]},
        {"dx": numeric(lambda x: m.mse_loss(x, t)[0], x.copy(), 1.0)},
    )


def apart_loss(m, softmax, loss, labels):
    c = loss_case()
    value = loss.forward(softmax.forward(c["logits"]), c[labels])
    return {"loss": value, "dlogits": softmax.backward(loss.backward())}, c["want"]


@driver("softmax_apart.py")
def _(m):
    yield "Softmax, CrossEntropyLoss", *apart_loss(m, m.Softmax(), m.CrossEntropyLoss(), "onehot")


@driver("softmax_apart_wrong.py")
def _(m):
    yield "SoftmaxLayer, CELoss", *apart_loss(m, m.SoftmaxLayer(), m.CELoss(), "labels")


@driver("scratch_input_shape.py")
def _(m):
    names = {"fwd": "forward_pass", "bwd": "backward_pass", "w": "W", "b": "w0"}
    sgd = m.StochasticGradientDescent(0.5)

    def at_once(layer, c, **kw):
        layer.initialize(sgd)
        got, want = run(layer, c, **names, **kw)
        weight = (c["w"].T if kw else c["w"]) - layer.W
        return got | {
            "dweight": (weight.T if kw else weight) / 0.5,
            "dbias": (c["b"] - layer.w0.ravel()) / 0.5,
        }, want

    yield "Conv2D", *at_once(m.Conv2D(4, (3, 3), (3, 8, 7), "same", 2), conv(padding=1, stride=2))
    yield "Dense", *at_once(m.Dense(4, (6,)), dense(), kernel="KM")

    def each(make):
        optimizers = [make(), make()]

        def update(parameters, grads):
            parameters[:] = [o.update(p, g) for o, p, g in zip(optimizers, parameters, grads, strict=True)]

        return update

    yield (
        "StochasticGradientDescent",
        *stepped(each(lambda: m.StochasticGradientDescent(0.1)), torch.optim.SGD, lr=0.1),
    )
    yield "Adam", *stepped(each(lambda: m.Adam(0.1)), torch.optim.Adam, lr=0.1)


@driver("keras_like_build.py")
def _(m):
    names = {"w": "kernel", "b": "bias", "gw": "dkernel", "gb": "dbias", "fwd": "call"}
    layer = m.Conv2D(4, (3, 2), (2, 1))
    layer.build((1, 8, 7, 3))
    yield "Conv2D", *run(layer, conv(k=(3, 2), stride=(2, 1)), image="NHWC", kernel="HWCF", **names)
    layer = m.Dense(4)
    layer.build((5, 6))
    yield "Dense", *run(layer, dense(), kernel="KM", **names)
    yield "AveragePooling2D", *run(m.AveragePooling2D(2), avg_pool(2, 2), fwd="call", image="NHWC")
    yield "Flatten", *channels_last_flatten(m.Flatten(), fwd="call")


@driver("one_image_functions.py")
def _(m):
    c = conv(1, hw=(7, 7), stride=2)
    x, w, d = c["x"][0], c["w"], c["dout"][0]
    dx, dw, db = m.convolution_backward(d, x, w, 2)
    out = m.convolution(x, w, c["b"][:, None], 2)
    yield (
        "convolution/convolution_backward",
        {"out": out[None], "dx": dx[None], "dweight": dw, "dbias": db[:, 0]},
        c["want"],
    )
    c = max_pool(3, 2, n=1)
    x, d = c["x"][0], c["dout"][0]
    got = {"out": m.maxpool(x, 3, 2)[None], "dx": m.maxpool_backward(d, x, 3, 2)[None]}
    yield "maxpool/maxpool_backward", got, c["want"]
    c = loss_case(1)
    p = m.softmax(c["logits"][0])
    yield (
        "softmax, categorical_cross_entropy",
        {"loss": m.categorical_cross_entropy(p, c["onehot"][0])},
        c["want"],
    )


@driver("simple_net_eta.py")
def _(m):
    names = {"w": "weights", "b": "bias", "gw": "w_gradient", "gb": "b_gradient"}
    yield "Linear", *run(m.Linear(6, 4), dense(), kernel="KM", **names)
    yield "Conv", *run(m.Conv(3, 4, 3, 2), conv(stride=2), image="NHWC", kernel="HWCF", **names)
    yield "Relu", *run(m.Relu(), relu())
    yield "MaxPooling", *run(m.MaxPooling(3, 2), max_pool(), image="NHWC")


@driver("hw_swapped.py")
def _(m):
    yield (
        "ConvLayer",
        *run(m.ConvLayer(4, 3, 3, 2, 1, 1), conv(k=(3, 2), padding=1), w="K", b="B", gw="dK", gb="dB"),
    )
    yield "Flatten", *run(m.Flatten(), flatten())


@driver("optimizers_wrong.py")
def _(m):
    yield "SGDMomentum", *stepped_dict(m.SGDMomentum(0.1), torch.optim.SGD, lr=0.1, momentum=0.9)
    yield "AdamOptimizer", *stepped_dict(m.AdamOptimizer(0.1), torch.optim.Adam, lr=0.1)


@driver("optimizer_functions.py")
def _(m):
    for name, torch_class, settings in (
        ("sgd", torch.optim.SGD, {}),
        ("adam", torch.optim.Adam, {}),
        ("sgd_momentum", torch.optim.SGD, {"momentum": 0.9}),
    ):
        step = getattr(m, name)
        configs = [{"learning_rate": 0.1}, {"learning_rate": 0.1}]

        def update(parameters, grads, f=step, configs=configs):
            for i, (p, g) in enumerate(zip(parameters, grads, strict=True)):
                parameters[i], configs[i] = f(p, g, configs[i])

        yield name, *stepped(update, torch_class, lr=0.1, **settings)


@driver("batchnorm_wrong.py")
def _(m):
    def forward(x, w, b):
        layer = m.BatchNorm2d(4)
        layer.gamma, layer.beta = w.reshape(1, 4, 1, 1), b.reshape(1, 4, 1, 1)
        return layer.forward(x), layer

    got, want = batch_norm(forward, lambda d, layer: (layer.backward(d), layer.dgamma, layer.dbeta))
    layer, theirs, x = (
        m.BatchNorm2d(4),
        torch.nn.BatchNorm2d(4).double(),
        np.random.default_rng(0).random((2, 4, 3, 2)),
    )
    layer.forward(x), theirs(torch.tensor(x))
    got["running_var"], want["running_var"] = layer.running_var.ravel(), theirs.running_var.numpy()
    yield "BatchNorm2d", got, want
    layer, x = m.Dropout(0.3), np.full((50, 40), 2.0)
    out = layer.forward(x)
    yield "Dropout", {"out": np.unique(out), "dx": layer.backward(x)}, {"out": [0, 2 / 0.7], "dx": out}


@driver("transposed_kernel.py")
def _(m):
    names = {"w": "weights", "b": "bias", "gw": "dweights", "gb": "dbias"}
    yield (
        "Conv2D",
        *run(
            m.Conv2D(3, 4, (3, 2), (2, 1)),
            conv(k=(3, 2), stride=(2, 1)),
            image="NHWC",
            kernel="FHWC",
            **names,
        ),
    )


@driver("train_on_import.py")
def _(m):
    names = {"w": "w", "b": "b", "gw": "dw", "gb": "db"}
    yield "Conv", *run(m.Conv(3, 4, 3, 1), conv(padding=1), **names)
    yield "Dense", *run(m.Dense(6, 4), dense(), kernel="KM", **names)


@driver("sandwich_tuple.py")
def _(m):
    yield "Convolution2D", *run(m.Convolution2D(3, 4, 3, 2, 1), conv(stride=2, padding=1, hw=(9, 7)))
    yield "FullyConnected", *run(m.FullyConnected(6, 4), dense(), kernel="KM")
    yield "Relu", *run(m.Relu(), relu())


@driver("bias_per_pixel.py")
def _(m):
    yield "Convolution", *run(m.Convolution(3, 4, 3), conv(), gw="dW", gb="db")


@driver("float32_relu_widened.py")
def _(m):
    yield "ReLU", *run(m.ReLU(), relu())
    yield "MaxPool", *run(m.MaxPool(2), max_pool(2, 2, hw=(8, 6)))


@driver("single_axis_stride.py")
def _(m):
    yield "AvgPool", *run(m.AvgPool(3, 2), avg_pool(), image="NHWC")
    yield "Conv", *run(m.Conv(3, 4, 3, 2), conv(stride=2), image="NHWC", kernel="HWCF", gw="dW", gb="db")


@driver("camel_case.py")
def _(m):
    names = {"fwd": "forwardPass", "bwd": "backwardPass", "rate": 1e-2}
    filters = names | {"w": "filterWeights", "b": "filterBiases"}
    yield (
        "ConvolutionLayer",
        *run(m.ConvolutionLayer(4, 3, 3, 2, 1), conv(stride=2, padding=1), **filters),
    )
    yield "MaxPoolLayer", *run(m.MaxPoolLayer(2), max_pool(2, 2), **names)
    yield "DenseLayer", *run(m.DenseLayer(6, 4), dense(), kernel="KM", w="weights", b="biases", **names)


@driver("call_and_gradient.py")
def _(m):
    names = {"fwd": "__call__", "bwd": "gradient"}
    grads = names | {"w": "w", "b": "b", "gw": "grads.0", "gb": "grads.1"}
    yield "Affine", *run(m.Affine(6, 4), dense(), kernel="KM", **grads)
    yield "Rectifier", *run(m.Rectifier(), relu(), **names)
    yield "Conv", *run(m.Conv(3, 2, 3, 4), conv(k=(3, 2)), image="NHWC", kernel="HWCF", **grads)


@driver("update_apart.py")
def _(m):
    names = {"gw": "grad_W", "gb": "grad_b"}
    yield "Conv", *run(m.Conv(3, 4, 3, 2, 1), conv(stride=2, padding=1), **names)
    yield "Linear", *run(m.Linear(6, 4), dense(), kernel="KM", **names)
    yield "AvgPooling", *run(m.AvgPooling(3, 2), avg_pool())


@driver("typed_modern.py")
def _(m):
    names = {"w": "kernel", "b": "bias", "gw": "kernel_grad", "gb": "bias_grad", "image": "NHWC"}
    for padding, p in (("same", 1), ("valid", 0)):
        layer = m.Conv2D(3, 4, kernel_size=3, padding=padding)
        yield "Conv2D", *run(layer, conv(padding=p), kernel="HWCF", **names)
    layer, x = m.Dropout(0.3), np.full((50, 40), 2.0)
    out = layer.forward(x)
    ok = 0.6 < (out > 0).mean() < 0.8 and np.allclose(out[out > 0], 2 / 0.7)
    yield "Dropout", {"out": ok, "dx": layer.backward(x)}, {"out": True, "dx": out}


@driver("package/nn")
def _(m):
    names = {"w": "weight", "b": "bias", "gw": "weight_grad", "gb": "bias_grad"}
    yield "Conv2d", *run(m.Conv2d(3, 4, 3, 2, 1), conv(stride=2, padding=1), **names)
    yield "Linear", *run(m.Linear(6, 4), dense(), **names)
    yield "MaxPool2d", *run(m.MaxPool2d(3, 2), max_pool())
    yield "ReLU", *run(m.ReLU(), relu())
    loss = m.CrossEntropyLoss()
    yield "CrossEntropyLoss", *logits_loss(loss, loss.backward)


@driver("lab5.ipynb")
def _(m):
    names = {"fwd": "forward_prop", "bwd": "back_prop", "rate": 1e-2}
    yield "ConvolutionLayer", *run(m.ConvolutionLayer(4, 3, 3), conv(), w="kernels", b="biases", **names)
    yield "MaxPoolingLayer", *run(m.MaxPoolingLayer(2), max_pool(2, 2), fwd="forward_prop", bwd="back_prop")
    yield "AffineLayer", *run(m.AffineLayer(4, 4), dense(5, 4, 4), w="w", b="b", kernel="KM", **names)


@driver("colab_digits.ipynb")
def _(m):
    yield "Conv", *run(m.Conv(3, 3, 4), conv(), image="NHWC", kernel="HWCF", gw="dW", gb="db")
    yield "Flatten", *channels_last_flatten(m.Flatten())


def right(layer, x):
    """A layer that is nobody's twin: its dx by central differences."""
    dout = np.random.default_rng(1).standard_normal(layer.forward(x).shape)
    want = {"dx": numeric(layer.forward, x.copy(), dout)}
    layer.forward(x)
    return {"dx": layer.backward(dout)}, want


X2 = np.random.default_rng(2).standard_normal((5, 6))
X4 = np.random.default_rng(3).standard_normal((2, 3, 6, 4))


@driver("neg_leaky_relu.py")
def _(m):
    yield "ReLU", *run(m.ReLU(), relu())
    yield "LeakyReLU", *right(m.LeakyReLU(), X2)


@driver("neg_conv_transpose.py")
def _(m):
    yield "Conv2D", *run(m.Conv2D(3, 4, 3, 2), conv(stride=2), gw="dW", gb="db")
    yield "ConvTranspose2D", *right(m.ConvTranspose2D(3, 4, 3, 2), X4)


@driver("neg_identity_linear.py")
def _(m):
    for name in ("Linear", "Tanh", "Sigmoid", "ELU"):
        yield name, *right(getattr(m, name)(), X2)


@driver("neg_batchnorm1d.py")
def _(m):
    yield "BatchNorm1d", *right(m.BatchNorm1d(6), X2)
    yield "LayerNorm", *right(m.LayerNorm(6), X2)


@driver("neg_lstm_cell.py")
def _(m):
    layer, (x, h, c) = m.LSTM(6, 3), (X2, X2[:, :3].copy(), X2[:, 3:].copy())
    dh, dc = np.ones((5, 3)), np.arange(15.0).reshape(5, 3)

    def total(x, h, c):
        a, b = layer.forward(x, h, c)
        return (a * dh + b * dc).sum()

    want = {
        "dx": numeric(lambda x: total(x, h, c), x.copy(), 1.0),
        "dh": numeric(lambda h: total(x, h, c), h.copy(), 1.0),
    }
    total(x, h, c)
    dx, dh_, _ = layer.backward(dh, dc)
    yield "LSTM", {"dx": dx, "dh": dh_}, want
    yield "Embedding", {}, {}


@driver("neg_dense_activation.py")
def _(m):
    yield "Dense", *right(m.Dense(6, 4), X2)


@driver("neg_other_pools.py")
def _(m):
    yield "GlobalAveragePooling2D", *right(m.GlobalAveragePooling2D(), X4)
    yield "MaxPool1D", *right(m.MaxPool1D(2), X4[0])


@driver("neg_other_losses.py")
def _(m):
    y = np.array([0, 2, 1, 5, 3])
    loss = m.HingeLoss()
    want = {"dx": numeric(lambda x: loss.forward(x, y), X2.copy(), 1.0)}
    loss.forward(X2, y)
    yield "HingeLoss", {"dx": loss.backward()}, want
    loss, p, t = m.BinaryCrossEntropy(), 1 / (1 + np.exp(-X2)), (X2 > 0.3) * 1.0
    want = {"dx": numeric(lambda p: loss.forward(p, t), p.copy(), 1.0)}
    loss.forward(p, t)
    yield "BinaryCrossEntropy", {"dx": loss.backward()}, want
    yield "RMSprop", {}, {}


def package():
    sys.path.insert(0, str(WILD))
    helper = types.ModuleType("sklearn_course_helpers")
    helper.confusion = None
    sys.modules[helper.__name__] = helper
    return importlib.import_module("package.nn")


def found():
    """{file: {name: wrong tensors}}, as the drivers see it."""
    result = {}
    for name, check in DRIVERS.items():
        names = result.setdefault(name, {})
        for title, got, want in check(package() if name == "package/nn" else load(name)):
            wrong = wrong_tensors(got, want, 1e-4 if "Loss" in title or "ax" in title else 1e-6)
            names[title] = sorted({*names.get(title, []), *map(str, wrong)})
    return result


if __name__ == "__main__":
    seen = found()
    if "--show" in sys.argv:
        print(json.dumps(seen, indent=1))
    truth = json.loads((WILD / "truth.json").read_text())
    bad = [
        (file, name, wrong, truth[file][name]["tensors"])
        for file, names in seen.items()
        for name, wrong in names.items()
        if wrong != sorted(truth[file][name]["tensors"])
    ]
    unchecked = [
        (f, n) for f in truth for n in truth[f] if n not in seen.get(f, {}) and truth[f][n]["kind"] != "none"
    ]
    print(
        f"{len(seen)} files, {sum(map(len, seen.values()))} names; {len(bad)} unlike truth.json",
        *bad,
        sep="\n",
    )
    print("not checked:", *unchecked)
    sys.exit(bool(bad))
