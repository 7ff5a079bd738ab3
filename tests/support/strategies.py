"""What hypothesis draws: shapes, settings and one seed. NumPy makes the numbers."""

from hypothesis import strategies as st

dtypes = st.sampled_from(["float32", "float64"])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def image_shapes(draw, min_side=1, max_side=9):
    """(N, C, H, W), not square more often than not; N = 1 included."""
    sides = st.integers(min_side, max_side)
    return draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(sides), draw(sides)


@st.composite
def windows(draw, shape, max_padding=2, half_kernel=False):
    """kernel_size, stride, padding that fit images of `shape`; the stride need not divide anything."""
    pairs = []
    for side in shape[2:]:
        padding = draw(st.integers(0, max_padding))
        kernel = draw(st.integers(max(1, 2 * padding if half_kernel else 1), max(side, 2 * padding, 1)))
        kernel = min(kernel, side + 2 * padding)
        pairs.append((kernel, draw(st.integers(1, 4)), padding))
    return tuple(zip(*pairs, strict=True))


@st.composite
def image_cases(draw, **options):
    """(shape, kernel_size, stride, padding, dtype, seed)."""
    shape = draw(image_shapes())
    return shape, *draw(windows(shape, **options)), draw(dtypes), draw(seeds)
