import numpy as np


def kaiming(shape, fan_in):
    return np.random.randn(*shape) * np.sqrt(2.0 / fan_in)
