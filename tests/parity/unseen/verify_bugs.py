"""Is every bug of the nine files bugs*.jsonl a bug? Each applies once and changes the tensors that it names.

"tensors" are its own, "follow" are wrong because of those (evaluation after a wrong running mean, say).
No bug of bugs3.jsonl, bugs4.jsonl and bugs5.jsonl does what a bug before it does.

    python tests/parity/unseen/verify_bugs.py [bugs4.jsonl]

The classes in plain/, right/, right2/ and right4/ are held against PyTorch in the same way: nothing may
differ there.
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

HERE = Path(__file__).parent
CONVS = [  # in, out, kernel, stride, padding, bias, shape of x
    (3, 4, (3, 2), (2, 1), (1, 2), True, (2, 3, 7, 6)),
    (2, 3, (2, 3), (1, 2), (0, 1), True, (3, 2, 6, 8)),
    (3, 2, 3, 1, 0, True, (2, 3, 5, 6)),
    (1, 1, 1, 2, 0, False, (1, 1, 4, 3)),
    (2, 5, (1, 4), (3, 2), (2, 0), False, (1, 2, 5, 9)),
    (2, 2, 3, 1, 1, True, (2, 2, 5, 4)),
]
POOLS = [  # kernel, stride, padding, shape of x
    ((3, 2), (2, 1), (1, 1), (2, 3, 7, 6)),
    (2, None, 0, (3, 2, 5, 7)),
    (3, 1, 1, (1, 1, 4, 6)),
    ((1, 3), (2, 2), (0, 1), (2, 1, 6, 7)),
    (3, 2, 0, (2, 2, 8, 9)),
    ((2, 3), None, (1, 0), (1, 2, 6, 8)),
]


def differ(got, want):
    got, want = np.asarray(got), np.asarray(want)
    close = 1e-9 if got.dtype == np.float64 else 1e-4
    return got.shape != want.shape or got.dtype != want.dtype or not np.allclose(got, want, close, close)


class Wrong(set):
    """The names of the tensors that differ; `seen` has shape, dtype and a number for each array looked at."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def see(self, name, got, want):
        if differ(got, want):
            self.add(name)
        self.note(name, got)

    def note(self, name, got):
        got = np.asarray(got)
        numbers = np.ravel(got).astype(float) if got.dtype != object else np.zeros(1)
        numbers = np.nan_to_num(numbers, nan=2e30, posinf=1e30, neginf=-1e30)
        number = numbers @ np.cos(np.arange(len(numbers)))
        self.seen.setdefault(name, []).append((got.shape, got.dtype, number))

    def same(self, other):
        """Are the same tensors wrong in the same way, to four digits?"""
        return set(self) == set(other) and all(
            len(self.seen.get(name, [])) == len(other.seen.get(name, []))
            and all(
                a[:2] == b[:2] and math.isclose(a[2], b[2], rel_tol=1e-4, abs_tol=1e-4)
                for a, b in zip(self.seen.get(name, []), other.seen.get(name, []), strict=True)
            )
            for name in self
        )


def layer_case(wrong, layer, f, shape, rng, dtype, suffix="", integers=False, scale=1.0, mean=0.0):
    """Three rounds of forward and backward through one object against f, which takes x and the parameters.

    The second has the other order of memory, the third one image more and weights that have been changed.
    """
    names = [n for n in ("weight", "bias") if getattr(layer, n) is not None]
    start = {n: getattr(layer, n).copy() for n in names}
    for order in ("C", "F", "more"):
        if order == "more":
            shape, order = (shape[0] + 1, *shape[1:]), "C"
            for n in names:
                start[n] *= 1.5
                getattr(layer, n)[...] = start[n]
        x = rng.integers(-2, 3, shape) if integers else mean + scale * rng.standard_normal(shape)
        x = x.astype(dtype)
        tensors = [torch.tensor(x, requires_grad=True)]
        tensors += [torch.tensor(start[n], requires_grad=True) for n in names]
        out = f(*tensors)
        dout = rng.standard_normal(out.shape).astype(dtype)
        grads = torch.autograd.grad(out, tensors, torch.tensor(dout), allow_unused=True)
        given, name = (x.copy(order), dout.copy(order)), "out"
        try:
            returned = layer.forward(given[0])
            wrong.see("out" + suffix, returned, out.detach().numpy())
            name = "dx"
            wrong.see("dx" + suffix, layer.backward(given[1]), grads[0].numpy())
            wrong.see("out" + suffix, returned, out.detach().numpy())
            for name, grad in zip(names, grads[1:], strict=True):
                wrong.see(f"d{name}{suffix}", getattr(layer, "d" + name), grad.numpy())
                wrong.see(name, getattr(layer, name), start[name])
            name = "dweight"
            layer.backward_weights(given[1])
            for n, grad in zip(names, grads[1:], strict=True):
                wrong.see(f"d{n}{suffix}", getattr(layer, "d" + n), grad.numpy())
            name = "dx"
            wrong.see("dx" + suffix, layer.backward(given[1]), grads[0].numpy())
        except Exception:
            wrong.update([name + suffix, "error"])
            continue
        wrong.see("x", given[0], x)
        wrong.see("dout", given[1], dout)


