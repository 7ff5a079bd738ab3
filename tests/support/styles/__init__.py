"""Right layers, losses and optimisers as students write them, each in another style: STYLES lists them all.

Their interface is the library's, some without its optional parameters. All are right for finite numbers and a
batch of at least one; what the library checks and refuses, they do not.
"""

from styles import (
    batch_norm_dropout,
    convolution,
    dense,
    loss,
    models,
    optimizers,
    pooling,
    relu_flatten,
)

MODULES = (convolution, pooling, relu_flatten, dense, loss, optimizers, batch_norm_dropout, models)
KINDS = (
    *("Conv2D", "MaxPool2D", "AvgPool2D", "ReLU", "Flatten", "Dense", "CrossEntropyLoss", "SGD", "Adam"),
    *("BatchNorm2D", "Dropout", "Sequential", "TinyCNN", "MNISTCNN"),
)
STYLES: dict[str, list[type]] = {
    kind: [
        value
        for module in MODULES
        for name, value in vars(module).items()
        if name.startswith(kind) and isinstance(value, type) and value.__module__ == module.__name__
    ]
    for kind in KINDS
}
