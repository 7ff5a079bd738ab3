"""A picture of one's own: what becomes of it, what the network says, and what is said of no picture."""

import re
import struct
import zlib

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.backend_bases import MouseButton, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont, ImageOps
from safetensors.numpy import load_file

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples import predict as program
from examples import train_mnist
from examples.common.data import normalise
from examples.experiments import drawing, predict
from examples.playground.start import MNIST_WEIGHTS, TEN_DIGITS
from parity import load_weights

DIGITS = load_file(TEN_DIGITS)  # a test image of MNIST for each digit, (10, 28, 28) bytes
FONT = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"


@pytest.fixture
def small_pictures(monkeypatch):
    monkeypatch.setattr("examples.common.figures.save", lambda figure, path: figure.savefig(path, dpi=20))


@pytest.fixture
def no_pictures(monkeypatch):
    """For quick tests: the figures are made, and files of these names."""
    monkeypatch.setattr("examples.common.figures.save", lambda figure, path: path.touch())


@pytest.fixture(scope="module")
def trained():
    return predict.load_weights_of(MNIST_WEIGHTS)


def written(text, size=(300, 200), height=150, ink=(0, 0, 0), paper=(255, 255, 255), mode="RGB"):
    """A picture with this text in it."""
    picture = Image.new(mode, size, paper)
    font = ImageFont.truetype(FONT, height)
    ImageDraw.Draw(picture).text((size[0] // 3, size[1] // 20), text, font=font, fill=ink)
    return picture


def on_paper(digit, paper=255, scale=7, place=(31, 12), size=(400, 300)):
    """An image of MNIST as a dark drawing, `scale` times as large, somewhere on a sheet."""
    drawn = Image.fromarray(255 - digit).resize((28 * scale, 28 * scale), Image.Resampling.BICUBIC)
    sheet = Image.new("L", size, paper)
    sheet.paste(drawn, place)
    return sheet


def said_of(trained, picture):
    image, pixels, done = trained.prepare(picture)
    assert image.dtype == np.float32 and done
    return predict.decide(trained.model, image).answer, pixels


CHANGES = {
    "plain": lambda sheet: sheet,
    "inverted": ImageOps.invert,
    "colours": lambda sheet: ImageOps.colorize(sheet, (120, 0, 160), (250, 240, 170)),
    "colours of one brightness": lambda sheet: ImageOps.colorize(sheet, (255, 0, 0), (0, 130, 0)),
    "weak": lambda sheet: sheet.point(lambda value: 150 + value // 4),
    "transparent": lambda sheet: transparent(sheet, 0),
    "white on transparent": lambda sheet: transparent(sheet, 255),
    "palette": lambda sheet: sheet.convert("P"),
    "small": lambda sheet: sheet.resize((100, 75)),
    "large": lambda sheet: sheet.resize((1600, 1200)),
}


def transparent(sheet, ink):
    picture = Image.new("RGBA", sheet.size, (ink, ink, ink, 0))
    picture.putalpha(ImageOps.invert(sheet))
    return picture


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_digit_is_known_whatever_it_is_drawn_with(change, trained, tmp_path):
    """And of the ten images of MNIST, what the network is given is nearest to the one that was drawn."""
    for digit, label in zip(DIGITS["images"], DIGITS["labels"], strict=True):
        change(on_paper(digit)).save(tmp_path / "digit.png")
        answer, pixels = said_of(trained, predict.open_picture(tmp_path / "digit.png"))
        assert answer == label
        assert DIGITS["labels"][nearest(pixels)] == label


def nearest(pixels):
    """The index in DIGITS of the image that differs least; rounding may have placed it a pixel beside."""
    beside = [np.roll(pixels, (i, j), axis=(0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return np.argmin([min(abs(moved - digit / 255).mean() for moved in beside) for digit in DIGITS["images"]])


def test_an_image_that_is_not_centred_is_another_one(trained):
    """Without the last step most answers differ: the step is needed, and the test above sees it."""
    wrong = 0
    for digit, label in zip(DIGITS["images"], DIGITS["labels"], strict=True):
        sheet = np.pad(digit, 4)  # the digit in the middle of 36 x 36
        moved = sheet[:28, -28:]
        wrong += predict.decide(trained.model, normalise(moved[None] / 255)[0]).answer != label
        assert said_of(trained, Image.fromarray(np.pad(digit, ((30, 5), (2, 40)))))[0] == label
    assert wrong >= 3


@pytest.mark.parametrize("text", list("02357"))
def test_a_printed_digit_is_known(text, trained):
    for picture in (
        written(text),
        written(text, (70, 60), 40, (250, 250, 0), (20, 20, 90)),
        written(text, ink=(0, 90, 0, 255), paper=(0, 0, 0, 0), mode="RGBA"),
    ):
        assert said_of(trained, picture)[0] == int(text)


@pytest.mark.parametrize("box", [20, 28])
@pytest.mark.parametrize("shape", [(1, 1), (2, 90), (90, 2), (7, 3), (300, 200)])
def test_the_form_of_mnist(shape, box):
    """In the box, the proportions kept, the centre of mass in the middle or as near as the edge allows."""
    ink = np.zeros((320, 411))
    ink[5 : 5 + shape[0], 300 - shape[1] : 300] = np.linspace(0.5, 0.9, shape[1])
    image, done = predict.like_mnist(ink, box)
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert image.shape == (28, 28) and image.max() == 1 and max(height, width) == box
    assert min(height, width) == max(1, round(min(shape) * box / max(shape)))
    row, column = (image.sum(axis=1 - axis) @ np.arange(28) / image.sum() for axis in (0, 1))
    if box == 20:
        assert abs(row - 14) <= 0.51 and abs(column - 14) <= 0.51
    assert f"row {row:.1f}, column {column:.1f} of 28 x 28" in done[-1]


def test_the_gradient_is_the_slope_of_the_logit_and_autograds(trained):
    model, module = tn.MNISTCNN(rng=np.random.default_rng(0), dtype=np.float64), tt.MNISTCNN().double()
    for side in (model, module):
        load_weights(side, MNIST_WEIGHTS)
    rng = np.random.default_rng(1)  # noise, so that no pooling window has equal entries
    image = normalise(DIGITS["images"][[4]] / 255)[0] + 0.1 * rng.standard_normal((1, 28, 28))
    decision = predict.decide(model, image)
    x = torch.from_numpy(image[None]).requires_grad_()
    logits = module(x)[0]
    logits[decision.answer].backward()
    np.testing.assert_allclose(decision.gradient, x.grad[0].numpy(), rtol=0, atol=1e-12)
    assert abs(decision.gradient).max() > 0.1
    np.testing.assert_allclose(decision.probabilities, logits.softmax(0).detach().numpy(), atol=1e-12)
    step = 1e-6 * rng.standard_normal(image.shape)
    ahead, behind = (model((image + sign * step)[None])[0, decision.answer] for sign in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx((decision.gradient * step).sum(), rel=1e-5)


def png(width, height, mode=2):
    """A PNG whose header promises so many pixels, and that holds none."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def saved(picture, tmp_path):
    picture.save(tmp_path / "made.png")
    return (tmp_path / "made.png").read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda folder: b"a text", "is no picture, expected one of PNG, JPEG, BMP, GIF, TIFF, WEBP"),
        (lambda folder: b"", "is no picture"),
        (lambda folder: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no picture"),
        (lambda folder: png(60_000, 60_000), "has too many pixels, expected at most 89,478,485"),
        (lambda folder: png(10_000, 9_000), "has too many pixels"),  # of which Pillow only warns
        (lambda folder: png(9, 9), "cannot be read: image file is truncated"),
        (lambda folder: saved(written("8"), folder)[:500], "cannot be read: "),
        (lambda folder: saved(Image.new("RGB", (50, 40), (9, 90, 9)), folder), "the picture is empty"),
        (lambda folder: saved(Image.new("RGBA", (50, 40)), folder), "the picture is empty"),
        (lambda folder: saved(Image.new("L", (1, 1), 7), folder), "the picture is empty"),
        (lambda folder: saved(on_paper(DIGITS["images"][0] // 16), folder), "the picture is empty"),
    ],
)
def test_what_is_no_picture_is_one_line(content, said, tmp_path, capsys):
    path = tmp_path / "given.png"
    path.write_bytes(content(tmp_path))
    with pytest.raises(SystemExit) as exit_:
        program.main([str(path), "--output-dir", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1 and said in error
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "name the FILE of one picture, or --draw one"),
        ("digit.png --draw", "name the FILE of one picture, or --draw one"),
        ("nowhere.png", "nowhere.png cannot be read: No such file or directory"),
        (". ", ". cannot be read: Is a directory"),
        (
            "digit.png --run nowhere",
            "--run nowhere holds no checkpoint.safetensors: python -m examples.train_",
        ),
        ("digit.png --run torn", "torn/checkpoint.safetensors is not a whole checkpoint"),
        (
            "digit.png --output-dir digit.png",
            "argument --output-dir: digit.png cannot be written: File exists",
        ),
        ("--draw", "--draw needs a window (matplotlib has no way to a screen here): draw elsewhere"),
    ],
)
def test_the_program_says_in_one_line_what_is_wrong(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.pyplot.get_backend", lambda: "agg")
    written("4").save("digit.png")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(SystemExit) as exit_:
        program.main(arguments.split())
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and error.count("\n") == 1 and error.startswith(f"error: {said}")


@pytest.mark.parametrize("backend", ["numpy", pytest.param("torch", marks=pytest.mark.slow)])
def test_a_run_of_either_backend_decides(backend, few_digits, no_pictures, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "out"
    arguments = f"--dataset digits --backend {backend} --device cpu --lr 0.003 --epochs 2 --output-dir {run}"
    train_mnist.main(arguments.split())
    picture = (few_digits.test_images[0, 0] * 0.3081 + 0.1307).clip(0, 1) * 255
    Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "a.png")
    capsys.readouterr()
    assert program.main([str(tmp_path / "a.png"), "--run", str(run), "--output-dir", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"{run}, trained on digits") and "28 x" in "".join(lines[1:4])
    loaded = predict.load_run(run)
    theirs = tn.MNISTCNN(rng=np.random.default_rng(0))
    load_weights(theirs, run / "model.safetensors")
    image = loaded.prepare(predict.open_picture(tmp_path / "a.png"))[0]
    answer = int(theirs(image[None]).argmax())
    (line,) = (line for line in lines if line.startswith("it is a "))
    assert re.match(rf"it is a {answer} \({answer}: \d+\.\d\d%, ", line)
    assert sorted(path.name for path in out.iterdir()) == ["maps1.png", "maps2.png", "prediction.png"]


@pytest.mark.slow
def test_images_of_ones_own_are_prepared_as_the_training_images_were(small_pictures, tmp_path, capsys):
    """Colour, not square: each class is a colour, which the picture has in large."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 80, (60, 11, 14, 3), dtype=np.uint8)
    images[np.arange(60), :, :, labels] += 150
    path, run = tmp_path / "colours.npz", tmp_path / "run"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:6], y_test=labels[:6])
    train_mnist.main(f"--data {path} --epochs 5 --lr 0.01 --batch-size 6 --output-dir {run}".split())
    trained = predict.load_run(run)
    Image.fromarray(images[5]).save(tmp_path / "own.png")
    image, pixels, _ = trained.prepare(predict.open_picture(tmp_path / "own.png"))
    pixel = (np.float32(images[5, 3, 4]) - trained.facts["mean"]) / trained.facts["std"]
    np.testing.assert_allclose(image[:, 3, 4], pixel, rtol=1e-4)
    assert pixels.shape == (11, 14, 3)
    for label, colour in enumerate(["#c03030", "#30c030", "#3030c0"]):
        Image.new("RGB", (140, 110), colour).save(tmp_path / "large.png")
        capsys.readouterr()
        arguments = [str(tmp_path / "large.png"), "--run", str(run), "--output-dir", str(tmp_path / "out")]
        assert program.main(arguments) == 0
        said = capsys.readouterr().out
        assert f"it is a {label} (" in said and "scaled to 11 x 14 pixels, RGB; nothing is cut" in said


def go(axes, *strokes, button=MouseButton.LEFT):
    """Move the mouse over a drawing along these places (row, column): pressed at the first, then released."""
    canvas = axes.figure.canvas
    canvas.draw()
    for stroke in strokes:
        for number, (row, column) in enumerate(stroke):
            place = axes.transData.transform((column, row))
            name = "motion_notify_event" if number else "button_press_event"
            canvas.callbacks.process(name, MouseEvent(name, canvas, *place, button))
        name = "button_release_event"
        canvas.callbacks.process(name, MouseEvent(name, canvas, *place, button))


SEVEN = [(60, 80), (60, 200), (230, 120)]


class TestDrawing:
    @pytest.fixture
    def field(self):
        figure = Figure(figsize=(5, 5.4))
        FigureCanvasAgg(figure)
        return drawing.Drawing(figure)

    @pytest.mark.parametrize(("stroke", "label"), [(SEVEN, 7), ([(50, 140), (230, 140)], 1)])
    def test_a_digit_is_known(self, stroke, label, field, trained):
        go(field.axes, stroke)
        assert said_of(trained, Image.fromarray(field.pixels))[0] == label

    def test_the_pen_leaves_a_line_without_gaps_and_only_while_it_is_down(self, field):
        go(field.axes, [(100, 50), (100, 200)], [(200, 50)])
        assert field.pixels[100, 50:201].all() and not field.pixels[130:180].any() and field.pixels[200, 50]
        before, canvas = field.pixels.copy(), field.axes.figure.canvas
        place = field.axes.transData.transform((200, 250))
        canvas.callbacks.process("motion_notify_event", MouseEvent("motion_notify_event", canvas, *place))
        assert np.array_equal(field.pixels, before) and np.array_equal(field.shown.get_array(), before)

    def test_outside_of_the_field_nothing_happens_and_the_other_button_wipes(self, field):
        go(field.axes, [(100, 50), (-30, 50), (100, 200)])
        assert field.pixels[100, 50] and not field.pixels[100, 120]
        go(field.axes, [(20, 20)], button=MouseButton.RIGHT)
        assert not field.pixels.any()

    @pytest.mark.slow
    def test_the_window_is_waited_for_and_the_drawing_kept(
        self, small_pictures, tmp_path, monkeypatch, capsys
    ):
        """The window is replaced by a figure without one, and the hand that draws by events."""
        figure = Figure(figsize=(5, 5.4))
        FigureCanvasAgg(figure)
        monkeypatch.setattr("matplotlib.pyplot.get_backend", lambda: "QtAgg")
        monkeypatch.setattr("matplotlib.pyplot.figure", lambda *_, **__: figure)
        monkeypatch.setattr("matplotlib.pyplot.show", lambda: go(figure.axes[0], SEVEN))
        assert program.main(["--draw", "--output-dir", str(tmp_path)]) == 0
        assert "it is a 7 (" in capsys.readouterr().out
        assert np.asarray(Image.open(tmp_path / "drawing.png"))[60, 80:200].all()
        for name in ("prediction", "maps1", "maps2"):
            assert np.ptp(np.asarray(Image.open(tmp_path / f"{name}.png"))) == 255
