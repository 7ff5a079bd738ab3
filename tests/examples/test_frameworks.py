"""Four frameworks compute one network; each check is shown a mistake that people make, and must reject it."""

import re
import sys
from functools import partial
from importlib import import_module

import numpy as np
import pytest

import tinycnn_numpy as tn
from examples.frameworks import __main__ as program
from examples.frameworks import compare, layouts
from examples.frameworks.adam import PLACES, adam_updates, epsilon_of
from examples.frameworks.compare import TITLES, logits_and_gradients, parity_report
from examples.frameworks.defaults import default_differences
from parity import numpy_state, save_weights, smooth_input

N = 3
CHANNELS_LAST = ["keras", "flax"]


def needs(framework):
    """The module of a framework; the test is skipped where it cannot be had."""
    try:
        return import_module(f"examples.frameworks.{framework}_model")
    except ImportError as error:
        pytest.skip(f"{framework} cannot be had here ({error}): {compare.INSTALL}")


@pytest.fixture(scope="module")
def case():
    """state, x (N, 1, 28, 28) where rounding decides nothing, labels."""
    rng = np.random.default_rng(7)
    model = tn.MNISTCNN(rng=rng)
    return numpy_state(model), smooth_input(model, (N, 1, 28, 28), np.float32, rng), rng.integers(10, size=N)


def differing(framework, case, dtype=np.float32):
    state, x, labels = case
    return [(r.stage, r.tensor) for r in parity_report(framework, state, x.astype(dtype), labels).mismatches]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("framework", TITLES)
def test_every_framework_computes_the_same(framework, dtype, case):
    needs(framework)
    state, x, labels = case
    report = parity_report(framework, state, x.astype(dtype), labels)
    assert len(report.rows) == 8 and {row.verdict for row in report.rows} == {"match"}, report


@pytest.mark.parametrize("framework", CHANNELS_LAST)
@pytest.mark.parametrize(
    "name, wrong",
    [
        ("conv1.weight", "f c i j -> j i c f"),  # height and width swapped
        ("conv2.weight", "f c i j -> j i c f"),
        ("fc.weight", "o chw -> chw o"),  # transposed, the rows left where they were
        ("fc.weight", "o chw -> whc o"),
        ("x", "n c h w -> n w h c"),
    ],
)
def test_a_wrong_layout_is_rejected(framework, name, wrong, case, monkeypatch):
    needs(framework)
    monkeypatch.setitem(layouts.RULES, name, wrong)
    assert ("fc", "out") in differing(framework, case)


@pytest.mark.parametrize("framework", CHANNELS_LAST)
def test_channels_and_filters_swapped_do_not_even_fit(framework, case, monkeypatch):
    needs(framework)
    monkeypatch.setitem(layouts.RULES, "conv2.weight", "f c i j -> i j f c")
    with pytest.raises(Exception, match="shape"):
        logits_and_gradients(framework, *case)


@pytest.mark.parametrize("framework", CHANNELS_LAST)
def test_a_gradient_that_is_only_transposed_on_its_way_home_is_rejected(framework, case, monkeypatch):
    needs(framework)
    right = layouts.backwards
    monkeypatch.setattr(layouts, "backwards", lambda rule: right(rule).replace("o chw", "o hwc"))
    assert differing(framework, case) == [("fc", "dweight")]


@pytest.mark.parametrize("framework", CHANNELS_LAST)
def test_a_forgotten_bias_is_rejected(framework, case, monkeypatch):
    def forgetful(state, dtype):
        return layouts.to_channels_last({**state, "conv2.bias": 0 * state["conv2.bias"]}, dtype)

    monkeypatch.setattr(needs(framework), "to_channels_last", forgetful)
    assert ("fc", "out") in differing(framework, case)


def test_no_rule_loses_an_entry(case):
    state, x, _ = case
    for name, array in {**state, "x": x}.items():
        there = layouts.convert(array, layouts.RULES[name])
        back = layouts.convert(there, layouts.backwards(layouts.RULES[name]))
        np.testing.assert_array_equal(back, array)
    weights = layouts.to_channels_last(state, np.float64)
    assert weights["conv2"]["kernel"][0, 2, 5, 9] == state["conv2.weight"][9, 5, 0, 2]
    assert weights["fc"]["kernel"][(2 * 5 + 4) * 32 + 7, 3] == state["fc.weight"][3, 7 * 25 + 2 * 5 + 4]
    with pytest.raises(ValueError):
        layouts.convert(np.zeros((10, 801)), layouts.RULES["fc.weight"])


