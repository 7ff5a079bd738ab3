import numpy as np
from tinycnn_numpy import ReLU as Base


class ReLU(Base):
    def forward(self, x):
        self.step = np.heaviside(x, np.zeros((), x.dtype))
        return x * self.step

    def backward(self, dout):
        return self.step * dout
