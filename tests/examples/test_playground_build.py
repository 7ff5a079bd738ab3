"""The page as a file: one, offline, small; bad input gets one line."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import tinycnn_numpy as tn
from examples.common import data
from examples.playground import bundle, start
from examples.playground.__main__ import main
from examples.playground.build import LIMITS, page_data
from parity import load_weights, save_weights

LAST = Path("MNIST", "raw", "t10k-labels-idx1-ubyte")
MNIST = next((p for p in (Path("data"), Path("../shared/data")) if (p / LAST).is_file()), None)


@pytest.fixture(scope="module")
def facts():
    return page_data()


@pytest.mark.parametrize("with_mnist", [False, True])
def test_the_page_is_small_and_asks_nobody(facts, with_mnist):
    text = bundle.page(facts if with_mnist else facts | {"mnist": None})
    assert len(text.encode()) <= LIMITS[with_mnist]
    assert text.startswith("<!doctype html>") and "{{" not in text.replace("{{ ", "")
    assert text.count("<script") == text.count("</script>") == 3
    assert not re.search(r"""(src|href)=|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(""", text)
    assert "default-src 'none'" in text
    assert bundle.script(bundle.COMPUTES) in text  # what Node runs in test_playground.py


def test_a_view_without_its_data_is_left_out(facts):
    views = {"digits": "test images", "student": "Your model"}
    style = "cursor:crosshair"  # of the field that is drawn on
    for mnist, student in ((None, None), (facts["mnist"], None), (None, {"file": "mine.py"})):
        text = bundle.page(facts | {"mnist": mnist, "student": student})
        assert (views["digits"] in text, views["student"] in text) == (bool(mnist), bool(student))
        assert (style in text) == bool(mnist)


def test_modules_share_no_scope(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "WEB", tmp_path)
    (tmp_path / "a.js").write_text("const SHAPES = 1;\nexport function a() {\n  return SHAPES;\n}\n")
    (tmp_path / "b.js").write_text(
        'import { a } from "./a.js";\n\nconst SHAPES = 2;\nexport const b = a() + SHAPES;\n'
    )
    text = bundle.script(["b", "a"])
    assert text.index("$a =") < text.index("$b =") and "const {a} = $a;" in text
    assert text.count("const SHAPES") == 2 and "import" not in text and "export" not in text


def lost_words(modules, text):
    """Strings of the modules that do not stand in the page as they were written."""
    return [said for name in modules for said in re.findall(r'"[^"\n]*"', modules[name]) if said not in text]


def test_no_word_is_lost_with_the_white_space(facts):
    modules = {file.stem: bundle.IMPORT.sub("", file.read_text("utf-8")) for file in bundle.WEB.glob("*.js")}
    code = {
        name: "\n".join(re.sub(r"(^|\s)(// |/\*\* ).*", "", line) for line in text.splitlines())
        for name, text in modules.items()
    }
    text = bundle.page(facts | {"student": {"file": "mine.py"}})
    assert lost_words(code, text) == []
    planted = 'const said = "if (a && b)";'
    assert lost_words({"a": planted}, bundle.without_comments(planted)) == ['"if (a && b)"']


def test_what_the_bundle_cannot_put_together_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "WEB", tmp_path)
    (tmp_path / "a.js").write_text("export let count = 0;\n")
    with pytest.raises(ValueError, match=r"a\.js: 'export let count = 0;', expected"):
        bundle.script(["a"])


def wrong_imports(modules):
    """Names that a module imports and the other does not export, and names that it never uses."""
    wrong = []
    for name, text in modules.items():
        for names, other in bundle.IMPORT.findall(text):
            exported = {found for _, found in bundle.EXPORT.findall(modules.get(other, ""))}
            body = bundle.IMPORT.sub("", text)
            for imported in re.findall(r"\w+", names):
                if imported not in exported:
                    wrong.append(f"{name}.js imports {imported}, which {other}.js does not export")
                if not re.search(rf"\b{imported}\b", body):
                    wrong.append(f"{name}.js imports {imported} and does not use it")
    return wrong


def test_every_import_of_the_page_is_exported_and_used():
    modules = {file.stem: file.read_text("utf-8") for file in bundle.WEB.glob("*.js")}
    assert len(modules) > 10 and wrong_imports(modules) == []
    planted = modules | {"code": 'import { absent, svg } from "./dom.js";\n' + modules["code"]}
    assert wrong_imports(planted) == [
        "code.js imports absent, which dom.js does not export",
        "code.js imports absent and does not use it",
        "code.js imports svg and does not use it",
    ]


def test_what_computes_knows_no_page():
    for name in bundle.COMPUTES:
        assert set(bundle.imports_of(name)) <= set(bundle.COMPUTES)
        assert not re.search(r"\b(document|window|Date|Math\.random)\b[.(]", bundle.module_text(name)), name


def test_the_same_seed_makes_the_same_page(facts):
    assert bundle.page(page_data()) == bundle.page(facts)
    assert page_data(seed=3)["start"] != facts["start"]


def test_numpys_numbers_came_with_the_page(facts):
    assert len(facts["numpy"]) == 16
    model = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64)
    model.load_state_dict(facts["start"]["state"])
    logits = np.frombuffer(base64.b64decode(facts["numpy"]["fc.out"]["values"]))
    assert logits.tolist() == model(np.array([facts["start"]["x"]])).ravel().tolist()


def test_the_bounds_are_never_above_paritys():
    bounds = np.array([3e-17, 1e-15, 0.5, 1.0])
    exponents = start.half_exponents(bounds)
    assert np.all(2.0 ** (exponents / 2) <= bounds) and np.all(2.0 ** (exponents / 2) > bounds / 1.5)


def test_the_command_writes_the_page(tmp_path, capsys):
    assert main(["--output-dir", str(tmp_path), "--no-mnist"]) == 0
    path = tmp_path / "playground.html"
    assert capsys.readouterr().out == f"page: {path}, {path.stat().st_size / 1000:.0f} kB\n"


def embedded(tmp_path):
    text = (tmp_path / "playground.html").read_text("utf-8")
    return json.loads(re.search(r'type="application/json">(.*?)</script>', text)[1])


def test_own_weights_are_used(tmp_path):
    for model, flags in ((tn.TinyCNN, ["--no-mnist"]), (tn.MNISTCNN, [])):
        mine = model(rng=np.random.default_rng(5))
        save_weights(mine, tmp_path / "w.safetensors")
        main(["--output-dir", str(tmp_path), "--weights", str(tmp_path / "w.safetensors"), *flags])
        found = embedded(tmp_path)
        if model is tn.TinyCNN:
            assert found["start"]["state"]["fc.bias"] == mine.fc.bias.astype(float).tolist()
        else:
            assert found["mnist"]["weights"]["fc.bias"]["base64"] == start.packed(mine.fc.bias, "<f4")
            assert found["mnist"]["accuracy"] is None and "w.safetensors" in found["mnist"]["command"]


STUDENT = """
import numpy as np
import tinycnn_numpy as tn


class MyReLU(tn.ReLU):
    def backward(self, dout):
        return {dx}


class TinyCNN(tn.TinyCNN):
    def __init__(self, **arguments):
        super().__init__(rng=np.random.default_rng(0), dtype=np.float64)
        self.stages["relu"] = MyReLU()
"""


def test_a_students_network_is_held_against_the_right_one(tmp_path):
    verdicts = {}
    for dx in ("dout", "super().backward(dout)"):
        (tmp_path / "mine.py").write_text(STUDENT.format(dx=dx))
        main(["--output-dir", str(tmp_path), "--no-mnist", "--model", str(tmp_path / "mine.py")])
        student = embedded(tmp_path)["student"]
        verdicts[dx] = {row["name"]: row["verdict"] for row in student["verdicts"]}
        assert len(student["tensors"]) == (4 if dx == "dout" else 0)
    assert set(verdicts["super().backward(dout)"].values()) == {"match"}
    wrong = {name: said for name, said in verdicts["dout"].items() if said != "match"}
    assert wrong == {"relu.dx": "MISMATCH"} | dict.fromkeys(
        ("conv.dx", "conv.dweight", "conv.dbias"), "inherited"
    )


ODD = """
import numpy as np
import tinycnn_numpy as tn


class MyReLU(tn.ReLU):
    def {method}


class TinyCNN(tn.TinyCNN):
    def __init__(self, **arguments):
        super().__init__(rng=np.random.default_rng(0), dtype=np.float64)
        self.stages["relu"] = MyReLU()
"""


@pytest.mark.parametrize(
    ("method", "error", "differ", "absent"),
    [
        ("backward(self, dout): return dout * np.nan", "", 4, 0),
        (
            "backward(self, dout): return dout[:, :, :3]",
            "conv: ValueError: Conv2D: dout has shape (1, 4, 3",
            1,
            3,
        ),
        ("backward(self, dout): raise NotImplementedError", "relu: not written yet", 0, 4),
        ("forward(self, x): return 1 / 0", "relu: ZeroDivisionError: division by zero in forward", 0, 15),
    ],
)
def test_of_an_odd_network_the_page_says_what_came(tmp_path, method, error, differ, absent):
    (tmp_path / "odd.py").write_text(ODD.format(method=method))
    main(["--output-dir", str(tmp_path), "--no-mnist", "--model", str(tmp_path / "odd.py")])
    student = embedded(tmp_path)["student"]
    verdicts = [row["verdict"] for row in student["verdicts"]]
    assert student["error"].startswith(error) and bool(student["error"]) == bool(error)
    assert verdicts.count("never computed") == absent and len(verdicts) == 16
    assert verdicts.count("match") == 16 - differ - absent
    if "nan" in method:
        assert set(student["tensors"]["relu.dx"]) == {"NaN"} and student["tensors"]["conv.dx"] == ["NaN"] * 64
    else:
        assert "relu.dx" not in student["tensors"]  # of another shape, or never there


def refusal(capsys, *flags):
    with pytest.raises(SystemExit) as stopped:
        main(list(flags))
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_bad_input_gets_one_line(tmp_path, capsys):
    there = ("--output-dir", str(tmp_path))
    text = tmp_path / "text.py"
    text.write_text("x = 1")
    assert "defines no class TinyCNN" in refusal(capsys, *there, "--model", str(text))
    text.write_text("x = (")
    assert "cannot be loaded" in refusal(capsys, *there, "--model", str(text))
    assert "there is no such file" in refusal(capsys, *there, "--model", str(tmp_path / "none.py"))
    assert "is no safetensors file" in refusal(capsys, *there, "--weights", str(text))
    assert "cannot be read" in refusal(capsys, *there, "--weights", str(tmp_path / "none"))
    save_weights(tn.MLP(rng=np.random.default_rng(0)), tmp_path / "mlp")
    assert "expected those of TinyCNN or MNISTCNN" in refusal(
        capsys, *there, "--weights", str(tmp_path / "mlp")
    )
    bad = tn.TinyCNN(rng=np.random.default_rng(0))
    bad.fc.bias[0] = np.nan
    save_weights(bad, tmp_path / "nan")
    assert "fc.bias holds what is no finite number" in refusal(
        capsys, *there, "--weights", str(tmp_path / "nan")
    )
    assert "is a folder" in refusal(capsys, *there, "--weights", str(tmp_path))
    digits = str(start.MNIST_WEIGHTS)
    assert "--no-mnist leaves out" in refusal(capsys, *there, "--no-mnist", "--weights", digits)
    short = {name: torch.tensor(array).bfloat16() for name, array in bad.state_dict().items()}
    save_file(short | {"fc.bias": torch.zeros(3)}, tmp_path / "shape")
    assert "fc.bias has shape (3,), expected (2,)" in refusal(
        capsys, *there, "--weights", str(tmp_path / "shape")
    )
    save_file(short | {"fc.bias": torch.zeros(2)}, tmp_path / "short")
    assert main([*there, "--no-mnist", "--weights", str(tmp_path / "short")]) == 0
    for dtype, said in ((torch.int64, "I64"), (torch.int8, "I8"), (torch.bool, "BOOL")):
        save_file(short | {"fc.bias": torch.zeros(2, dtype=dtype)}, tmp_path / "whole")
        assert f": fc.bias is {said}, expected floating-point numbers" in refusal(
            capsys, *there, "--weights", str(tmp_path / "whole")
        )
    assert "--seed" in refusal(capsys, *there, "--seed", "-1")
    (tmp_path / "file").write_text("")
    assert "--output-dir" in refusal(capsys, "--output-dir", str(tmp_path / "file"))


@pytest.mark.slow
@pytest.mark.skipif(MNIST is None, reason="MNIST is not in data/ or ../shared/data")
def test_the_digits_and_the_accuracy_are_mnists():
    mnist = data.load_mnist(MNIST)
    model = tn.MNISTCNN(rng=np.random.default_rng(0))
    load_weights(model, start.MNIST_WEIGHTS)
    assert tn.evaluate(model, mnist.test_images, mnist.test_labels) == pytest.approx(start.ACCURACY)
    for name, array in start.load_file(start.TEN_DIGITS).items():
        assert np.array_equal(array, start.ten_digits(mnist)[name])
