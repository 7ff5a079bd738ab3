import numpy as np
from tinycnn_numpy import AvgPool2D as Base


def averaging(size, k, s, p):
    """(O, size): row i averages the pixels of window i; what lies outside counts as zero"""
    o = (size + 2 * p - k) // s + 1
    A = np.zeros((o, size + 2 * p))
    for i in range(o):
        A[i, i * s : i * s + k] = 1 / k
    return A[:, p : p + size]


class AvgPool2D(Base):
    def forward(self, x):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        self.A = averaging(x.shape[2], kh, sh, ph).astype(x.dtype)
        self.B = averaging(x.shape[3], kw, sw, pw).astype(x.dtype)
        return self.A @ x @ self.B.T

    def backward(self, dout):
        return self.A.T @ dout @ self.B
