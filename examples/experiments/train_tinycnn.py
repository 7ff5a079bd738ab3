"""Train both TinyCNNs side by side on 8 x 8 patterns.

Chapters 23 to 25 of the book: 200 images of a horizontal or a vertical line under noise. Both networks
start from the same weights and see the same batches; the two columns of losses are the point.
"""

import numpy as np


def line_patterns(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(count, 1, 8, 8) images under noise, (count,) labels: 0 a horizontal line, 1 a vertical one."""
    labels = rng.integers(2, size=count)
    images = 0.3 * rng.standard_normal((count, 1, 8, 8))
    for image, label, position in zip(images[:, 0], labels, rng.integers(8, size=count), strict=True):
        line = image[:, position] if label else image[position]
        line += 1
    return images, labels