def conv(cls, wrong, rng, dtype):
    for c, f, k, s, p, bias, shape in CONVS:
        layer = cls(c, f, k, s, p, bias, rng=rng, dtype=dtype)
        layer_case(
            wrong, layer, lambda *a, s=s, p=p: functional.conv2d(*a, stride=s, padding=p), shape, rng, dtype
        )
    layer_case(wrong, cls(2, 3, 2, rng=rng, dtype=dtype), functional.conv2d, (2, 2, 4, 5), rng, dtype)


def pool(function):
    def check(cls, wrong, rng, dtype):
        for k, s, p, shape in POOLS:
            for integers in (True, False):
                f = lambda x, k=k, s=s, p=p: function(x, k, s, p)  # noqa: E731
                layer_case(wrong, cls(k, s, p), f, shape, rng, dtype, integers=integers)

    return check


def dense(cls, wrong, rng, dtype):
    for k, m, bias, n in ((6, 4, True, 5), (3, 3, True, 3), (2, 5, False, 1)):
        layer_case(wrong, cls(k, m, bias, rng=rng, dtype=dtype), functional.linear, (n, k), rng, dtype)
    layer_case(wrong, cls(3, 1, rng=rng, dtype=dtype), functional.linear, (4, 3), rng, dtype)


def relu(cls, wrong, rng, dtype):
    for shape in ((3, 5), (2, 3, 4, 5), (7,)):
        layer_case(wrong, cls(), torch.relu, shape, rng, dtype, integers=True)
        layer_case(wrong, cls(), torch.relu, shape, rng, dtype, scale=9.0)


def flatten(cls, wrong, rng, dtype):
    for shape in ((2, 3, 4, 5), (1, 2, 3, 3), (3, 4)):
        layer_case(wrong, cls(), lambda x: x.flatten(1), shape, rng, dtype)


def loss(cls, wrong, rng, dtype):
    for n, classes, scale in ((5, 4, 1), (1, 3, 1), (4, 7, 1000), (6, 2, 5)):
        loss_fn = cls()
        for more in (0, 0, 1):  # one sample more in the last batch
            x = (scale * rng.standard_normal((n + more, classes))).astype(dtype)
            labels = rng.integers(0, classes, n + more)
            t = torch.tensor(x, requires_grad=True)
            want = functional.cross_entropy(t, torch.tensor(labels))
            want.backward()
            given, name = (x.copy(), labels.copy()), "loss"
            try:
                wrong.see("loss", loss_fn(*given), want.detach().numpy())
                name = "dlogits"
                first = np.array(loss_fn.backward())
                wrong.see("dlogits", first, t.grad.numpy())
                wrong.see("dlogits", loss_fn.backward(), t.grad.numpy())
            except Exception:
                wrong.update([name, "error"])
                continue
            wrong.see("logits", given[0], x)
            wrong.see("labels", given[1], labels)


def batch_norm(cls, wrong, rng, dtype):
    settings = [  # the arguments, the shape of x, its scale and its mean
        ((1e-5, 0.1), (3, 4, 2, 5), 1, 0),
        ((0.1, 0.3), (2, 3, 3, 2), 1e-2, 0),
        ((), (3, 2, 3, 4), 1, 100),
    ]
    for given, shape, scale, mean in settings:
        layer = cls(shape[1], *given, dtype=dtype)
        layer.weight[:], layer.bias[:] = rng.uniform(0.5, 2, (2, shape[1]))
        twin = torch.nn.BatchNorm2d(shape[1], *given, dtype=getattr(torch, np.dtype(dtype).name))
        for training in (True, False):
            f = lambda x, w, b, twin=twin, training=training: twin_of(twin, x, w, b, training)  # noqa: E731
            layer.train(training)
            suffix = "" if training else "_eval"
            layer_case(wrong, layer, f, shape, rng, dtype, suffix, scale=scale, mean=mean)
            for name in layer.buffers:
                wrong.see(name, getattr(layer, name), getattr(twin, name).numpy())
        x = torch.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)
        dout = rng.standard_normal(shape).astype(dtype)
        weights = (torch.tensor(layer.weight), torch.tensor(layer.bias))
        want = torch.autograd.grad(twin_of(twin, x, *weights, True), x, torch.tensor(dout))[0]
        name = "out"
        try:
            layer.train().forward(x.detach().numpy().copy())
            name = "dx"
            wrong.see("dx", layer.eval().backward(dout), want.numpy())  # of the mode that forward had
        except Exception:
            wrong.update([name, "error"])


