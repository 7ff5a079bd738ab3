from .core import Parameter, Module, Sequential
from .layers import Conv2d, Linear, ReLU, MaxPool2d, BatchNorm2d, Dropout, Flatten, ELU
from .losses import CrossEntropy
from .optim import SGD, Adam
