"""What every program asks that trains from several seeds, and what none needs to be told."""

from pathlib import Path

from examples.common import data
from examples.common.cli import Parser, output_folder, whole_number

RESULTS = Path("runs/seeds.jsonl")
RATES = {  # of each schedule, the learning rate of Adam, for one-cycle the largest, and its betas
    "constant": (1e-3, (0.9, 0.999)),
    "one-cycle": (9e-3, (0.8, 0.95)),
}
MODELS = ("MNISTCNN", "MLP", "ThirdConvolution", "AveragePooling", "SmallMLP")  # of common/models.py


def add_seed_flags(parser: Parser, seeds: int, output_dir: str) -> None:
    """The flags, with a program's defaults; and the flags of data."""
    add = parser.add_argument
    add("--seeds", type=whole_number(2), default=seeds, help="how many: 0, 1, 2, ...")
    add("--epochs", type=whole_number(1), default=5, help="passes over the training set")
    add("--results", type=Path, default=RESULTS, help="file of the finished runs, read and added to")
    add("--output-dir", type=output_folder, default=output_dir, help="folder of the pictures")
    data.add_flags(parser)
