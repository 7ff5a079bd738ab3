"""Before Sphinx reads the pages the project's own programs make what they show: conf.py calls all_of_it.

    docs/lessons   the ten lessons, solved and run, as pages; in blank/ the notebooks to download
    docs/causes    a page for each cause that `python -m parity explain` knows, a list for each kind
    docs/made      pictures, the audit, the playground, what `parity check` says of mine.py

On the digits inside scikit-learn, or on MNIST if DATA_DIR names its folder. What is made stays until the code
changes: remove docs/made to make it anew.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import io
import json
import logging
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: do not build twice at once
    fcntl = None

DOCS = Path(__file__).parent
HOUSE = DOCS.parent
MADE, LESSONS, CAUSES = DOCS / "made", DOCS / "lessons", DOCS / "causes"
DATA_DIR = os.environ.get("DATA_DIR")
DATA_SET = "MNIST" if DATA_DIR else "the digits of scikit-learn"
DATA = ["--dataset", "mnist", "--data-dir", DATA_DIR] if DATA_DIR else ["--dataset", "digits"]
SEEDS, EPOCHS = 3, 3
AUDIT = ["--seeds", str(SEEDS), "--epochs", str(EPOCHS), "--results", str(MADE / "seeds.jsonl"), *DATA]
RUN = MADE / "train_mnist"

# Pictures: the file, below docs/made, and what is to be seen on it. Their order is that of the book.
PICTURES = {
    "side_by_side/side_by_side.png": "The line that makes each layer, by hand and with PyTorch.",
    "train_tinycnn/tinycnn_filters.png": "TinyCNN's four learned filters, NumPy above PyTorch.",
    "shapes/MNISTCNN.png": "The shapes on the way of an image through MNISTCNN, and where the weights are.",
    "train_mnist/training_curves.png": "Training loss falls and test accuracy rises over five epochs.",
    "seeds/seeds.png": "Test accuracy of each seed, a dot each: a single number says little.",
    "compare_mlp/compare_mlp.png": "Test accuracy of CNN and MLP, seed by seed.",
    "features/filters.png": "The sixteen filters of the first convolution.",
    "features/maps1.png": "One digit, and where each of the sixteen filters finds what it looks for.",
    "features/maps2.png": "The same behind the second convolution: 32 smaller maps.",
    "edges/edges.png": "How much of each learned filter is an edge, beside untrained filters.",
    "zoo/parameters.png": "The pretrained models that the chapter lists: parameters and accuracies.",
    "transfer/transfer.png": "Accuracy on new digits by the number of examples, in four ways.",
    "exercises_31.1/third_convolution.png": "With and without a third convolution, seed by seed.",
    "exercises_31.2/average_pooling.png": "Max pooling against average pooling, seed by seed.",
    "exercises_31.4/parameters.png": "CNN, MLP, and an MLP as small as the CNN.",
    "check/mistakes.png": "What a student's layer gave, what was expected, and the difference.",
}


def program(line: str, *flags: str, name: str = "") -> list[str]:
    """A command line, with --output-dir below docs/made: python -m examples.NAME."""
    module, *arguments = line.split()
    folder = MADE / (name or "_".join([module, *arguments]))
    return [f"examples.{module}", *arguments, *flags, "--output-dir", str(folder)]


# Chains of commands, the long ones first. In a chain one needs what another has made.
CHAINS = {
    "audit": [
        ["audit"],
        program("seeds", *AUDIT),
        program("compare_mlp", *AUDIT),
        *(program(f"exercises {number}", *AUDIT) for number in ("31.1", "31.2", "31.4")),
    ],
    **{
        f"lesson {number}": [
            ["examples.lessons", "--only", str(number), "--output-dir", str(LESSONS / "blank")],
            ["examples.lessons", "--only", str(number), "--solved", "--execute", "--overwrite",
             "--output-dir", str(LESSONS / "solved")],
        ]
        for number in (9, 8, 6, 10, 1, 5, 7, 4, 3, 2)
    },
    "recipe": [
        program("train_mnist", "--overwrite", "--quiet", *DATA),
        program("features", "--model", str(RUN / "model.safetensors"), *DATA),
    ],
    "transfer": [
        program("transfer", "--seeds", "2", "--sizes", "1", "5", "20", "--body-steps", "150", *DATA)
    ],
    "edges": [
        program("edges", "--seeds", "2", "--epochs", "3", "--fixed-epochs", "1", "--null", "200", *DATA)
    ],
    "pictures": [
        program("side_by_side"), program("train_tinycnn"), program("shapes"), program("zoo"),
    ],
    "playground": [program("playground", name="extra/playground")],
    "check": [["check"]],
}  # fmt: skip


def run(chain: list[list[str]]) -> None:
    """The commands of a chain, in this process. Raises RuntimeError with what was printed if one fails."""
    logging.disable(logging.INFO)
    for command, *arguments in chain:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                if command in STEPS:
                    STEPS[command]()
                    continue
                package = importlib.util.find_spec(command).submodule_search_locations
                main = importlib.import_module(f"{command}.__main__" if package else command).main
                code = main(arguments)
            except SystemExit as end:
                code = end.code
        if code:
            raise RuntimeError(f"{command} {' '.join(arguments)} ends with {code}:\n{printed.getvalue()}")


def audit() -> None:
    """The audit as a page of definitions, section by section: python -m examples.audit"""
    from examples.audit.claim import CLAIMS, judge
    from examples.audit.lab import Lab
    from examples.audit.summary import SIGNS, summary
    from examples.common import data

    folder = Path(DATA_DIR or HOUSE / "data")
    lab = Lab(data.load(DATA[1], folder)[0], MADE / "seeds.jsonl", SEEDS, EPOCHS)
    findings = {claim: judge(claim, lab) for claim in sorted(CLAIMS, key=lambda claim: claim.section)}
    lines, section = [f"On {lab.dataset}, {EPOCHS} epochs, {SEEDS} seeds. **{summary(findings)}**\n"], ""
    for claim, found in findings.items():
        if claim.section != section:
            section = claim.section
            heading = section.capitalize() if section.startswith("exercise") else f"Section {section}"
            heading = "The chapter" if section == "31" else heading
            lines.append(f"## {heading}\n")
        program = f"; more: `python -m {claim.by}`" if claim.by else ""
        lines += [
            f"{plain(claim.says)}",
            f": {plain(SIGNS[found.verdict])} **{found.verdict}**: {plain(found.computed)}",
            f": `{claim.command}`{program}\n",
        ]
    write(MADE / "audit.md", "\n".join(lines))


def plain(text: str) -> str:
    """Text that Markdown leaves alone."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>$#|-+" else sign for sign in text)


