"""The third twin: the JavaScript that the page carries, run by Node and judged by parity's own bounds."""

import json
import math
import shutil
import subprocess
from functools import cache

import numpy as np
import pytest
import torch

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.bugs import BUGS
from examples.playground import bundle, quotes
from parity import load_numpy_state, numpy_state
from parity.comparison import IsolatedTrial, LossTrial, StagesTrial, rows_of
from parity.exact import exact_inputs, exact_run
from parity.record import Run
from parity.student.examine import check_class

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="the page's JavaScript needs node to run")

NODE = """
const { text, job } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const names = text.match(/^const [$]\\w+/gm).map((found) => `...${found.slice(6)}`);
const $ = new Function(`${text}; return { ${names} };`)();
console.log(JSON.stringify(new Function("$", "job", job.code)($, job)));
"""
SHIPPED = bundle.script(bundle.COMPUTES)


def node(code: str, text: str = SHIPPED, **job):
    """What a function body returns that sees the page's names in $ and the job's own in `job`."""
    told = json.dumps({"text": text, "job": {"code": code, **job}})
    done = subprocess.run(["node", "-e", NODE], input=told, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def lists(arrays):
    return {name: np.asarray(array).tolist() for name, array in arrays.items()}


# cases


def tiny_state(rng):
    return tn.TinyCNN(rng=rng, dtype=np.float64).state_dict()


def case_of(kind, seed):
    """(state, x (1, 1, 8, 8), labels (1,)) of one kind, in float64."""
    rng = np.random.default_rng([seed, *kind.encode()])
    state, x = tiny_state(rng), rng.standard_normal((1, 1, 8, 8))
    if kind == "ties":  # small whole numbers: sums meet 0 and each other exactly
        x = rng.integers(-1, 2, x.shape).astype(float)
        state = {name: rng.integers(-1, 2, array.shape).astype(float) for name, array in state.items()}
    elif kind == "dead":  # some filters never open, of every second case none does
        state["conv.bias"][: 2 + 2 * (seed % 2)] = -100
    elif kind == "equal":  # all windows of the image are equal, so every maximum is a tie
        x[...] = rng.standard_normal()
        state["conv.bias"] += 1
    elif kind == "large":  # exp would overflow
        state["fc.weight"] *= 10.0 ** (3 + seed % 3)
    elif kind == "zero":
        x[...], state["conv.bias"] = 0, np.zeros(4)
    return state, x, rng.integers(2, size=1)


KINDS = ("random", "ties", "dead", "equal", "large", "zero")
FEW = [(kind, seed) for kind in KINDS for seed in range(2)]
SOME = [(kind, seed) for kind in KINDS for seed in range(2, 5)]
MANY = [(kind, seed) for kind in KINDS for seed in range(5, 200 if kind == "random" else 50)]


@cache
def exact_of(kind, seed):
    """The case, its PyTorch stages and the exact inputs of each of them."""
    state, x, labels = case_of(kind, seed)
    module = tt.TinyCNN().double()
    load_numpy_state(module, state)
    stages = dict(module.named_children())
    exact = exact_run(stages, x, labels=labels)
    logits = exact.tensors["fc", "out"].value
    return state, x, labels, stages, exact_inputs(stages, exact, x), logits


PASSES = """
return job.cases.map(({ state, x, label, inputs, logits }) => {
  const p = (stage) => ({ weight: state[`${stage}.weight`], bias: state[`${stage}.bias`] });
  const alone = {};
  for (const [stage, layer] of Object.entries($.TINY.stages)) {
    const { x, dout } = inputs[stage], out = layer.forward(p(stage), x);
    alone[stage] = { out, ...layer.backward(p(stage), x, out, dout) };
  }
  const { loss, probs } = $.TINY.loss.forward(logits, label);
  return { all: $.run($.TINY, state, x, label), alone, loss, dlogits: $.TINY.loss.backward(probs, label) };
});
"""


def verdicts(cases, text=SHIPPED):
    """Every row that parity gives: of the whole run, of each stage alone, of the loss alone."""
    jobs = []
    for case in cases:
        state, x, labels, _, inputs, logits = exact_of(*case)
        alone = {stage: {name: a[0].tolist() for name, a in given.items()} for stage, given in inputs.items()}
        job = {"state": lists(state), "x": x[0].tolist(), "label": int(labels[0]), "inputs": alone}
        jobs.append(job | {"logits": logits[0].tolist()})
    rows = []
    for case, answer in zip(cases, node(PASSES, text, cases=jobs), strict=True):
        _, x, labels, stages, inputs, logits = exact_of(*case)
        whole, alone = Run(), Run()
        for stage in stages:
            for name in ("out", "dx", "dweight", "dbias"):
                for run, given in (
                    (whole, answer["all"].get(f"{stage}.{name}")),
                    (alone, answer["alone"][stage].get(name)),
                ):
                    if given is not None:
                        batch = name in ("out", "dx")  # the page has one image and no axis for it
                        run.keep((stage, name), np.array([given] if batch else given, np.float64))
        whole.keep(("loss", "loss"), np.array(answer["all"]["loss.loss"], np.float64))
        whole.keep(("loss", "dlogits"), np.array([answer["all"]["loss.dlogits"]], np.float64))
        run = Run()
        run.keep(("loss", "loss"), np.array(answer["loss"], np.float64))
        run.keep(("loss", "dlogits"), np.array([answer["dlogits"]], np.float64))
        trial = StagesTrial(whole, stages=stages, data={"x": x, "labels": labels})
        rows += [(case, row) for row in rows_of(trial, IsolatedTrial(alone, stages=stages, inputs=inputs))]
        rows += [(case, row) for row in rows_of(LossTrial(run, data={"logits": logits, "labels": labels}))]
    return rows


@pytest.mark.parametrize("cases", [SOME, pytest.param(MANY, marks=pytest.mark.slow)], ids=["some", "many"])
def test_every_tensor_is_within_paritys_bounds(cases):
    rows = verdicts(cases)
    assert len(rows) >= 18 * len(cases)
    assert [f"{case} {row}" for case, row in rows if not row.ok and row.verdict != "undecidable"] == []
    assert sum(row.verdict == "undecidable" for _, row in rows) < len(rows) / 4
    judged = {(row.stage, row.tensor) for _, row in rows if row.verdict == "match"}
    assert len(judged) == 5 * 2 + 2 * 2 + 2
    print(f"{len(cases)} cases, {len(rows)} tensors")


MUTANTS = {
    "bias forgotten": ("let sum = bias[f];", "let sum = 0;"),
    "kernel from its end": ("sum += weights[j] * ", "sum += weights[KW - 1 - j] * "),
    "rows for columns": ("sum += weights[j] * ", "sum += weight[f][c][j][i] * "),
    "dbias assigned": ("dbias[f] += d;", "dbias[f] = d;"),
    "dweight assigned": ("dweights[j] += ", "dweights[j] = "),
    "dweight transposed": ("dweights[j] += ", "dweight[f][c][j][i] += "),
    "dx assigned": ("dpixels[w + j] += ", "dpixels[w + j] = "),
    "dx not turned": ("d * weights[j];", "d * weight[f][c][2 - i][2 - j];"),
    "no gate": ("(value > 0 ? d : 0)", "d"),
    "gate open at 0": ("(value > 0 ? d : 0)", "(value >= 0 ? d : 0)"),
    "gate of dout": ("(value > 0 ? d : 0)", "(d > 0 ? d : 0)"),
    "no ReLU": ("Math.max(value, 0)", "value"),
    "last of equals wins": ("if (image[i][j] > image", "if (image[i][j] >= image"),
    "smallest wins": ("if (image[i][j] > image", "if (image[i][j] < image"),
    "window by columns": (
        "[2 * h, 2 * w + 1],\n    [2 * h + 1, 2 * w],",
        "[2 * h + 1, 2 * w],\n    [2 * h, 2 * w + 1],",
    ),
    "window one short": ("    [2 * h + 1, 2 * w + 1],\n", ""),
    "gradient to the corner": ("dx[c][i][j] = dout[c][h][w];", "dx[c][2 * h][2 * w] = dout[c][h][w];"),
    "folded otherwise": (
        "return { dx: shaped(dout, shapeOf(x)) };",
        "return { dx: shaped(dout.toReversed(), shapeOf(x)) };",
    ),
    "flattened otherwise": ("return flat(x);", "return flat(x.toReversed());"),
    "fc without bias": (", bias[m]));", ", 0));"),
    "fc bias of its neighbour": (", bias[m]));", ", bias[0]));"),
    "fc dx of one output": (
        "dout.reduce((sum, d, m) => sum + d * weight[m][k], 0)",
        "dout.reduce((sum, d, m) => d * weight[m][k], 0)",
    ),
    "fc dweight doubled": ("x.map((value) => d * value)", "x.map((value) => 2 * d * value)"),
    "fc dbias negated": ("dbias: dout.slice()", "dbias: dout.map((d) => -d)"),
    "label not subtracted": ("(k === label ? 1 : 0)", "0"),
    "the other label": ("(k === label ? 1 : 0)", "(k === label ? 0 : 1)"),
    "no shift": ("Math.max(...logits);", "0;"),
    "loss of the other sign": ("loss: -logProbs[label]", "loss: logProbs[label]"),
    "an error of 1e-12": ("Math.max(value, 0)", "Math.max(value * (1 + 1e-12), 0)"),
    "float32 on the way": ("out[f][h][w] = sum;", "out[f][h][w] = Math.fround(sum);"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_rejected(name):
    right, wrong = MUTANTS[name]
    assert SHIPPED.count(right) == 1
    assert any(row.verdict == "MISMATCH" for _, row in verdicts(FEW, SHIPPED.replace(right, wrong)))


def test_mnistcnn_is_within_paritys_bounds():
    rng = np.random.default_rng(3)
    model, x, labels = (
        tn.MNISTCNN(rng=rng, dtype=np.float64),
        rng.standard_normal((1, 1, 28, 28)),
        np.array([7]),
    )
    module = tt.MNISTCNN().double()
    load_numpy_state(module, numpy_state(model))
    stages = dict(module.named_children())
    code = "const { state, x } = job; return $.run($.MNIST, state, x, 7);"
    answer = node(code, state=lists(model.state_dict()), x=x[0].tolist())
    run = Run()
    for key in exact_run(stages, x, labels=labels).tensors:
        given = answer["{}.{}".format(*key)]
        run.keep(key, np.array([given] if key[1] in ("out", "dx", "dlogits") else given, np.float64))
    rows = rows_of(StagesTrial(run, stages=stages, data={"x": x, "labels": labels}))
    assert len(rows) == 8 * 2 + 3 * 2 + 2
    assert [str(row) for row in rows if not row.ok] == []


# sums, mistakes, differences, steps

SUMS = """
return job.cases.map(({ state, x, label }) => {
  const tensors = $.run($.TINY, state, x, label), found = [];
  for (const name of $.EXPLAINED)
    for (const index of $.indicesOf($.shapeOf(tensors[name]))) {
      const { terms } = $.termsOf(tensors, state, name, index);
      const size = terms.reduce((s, t) => s + Math.abs(t.value), 0);
      const sum = terms.reduce((s, t) => s + t.value, 0), is = $.at(tensors[name], index);
      const there = ([n, i]) => Number.isFinite($.valueOf(tensors, state, n, i));
      const factors = terms.every((t) => t.cells.every(there));
      found.push([name, terms.length, size, Math.abs(sum - is), factors]);
    }
  return found;
});
"""


def jobs_of(cases):
    found = []
    for case in cases:
        state, x, labels, *_ = exact_of(*case)
        found.append({"state": lists(state), "x": x[0].tolist(), "label": int(labels[0])})
    return found


def wrong_sums(text=SHIPPED):
    """Cells whose terms do not add up to them: n additions, each off by at most u times the sum of sizes."""
    cells = [cell for case in node(SUMS, text, cases=jobs_of(FEW)) for cell in case]
    assert len(cells) > 700 * len(FEW)
    u = np.finfo(np.float64).eps / 2
    return [cell for cell in cells if not cell[4] or not cell[3] <= 4 * (cell[1] + 2) * u * cell[2]]


def test_the_lens_shows_terms_that_add_up():
    assert wrong_sums() == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[f, h, w], [\"conv.weight\", [f, c, i, j]]", "[f, h, w], [\"conv.weight\", [f, c, j, i]]"),
        ("value: open ? value(...cell) : 0", "value: value(...cell)"),
        ("if(right) terms.push({value: -1, cells: []});", ""),
        ("[...terms, product([\"conv.bias\", [f]])]", "terms"),
        ("(c * 3 + h) * 3 + w;", "(h * 3 + w) * 4 + c;"),
        ("const [h, w] = [i >> 1, j >> 1]", "const [h, w] = [j >> 1, i >> 1]"),
    ],
)  # fmt: skip
def test_a_wrong_sum_is_seen(right, wrong):
    assert SHIPPED.count(right) == 1
    assert wrong_sums(SHIPPED.replace(right, wrong))


def with_bug(name, state, x, labels):
    """Every tensor of the library's TinyCNN with a bug of the museum in the place of its layer."""
    bug = next(bug for bug in BUGS if bug.cls.__name__ == name)
    model, loss_fn = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64), tn.CrossEntropyLoss()
    rng = np.random.default_rng(0)
    arguments = {"Conv2D": (1, 4, 3), "MaxPool2D": (2,), "Dense": (36, 2)}.get(bug.replaces, ())
    kinds = {type(layer).__name__: stage for stage, layer in model.stages.items()}
    if bug.replaces == "CrossEntropyLoss":
        loss_fn = bug.cls()
    else:
        extra = {"rng": rng, "dtype": np.float64} if bug.replaces in ("Conv2D", "Dense") else {}
        model.stages[kinds[bug.replaces]] = bug.cls(*arguments, **extra)
    model.load_state_dict(state)
    found = {"loss.loss": loss_fn(model(x), labels), "loss.dlogits": loss_fn.backward()}
    value, dout = x, found["loss.dlogits"]
    for stage, layer in model.stages.items():
        value = found[f"{stage}.out"] = layer.forward(value)
    for stage, layer in reversed(model.stages.items()):
        dout = found[f"{stage}.dx"] = layer.backward(dout)
        found |= {f"{stage}.d{name}": parameter.grad for name, parameter in layer.named_parameters()}
    return found


