"""What the page quotes: equations and lines of both sides, and the museum's words; read from the sources."""

import inspect
import re
from functools import cache
from textwrap import dedent
from typing import Any

import tinycnn_numpy as tn
from examples.bugs import BUGS, Bug
from examples.side_by_side.aligned import AlignedRow
from examples.side_by_side.pairs import aligned, pairs_of
from parity.student.examine import check_class

Quoted = list[dict[str, list[str]]]


def quoted(rows: list[AlignedRow]) -> Quoted:
    """Equations and the lines that compute them; lines that check and remember stand beside none."""
    return [
        {"maths": row.equations, "code": dedent("\n".join(row.code)).splitlines()}
        for row in rows
        if row.equations
    ]


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
    found = {}
    for name in names:
        bug = bugs[name]
        sentence, _, source = inspect.cleandoc(bug.cls.__doc__ or "").partition("\n\nSource: ")
        line = next(line for line in inspect.getsource(bug.cls).splitlines() if "# bug:" in line)
        code, _, meant = line.strip().partition("  # bug: ")
        found[name] = {
            "sentence": " ".join(sentence.split()),
            "source": source,
            "layer": bug.replaces,
            "tensor": bug.tensor,
            "code": code,
            "meant": meant,
            "cause": bug.cause,
            "said": diagnosis(bug),
        }
    return found


@cache
def diagnosis(bug: Bug) -> str:
    """What the doctor says when `parity check` examines the class: of its wrong tensor, in one sentence."""
    checks = check_class(bug.cls, bug.replaces, seed=0).checks
    found = [d for check in checks for d in check.diagnoses if (d.tensor, d.code) == (bug.tensor, bug.cause)]
    return found[0].sentence


def names_in_javascript(text: str) -> list[str]:
    """The mistakes of web/mistakes.js, in their order."""
    table = text[text.index("const STAGE_MISTAKES") : text.index("const RIGHT")]
    return re.findall(r"^  (\w+): \[", table, re.MULTILINE)
