"""Every bug of the museum, what finds it, and how well a network still learns.

--exercise KernelFlipped   prints a file with that bug in it, to find and mend (a number does as well)
--solution KernelFlipped   prints what is wrong with it
"""

from examples.bugs import BUGS, Bug
from examples.common.cli import fail
from examples.museum.measure import Finding


def exhibit_of(text: str) -> Bug:
    names = [exhibit.cls.__name__ for exhibit in BUGS]
    if text not in names and text not in map(str, range(1, len(BUGS) + 1)):
        fail(f"there is no exhibit {text!r}, expected a name or a number from 1 to {len(BUGS)}")
    return BUGS[int(text) - 1 if text.isdigit() else names.index(text)]


COLUMNS = (3, 16, 24, 4, 4, 6, 6, 5, 5, 7, 8)
HEADER = (
    "#",
    "replaces",
    "bug",
    "ones",
    "diff",
    "parity",
    "tensor",
    "stage",
    "named",
    "TinyCNN",
    "MNISTCNN",
    "cause",
)


def line(cells) -> str:
    """Cells in columns, the last one as it is."""
    *cells, last = map(str, cells)
    return "  ".join([*(cell.ljust(width) for cell, width in zip(cells, COLUMNS, strict=True)), last])


def cells_of(number: int, found: Finding) -> list:
    e = found.exhibit
    simple = ["-" if by is None else "yes" if by else "no" for by in (found.by_ones, found.by_differences)]
    shares = [
        f"{sum(r)}/{len(r)}" if r else "-" for r in (found.caught, found.tensor, found.stage, found.named)
    ]
    trained = [f"{found.accuracy[m]:.1f}" if m in found.accuracy else "-" for m in ("TinyCNN", "MNISTCNN")]
    return [number, e.replaces, e.cls.__name__, *simple, *shares, *trained, e.cause]


def summary(findings: list[Finding]) -> list[str]:
    def total(name: str) -> str:
        results = [result for found in findings for result in getattr(found, name)]
        return f"{sum(results)} of {len(results)} ({100 * sum(results) / max(1, len(results)):.1f} %)"

    in_layers = [found for found in findings if found.by_ones is not None]
    lines = [
        f"caught: {total('caught')}; right tensor first: {total('tensor')}",
        f"right stage first, where it shows in a model: {total('stage')}",
        f"named right by the first diagnosis: {total('named')}",
        f"of {len(in_layers)} bugs in layers one plain case under a gradient of ones, with allclose(1e-3), "
        f"finds {sum(bool(f.by_ones) for f in in_layers)}; central differences find "
        f"{sum(bool(f.by_differences) for f in in_layers)}",
    ]
    learned = [found.accuracy["MNISTCNN"] for found in findings if found.accuracy]
    if learned:
        lines.append(
            f"with {sum(a > 90 for a in learned)} of {len(learned)} bugs MNISTCNN still reaches over 90 %"
        )
    return lines


def to_dict(found: Finding) -> dict:
    e = found.exhibit
    facts = {name: value for name, value in vars(found).items() if name != "exhibit"}
    source = (e.cls.__doc__ or "").rpartition("Source: ")[2].strip()
    return {"bug": e.cls.__name__, "replaces": e.replaces, "cause": e.cause, "source": source} | facts
