import numpy as np
from tinycnn_numpy.layer import Layer


class Flatten(Layer):
    def forward(self, x):
        self.shapes = [image.shape for image in x]
        return np.stack([image.ravel() for image in x])

    def backward(self, dout):
        return np.stack([row.reshape(shape) for row, shape in zip(dout, self.shapes)])
