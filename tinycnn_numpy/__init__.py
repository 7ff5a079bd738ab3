"""A convolutional network in plain NumPy: every layer with its forward and its backward, written by hand."""

from tinycnn_numpy.batch_norm import BatchNorm2D
from tinycnn_numpy.cache import no_grad
from tinycnn_numpy.conv2d import Conv2D
from tinycnn_numpy.dense import Dense
from tinycnn_numpy.dropout import Dropout
from tinycnn_numpy.flatten import Flatten
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.loss import CrossEntropyLoss
from tinycnn_numpy.models import MLP, MNISTCNN, ImageCNN, TinyCNN
from tinycnn_numpy.optim import SGD, Adam
from tinycnn_numpy.parallel import DataParallel, LossShare
from tinycnn_numpy.pool import AvgPool2D, MaxPool2D
from tinycnn_numpy.relu import ReLU
from tinycnn_numpy.schedule import OneCycle
from tinycnn_numpy.sequential import Sequential, count_parameters
from tinycnn_numpy.train import evaluate, train_epoch, train_step

__all__ = [
    "MLP",
    "MNISTCNN",
    "SGD",
    "Adam",
    "AvgPool2D",
    "BatchNorm2D",
    "Conv2D",
    "CrossEntropyLoss",
    "DataParallel",
    "Dense",
    "Dropout",
    "Flatten",
    "ImageCNN",
    "Layer",
    "LossShare",
    "MaxPool2D",
    "OneCycle",
    "ReLU",
    "Sequential",
    "TinyCNN",
    "count_parameters",
    "evaluate",
    "no_grad",
    "train_epoch",
    "train_step",
]
