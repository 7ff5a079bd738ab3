"""Every page about a mistake is true: its wrong line earns the code, and the right one is right."""

import pytest
from some import every

import parity
from parity.__main__ import main
from parity.doctor import explain, failures, plain
from parity.doctor.evidence import ANY, KNOWN, Page
from parity.doctor.known import MODULES, causes_of, pages
from parity.kinds import KINDS

PAGES = pages()
FROM_REMARKS = {
    "updated-too-early",
    "input-modified",
    "widened",
    "stage-skipped",
    "changed-in-between",
    "output-reused",
    "parameter-missing",
    "dtype-ignored",
    "rng-ignored",
    "symmetric-start",
    "initial-values",
    "not-an-array",
    "no-known-cause",
    "one-line",
}
FROM_EXCEPTIONS = {page.code for page in failures.PAGES}  # fmt: skip

ALSO = {  # codes that other wrong tensors of the same example are given
    "mask-drawn-once": {"rng-ignored"},  # its generator has a seed of its own
    "mean-for-max": {"log-of-softmax"},  # both losses are infinite at the same places
    "updated-too-early": {"no-known-cause"},  # of dx: nobody knows the step
}


def codes_of(cls, kind):
    return {d.code for check in parity.check(cls, kind).checks for d in check.diagnoses}


@pytest.mark.lines
def test_the_page_about_the_line():
    assert codes_of(explain.wrong_class(PAGES["one-line"]), "Dense") == {"one-line"}


OF_CAUSES = [page for page in PAGES.values() if page.code != "one-line"]


@pytest.mark.parametrize("page", every(4, OF_CAUSES), ids=lambda page: page.code)
def test_the_wrong_line_earns_the_code(page):
    cls = explain.wrong_class(page)
    assert codes_of(cls, page.kind) == {page.code} | ALSO.get(page.code, set())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if hasattr(plain, kind)])
def test_the_plain_edition_is_right(kind):
    checkup = parity.check(getattr(plain, kind))
    assert checkup.ok, checkup


def test_every_code_has_one_page_and_every_page_a_code():
    tensors = {kind: [tensor or "0" for of, tensor in KNOWN if of == kind] for kind in KINDS}
    causes = [c for kind in tensors for tensor in tensors[kind] for c in causes_of(kind, tensor)]
    known = {part.code for cause in causes for part in cause.parts or (cause,)}
    every = [page.code for module in MODULES for page in getattr(module, "PAGES", ())]
    assert len(every) == len(set(every)) == len(PAGES)
    assert set(PAGES) == known | FROM_REMARKS | FROM_EXCEPTIONS
    assert (ANY, ANY) in KNOWN


def test_a_page_whose_line_is_nowhere_is_refused():
    page = Page("mask-missing", "ReLU", "", right="dx = dout * mask", wrong="dx = dout", why="")
    with pytest.raises(
        ValueError, match="explain: right of mask-missing is 'dx = dout \\* mask', expected a"
    ):
        explain.wrong_class(page)


def test_a_page_that_is_not_true_would_be_seen():
    page = PAGES["mask-missing"]
    other = Page("mask-inverted", page.kind, page.what, page.right, page.wrong, page.why)
    assert other.code not in codes_of(explain.wrong_class(other), "ReLU")


class TestProgram:
    def test_a_page(self, capsys):
        assert main(["explain", "mask-missing"]) == 0
        out = capsys.readouterr().out
        assert out.startswith(
            "mask-missing: dout passes everywhere.\n\nwrong, in ReLU.backward:\n\n    def backward"
        )
        assert "  >     dx = dout\n        return dx\n\nright:\n\n    dx = dout * (x > 0)\n" in out

    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_every_page_is_narrow(self, page):
        assert max(map(len, explain.text(page).splitlines())) <= 110

    def test_all_codes(self, capsys):
        assert main(["explain"]) == 0
        out = capsys.readouterr().out
        assert all(out.count(f"  {code} ") == 1 for code in PAGES)
        assert out.startswith("Any layer, loss, optimizer or model\n  accumulated ") and "\nConv2D\n" in out

    def test_a_code_that_there_is_not(self, capsys):
        assert main(["explain", "mask-mising"]) == 2
        assert capsys.readouterr().err.startswith(
            "error: there is no cause 'mask-mising'; near it: mask-missing"
        )
        assert main(["explain", "xyz"]) == 2
        assert capsys.readouterr().err == (
            "error: there is no cause 'xyz'; python -m parity explain lists all\n"
        )
