"""Right code for models, each class in another style."""

from functools import reduce

import numpy as np

import tinycnn_numpy as tn
from styles.convolution import (
    Conv2DByFullConvolution,
    Conv2DByKernelPositions,
    Conv2DByTensordot,
    Conv2DChannelsLast,
)
from styles.dense import DenseByDotWithoutOptions, DenseByEinsum, DenseByOuterProducts
from styles.pooling import (
    MaxPool2DByMask,
    MaxPool2DByReshape,
    MaxPool2DBySlidingWindows,
    MaxPool2DWithoutOptions,
)
from styles.relu_flatten import (
    FlattenByReshape,
    FlattenReversed,
    ReLUByAssignment,
    ReLUByMask,
    ReLUByWhere,
    ReLUReadOnly,
)
from styles.shared import parameters_of


class SequentialByList:
    """A list, forwards and backwards; every stage is an attribute too."""

    def __init__(self, **stages):
        self.layers = list(stages.values())
        self.__dict__.update(stages)

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in self.layers[::-1]:
            dout = layer.backward(dout)
        return dout

    backward_weights = backward

    def parameters(self):
        return [parameter for layer in self.layers for parameter in parameters_of(layer)]


class SequentialByReduce:
    """functools.reduce, both ways; neither parameters nor attributes for the stages."""

    def __init__(self, **stages):
        self.stages = stages

    def forward(self, x):
        return reduce(lambda value, layer: layer.forward(value), self.stages.values(), x)

    def backward(self, dout):
        return reduce(lambda value, layer: layer.backward(value), reversed(self.stages.values()), dout)


class SequentialByRecursion(tn.Layer):
    """The first stage, then a Sequential of the others; on top of the library's Layer."""

    def __init__(self, **stages):
        (self.name, self.first), *others = stages.items()
        self.others = SequentialByRecursion(**dict(others)) if others else None
        vars(self).update(stages)  # model.conv1 and so on

    def forward(self, x):
        out = self.first.forward(x)
        return out if self.others is None else self.others.forward(out)

    def backward(self, dout):
        return self.first.backward(dout if self.others is None else self.others.backward(dout))

    def named_parameters(self):
        yield from ((f"{self.name}.{p.name}", p) for p in parameters_of(self.first))
        yield from () if self.others is None else self.others.named_parameters()


class TinyCNNByAttributes:
    """One attribute for each layer, one line for each way; without rng or dtype."""

    def __init__(self):
        self.conv, self.relu = Conv2DByTensordot(1, 4, 3, rng=np.random.default_rng(0)), ReLUByWhere()
        self.pool, self.flatten = MaxPool2DWithoutOptions(2), FlattenByReshape()
        self.fc = DenseByDotWithoutOptions(36, 2)

    def forward(self, x):
        x = self.pool.forward(self.relu.forward(self.conv.forward(x)))
        return self.fc.forward(self.flatten.forward(x))

    def backward(self, dout):
        dout = self.flatten.backward(self.fc.backward(dout))
        return self.conv.backward(self.relu.backward(self.pool.backward(dout)))


class TinyCNNByInheritance(SequentialByList):
    """A list of layers whose results lie in unusual memory."""

    def __init__(self, *, rng, dtype=np.float32):
        super().__init__(
            conv=Conv2DByKernelPositions(1, 4, 3, rng=rng, dtype=dtype),
            relu=ReLUReadOnly(),
            pool=MaxPool2DBySlidingWindows(2),
            flatten=FlattenReversed(),
            fc=DenseByOuterProducts(36, 2, rng=rng, dtype=dtype),
        )


class MNISTCNNByRecursion(SequentialByRecursion):
    """A stage and the model after it, with the library's state_dict."""

    def __init__(self, *, rng, dtype=np.float32):
        super().__init__(
            conv1=Conv2DChannelsLast(1, 16, 3, rng=rng, dtype=dtype),
            relu1=ReLUByMask(),
            pool1=MaxPool2DByReshape(2),
            conv2=Conv2DByFullConvolution(16, 32, 3, rng=rng, dtype=dtype),
            relu2=ReLUByAssignment(),
            pool2=MaxPool2DByMask(2, 2),
            flatten=FlattenByReshape(),
            fc=DenseByEinsum(800, 10, rng=rng, dtype=dtype),
        )
