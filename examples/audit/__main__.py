"""Check the chapter, statement by statement, and write a page: python -m examples.audit

A statement is confirmed, confirmed with conditions, wrong as printed, or not shown, where the numbers leave
it open; each verdict is computed here and now. Training logs come from --results (see examples.seeds), which
holds finished runs, and are trained if they are not there; three networks are always trained anew.
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
    NOT_SHOWN,
    WRONG,
    Claim,
    Finding,
    judge,
)
from examples.audit.lab import Lab
from examples.program import Parser, fail, in_words, machine, output_folder, run, whole_number

STYLE = """
td { font-size: .9rem; }
td:last-child { font-size: .8rem; }
td pre { white-space: pre; }
td pre code { font-size: .75rem; }
td:nth-child(3) { min-width: 13rem; } td:nth-child(5) { min-width: 17rem; }
td span { white-space: nowrap; font-weight: 600; }
.confirmed { color: #047857; } .conditions { color: #92400e; }
.printed { color: #b91c1c; } .shown, .here { color: #4b5563; }
"""
SIGNS = {
    CONFIRMED: "\N{CHECK MARK}",
    CONDITIONS: "~",
    WRONG: "\N{MULTIPLICATION SIGN}",
    NOT_SHOWN: "?",
    NOT_CHECKED: "-",
}


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.audit", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", help="these checks alone, and no page")
    add("--seeds", type=whole_number(2), default=10, help="training runs of each network")
    add("--epochs", type=whole_number(1), default=5, help="of each of them")
    add("--results", type=Path, default=seeds.RESULTS, help="file of finished training runs")
    add("--output-dir", type=output_folder, default="runs/audit", help="folder of audit.html")
    data.add_flags(parser)
    args = parser.parse_args(argv)
    names = [claim.name for claim in CLAIMS]
    for name in args.only or []:
        if name not in names:
            fail(f"--only {name} names no check, expected some of {', '.join(names)}")
    dataset = data.from_flags(args)
    lab = Lab(dataset, args.results, args.seeds, args.epochs)
    facts = (
        f"{dataset}, {seeds.epochs_in_words(args.epochs)}, seeds 0 to {args.seeds - 1}; {in_words(machine())}"
    )
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


if __name__ == "__main__":
    run(main)
