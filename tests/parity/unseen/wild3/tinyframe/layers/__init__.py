from .conv import Conv2d, MaxPool2d
from .dense import Linear, ReLU, ELU, Flatten
from .norm import BatchNorm2d, Dropout
