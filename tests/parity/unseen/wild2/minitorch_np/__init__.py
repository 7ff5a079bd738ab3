from .tensor import Parameter
from .module import Module, Sequential
from .layers import Conv2d, Linear, ReLU, MaxPool2d, Flatten, BatchNorm2d, Dropout
from .losses import CrossEntropyLoss, MSELoss
from .optim import SGD, Adam
