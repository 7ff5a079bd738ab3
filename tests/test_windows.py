"""Reading windows and adding them back are each other's transpose."""

import numpy as np
from hypothesis import given
from strategies import image_cases

from tinycnn_numpy.windows import images_first, pixels_first, windows_of, zeros_and_windows


def test_by_hand():
    x = np.arange(6.0).reshape(1, 1, 2, 3)
    windows = windows_of(x, (2, 2), (1, 1), (0, 0))
    assert windows.shape == (1, 2, 2, 2, 1, 1)
    assert windows[0, 1, :, :, 0, 0].tolist() == [[1, 2], [4, 5]]


@given(image_cases())
def test_adding_back_is_the_transpose_of_reading(case):
    shape, kernel, stride, padding, _, seed = case
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    windows = windows_of(x, kernel, stride, padding)
    g = rng.standard_normal(windows.shape)
    dx, dx_windows = zeros_and_windows(shape, x.dtype, kernel, stride, padding)
    for i, j in np.ndindex(kernel):
        dx_windows[:, :, i, j] += g[:, :, i, j]
    np.testing.assert_allclose((windows * g).sum(), (x * dx).sum(), rtol=1e-10, atol=1e-10)


def test_the_transpose_check_rejects_assignment_where_windows_overlap():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 1, 4, 5))
    windows = windows_of(x, (2, 2), (1, 1), (0, 0))
    g = rng.standard_normal(windows.shape)
    dx, dx_windows = zeros_and_windows(x.shape, x.dtype, (2, 2), (1, 1), (0, 0))
    for i, j in np.ndindex(2, 2):
        dx_windows[:, :, i, j] = g[:, :, i, j]
    assert abs((windows * g).sum() - (x * dx).sum()) > 0.1


def test_memory_that_runs_pixels_first_is_not_copied():
    x = images_first(np.zeros((4, 5, 2, 3)))
    assert np.shares_memory(pixels_first(x), x)
