"""Check the chapter, statement by statement, and write a page: python -m examples.audit

A statement is confirmed, confirmed with conditions, or wrong as printed; each verdict is computed here and
now. What needs training comes from --results (see examples.seeds) and is trained if it is not there.
"""

import os
from pathlib import Path

from examples import data, page, seeds
from examples.audit import exercises, filters, frameworks, networks, training, zoo  # noqa: F401  # enter claims
from examples.audit.claim import (
    CLAIMS,
    CONDITIONS,
    CONFIRMED,
    HOUSE,
    NOT_CHECKED,
    WRONG,
    Claim,
    Finding,
    judge,
)
from examples.audit.lab import Lab
from examples.program import Parser, fail, in_words, machine, run, whole_number

STYLE = """
td { font-size: .9rem; }
td:last-child { font-size: .8rem; }
td pre code { white-space: nowrap; font-size: .75rem; }
td span { white-space: nowrap; font-weight: 600; }
.confirmed { color: #047857; } .conditions { color: #92400e; }
.printed { color: #b91c1c; } .here { color: #4b5563; }
"""
SIGNS = {CONFIRMED: "\N{CHECK MARK}", CONDITIONS: "~", WRONG: "\N{MULTIPLICATION SIGN}", NOT_CHECKED: "-"}


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.audit", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", help="these checks alone, and no page")
    add("--seeds", type=whole_number(2), default=10, help="training runs of each network")
    add("--epochs", type=whole_number(1), default=5, help="of each of them")
    add("--results", type=Path, default=seeds.RESULTS, help="file of finished training runs")
    add("--output-dir", type=Path, default=Path("runs/audit"), help="folder of audit.html")
    data.add_flags(parser)
    args = parser.parse_args(argv)
    names = [claim.name for claim in CLAIMS]
    for name in args.only or []:
        if name not in names:
            fail(f"--only {name} names no check, expected some of {', '.join(names)}")
    dataset = data.from_flags(args)
    lab = Lab(dataset, args.results, args.seeds, args.epochs)
    facts = f"{dataset}, {args.epochs} epochs, seeds 0 to {args.seeds - 1}; {in_words(machine())}"
    print(facts)
    findings = {}
    for claim in sorted(CLAIMS, key=lambda claim: claim.section):
        if not args.only or claim.name in args.only:
            findings[claim] = found = judge(claim, lab)
            print(f"{claim.section:4}  {claim.name:29}  {found.verdict}: {found.computed}", flush=True)
    print(summary(findings))
    if not args.only:
        write_page(args.output_dir / "audit.html", findings, facts, lab)
    return 0


def summary(findings: dict[Claim, Finding]) -> str:
    verdicts = [found.verdict for found in findings.values()]
    counts = (f"{verdicts.count(verdict)} {verdict}" for verdict in SIGNS if verdict in verdicts)
    return f"{len(verdicts)} statements: {', '.join(counts)}"


def write_page(path: Path, findings: dict[Claim, Finding], facts: str, lab: Lab) -> None:
    rows = []
    for number, (claim, found) in enumerate(findings.items(), start=1):
        program = f"python -m {claim.by}" if claim.by else ""
        file, line = claim.source.split(":")
        code = os.path.relpath(HOUSE / file, path.parent)
        source = f'<a href="{page.escape(code)}">{page.escape(file)}</a>, line {line}'
        computed_by = page.Markup(page.code("\n".join(filter(None, [claim.command, program]))) + source)
        style = f'class="{found.verdict.split()[-1]}"'
        verdict = page.Markup(f"<span {style}>{SIGNS[found.verdict]} {found.verdict}</span>")
        rows.append([number, claim.section, claim.says, verdict, found.computed, computed_by])
    header = ["", "section", "the chapter says", "verdict", "computed", "by"]
    parts = [
        page.paragraph(
            "Every statement of the chapter that can be computed, what came out, and the command that "
            "computes it. A verdict is the outcome of a comparison in the code, never typed in."
        ),
        page.paragraph(facts),
        page.paragraph(page.Markup(f"<strong>{page.escape(summary(findings))}</strong>")),
        page.table(header, rows, "The audit"),
    ]
    if lab.dataset.name == "mnist":
        last = {("MNISTCNN", backend): lab.last("MNISTCNN", backend) for backend in ("numpy", "torch")}
        title = f"Test accuracy of {lab.seeds} seeds after {lab.epochs} epochs"
        alt = "A dot for each seed and backend; the chapter's 98.75 % is a line through the middle of them."
        parts.append(page.picture(seeds.dots(last, title, seeds.PRINTED), alt))
    page.write(path, "The chapter, audited", parts, STYLE)


if __name__ == "__main__":
    run(main)
