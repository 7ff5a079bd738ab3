"""A checkup as the results.json that Gradescope reads.

Its fields: https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

import html
from typing import TYPE_CHECKING, Any

from parity.student import render

if TYPE_CHECKING:
    from parity.student.checkup import Check, Checkup

VISIBILITIES = ("hidden", "after_due_date", "after_published", "visible")


def results(checkup: "Checkup", visibility: str, stdout_visibility: str) -> dict[str, Any]:
    """One test a check, numbered class.case and tagged with the class and the codes; not the seed.

    visibility  of the tests, and stdout_visibility of what the autograder prints: one of VISIBILITIES. The
                output of the whole submission is always visible: if the tests are not, it says no result.
    """
    tests = [
        _test(check, f"{i}.{j}", visibility)
        for i, one in enumerate(checkup.classes, start=1)
        for j, check in enumerate(one.checks, start=1)
    ]
    output = [checkup.title, *checkup.remarks]
    if visibility == "visible":
        output = [checkup.title, *render.remarks_of(checkup), render.summary(checkup)]
    return {
        "output": "<br>\n".join(map(html.escape, output)),
        "output_format": "html",
        "test_output_format": "html",
        "test_name_format": "text",
        "execution_time": round(checkup.seconds),
        "visibility": visibility,
        "stdout_visibility": stdout_visibility,
        "tests": tests,
    }


def _test(check: "Check", number: str, visibility: str) -> dict[str, Any]:
    tags = [check.kind or check.owner, *dict.fromkeys(d.code for d in check.diagnoses)]
    return {
        "name": f"{check.owner}: {check.case}",
        "name_format": "text",
        "number": number,
        "score": check.score,
        "max_score": check.max_score,
        "status": "passed" if check.ok and not check.skipped else "failed",
        "output": _output(check),
        "output_format": "html",
        "tags": tags,
        "visibility": visibility,
    }


def _output(check: "Check") -> str:
    """The hint, or the verdict; below it the wrong tensors as a table."""
    said = [html.escape(check.sentence or check.verdict)]
    if not check.failure and not check.ok:
        (_, *columns), (_, *cells) = render.grid(check.owner, [check])
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        line = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        said.append(f"<table><tr>{head}</tr><tr>{line}</tr></table>")
    return "\n".join(said)