MISTAKES = quotes.names_in_javascript(bundle.module_text("mistakes"))
RUN_WITH = "return job.cases.map(({ state, x, label }) => $.run($.networkWith(job.name), state, x, label));"


def far_from_the_museum(name, text=SHIPPED):
    """Tensors in which the page's mistake and the museum's bug differ by more than 1e-12 of their size."""
    far = []
    for case, given in zip(FEW, node(RUN_WITH, text, cases=jobs_of(FEW), name=name), strict=True):
        state, x, labels, *_ = exact_of(*case)
        for key, array in with_bug(name, state, x, labels).items():
            ours = np.array(given[key]).reshape(np.shape(array))
            size = max(1.0, float(np.abs(array).max()))
            if not np.abs(ours - array).max() <= 1e-12 * size:
                far.append((case, key))
    return far


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_the_museums(name):
    assert far_from_the_museum(name) == []
    if name != "GradientOfSum":  # which one image hides
        right = node(RUN_WITH, cases=jobs_of(FEW), name="")
        assert right != node(RUN_WITH, cases=jobs_of(FEW), name=name)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("MaskFromDout", "Math.max(d, 0)", "Math.min(d, 0)"),
        ("TiesShared", "/ winners.length", ""),
        ("KernelNotRotated", "[2 - i][2 - j]", "[2 - i][j]"),
        ("WindowOverwritten", "dx[0][h + i][w + j] = 0;", ""),
        ("FoldedChannelsLast", "(h * W + w) * C + c", "(w * W + h) * C + c"),
    ],
)
def test_a_mistake_that_is_another_is_seen(name, right, wrong):
    assert SHIPPED.count(right) == 1
    assert far_from_the_museum(name, SHIPPED.replace(right, wrong))


