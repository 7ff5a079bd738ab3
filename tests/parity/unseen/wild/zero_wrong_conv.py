# coding: utf-8
import sys, os

sys.path.append(os.pardir)
import numpy as np
from common.functions import softmax, cross_entropy_error
from common.util import im2col, col2im


class Convolution:
    def __init__(self, W, b, stride=1, pad=0):
        self.W = W
        self.b = b
        self.stride = stride
        self.pad = pad

    def forward(self, x):
        FN, C, FH, FW = self.W.shape
        N, C, H, W = x.shape
        out_h = int(1 + (H + 2 * self.pad - FH) / self.stride)
        out_w = int(1 + (W + 2 * self.pad - FW) / self.stride)
        xp = np.pad(x, ((0, 0), (0, 0), (self.pad, self.pad), (self.pad, self.pad)))
        col = np.empty((N, out_h, out_w, C * FH * FW))
        for i in range(out_h):
            for j in range(out_w):
                a, b = i * self.stride, j * self.stride
                col[:, i, j] = xp[:, :, a : a + FH, b : b + FW].reshape(N, -1)
        self.x, self.col = x, col.reshape(-1, C * FH * FW)
        out = np.dot(self.col, self.W.reshape(FN, -1).T) + self.b
        return out.reshape(N, out_h, out_w, FN).transpose(0, 3, 1, 2)

    def backward(self, dout):
        FN, C, FH, FW = self.W.shape
        N, _, out_h, out_w = dout.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.db = np.sum(dout, axis=0)
        self.dW = np.dot(self.col.T, dout).reshape(FN, C, FH, FW)
        dcol = np.dot(dout, self.W.reshape(FN, -1)).reshape(N, out_h, out_w, C, FH, FW)
        H, W = self.x.shape[2:]
        dx = np.zeros((N, C, H + 2 * self.pad, W + 2 * self.pad))
        for i in range(out_h):
            for j in range(out_w):
                a, b = i * self.stride, j * self.stride
                dx[:, :, a : a + FH, b : b + FW] += dcol[:, i, j]
        return dx[:, :, self.pad : self.pad + H, self.pad : self.pad + W]


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        x[self.mask] = 0
        return x

    def backward(self, dout):
        return np.where(self.mask, 0, dout)
