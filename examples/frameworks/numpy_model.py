"""MNISTCNN by hand in NumPy: logits, loss and gradients."""

from collections.abc import Mapping

import numpy as np

import tinycnn_numpy as tn
from examples.frameworks.layouts import Arrays
from parity import load_numpy_state


def tensors(state: Mapping[str, np.ndarray], x: np.ndarray, labels: np.ndarray) -> Arrays:
    """x (N, 1, 28, 28), float32 or float64, and labels (N,) give logits, loss, every dweight and dbias."""
    model, loss_fn = tn.MNISTCNN(rng=np.random.default_rng(0), dtype=x.dtype), tn.CrossEntropyLoss()
    load_numpy_state(model, dict(state))
    logits = model(x)
    loss = loss_fn(logits, labels)
    model.backward_weights(loss_fn.backward())
    gradients = {
        (stage, f"d{name}"): parameter.grad
        for stage, layer in model.named_layers()
        for name, parameter in layer.named_parameters()
    }
    return {("fc", "out"): logits, ("loss", "loss"): np.asarray(loss), **gradients}