def twin_of(twin, x, w, b, training):
    twin.num_batches_tracked += training
    return functional.batch_norm(
        x, twin.running_mean, twin.running_var, w, b, training, twin.momentum, twin.eps
    )


def dropout(cls, wrong, rng, dtype):
    for p in (0.3, 0.6):
        layer, kept = cls(p, rng=rng), []
        for shape in ((40, 50), (40, 50), (5, 20, 5, 4)):
            x = rng.uniform(1, 2, shape).astype(dtype)
            given, dout = x.copy(), x.copy()
            out = np.array(layer.forward(given))
            wrong.note("out", out)
            kept.append(out != 0)
            dull = abs(kept[-1].mean() - 1 + p) > 0.05
            for axis in range(x.ndim):  # the share of each row, column, ...
                share = kept[-1].mean(axis=tuple(i for i in range(x.ndim) if i != axis))
                dull |= abs(share - 1 + p).max() > 0.35
            dull |= x.ndim == 4 and (kept[-1] == kept[-1][:, :, :1, :1]).all()  # whole channels
            factor = np.where(kept[-1], 1 / (1 - p), 0).astype(dtype)
            if dull or differ(out, x * factor):
                wrong.add("out")
            try:
                wrong.see("dx", layer.backward(dout), x * factor)
                wrong.see("dx", layer.eval().backward(x.copy()), x * factor)  # of the mode that forward had
            except Exception:
                wrong.update(["dx", "error"])
            layer.train()
            wrong.see("x", given, x)
            wrong.see("dout", dout, x)
        other = cls(p, rng=rng).forward(np.ones((40, 50), dtype))
        if (kept[0] == kept[1]).all() or ((other != 0) == kept[1]).all():
            wrong.add("out")
        try:
            wrong.see("out_eval", layer.eval().forward(x.copy()), x)
            wrong.see("dx_eval", layer.backward(x.copy()), x)
            wrong.see("dx_eval", layer.train().backward(x.copy()), x)
        except Exception:
            wrong.update(["dx_eval", "error"])
        out = layer.forward(np.ones((40, 50), dtype))  # trains on as before
        wrong.note("out", out)
        if abs((out != 0).mean() - 1 + p) > 0.05:
            wrong.add("out")
    ones = np.ones((40, 50), dtype)
    masks = [cls(rng=np.random.default_rng(seed)).forward(ones.copy()) != 0 for seed in (5, 5, 6)]
    if (masks[0] != masks[1]).any() or (masks[0] == masks[2]).all() or abs(masks[0].mean() - 0.5) > 0.05:
        wrong.add("out")


def optimiser(torch_class, names, settings):
    def check(cls, wrong, rng, dtype):
        for kw in settings:
            owners = [Owner(rng.standard_normal(shape).astype(dtype)) for shape in ((3, 4), (4,), (2, 2))]
            tensors = [torch.tensor(o.weight, requires_grad=True) for o in owners]
            mine, theirs = cls([parameter(o) for o in owners], **kw), torch_class(tensors, **kw)
            for step in range(4):
                if step == 3:  # a schedule
                    mine.lr = theirs.param_groups[0]["lr"] = kw["lr"] / 2
                for o, t in zip(owners, tensors, strict=True):
                    o.dweight = rng.standard_normal(o.weight.shape).astype(dtype)
                    o.dweight.flat[0] = 0
                    t.grad = torch.tensor(o.dweight)
                theirs.step()
                given = [o.dweight.copy() for o in owners]
                try:
                    mine.step()
                except Exception:
                    wrong.update(["parameters", "error"])
                for o, dweight in zip(owners, given, strict=True):
                    wrong.see("dweight", o.dweight, dweight)
            for i, (o, t) in enumerate(zip(owners, tensors, strict=True)):
                wrong.see("parameters", o.weight, t.detach().numpy())
                for name in names:
                    theirs_now = theirs.state[t].get(name)
                    if theirs_now is not None:
                        wrong.see(name, getattr(mine, name)[i], theirs_now.numpy())
            wrong.see("steps", mine.steps, 4)

    return check


class Owner:
    def __init__(self, weight):
        self.weight = weight


def parameter(owner):
    from tinycnn_numpy.layer import Parameter

    return Parameter(owner, "weight")


