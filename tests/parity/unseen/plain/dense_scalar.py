import numpy as np

from tinycnn_numpy.layer import Layer


class Dense(Layer):
    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        self.in_features = in_features
        self.out_features = out_features
        limit = 1 / in_features**0.5
        self.weight = rng.uniform(-limit, limit, (out_features, in_features)).astype(dtype)
        self.bias = None
        if bias:
            self.bias = rng.uniform(-limit, limit, out_features).astype(dtype)

    def forward(self, x):
        self.x = x
        N = x.shape[0]
        out = np.zeros((N, self.out_features), x.dtype)
        for n in range(N):
            for m in range(self.out_features):
                s = 0
                for k in range(self.in_features):
                    s += self.weight[m, k] * x[n, k]
                if self.bias is not None:
                    s += self.bias[m]
                out[n, m] = s
        return out

    def backward(self, dout):
        x = self.x
        N, M = dout.shape
        K = self.in_features
        dx = np.zeros((N, K), dout.dtype)
        dw = np.zeros((M, K), dout.dtype)
        db = np.zeros(M, dout.dtype)
        for n in range(N):
            for m in range(M):
                g = dout[n, m]
                db[m] += g
                for k in range(K):
                    dw[m, k] += g * x[n, k]
                    dx[n, k] += g * self.weight[m, k]
        self.dweight = dw
        if self.bias is not None:
            self.dbias = db
        return dx