def test_the_page_quotes_every_mistake():
    said = quotes.mistakes(MISTAKES)
    assert len(MISTAKES) >= 10 and set(MISTAKES) == set(node("return $.MISTAKES;"))
    assert all(facts["code"] and facts["said"] for facts in said.values())


def test_the_doctor_is_quoted_on_the_mistake_and_not_on_its_namesake():
    said = quotes.mistakes(MISTAKES)
    assert said["KernelNotRotated"]["said"].startswith("the kernel is turned the wrong way: dx")
    assert said["KernelFlipped"]["said"].startswith(
        "the kernel, or each window, is turned by 180 degrees: a CNN"
    )
    assert "only the first window returns" in said["ReturnInTheLoop"]["said"]
    assert len({facts["said"] for facts in said.values()}) == len(said)
    for name in ("KernelNotRotated", "GradientOfSum", "FoldedChannelsLast"):  # as with other numbers
        bug = next(bug for bug in BUGS if bug.cls.__name__ == name)
        checks = check_class(bug.cls, bug.replaces, seed=4).checks
        assert said[name]["said"] in {d.sentence for check in checks for d in check.diagnoses}


DIFFERENCES = """
const { state, x, label } = job, tensors = $.run($.TINY, state, x, label);
return $.checkAll($.networkWith(job.mistake), job, $.run($.networkWith(job.mistake), state, x, label));
"""


