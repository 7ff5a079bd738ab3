"""python -m tinyframe.train"""
import numpy as np
from . import Sequential, Conv2d, BatchNorm2d, ReLU, MaxPool2d, Flatten, Dropout, Linear, CrossEntropy, Adam


def batches(x, y, size, rng):
    order = rng.permutation(len(x))
    for s in range(0, len(x), size):
        yield x[order[s:s + size]], y[order[s:s + size]]


def main():
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 1, 9, 9)), rng.integers(0, 3, 60)
    net = Sequential(Conv2d(1, 4, 3, padding=1), BatchNorm2d(4), ReLU(), MaxPool2d(2), Flatten(), Dropout(.1), Linear(64, 3))
    loss_fn, opt = CrossEntropy(), Adam(net.parameters(), 5e-3)
    for epoch in range(5):
        for xb, yb in batches(x, y, 20, rng):
            opt.zero_grad()
            loss = loss_fn(net(xb), yb)
            net.backward(loss_fn.backward())
            opt.step()
        print(epoch, loss)


if __name__ == '__main__':
    main()
