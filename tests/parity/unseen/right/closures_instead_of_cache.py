import numpy as np
import tinycnn_numpy as tn


class Dense(tn.Dense):
    """forward leaves behind the function that backward calls"""

    def forward(self, x):
        def back(dout):
            self.dweight = np.matmul(np.transpose(dout), x)
            if self.bias is not None:
                self.dbias = np.ones(len(dout), dout.dtype) @ dout
            return np.matmul(dout, self.weight)

        self.back = back
        y = np.matmul(x, np.transpose(self.weight))
        return y if self.bias is None else y + self.bias

    def backward(self, dout):
        return self.back(dout)

    def backward_weights(self, dout):
        self.back(dout)


class ReLU(tn.ReLU):
    def forward(self, x):
        gate = (x > 0).astype(x.dtype)
        self.back = lambda dout: gate * dout
        return gate * x

    def backward(self, dout):
        return self.back(dout)


class Flatten(tn.Flatten):
    def forward(self, x):
        self.back = lambda dout, shape=x.shape: dout.reshape(shape)
        return x.reshape(len(x), -1)

    def backward(self, dout):
        return self.back(dout)
