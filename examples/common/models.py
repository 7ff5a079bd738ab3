"""Every network that is trained here, on both backends. Read beside tinycnn_numpy/models.py."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import numpy as np
from torch import nn

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.data import Dataset
from parity import copy_weights


class ThirdConvolution(tn.Sequential):
    """Exercise 31.1: MNISTCNN with a third convolution; 23,946 parameters."""

    def __init__(self, *, rng: np.random.Generator, dtype=np.float32):
        super().__init__(
            conv1=tn.Conv2D(1, 16, kernel_size=3, rng=rng, dtype=dtype),  # (N, 1, 28, 28) -> (N, 16, 26, 26)
            relu1=tn.ReLU(),
            pool1=tn.MaxPool2D(kernel_size=2),  # -> (N, 16, 13, 13)
            conv2=tn.Conv2D(16, 32, kernel_size=3, rng=rng, dtype=dtype),  # -> (N, 32, 11, 11)
            relu2=tn.ReLU(),
            pool2=tn.MaxPool2D(kernel_size=2),  # -> (N, 32, 5, 5)
            conv3=tn.Conv2D(32, 64, kernel_size=3, rng=rng, dtype=dtype),  # -> (N, 64, 3, 3)
            relu3=tn.ReLU(),
            pool3=tn.MaxPool2D(kernel_size=2),  # -> (N, 64, 1, 1): the last row and column are dropped
            flatten=tn.Flatten(),  # -> (N, 64)
            fc=tn.Dense(64 * 1 * 1, 10, rng=rng, dtype=dtype),  # -> (N, 10)
        )


class TorchThirdConvolution(nn.Sequential):
    """The same with PyTorch's layers."""

    def __init__(self):
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(1, 16, kernel_size=3),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(kernel_size=2),
                conv2=nn.Conv2d(16, 32, kernel_size=3),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(kernel_size=2),
                conv3=nn.Conv2d(32, 64, kernel_size=3),
                relu3=nn.ReLU(),
                pool3=nn.MaxPool2d(kernel_size=2),
                flatten=nn.Flatten(),
                fc=nn.Linear(64 * 1 * 1, 10),
            )
        )


class AveragePooling(tn.MNISTCNN):
    """Exercise 31.2: MNISTCNN that passes on the mean of a window instead of its largest entry."""

    def __init__(self, *, rng: np.random.Generator, dtype=np.float32):
        super().__init__(rng=rng, dtype=dtype)
        self.stages |= {"pool1": tn.AvgPool2D(kernel_size=2), "pool2": tn.AvgPool2D(kernel_size=2)}


class TorchAveragePooling(tt.MNISTCNN):
    """The same with PyTorch's layers."""

    def __init__(self):
        super().__init__()
        self.pool1, self.pool2 = nn.AvgPool2d(kernel_size=2), nn.AvgPool2d(kernel_size=2)


class SmallMLP(tn.Sequential):
    """Exercise 31.4: MLP with as few parameters as MNISTCNN; 12,730 (16 units), where MNISTCNN has 12,810."""

    def __init__(self, *, rng: np.random.Generator, dtype=np.float32):
        super().__init__(
            flatten=tn.Flatten(),  # (N, 1, 28, 28) -> (N, 784)
            fc1=tn.Dense(28 * 28, 16, rng=rng, dtype=dtype),  # -> (N, 16)
            relu=tn.ReLU(),
            fc2=tn.Dense(16, 10, rng=rng, dtype=dtype),  # -> (N, 10)
        )


class TorchSmallMLP(nn.Sequential):
    """The same with PyTorch's layers."""

    def __init__(self):
        super().__init__(
            OrderedDict(
                flatten=nn.Flatten(),
                fc1=nn.Linear(28 * 28, 16),
                relu=nn.ReLU(),
                fc2=nn.Linear(16, 10),
            )
        )


MODELS: dict[str, tuple[Callable[..., tn.Layer], Callable[[], nn.Module]]] = {
    "MNISTCNN": (tn.MNISTCNN, tt.MNISTCNN),
    "MLP": (tn.MLP, tt.MLP),
    "ThirdConvolution": (ThirdConvolution, TorchThirdConvolution),
    "AveragePooling": (AveragePooling, TorchAveragePooling),
    "SmallMLP": (SmallMLP, TorchSmallMLP),
}


def start(model: str, backend: str, seed: int):
    """The untrained model. One seed gives the same first weights on both sides."""
    by_hand, with_torch = MODELS[model]
    return on(backend, by_hand(rng=np.random.default_rng(seed)), with_torch)


def start_for(dataset: Dataset, backend: str, seed: int):
    """The untrained MNISTCNN, or for images of one's own the ImageCNN that fits them."""
    if not dataset.facts:
        return start("MNISTCNN", backend, seed)
    settings = dataset.image, dataset.classes
    ours = tn.ImageCNN(*settings, rng=np.random.default_rng(seed))
    return on(backend, ours, partial(tt.ImageCNN, *settings))


def on(backend: str, ours: tn.Layer, with_torch: Callable[[], nn.Module]):
    """`ours`, or on the backend "torch" its twin with the same weights."""
    if backend == "numpy":
        return ours
    theirs = with_torch()
    copy_weights(ours, theirs)
    return theirs
