"""The picture of a mistake: the right cells, in the right colours, with room for every word."""

import ast
import dataclasses
import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import parity
import tinycnn_numpy as tn
from parity import heatmap
from parity.heatmap import CHANNELS, ENTRIES, IMAGES, NOT_FINITE, PANELS, WITHIN, Panel, axes_of, draw, save


def right(*shape):
    return np.random.default_rng(0).uniform(0, 1, shape)


def wrong_at(shape, *places, ratio=1e4):
    ratios = right(*shape)
    for place in places:
        ratios[place] = ratio
    return ratios


def colours(axes):
    """The colour of every cell of a picture, (rows, columns), as it is drawn."""
    (image,) = axes.images
    rgba = image.to_rgba(image.get_array())
    return np.array([[to_hex(cell) for cell in row] for row in rgba])


def wrong_cells(axes):
    return [tuple(map(int, place)) for place in np.argwhere(colours(axes) != WITHIN)]


def title(figure, panel=0):
    """The lines above a panel."""
    return figure.subfigs[panel].get_suptitle()


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


def test_one_picture_a_panel_and_each_with_its_own_scale():
    for count in (1, 2):
        figure = draw(MANY[:count])
        assert isinstance(figure, Figure)
        assert len(figure.subfigs) == count and len(figure.axes) == 2 * count
        for part in figure.subfigs:
            picture, bar = part.axes
            assert bar.get_xlabel() == "error / bound" and picture.images[0].cmap is not None
    figure = draw(
        [Panel("a", "dx", wrong_at((2, 3), 0, ratio=1e3)), Panel("b", "dx", wrong_at((2, 3), 0, ratio=1e9))]
    )
    assert [part.axes[0].images[0].norm.vmax for part in figure.subfigs] == [3, 9]


def test_what_is_too_much_is_counted():
    def last(panels):
        (text,) = draw(panels).subfigs[-1].texts
        return text.get_text()

    assert len(draw(MANY).axes) == 2 * PANELS
    assert last(MANY) == f"and {len(MANY) - PANELS} more that are not drawn"
    assert last(MANY[: PANELS + 1]) == "and 1 more that is not drawn"


def test_images_stand_in_rows_of_channels():
    figure = draw([Panel("conv", "dx", wrong_at((2, 3, 4, 5), (1, 2, 3, 0), (0, 1, 2, 4)))])
    axes = figure.axes[0]
    assert colours(axes).shape == (2 * 4, 3 * 5)
    assert wrong_cells(axes) == [(2, 5 + 4), (4 + 3, 10)]
    assert title(figure) == "conv dx\n2 of 120 entries wrong" and axes.get_title() == ""
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
        return draw([Panel("relu", "dx", ratios)]).axes[-1].get_xticklabels()[-1].get_text()

    assert top(wrong_at((3, 4), 0, ratio=np.inf)) == "10 and more"
    assert top(wrong_at((3, 4), 0, ratio=3e14)) == "$10^{15}$"
    assert top(right(3, 4)) == "10"


def test_of_a_large_tensor_the_first_part_is_drawn_and_the_title_says_so():
    figure = draw([Panel("conv", "dx", wrong_at((16, 32, 7, 7), (0, 0, 6, 6), (15, 31, 0, 0)))])
    axes = figure.axes[0]
    assert colours(axes).shape == (IMAGES * 7, CHANNELS * 7)
    assert wrong_cells(axes) == [(6, 6)]
    assert title(figure).replace("\n", " ") == (
        "conv dx 2 of 25,088 entries wrong; drawn: n 0 to 3 of 16, c 0 to 7 of 32"
    )


def test_where_the_first_part_is_right_another_is_drawn():
    figure = draw([Panel("conv", "dx", wrong_at((16, 32, 7, 7), (5, 30, 2, 3)))])
    axes = figure.axes[0]
    assert wrong_cells(axes) == [(2, 6 * 7 + 3)]
    assert title(figure).endswith("drawn: n 5 to 8 of 16, c 24 to 31 of 32")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["n=5", "n=6", "n=7", "n=8"]


