import numpy as np
from tinycnn_numpy import Dense as Base


class Dense(Base):
    def forward(self, x):
        out = np.empty((len(x), len(self.weight)), x.dtype)
        np.einsum("nk,mk->nm", x, self.weight, out=out)
        if self.bias is not None:
            np.add(out, self.bias, out=out)
        self.cache = x
        return out

    def backward(self, dout):
        self.backward_weights(dout)
        return np.einsum("nm,mk->nk", dout, self.weight)

    def backward_weights(self, dout):
        self.dweight = np.einsum("nm,nk->mk", dout, self.cache)
        self.dbias = None if self.bias is None else np.einsum("nm->m", dout)