SGD = [
    {"lr": 0.1},
    {"lr": 0.2, "momentum": 0.8},
    {"lr": 0.1, "momentum": 0.7, "nesterov": True},
    {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.3},
]
ADAM = [{"lr": 0.1}, {"lr": 0.2, "betas": (0.8, 0.9), "eps": 1e-3}, {"lr": 0.1, "weight_decay": 0.3}]
CHECKS = {
    "Conv2D": conv,
    "MaxPool2D": pool(functional.max_pool2d),
    "AvgPool2D": pool(functional.avg_pool2d),
    "Dense": dense,
    "ReLU": relu,
    "Flatten": flatten,
    "CrossEntropyLoss": loss,
    "BatchNorm2D": batch_norm,
    "Dropout": dropout,
    "SGD": optimiser(torch.optim.SGD, ["momentum_buffer"], SGD),
    "Adam": optimiser(torch.optim.Adam, ["exp_avg", "exp_avg_sq"], ADAM),
}


def classes(text, name):
    """The classes of the library's kinds that a text defines."""
    space = {"__name__": name}
    sys.modules[name] = type(sys)(name)  # dataclasses look their module up
    exec(compile(text, name, "exec"), space)
    return {kind: space[kind] for kind in CHECKS if kind in space and isinstance(space[kind], type)}


def wrong_tensors(kind, cls):
    wrong = Wrong()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for dtype in (np.float64, np.float32):
            CHECKS[kind](cls, wrong, np.random.default_rng(3), dtype)
    return wrong


def bug_class(bug):
    text = (HERE / "plain" / bug["plain"]).read_text()
    assert text.count(bug["old"]) == 1, (
        f"{bug['kind']} {bug['name']}: old occurs {text.count(bug['old'])} times"
    )
    return classes(text.replace(bug["old"], bug["new"]), bug["name"])[bug["kind"]]


FILES = ("bugs.jsonl", "bugs2.jsonl", "bugs3.jsonl", "bugs4.jsonl", "bugs5.jsonl", "bugs6.jsonl",
         "bugs7.jsonl", "bugs8.jsonl", "bugs9.jsonl")  # fmt: skip
MAY_REPEAT = ("bugs6.jsonl", "bugs7.jsonl", "bugs8.jsonl", "bugs9.jsonl")


def read_bugs(files=FILES):
    return [json.loads(line) for file in files for line in (HERE / file).read_text().splitlines()]


def effect(bug):
    """Wrong, or a sentence if the bug does not apply."""
    try:
        return wrong_tensors(bug["kind"], bug_class(bug))
    except (AssertionError, SyntaxError) as error:
        return str(error)


def problem(bug, wrong=None):
    """A sentence if the bug does not apply, or changes other tensors than it says; None otherwise."""
    wrong = wrong or effect(bug)
    if isinstance(wrong, str):
        return wrong
    wrong = wrong - {"error"}
    if wrong != {*bug["tensors"], *bug["follow"]} or not bug["tensors"]:
        return f"{bug['plain']} {bug['name']}: {sorted(wrong)}, said {bug['tensors']}, {bug['follow']}"
    return None


def repeats(bugs, effects, first):
    """A sentence for every bug from the first-th on that does what one before it does."""
    for i in range(first, len(bugs)):
        for j in range(i):
            if bugs[i]["kind"] == bugs[j]["kind"] and effects[i].same(effects[j]):
                yield f"{bugs[i]['plain']} {bugs[i]['name']} repeats {bugs[j]['plain']} {bugs[j]['name']}"


def main(files=FILES, step=1):
    """Whether there is a problem. With a step only every such bug is run, and none compared with others."""
    problems = []
    folders = ("plain", "right", "right2", "right4")
    for path in [path for folder in folders for path in sorted((HERE / folder).glob("*.py"))]:
        for kind, cls in classes(path.read_text(), path.stem).items():
            if wrong := wrong_tensors(kind, cls):
                problems.append(f"{path.name} {kind} should be right: {sorted(wrong)}")
    bugs = read_bugs(files)[::step]
    effects = [effect(bug) for bug in bugs]
    problems += filter(None, map(problem, bugs, effects))
    if step == 1 and not any(isinstance(wrong, str) for wrong in effects):
        new = len(read_bugs([file for file in files if file not in MAY_REPEAT]))
        old = len(read_bugs([file for file in files if file in FILES[:2]]))
        problems += repeats(bugs[:new], effects[:new], old)
    names = [(b["kind"], b["plain"], b["name"]) for b in bugs]
    problems += [f"{name} twice" for name in set(names) if names.count(name) > 1]
    print(f"{len(bugs)} bugs; {len(problems)} problems", *problems, sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or FILES))
