"""Every check is shown wrong implementations that it must reject, and at the right row.

pytest tests/test_planted.py -v prints the list: which mistake, rejected where.
"""

import pytest
from planted import PLANTED


@pytest.mark.parametrize(
    ("check", "where"),
    [pytest.param(check, where, id=f"{cls.__name__}: {where}") for cls, check, where in PLANTED],
)
def test_the_mistake_is_rejected(check, where):
    report = check()
    assert not report.ok
    first = report.mismatches[0]
    assert f"{first.stage} {first.tensor}".endswith(where.split(maxsplit=1)[1]), report
