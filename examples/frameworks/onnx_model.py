"""The NumPy model as an ONNX graph, written node by node: one node a stage, under the name of the stage.

ONNX keeps PyTorch's layouts, so the weights go in as they are. Its defaults are its own: MaxPool has stride
1 unless told, and Gemm multiplies by the weight as it stands, where PyTorch means its transpose.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import tinycnn_numpy as tn
from examples.frameworks.layouts import Arrays
from parity import load_numpy_state

OPSET = 17  # runtimes of 2022 and later read it


def node_of(name: str, layer: tn.Layer, x: str) -> onnx.NodeProto:
    """The node of one layer, from the value called `x` to one that is called as the stage."""
    inputs = [x, *(f"{name}.{parameter}" for parameter, _ in layer.named_parameters())]
    match layer:
        case tn.Conv2D():
            window: dict[str, Any] = {
                "strides": layer.stride,
                "pads": layer.padding * 2,
            }  # top, left, bottom, right
            return helper.make_node("Conv", inputs, [name], name, **window)
        case tn.MaxPool2D():
            window = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": layer.padding * 2}
            return helper.make_node("MaxPool", inputs, [name], name, **window)
        case tn.ReLU():
            return helper.make_node("Relu", inputs, [name], name)
        case tn.Flatten():
            return helper.make_node("Flatten", inputs, [name], name, axis=1)
        case tn.Dense():
            return helper.make_node("Gemm", inputs, [name], name, transB=1)
    raise ValueError(f"{type(layer).__name__} has no node here, expected a layer of MNISTCNN")


def to_onnx(model: tn.Sequential, x_shape: tuple[int, ...]) -> onnx.ModelProto:
    """`model` as a graph from x (N, *x_shape) to the output of its last stage, checked by ONNX."""
    nodes, value = [], "x"
    for name, layer in model.named_layers():
        nodes.append(node_of(name, layer, value))
        value = name
    weights = [numpy_helper.from_array(array, name) for name, array in model.state_dict().items()]
    dtype = weights[0].data_type
    x = helper.make_tensor_value_info("x", dtype, ["N", *x_shape])
    out = helper.make_tensor_value_info(value, dtype, ["N", model.stages[value].weight.shape[0]])
    graph = helper.make_graph(nodes, type(model).__name__, [x], [out], weights)
    opsets = [helper.make_opsetid("", OPSET)]
    version = helper.find_min_ir_version_for(opsets)
    made = helper.make_model(graph, opset_imports=opsets, ir_version=version, producer_name="tinycnn")
    onnx.checker.check_model(made, full_check=True)
    return made


def graph_of(state: Mapping[str, np.ndarray], dtype) -> onnx.ModelProto:
    """MNISTCNN with the weights of `state`, float32 or float64."""
    model = tn.MNISTCNN(rng=np.random.default_rng(0), dtype=dtype)
    load_numpy_state(model, dict(state))
    return to_onnx(model, (1, 28, 28))


def tensors(state: Mapping[str, np.ndarray], x: np.ndarray, labels: np.ndarray) -> Arrays:
    """x (N, 1, 28, 28) gives the output of every stage, computed by ONNX's own reference, not by us.

    A graph for inference: there is no loss, and `labels` are not used.
    """
    evaluator = ReferenceEvaluator(graph_of(state, x.dtype))
    values = evaluator.run(None, {"x": x}, intermediate=True)
    return {(node.name, "out"): values[node.name] for node in evaluator.proto_.graph.node}
