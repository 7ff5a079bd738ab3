"""List every program, in the order of the book: python -m examples"""

import ast
from pathlib import Path

from examples.common.cli import run

PROGRAMS = (
    *(
        "side_by_side",
        "playground",
        "train_tinycnn",
        "shapes",
        "train_mnist",
        "predict",
        "chapter",
        "seeds",
        "compare_mlp",
        "ladder",
    ),
    *(
        "benchmark",
        "speedrun",
        "gpu",
        "features",
        "edges",
        "zoo",
        "transfer",
        "frameworks",
        "exercises",
        "museum",
        "lessons",
    ),
    "audit",
    "results",
)


def summary(name: str) -> str:
    """The first line of a program's docstring, which is read and not run."""
    folder = Path(__file__).parent
    file = folder / f"{name}.py" if (folder / f"{name}.py").exists() else folder / name / "__main__.py"
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return docstring.splitlines()[0].partition("python -m")[0].rstrip(": ")


def main() -> int:
    for name in PROGRAMS:
        print(f"python -m examples.{name:13}  {summary(name)}")
    return 0


if __name__ == "__main__":
    run(main)
