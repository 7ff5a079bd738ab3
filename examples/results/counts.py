"""What is counted in the tree itself, now: no result that could grow old is kept of it."""

import json
from pathlib import Path

HOUSE = Path(__file__).parents[2]
UNSEEN = HOUSE / "tests" / "parity" / "unseen"


def counts() -> dict[str, int]:
    from examples.audit.claim import CLAIMS
    from examples.audit.summary import SIGNS  # with it come all claims
    from examples.bugs import BUGS

    blind = {path.stem: len(path.read_text("utf-8").splitlines()) for path in UNSEEN.glob("bugs*.jsonl")}
    wild = json.loads((UNSEEN / "wild" / "truth.json").read_text("utf-8"))
    return {
        "statements": len(CLAIMS),
        "verdicts": len(SIGNS),
        "museum": len(BUGS),
        "wild": len(wild),
        "right": len([*UNSEEN.glob("right/*.py"), *UNSEEN.glob("right2/*.py")]),
        **blind,
    }
