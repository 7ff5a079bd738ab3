"""The two pictures of the README, drawn by the programs that it names and made small."""

import io
import tempfile
from pathlib import Path

from PIL import Image

from examples.results.documents import HOUSE
from examples.results.measurements import printed

PICTURES = HOUSE / "docs" / "reference" / "pictures"
WIDTH, COLOURS = 1200, 256  # pixels; of a palette


def draw() -> list[Path]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        printed("-m", "examples.side_by_side", "--output-dir", folder)
        (folder / "student.py").write_text(
            printed("-m", "examples.museum", "--exercise", "TiesLast"), "utf-8"
        )
        flags = ["--picture", folder / "mistakes.png"]
        printed("-m", "parity", "check", folder / "student.py", *flags, may_end_with=(0, 1))
        return [shrunk(folder / f"{picture}.png") for picture in ("side_by_side", "mistakes")]


def shrunk(picture: Path) -> Path:
    """A copy in PICTURES, in few colours and at most WIDTH wide."""
    image = Image.open(picture).convert("RGB")
    image.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    path = PICTURES / picture.name
    path.write_bytes(small.getvalue())
    return path
