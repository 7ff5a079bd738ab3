"""The same convolutional network from PyTorch's own layers: autograd writes the backward."""

from tinycnn_torch.captured import CapturedStep
from tinycnn_torch.models import MLP, MNISTCNN, ImageCNN, TinyCNN
from tinycnn_torch.parallel import DataParallel, LossShare
from tinycnn_torch.train import evaluate, train_epoch, train_step

__all__ = [
    "MLP",
    "MNISTCNN",
    "CapturedStep",
    "DataParallel",
    "ImageCNN",
    "LossShare",
    "TinyCNN",
    "evaluate",
    "train_epoch",
    "train_step",
]
