"""Check the chapter, statement by statement, and write a page: python -m examples.audit

A statement is confirmed, confirmed with conditions, wrong as printed, or not shown, where the numbers leave
it open; a question is answered. Each verdict is computed here and now. Training logs come from --results (see
examples.seeds), which holds finished runs, and are trained if they are not there; some networks are always
trained anew.
"""

from pathlib import Path

from examples.common import data
from examples.common.cli import Parser, fail, in_words, machine, output_folder, run, whole_number
from examples.common.flags import RESULTS


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.audit", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", help="these checks alone, and no page")
    add("--seeds", type=whole_number(2), default=10, help="training runs of each network")
    add("--epochs", type=whole_number(1), default=5, help="of each of them")
    add("--results", type=Path, default=RESULTS, help="file of finished training runs")
    add("--output-dir", type=output_folder, default="runs/audit", help="folder of audit.html")
    data.add_flags(parser)
    args = parser.parse_args(argv)

    from examples.audit.claim import CLAIMS, judge
    from examples.audit.lab import Lab
    from examples.audit.summary import summary, write_page
    from examples.experiments import seeds

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


if __name__ == "__main__":
    run(main)
