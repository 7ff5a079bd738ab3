"""A picture of one's own before a trained network: what becomes of it, what the network says, and why.

MNIST's images were made so (LeCun, Cortes, Burges: The MNIST database of handwritten digits): the digit was
scaled into 20 x 20 pixels, its proportions kept, and placed so that its centre of mass is the centre of
28 x 28. A network that has learned from such images needs such an image.
"""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image, ImageOps, UnidentifiedImageError

import tinycnn_numpy as tn
from examples.common.checkpoint import Checkpoint
from examples.common.cli import fail
from examples.common.data import normalise
from examples.common.figures import AMBER, INDIGO, image_grid
from examples.common.own_images import standardise
from examples.experiments.features import feature_maps, load_model

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")  # of Pillow's, those that start no other program
LARGEST_SIDE = 1000  # pixels to which a larger picture is reduced first
FIELD = 28  # pixels of a side of MNIST's images
BOX = {"digits": 28}  # pixels into which the digit is scaled; 20 for MNIST
FAINT = 0.25  # of the strongest ink: what is weaker is background
EMPTY = 0.1  # of the distance from black to white: a picture with less contrast shows nothing


class PictureError(ValueError):
    """A picture that cannot be used; one line says why."""


def open_picture(path: Path) -> Image.Image:
    """The picture in a file, upright, its longer side at most LARGEST_SIDE. Raises PictureError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as file:
                picture = ImageOps.exif_transpose(file).convert("RGBA")
    except UnidentifiedImageError:
        raise PictureError(f"{path} is no picture, expected one of {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise PictureError(f"{path} has too many pixels, expected at most {most}") from None
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, SyntaxError, EOFError) as error:  # of a damaged file
        raise PictureError(f"{path} is no whole picture: {error}") from None
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return picture


def ink_of(picture: Image.Image) -> tuple[np.ndarray, list[str]]:
    """(H, W): how far each pixel's colour lies from the background's, 0 to 1; and what was done, in words.

    The background is the median colour of the border, whatever it is: dark on light, light on dark and
    colours give the same ink. Transparent pixels count as white, or as black under a light drawing.
    Raises PictureError for a picture that is one colour.
    """
    rgba = np.asarray(picture.convert("RGBA"), np.float32) / 255
    colour, alpha, done = rgba[..., :3], rgba[..., 3:], []
    if alpha.min() < 1:
        light = (colour * alpha).sum() > 0.5 * 3 * alpha.sum()
        colour = colour * alpha + (1 - alpha) * (0 if light else 1)
        done.append(f"transparent pixels are {'black' if light else 'white'}")
    border = np.concatenate([colour[0], colour[-1], colour[:, 0], colour[:, -1]])
    background = np.median(border, axis=0)
    ink = abs(colour - background).max(axis=2)
    if ink.max() < EMPTY:
        raise PictureError(f"the picture is empty: no pixel stands out from the rest by {EMPTY:.0%}")
    red, green, blue = (round(255 * float(value)) for value in background)
    done.append(f"the background is RGB ({red}, {green}, {blue}), ink is the distance from it")
    return ink, done


def like_mnist(ink: np.ndarray, box: int = 20) -> tuple[np.ndarray, list[str]]:
    """Ink (H, W) -> (28, 28) in 0..1 in the form of MNIST's images; and what was done, in words."""
    ink = np.where(ink < FAINT * ink.max(), 0, ink)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(side * box / max(digit.shape))) for side in digit.shape)
    scaled = Image.fromarray(digit.astype(np.float32)).resize((width, height), Image.Resampling.HAMMING)
    small = np.asarray(scaled)
    small = small / small.max()
    mass = small / small.sum()
    centre = mass.sum(axis=1) @ np.arange(height), mass.sum(axis=0) @ np.arange(width)
    top, left = (
        int(np.clip(round(FIELD / 2 - c), 0, FIELD - side))
        for c, side in zip(centre, small.shape, strict=True)
    )
    image = np.zeros((FIELD, FIELD), np.float32)
    image[top : top + height, left : left + width] = small
    size = f"{digit.shape[0]} x {digit.shape[1]} pixels"
    place = f"row {centre[0] + top:.1f}, column {centre[1] + left:.1f}"
    done = [
        f"ink below {FAINT:.0%} of the strongest is background",
        f"the digit, {size}, is scaled to {height} x {width}, its strongest ink to 1",
        f"its centre of mass stands at {place} of {FIELD} x {FIELD}",
    ]
    return image, done


@dataclass(frozen=True)
class Trained:
    """A network and what it has learned from. facts: of own_images, or {} for the digits."""

    model: Any
    dataset: str
    facts: dict[str, Any] = field(default_factory=dict)

    def prepare(self, picture: Image.Image) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """The image (C, H, W) that the network is given, its pixels (H, W[, C]) in 0..1, what was done.

        Raises PictureError.
        """
        if not self.facts:
            ink, found = ink_of(picture)
            image, done = like_mnist(ink, BOX.get(self.dataset, 20))
            return normalise(image[None])[0], image, found + done
        C, H, W = self.facts["image"]
        if C > 4:
            raise PictureError(f"the network takes images of {C} channels, and a picture has 1 to 4")
        mode = ("L", "LA", "RGB", "RGBA")[C - 1]
        pixels = np.asarray(picture.convert(mode).resize((W, H)), np.float32).reshape(H, W, C) / 255
        low, high = self.facts["range"]
        image = standardise((low + (high - low) * pixels).transpose(2, 0, 1)[None], self.facts)[0]
        return image, pixels.squeeze(), [f"scaled to {H} x {W} pixels, {mode}; nothing is cut or centred"]