def check() -> None:
    """What the checker says of docs/mine.py, and of a class of three who differ in one line."""
    from parity.__main__ import main

    mine = DOCS.joinpath("mine.py").read_text("utf-8")
    for name, line in {"ada": "dout * (self.x > 0)", "ben": "dout * (dout > 0)", "cleo": "dout"}.items():
        text = mine.replace("return np.max", "self.x = x\n        return np.max")
        write(MADE / f"check/class/{name}.py", text.replace("return dout\n", f"return {line}\n", 1))
    folder, back = MADE / "check", Path.cwd()
    os.chdir(folder)
    try:
        write(folder / "mine.py", mine)
        for name, arguments in {
            "check": "mine.py --picture mistakes.png",
            "where": "mine.py --hints where",
            "class": "--each class --csv grades.csv",
        }.items():
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                main(["check", *arguments.split(), "--seed", "7"])
            command = f"$ python -m parity check {arguments} --seed 7"
            write(folder / f"{name}.txt", f"{command}\n{printed.getvalue()}")
    finally:
        os.chdir(back)


STEPS = {"audit": audit, "check": check}


def write(path: Path, text: str) -> None:
    """Only what has changed: Sphinx reads again what is newer than its last build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def lessons() -> None:
    """The executed notebooks as pages: a line about the blank one under the title."""
    import nbformat

    for solved in sorted((LESSONS / "solved").glob("*.ipynb")):
        notebook = nbformat.read(solved, as_version=4)
        name = solved.name.replace("_solved", "")
        title, _, rest = notebook.cells[0].source.partition("\n")
        note = f"{{download}}`The notebook with blanks <blank/{name}>`"
        notebook.cells[0].source = f"{title}\n\n*Solved, and run on {DATA_SET}.* {note}\n{rest}"
        write(LESSONS / name, nbformat.writes(notebook) + "\n")


def causes() -> None:
    """A page for each cause, and one for each kind that lists them."""
    from parity.doctor.explain import contents, text
    from parity.doctor.known import pages

    known, listed = pages(), contents(pages())
    for group in listed.split("\n\n"):
        title, *lines = group.splitlines()
        codes = [line.split()[0] for line in lines]
        kind = title.split()[0].lower() if " " not in title else "any"
        rows = [f"[`{code}`]({code}.md)\n: {plain(known[code].what)}\n" for code in codes]
        write(CAUSES / f"{kind}.md", "\n".join([f"# {title}\n", *rows]))
        for code in codes:
            head, *blocks = text(known[code]).split("\n\n")
            wrong, right = blocks.index("right:") - 1, blocks.index("right:") + 1
            method, where = "\n\n".join(blocks[1 : wrong + 1]), blocks[0]
            why = " ".join(known[code].why.split())
            page = [
                f"---\norphan: true\n---\n# {code}\n\n**{plain(head.partition(': ')[2])}**\n",
                f"{where[0].upper()}{where[1:]}\n\n{fenced(method, mark='>')}",
                f"Right:\n\n{fenced(blocks[right])}\n{plain(why)}\n",
                f"On the command line: `python -m parity explain {code}`. [Others: {title}]({kind}.md)\n",
            ]
            write(CAUSES / f"{code}.md", "\n".join(page))


def fenced(code: str, mark: str = "") -> str:
    """Python code, the lines behind the mark highlighted."""
    lines = code.splitlines()
    wrong = [str(number) for number, line in enumerate(lines, 1) if mark and line.strip().startswith(mark)]
    text = "\n".join(line[4:] for line in lines)
    emphasis = f":emphasize-lines: {','.join(wrong)}\n" if wrong else ""
    return f"```{{code-block}} python\n{emphasis}{text}\n```\n"


def gallery() -> None:
    """Every picture with what is to be seen on it, and the command that has drawn it."""
    commands = {Path(c[-1]).name: c for chain in CHAINS.values() for c in chain if "--output-dir" in c}
    lines = []
    for file, seen in PICTURES.items():
        module, *arguments = commands.get(file.split("/")[0], ["parity", "check mine.py --picture FILE"])
        number = "".join(f" {part}" for part in arguments[:1] if not part.startswith("--"))
        command = f"`python -m {module}{number}`"
        lines.append(f"```{{figure}} made/{file}\n:alt: {seen}\n:width: 100%\n\n{seen} {command}\n```\n")
    write(MADE / "gallery.md", "\n".join(lines))


def autograder() -> None:
    """The README of the autograder, without its title and without links to files that are no pages."""
    text = HOUSE.joinpath("examples/autograder/README.md").read_text("utf-8").partition("\n")[2]
    text = re.sub(r"\[([^]]+)\]\((?!http)[^)]+\)", r"`\1`", text)
    write(MADE / "autograder.md", text)


def key(chain: list[list[str]]) -> str:
    """Of code, commands and data set: what was made with others is made anew."""
    made = hashlib.sha256(json.dumps([chain, DATA]).encode() + DOCS.joinpath("mine.py").read_bytes())
    for package in ("tinycnn_numpy", "tinycnn_torch", "parity", "examples"):
        for file in sorted((HOUSE / package).rglob("*.*")):
            if file.suffix in (".py", ".js", ".css"):
                made.update(file.read_bytes())
    return made.hexdigest()


def make(*only: str) -> None:
    """Run the chains whose results are missing, all or those whose name begins so, a process to a core."""
    for name, value in {"OMP_NUM_THREADS": "1", "LESSON_DATASET": DATA[1]}.items():
        os.environ[name] = value
    MADE.mkdir(exist_ok=True)
    keys = MADE / "keys.json"
    current = {name: key(chain) for name, chain in CHAINS.items() if not only or name.startswith(only)}
    with (MADE / "lock").open("w") as lock, ProcessPoolExecutor(os.cpu_count()) as pool:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits, and finds it made
        known = json.loads(keys.read_text()) if keys.exists() else {}
        missing = [name for name in current if known.get(name) != current[name]]
        running = {pool.submit(run, CHAINS[name]): name for name in missing}
        for done in as_completed(running):
            done.result()
            known[running[done]] = current[running[done]]
            write(keys, json.dumps(known))


def all_of_it(app=None) -> None:
    """Make what is missing, then the pages."""
    make()
    lessons()
    causes()
    gallery()
    autograder()


if __name__ == "__main__":
    sys.path.insert(0, str(HOUSE))
    make(*sys.argv[1:])