def test_large_images_and_matrices():
    figure = draw([Panel("conv", "out", wrong_at((1, 3, 200, 300), (0, 2, 150, 40)))])
    axes = figure.axes[0]
    assert colours(axes).shape == (ENTRIES, ENTRIES)
    assert wrong_cells(axes) == [(150 - (200 - ENTRIES), 40)]
    words = " ".join(title(figure).split())
    assert words.endswith("c 2 to 2 of 3, h 72 to 199 of 200, w 0 to 127 of 300")
    figure = draw([Panel("fc", "dweight", wrong_at((10, 800), (9, 500)))])
    axes = figure.axes[0]
    assert wrong_cells(axes) == [(9, 0)]
    assert title(figure).endswith("drawn: k 500 to 627 of 800")
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


VALUES = [
    Panel(
        "Conv2D",
        "dx",
        wrong_at((2, 3, 7, 6), 1),
        "stride",
        given=right(2, 3, 7, 6),
        expected=right(2, 3, 7, 6),
    ),
    Panel(
        "Dense", "dbias", wrong_at((5,), 1), given=-1e-7 * right(5), expected=right(5), caption="a word " * 60
    ),
    Panel("loss", "loss", np.array(9.0), given=np.array(-1234567.0), expected=np.array(1e-12)),
    Panel("fc", "dweight", wrong_at((10, 800), (9, 500)), given=right(10, 800), expected=right(10, 800)),
    Panel("ReLU", "dx", wrong_at((4, 5), 1), given=np.full((4, 5), np.nan), expected=right(4, 5)),
]


