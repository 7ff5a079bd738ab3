"""The picture of a mistake: the right cells, in the right colours, with room for every word."""

import ast
import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from parity import heatmap
from parity.heatmap import CHANNELS, ENTRIES, IMAGES, PANELS, WITHIN, Panel, axes_of, draw, save


def right(*shape):
    return np.random.default_rng(0).uniform(0, 1, shape)


def wrong_at(shape, *places, ratio=1e4):
    ratios = right(*shape)
    for place in places:
        ratios[place] = ratio
    return ratios


def colours(axes):
    """The colour of every cell of a picture, (rows, columns)."""
    (image,) = axes.images
    rgba = image.cmap(image.norm(image.get_array()))
    return np.array([[to_hex(cell) for cell in row] for row in rgba])


def wrong_cells(axes):
    return [tuple(map(int, place)) for place in np.argwhere(colours(axes) != WITHIN)]


def texts(axes):
    """Every word of a picture: title, names of the axes, and numbers that are in sight."""
    numbers = [
        label
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if label.get_visible()
    ]
    return [text for text in (axes.title, axes.xaxis.label, axes.yaxis.label, *numbers) if text.get_text()]


MANY = [
    Panel("conv2", "dx", wrong_at((16, 32, 26, 28), (0, 0, 3, 3)), "stride that does not divide, and so on"),
    Panel("conv1", "dweight", wrong_at((16, 1, 3, 3), 2)),
    Panel("conv2", "dweight", wrong_at((32, 16, 3, 3), 2)),
    Panel("pool2", "dx", wrong_at((16, 32, 11, 11), 1, ratio=np.inf)),
    Panel("conv2", "dbias", wrong_at((32,), 7)),
    Panel("fc", "dweight", wrong_at((10, 800), 7)),
    Panel("flatten", "out", wrong_at((33, 800), 7)),
    Panel("Conv2D", "dx", wrong_at((3, 2, 7, 6), 1)),
    Panel("Conv2D", "dx", wrong_at((2, 3, 12, 13), 1)),
    Panel("loss", "loss", np.array(3.0)),
    Panel("steps", "0", wrong_at((6, 3, 4), 5)),
    Panel("steps", "1", wrong_at((10, 4, 1, 3, 3), 5), "momentum and weight decay"),
    *[Panel("loss", "dlogits", wrong_at((4, 10), 3))] * 3,
]


