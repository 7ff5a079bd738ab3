"""The same convolutional network from PyTorch's own layers: autograd writes the backward."""

from tinycnn_torch.models import MLP, MNISTCNN, TinyCNN
from tinycnn_torch.train import evaluate, train_epoch

__all__ = ["MLP", "MNISTCNN", "TinyCNN", "evaluate", "train_epoch"]
