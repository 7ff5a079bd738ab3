"""What every program asks that trains from several seeds, and what none needs to be told."""

from pathlib import Path
from typing import NamedTuple

from examples.common import data
from examples.common.cli import Parser, output_folder, whole_number

RESULTS = Path("runs/seeds.jsonl")
MODELS = ("MNISTCNN", "MLP", "ThirdConvolution", "AveragePooling", "SmallMLP")  # of common/models.py


class Recipe(NamedTuple):
    """How Adam trains under a schedule of the learning rate. lr: under one-cycle the largest."""

    lr: float
    betas: tuple[float, float]
    label_smoothing: float


RECIPES = {  # the second chosen on held back training images: python -m examples.speedrun --peaks
    "constant": Recipe(1e-3, (0.9, 0.999), 0.0),  # the chapter's
    "one-cycle": Recipe(9e-3, (0.8, 0.95), 0.1),
}


def add_seed_flags(parser: Parser, seeds: int, output_dir: str) -> None:
    """The flags, with a program's defaults; and the flags of data."""
    add = parser.add_argument
    add("--seeds", type=whole_number(2), default=seeds, help="how many: 0, 1, 2, ...")
    add("--epochs", type=whole_number(1), default=5, help="passes over the training set")
    add("--results", type=Path, default=RESULTS, help="file of the finished runs, read and added to")
    add("--output-dir", type=output_folder, default=output_dir, help="folder of the pictures")
    data.add_flags(parser)