def test_differences_agree_with_backprop_and_not_with_a_mistake():
    [job] = jobs_of([("random", 5)])
    right = node(DIFFERENCES, **job, mistake="")
    assert right["count"] == 64 + 114 and right["agree"] + right["crossed"] == right["count"]
    wrong = node(DIFFERENCES, **job, mistake="DoutReturned")
    assert wrong["agree"] < right["agree"]


def test_kinks_are_named():
    code = """
    const { state, x, label } = job, tensors = $.run($.TINY, state, x, label);
    const [f, i, j] = job.at, h = Math.abs(tensors["conv.out"][f][i][j]);
    const of = (h) => $.kinks($.TINY, { state, x, label }, "conv.bias", [f], h);
    return [of(h * 1.01), of(h * 0.5)];
    """
    [job] = jobs_of([("random", 5)])
    state, x, *_ = exact_of("random", 5)
    model = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64)
    model.load_state_dict(state)
    out = model.conv(x)[0]
    nearest = [int(i) for i in np.unravel_index(np.abs(out).argmin(), out.shape)]
    crossed, free = node(code, **job, at=nearest)
    assert any(word.startswith(f"ReLU [{','.join(map(str, nearest))}]") for word in crossed)
    assert not any(word.startswith("ReLU") for word in free)


