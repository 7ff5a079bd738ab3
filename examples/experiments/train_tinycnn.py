"""Train both TinyCNNs side by side on 8 x 8 patterns.

Chapters 23 to 25 of the book: 200 images of a horizontal or a vertical line under noise. Both networks
start from the same weights and see the same batches; the two columns of losses are the point.
"""

import numpy as np

import tinycnn_numpy as tn


def line_patterns(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(count, 1, 8, 8) images under noise, (count,) labels: 0 a horizontal line, 1 a vertical one."""
    labels = rng.integers(2, size=count)
    images = 0.3 * rng.standard_normal((count, 1, 8, 8))
    for image, label, position in zip(images[:, 0], labels, rng.integers(8, size=count), strict=True):
        line = image[:, position] if label else image[position]
        line += 1
    return images, labels


def filters_of(seed: int, epochs: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """The filters (4, 3, 3) of a TinyCNN before and after training on 200 patterns, as the program does."""
    rng = np.random.default_rng(seed)
    images, labels = line_patterns(200, rng)
    model = tn.TinyCNN(rng=rng, dtype=np.float64)
    before = model.conv.weight[:, 0].copy()
    optimizer = tn.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(epochs):
        batches = np.split(rng.permutation(200), range(20, 200, 20))
        tn.train_epoch(model, tn.CrossEntropyLoss(), optimizer, images, labels, batches)
    return before, model.conv.weight[:, 0].copy()
