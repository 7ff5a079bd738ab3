import numpy as np
import tinycnn_numpy as tn


class Dense(tn.Dense):
    def forward(self, x):
        self.rows = [row for row in x]
        ys = [self.weight.dot(row) for row in self.rows]
        y = np.array(ys).reshape(len(x), self.out_features)
        return y if self.bias is None else y + self.bias

    def backward(self, dout):
        self.dweight = np.zeros_like(self.weight)
        for g, row in zip(dout, self.rows):
            self.dweight += np.outer(g, row)
        if self.bias is not None:
            self.dbias = np.zeros_like(self.bias)
            for g in dout:
                self.dbias += g
        return np.array([g.dot(self.weight) for g in dout])

    def backward_weights(self, dout):
        self.backward(dout)
