"""What the page quotes: equations and lines of both sides, and the museum's words; read from the sources."""

import inspect
import re
from typing import Any

import tinycnn_numpy as tn
from examples.bugs import BUGS
from examples.side_by_side.aligned import AlignedRow
from examples.side_by_side.pairs import aligned, pairs_of
from parity.doctor.known import pages

Quoted = list[dict[str, list[str]]]


def quoted(rows: list[AlignedRow]) -> Quoted:
    return [{"maths": row.equations, "code": row.code} for row in rows]


def stages() -> dict[str, dict[str, Any]]:
    """Of every stage of TinyCNN and of the loss: its line on both sides, forward and backward."""
    found = {
        pair.name: {
            "hand": pair.hand.__name__,
            "torch": f"nn.{pair.module.__name__}",
            "lines": [pair.hand_line, pair.torch_line],
            "forward": quoted(pair.forward),
            "backward": quoted(pair.backward),
        }
        for pair in pairs_of()
    }
    forward, backward = aligned(tn.CrossEntropyLoss, ("loss", "dlogits"), ("loss", "dlogits"))
    lines = ["loss_fn = CrossEntropyLoss()", "loss_fn = nn.CrossEntropyLoss()"]
    found["loss"] = {
        "hand": "CrossEntropyLoss",
        "torch": "nn.CrossEntropyLoss",
        "lines": lines,
        "forward": quoted(forward),
        "backward": quoted(backward),
    }
    return found


def mistakes(names: list[str]) -> dict[str, dict[str, str]]:
    """Of each bug of the museum: its sentence, its wrong line, its source, and what the doctor says of it."""
    bugs = {bug.cls.__name__: bug for bug in BUGS}
    known = pages()
    found = {}
    for name in names:
        bug = bugs[name]
        sentence, _, source = inspect.cleandoc(bug.cls.__doc__ or "").partition("\n\nSource: ")
        line = next(line for line in inspect.getsource(bug.cls).splitlines() if "# bug:" in line)
        code, _, meant = line.strip().partition("  # bug: ")
        page = known[bug.cause]
        found[name] = {
            "sentence": " ".join(sentence.split()),
            "source": source,
            "layer": bug.replaces,
            "tensor": bug.tensor,
            "code": code,
            "meant": meant,
            "cause": bug.cause,
            "what": page.what,
            "why": " ".join(page.why.split()),
        }
    return found


def names_in_javascript(text: str) -> list[str]:
    """The mistakes of web/mistakes.js, in their order."""
    table = text[text.index("const STAGE_MISTAKES") : text.index("const RIGHT")]
    return re.findall(r"^  (\w+): \[", table, re.MULTILINE)
