"""The file that students start from: whole, and without a line of the solution."""

import ast
import inspect
import re

import numpy as np
import pytest

import parity
import tinycnn_numpy as tn
from parity.kinds import names_of
from parity.student.program import print_template
from parity.student.template import GRADIENT, NAMES, OURS, template
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.optim import Optimizer

CHOICES = [None, *([name] for name in NAMES), ["ReLU", "MaxPool2D", "Adam"]]


def load(text):
    namespace = {"__name__": "student"}
    exec(compile(text, "student.py", "exec"), namespace)
    return namespace


def filled(cls):
    """The student's class with the library's methods where its own are missing or not written."""
    library = getattr(tn, cls.__name__)
    for owner in reversed(library.__mro__):
        if owner not in (object, Layer, Optimizer):
            for name, method in vars(owner).items():
                if inspect.isfunction(method) and name not in ("__init__", "__call__"):
                    setattr(cls, name, method)
    return cls


def classes_of(text):
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}


def methods_of(cls):
    return {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("names", CHOICES)
def test_every_import_is_used_and_every_name_is_there(names):
    text = template(names)
    tree, used = ast.parse(text), {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    imported = [a.asname or a.name for n in tree.body if hasattr(n, "names") for a in n.names]
    assert set(imported) <= used
    assert len(set(imported)) == len(imported)
    load(text)


@pytest.mark.parametrize("names", CHOICES)
def test_layout_is_the_library_s(names):
    text = template(names)
    assert all(len(line) <= 110 and line == line.rstrip() for line in text.splitlines())
    assert text.endswith("raise NotImplementedError\n")
    assert "\n\n\n\n" not in text
    assert text.count("\n\n\nclass ") == text.count("\nclass ")


@pytest.mark.parametrize("names", CHOICES)
def test_nothing_is_imported_that_holds_a_solution(names):
    for node in ast.walk(ast.parse(template(names))):
        if isinstance(node, ast.ImportFrom):
            ours = "tinycnn_numpy.checks", "tinycnn_numpy.layer", "tinycnn_numpy.optim"
            assert node.module in (*ours, "typing", "collections.abc")
            assert not {alias.name for alias in node.names} & set(NAMES)
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= {"math", "numpy"}


def test_no_line_of_a_solution_is_shown():
    shown = {line.partition("#")[0].strip() for line in template().splitlines()}
    for name in NAMES:
        for owner in getattr(tn, name).__mro__:
            if owner in (object, Layer, Optimizer):
                continue
            (tree,) = ast.parse(inspect.getsource(owner)).body
            lines = inspect.getsource(owner).splitlines()
            for method in methods_of(tree).values():
                if method.name not in ("__init__", "__call__"):
                    body = lines[method.body[0].lineno - 1 : method.end_lineno]
                    solution = {line.partition("#")[0].strip() for line in body} - {""}
                    assert solution
                    assert not solution & shown, method.name
    assert OURS not in template()
    assert "windows.py" not in template()
    assert "self.cache =" not in template()


def test_what_is_not_left_to_write_is_the_library_s_own():
    for name, ours in classes_of(template()).items():
        owner = getattr(tn, name, tn.MaxPool2D.__mro__[1])
        (theirs,) = ast.parse(inspect.getsource(owner)).body
        assert ast.unparse(ours.bases) == ast.unparse(theirs.bases)
        for method in ("__init__", "__call__"):
            if method in methods_of(theirs):
                assert ast.unparse(methods_of(ours)[method]) == ast.unparse(methods_of(theirs)[method])
        for method in ("forward", "backward", "step"):
            assert (method in methods_of(ours)) == (method in methods_of(theirs))
            if method in methods_of(ours):
                ours_args, theirs_args = methods_of(ours)[method].args, methods_of(theirs)[method].args
                assert ast.unparse(ours_args) == ast.unparse(theirs_args)
        paragraphs = ast.get_docstring(theirs).split("\n\n")
        assert ast.get_docstring(ours).split("\n\n") == [p for p in paragraphs if not p.startswith(OURS)]
    assert "def forward(self, x: Array) -> Array:  # (N, C, H, W)\n" in template()


def test_every_method_is_left_to_write():
    student, rng, x = load(template()), np.random.default_rng(0), np.zeros((1, 1, 4, 4), np.float32)
    layers = [student["Conv2D"](1, 2, 3, rng=rng), student["MaxPool2D"](2), student["AvgPool2D"](2)]
    layers += [student["ReLU"](), student["Flatten"](), student["Dense"](3, 2, rng=rng)]
    for layer in layers:
        for method in (layer, layer.forward, layer.backward):
            with pytest.raises(NotImplementedError):
                method(x)
    for method, given in (("__call__", (x, x)), ("forward", (x, x)), ("backward", ())):
        with pytest.raises(NotImplementedError):
            getattr(student["CrossEntropyLoss"](), method)(*given)
    for optimizer in (student["SGD"](layers[0].parameters(), 0.1), student["Adam"](layers[0].parameters())):
        with pytest.raises(NotImplementedError):
            optimizer.step()


@pytest.mark.parametrize("names", CHOICES)
def test_without_formulas_nothing_is_said_of_backward(names):
    full, text = template(names), template(names, formulas=False)
    docstrings = [ast.get_docstring(node) or "" for node in classes_of(text).values()]
    assert not any(GRADIENT.search(doc) or "Backward" in doc for doc in docstrings)
    assert any(GRADIENT.search(ast.get_docstring(node) or "") for node in classes_of(full).values()) or (
        set(names) <= {"SGD", "Adam"}
    )
    assert "derive each one from its forward" in text and "derive" not in full
    load(text)
    without_docstrings = [
        ast.dump(ast.parse(re.sub(r'""".*?"""', "", t, flags=re.DOTALL))) for t in (full, text)
    ]
    assert without_docstrings[0] == without_docstrings[1]
    assert all(len(line) <= 110 and line == line.rstrip() for line in text.splitlines())


def test_without_formulas_all_that_is_asked_of_forward_is_still_said():
    text = template(formulas=False)
    for told in (
        "out[n,f,h,w]         = bias[f] + sum_ijc weight[f,c,i,j] * windows[h,w,i,j,c,n]",
        "At x = 0 there is no slope, and PyTorch takes 0.",
        "Of equal numbers the first in reading order wins, as in PyTorch.",
        "padding counts as zeros, in the sum and in the count, as in PyTorch",
        "loss       = mean_n -log probs[n, labels[n]]",
        "running_mean = (1 - momentum) * running_mean + momentum * mean",
        "In evaluation the running statistics stand for mean and var. Without images",
        "In evaluation out = x. x of any shape -> out of the same shape.",
        "m_hat = m / (1 - beta1**steps)",
    ):
        assert told in " ".join(text.split()) or told in text, told
    for gone in ("back to the pixel", "dlogits[n,k]", "cancel", "the winner takes all"):
        assert gone in template()
        assert gone not in text


def test_the_program_leaves_the_formulas_out(capsys):
    assert print_template(["--no-formulas", "ReLU"]) == 0
    assert capsys.readouterr().out == template(["ReLU"], formulas=False)


def test_names_choose():
    assert list(classes_of(template())) == [*NAMES[:2], "Pool2D", *NAMES[2:]]
    assert list(classes_of(template(["Dense", "ReLU", "Dense"]))) == ["ReLU", "Dense"]
    assert list(classes_of(template(["AvgPool2D"]))) == ["Pool2D", "AvgPool2D"]
    assert template("SGD") == template(["SGD"])


def test_the_text_at_the_top_speaks_of_what_is_there():
    assert "python -m parity check student.py" in template(["Flatten"])
    assert "optimiser" not in template(["Flatten"])
    assert "pairs" in template(["MaxPool2D"])
    assert "pairs" not in template(["Dense"])
    assert "What every layer keeps to" not in template(["Adam", "CrossEntropyLoss"])


@pytest.mark.parametrize("names, named", [(["ReLU", "Conv3D"], "Conv3D"), ("Relu", "Relu"), ([], "empty")])
def test_a_name_that_there_is_not(names, named):
    with pytest.raises(ValueError) as refused:
        template(names)
    assert str(refused.value) == f"template: names is {named}, expected some of {', '.join(NAMES)}"


@pytest.mark.parametrize("name", names_of("layer"))
def test_a_layer_filled_in_equals_pytorch_s(name):
    cls = filled(load(template([name]))[name])
    rng = np.random.default_rng(0)
    arguments = {"Conv2D": (2, 3, (3, 2), 2, 1), "MaxPool2D": (2,), "AvgPool2D": (3, 2, 1), "Dense": (5, 3)}
    arguments |= {"BatchNorm2D": (2,), "Dropout": (0.3,)}
    settings = {"rng": rng} if name in ("Conv2D", "Dense", "Dropout") else {}
    layer = cls(*arguments.get(name, ()), **settings)
    shape = (4, 5) if name == "Dense" else (4, 2, 7, 6)
    module = parity.twin(getattr(tn, name)(*arguments.get(name, ()), **settings))
    parity.load_numpy_state(module, layer.state_dict())
    parity.assert_parity(layer, rng.standard_normal(shape).astype(np.float32), module)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_file_filled_in_trains_as_the_library(optimizer):
    student = {name: filled(cls) for name, cls in load(template()).items() if name in NAMES}
    library = {name: getattr(tn, name) for name in NAMES}
    data, results = np.random.default_rng(1), []
    x = data.standard_normal((6, 1, 8, 8)).astype(np.float32)
    labels = data.integers(2, size=6)
    for kit in (student, library):
        rng = np.random.default_rng(2)
        stages = {"conv": kit["Conv2D"](1, 4, 3, rng=rng), "relu": kit["ReLU"](), "pool": kit["MaxPool2D"](2)}
        model = tn.Sequential(**stages, flatten=kit["Flatten"](), fc=kit["Dense"](36, 2, rng=rng))
        steps, loss_fn = kit[optimizer](model.parameters(), lr=0.05), kit["CrossEntropyLoss"]()
        losses = [tn.train_step(model, loss_fn, steps, x, labels) for _ in range(5)]
        results.append((losses, model.state_dict(), steps.state_dict(), tn.evaluate(model, x, labels)))
    (losses, weights, memory, share), (losses_2, weights_2, memory_2, share_2) = results
    assert losses == losses_2
    assert losses[-1] < losses[0]
    assert share == share_2
    for mine, theirs in ((weights, weights_2), (memory, memory_2)):
        assert list(mine) == list(theirs)
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
