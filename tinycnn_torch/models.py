"""The models, stage by stage; autograd brings the backward. Read beside tinycnn_numpy/models.py."""

from collections import OrderedDict

from torch import nn


class TinyCNN(nn.Sequential):
    """Horizontal or vertical? One convolution over 8 x 8 images; 114 parameters."""

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(1, 4, kernel_size=3),  # (N, 1, 8, 8) -> (N, 4, 6, 6)
                relu=nn.ReLU(),
                pool=nn.MaxPool2d(kernel_size=2),  # -> (N, 4, 3, 3)
                flatten=nn.Flatten(),  # -> (N, 36)
                fc=nn.Linear(4 * 3 * 3, 2),  # -> (N, 2)
            )
        )


class MNISTCNN(nn.Sequential):
    """Which digit? Two convolutions over 28 x 28 images; 12,810 parameters."""

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(1, 16, kernel_size=3),  # (N, 1, 28, 28) -> (N, 16, 26, 26)
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(kernel_size=2),  # -> (N, 16, 13, 13)
                conv2=nn.Conv2d(16, 32, kernel_size=3),  # -> (N, 32, 11, 11)
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(kernel_size=2),  # -> (N, 32, 5, 5)
                flatten=nn.Flatten(),  # -> (N, 800)
                fc=nn.Linear(32 * 5 * 5, 10),  # -> (N, 10)
            )
        )


class ImageCNN(nn.Sequential):
    """Which class? MNISTCNN's stages for images (C, H, W) of any size from 10 x 10 on, and any classes.

    image: (C, H, W). With ((1, 28, 28), 10) it is MNISTCNN. Raises ValueError for smaller images.
    """

    def __init__(self, image: tuple[int, int, int], classes: int) -> None:
        C, H, W = image
        h, w = (((side - 2) // 2 - 2) // 2 for side in (H, W))  # a convolution takes 2 off, a pool a half
        if min(h, w) < 1:
            raise ValueError(f"ImageCNN: image has {H} x {W} pixels, expected at least 10 x 10")
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(C, 16, kernel_size=3),  # (N, C, H, W) -> (N, 16, H-2, W-2)
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(kernel_size=2),
                conv2=nn.Conv2d(16, 32, kernel_size=3),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(kernel_size=2),  # -> (N, 32, h, w)
                flatten=nn.Flatten(),  # -> (N, 32*h*w)
                fc=nn.Linear(32 * h * w, classes),  # -> (N, classes)
            )
        )


class MLP(nn.Sequential):
    """Which digit? Without convolutions; 101,770 parameters."""

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(
                flatten=nn.Flatten(),  # (N, 1, 28, 28) -> (N, 784)
                fc1=nn.Linear(28 * 28, 128),  # -> (N, 128)
                relu=nn.ReLU(),
                fc2=nn.Linear(128, 10),  # -> (N, 10)
            )
        )
