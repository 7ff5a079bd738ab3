"""Laws of the house: which package may import what, and how long a layer's file may be."""

import ast
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
MAY_IMPORT = {
    "tinycnn_numpy": {"numpy", "tinycnn_numpy"},
    "tinycnn_torch": {"torch", "tinycnn_torch"},
    "parity": {"numpy", "scipy", "torch", "safetensors", "parity", "tinycnn_numpy", "tinycnn_torch"},
}
MAY_ALSO = {"heatmap.py": {"matplotlib"}}


def files(package):
    return sorted((HOUSE / package).rglob("*.py"))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_it_may(package):
    for file in files(package):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module]
            for name in imported:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names | MAY_IMPORT[package] | MAY_ALSO.get(
                    file.name, set()
                ), f"{file.name} imports {name}"


def test_no_file_of_the_numpy_side_is_longer_than_an_evening():
    for file in files("tinycnn_numpy"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 120, file.name
