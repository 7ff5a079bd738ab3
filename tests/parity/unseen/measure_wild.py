"""How much of the files in wild, wild2 and wild3 is examined, and how it is judged.

    python tests/parity/unseen/measure_wild.py wild3            counts
    python tests/parity/unseen/measure_wild.py wild3 --read     each layer that is not as truth.json says, and
                                                                what was said of each wrong one

A layer is examined if some case was asked; right code is accepted if nothing of it is called wrong.
"""

import argparse
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent


def owner(name):
    """What the check calls it: "conv_forward/conv_backward" is conv_forward."""
    name, _, mode = name.partition(", mode=")
    return f"{name.split('/')[0]} ({mode})" if mode else name.split(", ")[-1].split("/")[0]


def examined(path):
    from parity.student.submission import examine_file

    checkup = examine_file(path, seconds=60)
    return {one.owner: one for one in checkup.classes}, checkup.remarks


def outcome(truth, one):
    """What became of a layer, or of what is none."""
    asked = one is not None and one.state not in ("not examined", "not written", "skipped")
    if truth["kind"] == "none":
        return (
            ("other, taken for right" if one.state == "right" else "other, called wrong")
            if asked
            else "other"
        )
    if not asked:
        return "not examined"
    if truth["right"]:
        return "accepted" if one.state == "right" else "accused"
    return "missed" if one.state == "right" else "caught"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", choices=("wild", "wild2", "wild3"))
    parser.add_argument("--read", action="store_true", help="print what is not as it should be")
    args = parser.parse_args(argv)
    folder = HERE / args.folder
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    counts = Counter()
    with ProcessPoolExecutor(2) as pool:
        paths = [folder / file.removesuffix("/nn") for file in truth]
        for file, (found, remarks) in zip(truth, pool.map(examined, paths), strict=True):
            for name, entry in truth[file].items():
                one = found.get(owner(name))
                what = outcome(entry, one)
                counts[what] += 1
                if args.read and what not in ("accepted", "other"):
                    said = [remark for remark in remarks if owner(name) in remark]
                    said = (
                        one.checks and [d.sentence for c in one.checks for d in c.diagnoses] if one else said
                    )
                    print(
                        f"{what}: {file} {name}: {entry['mistake'] or ''} | {'; '.join(dict.fromkeys(said))}"
                    )
    print(
        f"{args.folder}: {len(truth)} files; "
        + ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    )


if __name__ == "__main__":
    main()
