"""What the checker finds of the bugs in this folder, and what it calls them.

    python tests/parity/unseen/measure.py bugs2.jsonl           counts
    python tests/parity/unseen/measure.py bugs2.jsonl --read    each bug: its truth, and what was said of it

A bug is caught if some tensor is wrong, and named if no wrong tensor is without a cause. Whether a name is
the truth a person has to judge: names.jsonl holds what was read and judged, {"bug": [kind, plain, name],
"codes": {code: true or false}}. A code that nobody has judged yet is counted as unread.
"""

import argparse
import json
import linecache
import sys
import types
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import verify_bugs

NO_CAUSE = "no-known-cause"


def module_of(text, name):
    module = types.ModuleType(name)
    module.__file__ = f"{name}.py"
    sys.modules[name] = module
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    exec(compile(text, module.__file__, "exec"), vars(module))
    return module


def examined(bug):
    """The wrong tensors, {(tensor, code): sentence}, and the exceptions."""
    import torch

    from parity.student.examine import check_class

    torch.set_num_threads(1)
    text = (verify_bugs.HERE / "plain" / bug["plain"]).read_text().replace(bug["old"], bug["new"])
    module = module_of(text, "student_" + bug["name"].replace("-", "_").replace("+", "_"))
    checks = check_class(getattr(module, bug["kind"]), bug["kind"], lines=True).checks
    wrong = sorted({row.tensor for check in checks for row in check.rows if not row.ok})
    said = {(d.tensor, d.code): d.sentence for check in checks for d in check.diagnoses}
    return wrong, said, sorted({check.error for check in checks if check.error})


def outcome(wrong, said, errors):
    """ "missed"; "named"; "partly", if a wrong tensor is left without a cause; "located", if all are."""
    codes = {code for _, code in said}
    if not wrong and not errors:
        return "missed"
    if codes - {NO_CAUSE}:
        return "partly" if NO_CAUSE in codes else "named"
    return "located" if codes or wrong else "raised"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", choices=verify_bugs.FILES)
    parser.add_argument("--read", action="store_true", help="print every bug and what was said of it")
    args = parser.parse_args(argv)
    bugs = verify_bugs.read_bugs([args.file])
    names = verify_bugs.HERE / "names.jsonl"
    lines = names.read_text().splitlines() if names.exists() else ()
    judged = {tuple(entry["bug"]): entry["codes"] for entry in map(json.loads, lines)}
    count, by_kind, judgements = Counter(), {}, Counter()
    with ProcessPoolExecutor() as pool:
        for bug, (wrong, said, errors) in zip(bugs, pool.map(examined, bugs, chunksize=4), strict=True):
            found = outcome(wrong, said, errors)
            count[found] += 1
            by_kind.setdefault(bug["kind"], Counter())[found] += 1
            known = judged.get((bug["kind"], bug["plain"], bug["name"]), {})
            codes = {code for _, code in said} - {NO_CAUSE}
            verdicts = {known.get(code) for code in codes}
            if codes:
                judgements["false" if False in verdicts else "unread" if None in verdicts else "true"] += 1
            if args.read:
                print(json.dumps({**bug, "found": found, "wrong": wrong, "errors": errors,
                                  "said": [[*key, text] for key, text in said.items()]}))  # fmt: skip
    for kind, found in by_kind.items():
        print(f"{kind:17}{sum(found.values()):4}  " + ", ".join(f"{n} {what}" for what, n in found.items()))
    total = len(bugs)
    print(f"{total} bugs: {total - count['missed']} caught, {count['named']} named"
          f" ({100 * count['named'] / total:.0f} %), {count['partly']} in part")  # fmt: skip
    print(f"names that were judged: {judgements['true']} true, {judgements['false']} false,"
          f" {judgements['unread']} unread")  # fmt: skip


if __name__ == "__main__":
    main()
