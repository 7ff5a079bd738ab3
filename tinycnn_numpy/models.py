"""The models, stage by stage, with a backward of their own. Read beside tinycnn_torch/models.py."""

from typing import Any

import numpy as np

from tinycnn_numpy.conv2d import Conv2D
from tinycnn_numpy.dense import Dense
from tinycnn_numpy.flatten import Flatten
from tinycnn_numpy.pool import MaxPool2D
from tinycnn_numpy.relu import ReLU
from tinycnn_numpy.sequential import Sequential


class TinyCNN(Sequential):
    """Horizontal or vertical? One convolution over 8 x 8 images; 114 parameters."""

    def __init__(self, *, rng: np.random.Generator, dtype: Any = np.float32):
        super().__init__(
            conv=Conv2D(1, 4, kernel_size=3, rng=rng, dtype=dtype),  # (N, 1, 8, 8) -> (N, 4, 6, 6)
            relu=ReLU(),
            pool=MaxPool2D(kernel_size=2),  # -> (N, 4, 3, 3)
            flatten=Flatten(),  # -> (N, 36)
            fc=Dense(4 * 3 * 3, 2, rng=rng, dtype=dtype),  # -> (N, 2)
        )


class MNISTCNN(Sequential):
    """Which digit? Two convolutions over 28 x 28 images; 12,810 parameters."""

    def __init__(self, *, rng: np.random.Generator, dtype: Any = np.float32):
        super().__init__(
            conv1=Conv2D(1, 16, kernel_size=3, rng=rng, dtype=dtype),  # (N, 1, 28, 28) -> (N, 16, 26, 26)
            relu1=ReLU(),
            pool1=MaxPool2D(kernel_size=2),  # -> (N, 16, 13, 13)
            conv2=Conv2D(16, 32, kernel_size=3, rng=rng, dtype=dtype),  # -> (N, 32, 11, 11)
            relu2=ReLU(),
            pool2=MaxPool2D(kernel_size=2),  # -> (N, 32, 5, 5)
            flatten=Flatten(),  # -> (N, 800)
            fc=Dense(32 * 5 * 5, 10, rng=rng, dtype=dtype),  # -> (N, 10)
        )


class ImageCNN(Sequential):
    """Which class? MNISTCNN's stages for images (C, H, W) of any size from 10 x 10 on, and any classes.

    image: (C, H, W). With ((1, 28, 28), 10) it is MNISTCNN. Raises ValueError for smaller images.
    """

    def __init__(
        self, image: tuple[int, int, int], classes: int, *, rng: np.random.Generator, dtype: Any = np.float32
    ):
        C, H, W = image
        h, w = (((side - 2) // 2 - 2) // 2 for side in (H, W))  # a convolution takes 2 off, a pool a half
        if min(h, w) < 1:
            raise ValueError(f"ImageCNN: image has {H} x {W} pixels, expected at least 10 x 10")
        super().__init__(
            conv1=Conv2D(C, 16, kernel_size=3, rng=rng, dtype=dtype),  # (N, C, H, W) -> (N, 16, H-2, W-2)
            relu1=ReLU(),
            pool1=MaxPool2D(kernel_size=2),
            conv2=Conv2D(16, 32, kernel_size=3, rng=rng, dtype=dtype),
            relu2=ReLU(),
            pool2=MaxPool2D(kernel_size=2),  # -> (N, 32, h, w)
            flatten=Flatten(),  # -> (N, 32*h*w)
            fc=Dense(32 * h * w, classes, rng=rng, dtype=dtype),  # -> (N, classes)
        )


class MLP(Sequential):
    """Which digit? Without convolutions; 101,770 parameters."""

    def __init__(self, *, rng: np.random.Generator, dtype: Any = np.float32):
        super().__init__(
            flatten=Flatten(),  # (N, 1, 28, 28) -> (N, 784)
            fc1=Dense(28 * 28, 128, rng=rng, dtype=dtype),  # -> (N, 128)
            relu=ReLU(),
            fc2=Dense(128, 10, rng=rng, dtype=dtype),  # -> (N, 10)
        )
