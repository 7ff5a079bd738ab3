"""Say what the mistake is: try every known cause on the arrays, and name those that explain them.

A cause predicts, from the inputs of a case, the wrong numbers that it would give. It is named only if that
is what the code gave: see search.py. Random numbers are explained by nothing. Then nothing is named, and the
picture of the wrong entries is put in words.
"""

from collections.abc import Callable, Sequence

from parity.doctor.evidence import Evidence
from parity.doctor.picture import picture
from parity.doctor.search import Again, causes_for
from parity.record import Fault
from parity.report import NO_KNOWN_CAUSE, Diagnosis, Row

Smallest = Callable[[str, str, Evidence], str]  # stage, tensor, a wrong run -> the smallest case that fails


def diagnose(row: Row, evidence: Sequence[Evidence], smallest: Smallest | None = None) -> list[Diagnosis]:
    """What a row's remark says already nobody needs to guess from the numbers; else the causes are tried."""
    told = diagnosis_of_remark(row)
    return [told] if told else explain(row.stage, row.tensor, evidence, smallest)


def diagnosis_of_remark(row: Row) -> Diagnosis | None:
    tensor, note = row.tensor, row.note
    match row.fault:
        case Fault.MODIFIED if tensor in ("weight", "bias"):
            code = "updated-too-early"
            sentence = f"{tensor} {note}: weights change in step, when all gradients are known."
        case Fault.MODIFIED:
            code = "input-modified"
            sentence = f"{tensor} {note}: it belongs to the caller, work on a copy."
        case Fault.WRONG_DTYPE if row.ratio <= 1:
            code = "widened"
            wide = "an array of float64 or int, or np.sqrt of a Python number, got in; float32 stays float32"
            sentence = f"{note}: {wide if 'float64' in note else 'keep the dtype of what came in'}."
        case Fault.STAGE_SKIPPED:
            code, sentence = "stage-skipped", f"{tensor} {note}."
        case Fault.CHANGED_BETWEEN:
            code = "changed-in-between"
            sentence = f"{tensor} {note}: each stage takes what the one before it returned, unchanged."
        case Fault.RIGHT_ALONE:
            code = "shared-arrays"
            sentence = (
                "right alone, wrong in this run: look for what an earlier call or another stage has changed."
            )
        case Fault.UNWATCHED if row.ratio <= 1:
            code = "shared-arrays"
            sentence = f"{tensor} {note}: keep nothing on the class or in a global variable."
        case Fault.UNLISTED:
            code = "parameter-missing"
            sentence = f"{tensor} {note}: the optimiser never updates it."
        case Fault.DTYPE_IGNORED:
            code = "dtype-ignored"
            sentence = f"{tensor}: {note}: make the array of that dtype."
        case Fault.ALIAS:
            code = "shared-arrays"
            sentence = f"{tensor} {note}: make a new one in every backward."
        case Fault.RNG_IGNORED:
            code = "rng-ignored"
            sentence = f"{tensor} {note}: draw from the rng that the constructor is given."
        case Fault.ALIKE:
            code = "symmetric-start"
            sentence = f"{tensor} {note}: all outputs then get the same gradient, and stay alike."
        case Fault.START:
            code = "initial-values"
            sentence = f"{tensor} {note}."
        case Fault.OVERWRITTEN if row.ratio <= 1:
            code = "output-reused"
            sentence = f"{tensor} {note}: it belongs to the caller, make a new array in every forward."
        case Fault.MISSING:
            code, sentence = "gradient-missing", "never assigned, or a return is missing."
        case Fault.NOT_AN_ARRAY:
            code, sentence = "not-an-array", f"{tensor} {note}: return one array, not several or none."
        case _:
            return None
    return Diagnosis(row.stage, tensor, code, sentence)


def explain(
    stage: str,
    tensor: str,
    evidence: Sequence[Evidence],
    smallest: Smallest | None = None,
    again: Again | None = None,
) -> list[Diagnosis]:
    """Name what explains a wrong tensor in the runs of one stage or class; else say what is wrong there.

    Where a cause does not explain every wrong run, its sentence ends with the cases that it does explain.
    again: runs a case once more, with other numbers in other sizes, where a cause must fit as well.
    """
    found, rest = causes_for(tensor, evidence, again)
    wrong = [e for e in evidence if tensor in e.given and tensor in e.wrong]
    runs = [e for e in evidence if tensor in e.given and tensor in e.exact]
    diagnoses: dict[str, Diagnosis] = {}
    for one in found:
        cases = cases_of([runs[i] for i in sorted(one.runs)]) if len(one.runs) < len(wrong) else ()
        for part in one.cause.parts or (one.cause,):
            said = Diagnosis(stage, tensor, part.code, part.sentence + in_words(cases), cases)
            diagnoses.setdefault(part.sentence, said)
    if rest or not found:
        sentence, cases = "wrong, no known cause: none of the known mistakes explains these numbers.", ()
        if rest:
            cases = cases_of(rest) if found else ()
            sentence = f"no known cause{in_words(cases)}. {picture(tensor, rest[0])}"
            sentence += f" {smallest(stage, tensor, rest[0])}" if smallest else ""
        diagnoses[NO_KNOWN_CAUSE] = Diagnosis(stage, tensor, NO_KNOWN_CAUSE, sentence.strip(), cases)
    return list(diagnoses.values())


def cases_of(runs: Sequence[Evidence]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(e.case for e in runs if e.case))


def in_words(cases: Sequence[str]) -> str:
    """(in: ...), the first three by name."""
    more = f" and {len(cases) - 3} more" if len(cases) > 3 else ""
    return f" (in: {'; '.join(cases[:3])}{more})" if cases else ""