def load_run(folder: Path) -> Trained:
    """What train_mnist has kept in its --output-dir, with either backend. Fails in one line."""
    if not (folder / "checkpoint.safetensors").exists():
        command = f"python -m examples.train_mnist --output-dir {folder}"
        fail(f"--run {folder} holds no checkpoint.safetensors: {command} makes one")
    tensors, state = Checkpoint(folder, {}).read()
    recipe, rng = state["recipe"], np.random.default_rng(0)
    try:
        model: tn.Layer = tn.MNISTCNN(rng=rng)
        if own := "sha256" in recipe:
            model = tn.ImageCNN(tuple(recipe["image"]), recipe["classes"], rng=rng)
        names = {name: name.removeprefix("model.") for name in tensors if name.startswith("model.")}
        model.load_state_dict({short: tensors[name] for name, short in names.items()})
        return Trained(model, str(recipe["dataset"]), recipe if own else {})
    except (ValueError, KeyError, TypeError) as error:
        fail(f"--run {folder} holds no run of this program: {error}")


def load_weights_of(path: Path) -> Trained:
    """An MNISTCNN in a file of weights."""
    return Trained(*load_model(path))


@dataclass(frozen=True)
class Decision:
    """What a network says of one image, and what that rests on.

    probabilities  (classes,)
    gradient       (C, H, W): d logit / d pixel for the logit of `answer`
    maps           feature maps by the stage's name, (F, h, w) each
    """

    answer: int
    probabilities: np.ndarray
    gradient: np.ndarray
    maps: dict[str, np.ndarray]


def decide(model: tn.Layer, image: np.ndarray) -> Decision:
    """The library's own forward and backward for one image (C, H, W), normalised.

    Backward begins with dL/dlogits. With L = logits[answer], dlogits is 1 there and 0 elsewhere, and dx is
    how much that logit rises for each unit that a pixel becomes brighter. (Where a pooling window has equal
    entries, as on a plain background, it is the slope of the first of them.)
    """
    maps = feature_maps(model, image)
    logits = model(image[None])
    answer = int(logits[0].argmax())
    dlogits = np.zeros_like(logits)
    dlogits[0, answer] = 1
    dx = model.backward(dlogits)
    exp = np.exp(logits[0] - logits[0].max())
    return Decision(answer, exp / exp.sum(), dx[0], {stage: maps[stage] for stage in ("relu1", "relu2")})


def evidence(picture: Image.Image, pixels: np.ndarray, decision: Decision, title: str) -> Figure:
    """Side by side: the picture, what the network is given, its probabilities, the gradient."""
    figure = Figure(figsize=(14, 4), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    figure.suptitle(title)
    given, seen, bars, rests = figure.subplots(1, 4, width_ratios=[1, 1, 1.1, 1.2])
    given.imshow(picture)
    given.set_title(f"the picture, {picture.height} x {picture.width}")
    seen.imshow(pixels, cmap="gray", vmin=0, vmax=1)
    seen.set_title(f"what the network is given, {pixels.shape[0]} x {pixels.shape[1]}")
    classes = np.arange(len(decision.probabilities))
    colors = [AMBER if label == decision.answer else INDIGO for label in classes]
    bars.barh(classes, 100 * decision.probabilities, color=colors)
    for label, share in enumerate(100 * decision.probabilities):
        if share >= 0.05:
            bars.text(share + 1, label, f"{share:.1f}", va="center", fontsize=8)
    bars.set(
        xlabel="probability (%)", ylabel="class", xlim=(0, 115), yticks=classes[:: -(-len(classes) // 20)]
    )
    bars.invert_yaxis()
    slope = decision.gradient.sum(axis=0)
    limit = float(abs(slope).max()) or 1.0
    shown = rests.imshow(slope, cmap="RdBu_r", vmin=-limit, vmax=limit)
    if pixels.ndim == 2 and pixels.min() < 0.5 < pixels.max():
        rests.contour(pixels, levels=[0.5], colors="black", linewidths=0.8)
    figure.colorbar(shown, ax=rests, label=f"d logit {decision.answer} / d pixel", shrink=0.85)
    rests.set_title(f"a brighter pixel raises (red) or\nlowers (blue) the logit of {decision.answer}")
    for axes in (given, seen, rests):
        axes.set(xticks=[], yticks=[])
    return figure


def pictures_of(
    picture: Image.Image, image: np.ndarray, pixels: np.ndarray, decision: Decision, title: str
) -> dict[str, Figure]:
    """All the evidence, by name of the file."""
    figures = {"prediction": evidence(picture, pixels, decision, title)}
    beside = (pixels.mean(axis=2) if pixels.ndim == 3 else pixels), "what the network is given"
    for number in (1, 2):
        maps = decision.maps[f"relu{number}"]
        size = f"{maps.shape[1]} x {maps.shape[2]}"
        words = f"Feature maps after conv{number} and ReLU, {size} each"
        figures[f"maps{number}"] = image_grid(
            maps, 8, words, name="map", unit="activation (no unit)", beside=beside
        )
    return figures
