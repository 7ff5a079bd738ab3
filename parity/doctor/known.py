"""All known mistakes: every file of this folder may register some, and a page about each.

Each cause predicts a wrong tensor from the inputs of a run, in float64 and mostly by PyTorch's own functions
with one thing changed. A prediction of None means: in this run the mistake does not show. The order is from
the particular to the general; the first that explains everything is named.
"""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from parity import doctor
from parity.doctor.evidence import ANY, KNOWN, SLIPS, Cause, Page
from parity.kinds import KINDS

HERE = ("known", "search", "picture", "diagnose", "explain")  # which stand above this file
MODULES = [
    import_module(f"parity.doctor.{module.name}")
    for module in pkgutil.iter_modules(doctor.__path__)
    if module.name not in HERE
]


def causes_of(kind: str, tensor: str) -> Iterator[Cause]:
    """What may have made `tensor` of a class wrong."""
    for function in KNOWN.get((kind, tensor), ()):
        yield from function()
    for function in KNOWN.get((kind, ANY), ()):
        yield from function(tensor)
    if kind not in KINDS or KINDS[kind].role != "optimizer":
        for function in KNOWN[ANY, ANY]:
            yield from function(tensor)
    for function in SLIPS.get(kind, ()):
        yield from function(tensor)


def pages() -> dict[str, Page]:
    """Every page by its code."""
    return {page.code: page for module in MODULES for page in getattr(module, "PAGES", ())}
