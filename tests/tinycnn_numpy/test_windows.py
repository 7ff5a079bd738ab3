"""Reading windows and adding them back are each other's transpose."""

import numpy as np
import pytest
from hypothesis import given
from strategies import image_cases

from tinycnn_numpy.windows import (
    blocks_of_rows,
    images_first,
    pixels_first,
    windows_of,
    zeros_and_windows,
)


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


def test_pixels_first_is_the_order_of_memory():
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    assert pixels_first(x).flags.c_contiguous and np.array_equal(images_first(pixels_first(x)), x)


def test_memory_that_runs_pixels_first_is_not_copied():
    x = images_first(np.zeros((4, 5, 2, 3)))
    assert np.shares_memory(pixels_first(x), x)


@pytest.mark.parametrize(
    ("bytes_of_a_row", "rows_of_a_block"),
    [(0, 7), (2**10, 7), (2**18 + 8, 3), (2**19, 2), (2**20, 1), (2**22, 1)],
)
def test_blocks_take_every_row_once_and_a_megabyte_at_a_time(bytes_of_a_row, rows_of_a_block):
    windows = np.broadcast_to(0.0, (7, bytes_of_a_row // 8))
    blocks = [np.arange(7)[rows] for rows in blocks_of_rows(windows)]
    assert np.concatenate(blocks).tolist() == list(range(7))
    assert {len(block) for block in blocks[:-1]} <= {rows_of_a_block} and len(blocks[0]) == rows_of_a_block