def test_a_term_says_why_it_is_0():
    """Against NumPy's own mask and winners: what is blocked, and of each place that is silent the reason."""
    code = """
    return job.cases.map(({ state, x, label }) => {
      const tensors = $.run($.TINY, state, x, label);
      const of = (name, index) => $.termsOf(tensors, state, name, index);
      const places = $.indicesOf([4, 6, 6]), sum = [0, 1, 2, 3].flatMap((f) => of("conv.dbias", [f]).terms);
      return {
        gate: places.map((place) => of("relu.dx", place).terms.map((t) => t.times)),
        arrives: places.map((place) => $.valueOf(tensors, state, ...of("relu.dx", place).terms[0].cells[0])),
        windows: $.indicesOf([4, 3, 3]).map((place) => of("pool.out", place).terms.map((t) => t.times)),
        why: sum.map((term) => term.why),
      };
    });
    """
    for case, found in zip(FEW, node(code, cases=jobs_of(FEW)), strict=True):
        state, x, labels, *_ = exact_of(*case)
        arrays = with_bug("DoutReturned", state, x, labels)  # whose dx is what arrives
        is_open = arrays["conv.out"] > 0
        assert found["gate"] == [[int(gate)] for gate in is_open.ravel()]
        assert np.allclose(found["arrives"], arrays["relu.dx"].ravel(), rtol=1e-12, atol=1e-300)
        pool = tn.MaxPool2D(2)
        pool.forward(arrays["relu.out"])
        won = pool.backward(np.ones_like(arrays["pool.out"])).astype(bool)
        assert found["windows"] == won.reshape(4, 3, 2, 3, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 4).tolist()
        silent = ~(is_open & (arrays["relu.dx"] != 0))
        expected = np.where(silent, np.where(is_open, np.where(won, "", "not max"), "shut"), "")
        assert found["why"] == expected.ravel().tolist()


