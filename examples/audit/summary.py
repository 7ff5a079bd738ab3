"""Check the chapter, statement by statement, and write a page.

A statement is confirmed, confirmed with conditions, wrong as printed, or not shown, where the numbers leave
it open; a question is answered. Each verdict is computed here and now. Training logs come from --results (see
examples.seeds), which holds finished runs, and are trained if they are not there; some networks are always
trained anew.
"""

import os
from pathlib import Path

from examples.audit import exercises, filters, frameworks, networks, training, zoo  # noqa: F401  # enter claims
from examples.audit.claim import (
    ANSWERED,
    CONDITIONS,
    CONFIRMED,
    HOUSE,
    NOT_CHECKED,
    NOT_SHOWN,
    WRONG,
    Claim,
    Finding,
)
from examples.audit.lab import Lab
from examples.common import html_page as page
from examples.common.statistics import of_comparisons
from examples.experiments import seeds

STYLE = """
td { font-size: .9rem; }
td:last-child { font-size: .8rem; }
td pre code { font-size: .75rem; }
td:nth-child(3) { min-width: 13rem; } td:nth-child(5) { min-width: 17rem; }
td:last-child { min-width: 15rem; }
td span { white-space: nowrap; font-weight: 600; }
.confirmed { color: light-dark(#1d7044, #6fcf97); } .conditions { color: light-dark(#92400e, #f2b544); }
.printed { color: light-dark(#b3261e, #ff8a80); } .answered { color: light-dark(#1d4ed8, #8ab4f8); }
.shown, .here { color: var(--quiet); }
@media (max-width: 1000px) { table, caption, tbody, tr, td { display: block; } thead { display: none; }
  td { border: 0; padding: .1rem 0; } tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  td:is(:nth-child(1), :nth-child(2), :nth-child(4)) { display: inline; margin-right: .6rem; } }
"""
SIGNS = {
    CONFIRMED: "\N{CHECK MARK}",
    CONDITIONS: "~",
    WRONG: "\N{MULTIPLICATION SIGN}",
    ANSWERED: "!",
    NOT_SHOWN: "?",
    NOT_CHECKED: "-",
}


def summary(findings: dict[Claim, Finding]) -> str:
    verdicts = [found.verdict for found in findings.values()]
    counts = (f"{verdicts.count(verdict)} {verdict}" for verdict in SIGNS if verdict in verdicts)
    text = f"{len(verdicts)} statements: {', '.join(counts)}"
    made = sum(claim.comparisons for claim, found in findings.items() if found.verdict != NOT_CHECKED)
    return f"{text}. {of_comparisons(made)}" if made else text


def write_page(path: Path, findings: dict[Claim, Finding], facts: str, lab: Lab) -> None:
    rows = []
    for number, (claim, found) in enumerate(findings.items(), start=1):
        program = f"python -m {claim.by}" if claim.by else ""
        file, line = claim.source.split(":")
        code = os.path.relpath(HOUSE / file, path.parent)
        source = page.Markup(f'<a href="{page.escape(code)}">{page.escape(file)}</a>, line {line}')
        computed_by = page.code("\n".join(filter(None, [claim.command, program]))) + source
        style = f'class="{found.verdict.split()[-1]}"'
        verdict = page.Markup(f"<span {style}>{SIGNS[found.verdict]} {found.verdict}</span>")
        rows.append([number, claim.section, claim.says, verdict, found.computed, computed_by])
    header = ["", "section", "the chapter says or suggests", "verdict", "computed", "by"]
    parts = [
        page.paragraph(
            "What the chapter says or suggests and a program can check, what came out, and the command that "
            "computes it. A verdict is the outcome of a comparison in the code, never typed in."
        ),
        page.paragraph(facts),
        page.paragraph(page.Markup(f"<strong>{page.escape(summary(findings))}</strong>")),
        page.table(header, rows, "The audit"),
    ]
    if lab.dataset.name == "mnist" and lab.epochs == 5:
        last = {("MNISTCNN", backend): lab.last("MNISTCNN", backend) for backend in ("numpy", "torch")}
        title = f"Test accuracy of {lab.seeds} seeds after {lab.epochs} epochs"
        means = " and ".join(f"{accuracies.mean():.2f}" for accuracies in last.values())
        alt = f"A dot for each seed; means {means} %, NumPy and PyTorch, beside a line at 98.75 %."
        parts.append(page.picture(seeds.dots(last, title, seeds.PRINTED), alt))
    page.write(path, "The chapter, audited", parts, STYLE)