def test_one_picture_a_panel_and_one_colour_bar():
    for count in (1, 2, 5, PANELS):
        figure = draw(MANY[:count])
        assert isinstance(figure, Figure)
        assert len(figure.axes) == count + 1
        assert figure.axes[-1].get_ylabel() == "error / bound"
        assert figure.get_supxlabel() == ""
        limits = {(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in figure.axes[:-1]}
        assert len(limits) == 1


def test_what_is_too_much_is_counted():
    figure = draw(MANY)
    assert len(figure.axes) == PANELS + 1
    assert figure.get_supxlabel() == "and 3 more that are not drawn"
    assert draw(MANY[: PANELS + 1]).get_supxlabel() == "and 1 more that is not drawn"


def test_images_stand_in_rows_of_channels():
    axes = draw([Panel("conv", "dx", wrong_at((2, 3, 4, 5), (1, 2, 3, 0), (0, 1, 2, 4)))]).axes[0]
    assert colours(axes).shape == (2 * 4, 3 * 5)
    assert wrong_cells(axes) == [(2, 5 + 4), (4 + 3, 10)]
    assert axes.get_title() == "conv dx\n2 of 120 entries wrong"
    assert axes.get_xlabel() == "column w in each channel c"
    assert axes.get_ylabel() == "row h in each image n"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["c=0", "c=1", "c=2"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["n=0", "n=1"]


@pytest.mark.parametrize(
    "shape, place, cells",
    [((3, 4), (2, 1), [(2, 1)]), ((5,), 3, [(0, 3)]), ((2, 3, 4), (1, 2, 0), [(2, 4)]), ((), (), [(0, 0)])],
)
def test_smaller_tensors(shape, place, cells):
    axes = draw([Panel("fc", "dx", wrong_at(shape, place))]).axes[0]
    assert wrong_cells(axes) == cells


def test_more_than_four_axes_run_down():
    axes = draw([Panel("steps", "0", wrong_at((2, 2, 3, 4, 5), (1, 0, 2, 3, 1)))]).axes[0]
    assert colours(axes).shape == (4 * 4, 3 * 5)
    assert wrong_cells(axes) == [(2 * 4 + 3, 10 + 1)]


def test_the_worse_the_darker():
    axes = draw(
        [Panel("fc", "dbias", np.array([0.0, 0.5, 1.0, 1.01, 30.0, 1e5, 1e30, np.inf, np.nan]))]
    ).axes[0]
    (cells,) = colours(axes)
    assert list(cells[:3]) == [WITHIN] * 3
    light = [sum(int(cell[i : i + 2], 16) for i in (1, 3, 5)) for cell in cells[2:6]]
    assert light == sorted(light, reverse=True)
    assert len(set(cells[2:6])) == 4
    assert set(cells[5:]) == {cells[5]}  # an infinite ratio has the colour of the largest finite one


def test_where_the_bound_is_0_the_bar_says_so():
    def top(ratios):
        return draw([Panel("relu", "dx", ratios)]).axes[-1].get_yticklabels()[-1].get_text()

    assert top(wrong_at((3, 4), 0, ratio=np.inf)) == "10 and more"
    assert top(wrong_at((3, 4), 0, ratio=3e14)) == "$10^{15}$"
    assert top(right(3, 4)) == "10"


def test_of_a_large_tensor_the_first_part_is_drawn_and_the_title_says_so():
    axes = draw([Panel("conv", "dx", wrong_at((16, 32, 7, 7), (0, 0, 6, 6), (15, 31, 0, 0)))]).axes[0]
    assert colours(axes).shape == (IMAGES * 7, CHANNELS * 7)
    assert wrong_cells(axes) == [(6, 6)]
    assert axes.get_title() == "conv dx\n2 of 25,088 entries wrong\ndrawn: n 0 to 3 of 16, c 0 to 7 of 32"


def test_where_the_first_part_is_right_another_is_drawn():
    axes = draw([Panel("conv", "dx", wrong_at((16, 32, 7, 7), (5, 30, 2, 3)))]).axes[0]
    assert wrong_cells(axes) == [(2, 6 * 7 + 3)]
    assert axes.get_title().endswith("drawn: n 5 to 8 of 16, c 24 to 31 of 32")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["n=5", "n=6", "n=7", "n=8"]


def test_large_images_and_matrices():
    axes = draw([Panel("conv", "out", wrong_at((1, 3, 200, 300), (0, 2, 150, 40)))]).axes[0]
    assert colours(axes).shape == (ENTRIES, ENTRIES)
    assert wrong_cells(axes) == [(150 - (200 - ENTRIES), 40)]
    assert axes.get_title().endswith("c 2 to 2 of 3, h 72 to 199 of 200, w 0 to 127 of\n300")
    axes = draw([Panel("fc", "dweight", wrong_at((10, 800), (9, 500)))]).axes[0]
    assert wrong_cells(axes) == [(9, 0)]
    assert axes.get_title().endswith("drawn: k 500 to 627 of 800")
    assert axes.get_xticklabels()[0].get_text() == "500"


def test_axes_are_named_after_what_runs_along_them():
    assert axes_of("conv", "dweight", 4) == ("filter f", "channel c", "row i", "column j")
    assert axes_of("fc", "dweight of backward_weights", 2) == ("output m", "input k")
    assert axes_of("fc", "dx", 2) == ("image n", "input k")
    assert axes_of("loss", "dlogits", 2) == ("image n", "class k")
    assert axes_of("loss", "loss", 0) == ()
    assert axes_of("steps", "0", 3) == ("step", "row", "column")
    assert axes_of("steps", "0 exp_avg", 2) == ("row", "column")
    assert axes_of("", "x of yours", 6) == ("axis 0", "axis 1", "block", "part", "row", "column")
    axes = draw([Panel("mine", "dx", wrong_at((2, 3), 1), axes=("sentence s", "word t"))]).axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("sentence s", "word t")


@pytest.mark.parametrize("panels", [MANY, MANY[3:5], MANY[7:8], MANY[9:10]])
def test_no_word_stands_on_another(panels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(panels)
        figure.draw_without_rendering()
    words = [text for axes in figure.axes for text in texts(axes)]
    boxes = [text.get_window_extent().extents for text in words]  # x0, y0, x1, y1
    for (one, (a, b, c, d)), (other, (e, f, g, h)) in itertools.combinations(
        zip(words, boxes, strict=True), 2
    ):
        assert c <= e + 1 or g <= a + 1 or d <= f + 1 or h <= b + 1, (one, other)  # a pixel of 100 an inch
    for word, (a, b, c, d) in zip(words, boxes, strict=True):
        assert a >= 0 and c <= figure.bbox.x1 and b >= 0 and d <= figure.bbox.y1, word


def test_a_dollar_is_a_dollar(tmp_path):
    save(draw([Panel("a$b", "c$d", np.array(7.0), "50 $ \\frac")]), tmp_path / "one.png")


@pytest.mark.parametrize(
    "name, begins", [("map.png", b"\x89PNG"), ("map.svg", b"<?xml"), ("map.PNG", b"\x89PNG")]
)
def test_it_is_written(tmp_path, name, begins):
    save(draw(MANY[7:9]), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)
    save(draw(MANY[7:9]), str(tmp_path / name))


def test_what_is_refused(tmp_path):
    for name in ("map.gif", "map"):
        with pytest.raises(
            ValueError, match=r"^save: path is '.*map.*', expected a name that ends in .png or .svg$"
        ):
            save(draw(MANY[:1]), tmp_path / name)
        assert not (tmp_path / name).exists()
    with pytest.raises(ValueError, match=r"^draw: panels is empty, expected at least one$"):
        draw([])
    with pytest.raises(
        ValueError, match=r"^draw: ratios of fc dx has shape \(0, 3\), expected at least one entry$"
    ):
        draw([Panel("fc", "dx", np.zeros((0, 3)))])
    with pytest.raises(ValueError, match=r"^draw: axes of fc dx is \('n',\), expected 2 names$"):
        draw([Panel("fc", "dx", right(2, 3), axes=("n",))])


def test_what_it_is_given_stays_as_it_is():
    ratios = wrong_at((20, 3, 4, 5), 19, ratio=np.nan)
    before = ratios.copy()
    draw([Panel("conv", "dx", ratios)])
    assert np.array_equal(ratios, before, equal_nan=True)


def test_nothing_else_in_parity_needs_matplotlib():
    for file in Path(heatmap.__file__).parent.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if file.name != "heatmap.py":
            imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
            assert "matplotlib" not in " ".join(map(ast.unparse, imports)), file.name