def test_the_printed_flax_network_is_another_one(case):
    flax_model = needs("flax")
    from flax.errors import ScopeParamShapeError

    from examples.frameworks import printed

    as_printed, valid = printed.shapes_of(printed.MNISTCNN()), printed.shapes_of(flax_model.MNISTCNN())
    assert as_printed == printed.Shapes([(28, 28, 16), (14, 14, 32)], 7 * 7 * 32, 20490)
    assert valid == printed.Shapes([(26, 26, 16), (11, 11, 32)], 5 * 5 * 32, 12810)
    assert printed.printed_flax_parameters() == 20490

    state, x, _ = case
    ours = layouts.to_channels_last(state, np.float32)
    weights = {"Conv_0": ours["conv1"], "Conv_1": ours["conv2"], "Dense_0": ours["fc"]}
    with pytest.raises(ScopeParamShapeError, match="1568"):
        printed.MNISTCNN().apply({"params": weights}, layouts.convert(x, layouts.RULES["x"]))


def with_attributes(stage, graph, **attributes):
    from onnx import helper

    (node,) = (node for node in graph.node if node.name == stage)
    kept = [attribute for attribute in node.attribute if attribute.name not in attributes]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(*item) for item in attributes.items())])


def with_weight(stage, graph, change):
    from onnx import numpy_helper

    (weight,) = (weight for weight in graph.initializer if weight.name == f"{stage}.weight")
    weight.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weight)).copy(), weight.name))


def gemm_of_the_weight_as_it_lies_in_memory(stage, graph):
    with_weight(stage, graph, lambda weight: weight.reshape(800, 10))
    with_attributes(stage, graph, transB=0)