def test_where_a_pixel_or_a_weight_is_used():
    [job] = jobs_of([("ties", 0)])  # with many products that are 0
    code = """
    const { state, x, label } = job, tensors = $.run($.TINY, state, x, label);
    const used = (name, index) => $.usersOf(tensors, state, name, index).map(([, all]) => all.length);
    return [used("x", [0, 0, 0]), used("x", [0, 3, 3]), used("conv.weight", [2, 0, 1, 1]),
      used("conv.bias", [0]), used("fc.weight", [1, 4]), used("fc.bias", [0])];
    """
    assert node(code, **job) == [[4], [36], [36], [36], [1], [1]]


def test_on_one_image_no_step_raises_the_loss():
    """What Step says, tried: an image alone pulls one way."""
    code = """
    return job.cases.map(({ state, x, label }) => job.rates.map((lr) => {
      const { loss, gradients } = $.batchGradients($.TINY, state, [x], [label]);
      return $.forward($.TINY, $.step(state, gradients, lr), x, label)["loss.loss"] < loss;
    }));
    """
    cases = jobs_of([("random", seed) for seed in range(40)])
    assert np.all(node(code, cases=cases, rates=[0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 100]))


def test_what_autograd_keeps_is_what_the_code_view_says():
    module, x = tt.TinyCNN().double(), torch.randn(1, 1, 8, 8, dtype=torch.float64)
    stages, made = dict(module.named_children()), {}
    for stage, layer in stages.items():
        x = made[stage] = layer(x)
    loss = torch.nn.functional.cross_entropy(x, torch.tensor([1])).grad_fn
    saved = {stage: out.grad_fn for stage, out in made.items()}
    assert saved["conv"]._saved_weight is stages["conv"].weight and saved["conv"]._saved_input is not None
    assert torch.equal(saved["relu"]._saved_result, made["relu"])
    assert torch.equal(saved["pool"]._saved_self, made["relu"])
    assert saved["pool"]._saved_result1.dtype == torch.int64  # the places of the winners
    assert tuple(saved["flatten"]._saved_self_sym_sizes) == made["pool"].shape
    assert torch.equal(saved["fc"]._saved_mat1, made["flatten"])
    assert torch.equal(saved["fc"]._saved_mat2, stages["fc"].weight.T)
    assert torch.equal(loss._saved_self, made["fc"].log_softmax(1)) and loss._saved_target.tolist() == [1]
    said = bundle.module_text("code")
    for stage, words in {"pool": "its input and the places of the winners", "relu": "its output"}.items():
        assert f'{stage}: "{words}"' in said


def test_a_step_on_a_batch_is_numpys():
    rng = np.random.default_rng(9)
    model, x, labels = (
        tn.TinyCNN(rng=rng, dtype=np.float64),
        rng.standard_normal((5, 1, 8, 8)),
        rng.integers(2, size=5),
    )
    before = model.state_dict()
    code = """
    const { loss, gradients } = $.batchGradients($.TINY, job.state, job.images, job.labels);
    return { loss, after: $.step(job.state, gradients, 0.1) };
    """
    answer = node(code, state=lists(before), images=x.tolist(), labels=labels.tolist())
    loss = tn.train_step(model, tn.CrossEntropyLoss(), tn.SGD(model.parameters(), 0.1), x, labels)
    assert math.isclose(answer["loss"], loss, rel_tol=1e-14)
    for name, array in model.state_dict().items():
        assert np.abs(np.array(answer["after"][name]) - array).max() <= 1e-15 * (1 + np.abs(array).max())
        assert np.abs(before[name] - array).max() > 1e-6
