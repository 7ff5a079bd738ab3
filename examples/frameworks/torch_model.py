"""MNISTCNN in PyTorch: logits, loss and gradients. Read beside numpy_model.py."""

from collections.abc import Mapping

import numpy as np
import torch

import tinycnn_torch as tt
from examples.frameworks.layouts import Arrays
from parity import load_numpy_state


def tensors(state: Mapping[str, np.ndarray], x: np.ndarray, labels: np.ndarray) -> Arrays:
    """x (N, 1, 28, 28), float32 or float64, and labels (N,) give logits, loss, every dweight and dbias."""
    images = torch.from_numpy(x)
    model, loss_fn = tt.MNISTCNN().to(images.dtype), torch.nn.CrossEntropyLoss()
    load_numpy_state(model, dict(state))
    logits = model(images)
    loss = loss_fn(logits, torch.from_numpy(labels))
    loss.backward()
    gradients = {
        (stage, f"d{name}"): np.asarray(parameter.grad)
        for stage, layer in model.named_children()
        for name, parameter in layer.named_parameters()
    }
    return {("fc", "out"): logits.detach().numpy(), ("loss", "loss"): loss.detach().numpy(), **gradients}