ONNX_MISTAKES = [  # all of them leave every shape as it was
    ("pool1", partial(with_attributes, pads=[1, 1, 0, 0])),
    ("pool1", partial(with_attributes, kernel_shape=[1, 1])),
    ("conv2", partial(with_attributes, pads=[1, 1, 1, 1], dilations=[2, 2])),
    ("conv2", partial(with_weight, change=lambda weight: weight.transpose(0, 1, 3, 2))),
    ("fc", gemm_of_the_weight_as_it_lies_in_memory),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stage, mistake", ONNX_MISTAKES)
def test_a_wrong_onnx_graph_is_rejected_where_it_is_wrong(stage, mistake, dtype, case, monkeypatch):
    onnx_model = needs("onnx")
    right = onnx_model.graph_of

    def wrong(state, dtype):
        made = right(state, dtype)
        mistake(stage, made.graph)
        return made

    monkeypatch.setattr(onnx_model, "graph_of", wrong)
    assert differing("onnx", case, dtype)[0] == (stage, "out")


def test_the_onnx_graph_has_one_node_a_stage_and_any_batch():
    onnx_model = needs("onnx")
    model = tn.MNISTCNN(rng=np.random.default_rng(0))
    graph = onnx_model.to_onnx(model, (1, 28, 28)).graph
    assert [node.name for node in graph.node] == list(model.stages)
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    with pytest.raises(ValueError, match="AvgPool2D"):
        onnx_model.node_of("pool", tn.AvgPool2D(2), "x")


def test_defaults_differ_as_measured():
    for framework in ("keras", "flax"):
        needs(framework)
    found = default_differences()
    torch, keras, flax = found.values()
    assert torch.keys() == keras.keys() == flax.keys()
    assert [d["28 rows after a kernel of 3"] for d in found.values()] == ["26", "26", "28"]
    assert [d["flatten, the last fastest"] for d in found.values()] == ["C H W", "H W C", "H W C"]
    assert [d["their std * sqrt(fan_in)"] for d in found.values()] == ["0.6", "0.8", "1.0"]
    assert [d["epsilon of Adam"] for d in found.values()] == ["1e-08", "1e-07", "1e-08"]


@pytest.mark.parametrize("framework", PLACES)
def test_the_epsilon_that_acts_in_adam(framework):
    if framework in CHANNELS_LAST:
        needs(framework)
    others, keras = np.full(3, 1e-8), 1e-7 / np.sqrt(1 - 0.999 ** np.arange(1, 4))
    right, wrong = (keras, np.full(3, 1e-7)) if framework == "keras" else (others, keras / 10)
    acting = epsilon_of(adam_updates(framework, 1e-6, 3), 1e-6)
    np.testing.assert_allclose(acting, right, rtol=1e-4)  # Keras keeps its learning rate in float32
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(acting, wrong, rtol=1e-4)


def run(capsys, *arguments):
    code = program.main([*map(str, arguments)])
    return code, capsys.readouterr().out


def test_the_program_says_that_parity_holds(tmp_path, capsys):
    for framework in TITLES:
        needs(framework)
    code, out = run(capsys, "--images", N, "--output-dir", tmp_path, "--onnx", tmp_path / "model.onnx")
    assert code == 0 and out.endswith("PARITY HOLDS: 80 tensors equal within their bounds\n")
    assert "20,490" in out and "12,810" in out and "o chw -> hwc o" in out and "0.24 (3.2e-06)" in out
    assert (tmp_path / "model.onnx").stat().st_size > 4 * 12810


def test_the_program_says_what_differs(tmp_path, capsys, monkeypatch):
    for framework in TITLES:
        needs(framework)
    monkeypatch.setitem(layouts.RULES, "fc.weight", "o chw -> chw o")
    code, out = run(capsys, "--images", N, "--output-dir", tmp_path)
    assert code == 1 and "\nPARITY BROKEN: " in out and out.endswith(" of 80 tensors differ\n")
    for title in ("Keras", "Flax"):
        assert f"MNISTCNN, float64: {title} against the exact tensors" in out
    for title in ("NumPy", "PyTorch", "ONNX"):
        assert f"{title} against" not in out


def test_a_framework_that_is_missing_is_skipped_loudly(tmp_path, capsys, monkeypatch):
    for package in ("keras", "jax", "onnx"):
        monkeypatch.setitem(sys.modules, package, None)  # import raises ModuleNotFoundError
    for framework in ("keras", "flax", "onnx"):
        monkeypatch.delitem(sys.modules, f"examples.frameworks.{framework}_model", raising=False)
    save_weights(tn.MNISTCNN(rng=np.random.default_rng(3)), tmp_path / "model.safetensors")
    code, out = run(capsys, "--images", 1, "--model", tmp_path / "model.safetensors")
    assert code == 0 and out.endswith("; Keras skipped; Flax skipped; ONNX skipped\n")
    for title in ("Keras", "Flax", "ONNX"):
        assert f"{title} cannot be had here" in out and "pip install -e '.[frameworks]'" in out
    verdicts = [line.split()[2:] for line in out.splitlines() if " verdict " in line]
    assert verdicts == [["match", "match", "skipped", "skipped", "skipped"]] * 2
    with pytest.raises(SystemExit, match="2"):
        run(capsys, "--onnx", tmp_path / "model.onnx")


def test_keras_on_another_backend_is_skipped_loudly(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.delitem(sys.modules, "examples.frameworks.keras_model", raising=False)
    assert not compare.is_present("keras")
    assert "KERAS_BACKEND is torch" in capsys.readouterr().out


def refusal(path, capsys):
    with pytest.raises(SystemExit, match="2"):
        program.main(["--images", "1", "--model", str(path)])
    return capsys.readouterr().err


def test_a_file_that_will_not_do_is_one_line(tmp_path, capsys, monkeypatch):
    path, model = tmp_path / "model.safetensors", tn.MNISTCNN(rng=np.random.default_rng(0))
    expected = r"error: .*model\.safetensors.*\n"
    assert re.fullmatch(expected, refusal(path, capsys))
    path.write_bytes(b"no weights")
    assert re.fullmatch(expected, refusal(path, capsys))
    save_weights(tn.MLP(rng=np.random.default_rng(0)), path)
    assert re.fullmatch(expected, refusal(path, capsys))
    save_weights(model, path)

    def never_smooth(*arguments):
        raise ValueError

    monkeypatch.setattr("parity.training.smooth_input", never_smooth)
    assert re.fullmatch(expected, refusal(path, capsys))
    model.conv2.bias[3] = np.nan
    save_weights(model, path)
    assert "conv2.bias is not finite" in refusal(path, capsys)