@pytest.mark.parametrize(
    "panels", [pytest.param(MANY, marks=pytest.mark.slow), MANY[7:8], MANY[9:10], *([one] for one in VALUES)]
)
def test_no_word_stands_on_another(panels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(panels)
        figure.draw_without_rendering()
    words = [text for axes in figure.axes for text in texts(axes)]
    words += [text for part in figure.subfigs for text in (part._suptitle, part._supxlabel) if text]
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
    figure = draw(MANY[4:5])
    save(figure, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)
    save(figure, str(tmp_path / name))


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
    draw([Panel("conv", "dx", ratios, given=ratios, expected=ratios)])
    assert np.array_equal(ratios, before, equal_nan=True)


def drawn_of(figure, panel=0):
    """The numbers behind the three pictures of a panel, NaN where a cell is black, and their titles."""
    pictures = [axes for axes in figure.subfigs[panel].axes if axes.images]
    return {axes.get_title().split(" (")[0].split(",")[0]: axes for axes in pictures}


def numbers_of(axes):
    return np.ma.filled(axes.images[0].get_array().astype(float), np.nan)


MINE = np.arange(24.0).reshape(2, 3, 2, 2) - 7
EXPECTED = MINE + np.where(np.arange(24).reshape(2, 3, 2, 2) % 5 == 0, 2.0, 0.0)
RATIOS = np.where(MINE == EXPECTED, 0.0, 1e6)


def as_drawn(array):
    """(N, C, H, W) as N rows of C images, written out."""
    return np.block([[array[n, c] for c in range(array.shape[1])] for n in range(array.shape[0])])


def assert_three_pictures(figure):
    pictures = drawn_of(figure)
    assert list(pictures) == ["mine", "expected", "difference"]
    assert np.array_equal(numbers_of(pictures["mine"]), as_drawn(MINE))
    assert np.array_equal(numbers_of(pictures["expected"]), as_drawn(EXPECTED))
    wrong = as_drawn(RATIOS) > 1
    difference = pictures["difference"]
    assert np.array_equal(numbers_of(difference)[wrong], as_drawn(MINE - EXPECTED)[wrong])
    assert np.array_equal(colours(difference) != WITHIN, wrong)


class TestMineExpectedDifference:
    PANEL = Panel("Conv2D", "dx", RATIOS, "padding", given=MINE, expected=EXPECTED, caption="it is shifted.")

    def test_each_stands_where_its_title_says(self):
        figure = draw([self.PANEL])
        assert_three_pictures(figure)
        assert title(figure) == "Conv2D dx: padding\n5 of 24 entries wrong"
        assert figure.subfigs[0].get_supxlabel() == "it is shifted."

    @pytest.mark.parametrize(
        "planted",
        [
            {"given": EXPECTED, "expected": MINE},
            {"given": EXPECTED},
            {"given": MINE[:, :, ::-1]},
            {"given": MINE.transpose(0, 1, 3, 2)},
            {"expected": np.roll(EXPECTED, 1, axis=0)},
            {"ratios": RATIOS * 0 + 9},
        ],
    )
    def test_a_wrong_drawing_is_seen(self, planted):
        with pytest.raises(AssertionError):
            assert_three_pictures(draw([dataclasses.replace(self.PANEL, **planted)]))

    def test_each_scale_is_that_of_its_own_numbers_and_0_is_in_its_middle(self):
        given, expected = np.array([[1.0, -3.0]]), np.array([[1.0, 0.5]])
        pictures = drawn_of(draw([Panel("fc", "dx", np.array([[0.0, 9.0]]), given=given, expected=expected)]))
        limits = {name: (a.images[0].norm.vmin, a.images[0].norm.vmax) for name, a in pictures.items()}
        assert limits == {"mine": (-3, 3), "expected": (-1, 1), "difference": (-3.5, 3.5)}

    def test_the_bar_names_the_ends(self):
        figure = draw([Panel("fc", "dx", np.array([9.0]), given=np.array([-3.0]), expected=np.array([0.5]))])
        bars = [axes for axes in figure.axes if not axes.images]
        ends = [[label.get_text() for label in bar.get_xticklabels()] for bar in bars]
        assert ends == [["-3", "0", "3"], ["-0.5", "0", "0.5"], ["-3.5", "0", "3.5"]]

    def test_red_is_above_0_and_blue_below(self):
        panel = Panel("fc", "dx", np.array([0.0, 9.0]), given=np.array([2.0, -2.0]), expected=np.zeros(2))
        (above, below) = drawn_of(draw([panel]))["mine"].images[0].to_rgba(np.array([2.0, -2.0]))
        assert above[0] > above[2] and below[2] > below[0]

    def test_what_is_not_finite_is_black_and_counted(self):
        given = np.array([[np.nan, np.inf, 1.0]])
        ratios = np.array([[np.inf, np.inf, 0.0]])
        pictures = drawn_of(draw([Panel("fc", "dx", ratios, given=given, expected=np.ones((1, 3)))]))
        assert list(colours(pictures["mine"])[0][:2]) == [NOT_FINITE] * 2
        assert list(colours(pictures["difference"])[0]) == [NOT_FINITE, NOT_FINITE, WITHIN]
        assert pictures["mine"].get_title() == "mine, 2 not finite (black)"
        assert pictures["expected"].get_title() == "expected"

    def test_the_same_part_is_drawn_of_all_three(self):
        ratios = wrong_at((16, 3, 4, 5), (15, 2, 3, 4))
        given = np.arange(ratios.size, dtype=float).reshape(ratios.shape)
        figure = draw([Panel("conv", "dx", ratios, given=given, expected=given + 1)])
        pictures = drawn_of(figure)
        assert np.array_equal(numbers_of(pictures["mine"]), as_drawn(given[12:]))
        assert np.array_equal(numbers_of(pictures["expected"]), as_drawn(given[12:] + 1))

    def test_a_single_number_is_written(self):
        figure = draw([Panel("loss", "loss", np.array(9.0), given=np.array(2.5), expected=np.array(2.0))])
        said = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert said == ["2.5", "2", "0.5"]


class TestOfACheckup:
    def test_every_wrong_tensor_once_with_its_sentence(self):
        class ReLU(tn.ReLU):
            def backward(self, dout):
                return -super().backward(dout)

        checkup = parity.check(ReLU)
        figure = parity.heat_map(checkup)
        assert title(figure).startswith("ReLU dx: images\n") and len(figure.subfigs) == 1
        sentence = checkup.checks[0].diagnoses[0].sentence
        assert " ".join(figure.subfigs[0].get_supxlabel().split()) == sentence
        row = next(row for row in checkup.checks[0].rows if row.tensor == "dx")
        pictures = drawn_of(figure)
        assert np.array_equal(numbers_of(pictures["mine"]), as_drawn(row.given.astype(float)))
        assert np.array_equal(row.given, -row.expected) and (row.given != 0).any()

    def test_a_parameter_and_a_stage_have_their_names(self):
        class SGD(tn.SGD):
            def step(self):
                for p in self.parameters:
                    p.data -= 2 * self.lr * p.grad

        assert title(parity.heat_map(parity.check(SGD))).startswith("SGD parameter 0: plain\n")


def test_nothing_else_in_parity_needs_matplotlib():
    for file in Path(heatmap.__file__).parent.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if file.name != "heatmap.py":
            imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
            assert "matplotlib" not in " ".join(map(ast.unparse, imports)), file.name
