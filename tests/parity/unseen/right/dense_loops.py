import numpy as np
from tinycnn_numpy import Dense as Base


class Dense(Base):
    def forward(self, x):
        self.x = x
        out = np.zeros((x.shape[0], self.out_features), x.dtype)
        for n in range(x.shape[0]):
            for m in range(self.out_features):
                total = sum(float(a) * float(b) for a, b in zip(x[n], self.weight[m]))
                out[n, m] = total if self.bias is None else total + float(self.bias[m])
        return out

    def backward(self, dout):
        dx = np.zeros_like(self.x)
        dw = np.zeros_like(self.weight)
        for n in range(dout.shape[0]):
            for m in range(dout.shape[1]):
                for k in range(self.in_features):
                    dw[m, k] += dout[n, m] * self.x[n, k]
                    dx[n, k] += dout[n, m] * self.weight[m, k]
        self.dweight = dw
        if self.bias is not None:
            self.dbias = np.array([sum(column) for column in dout.T], dout.dtype)
        return dx

    def backward_weights(self, dout):
        self.backward(dout)
