"""The judgement on what a constructor makes: arrays, or the first out, of an object that saw no image."""

import math

import numpy as np

from parity.bounds import Array
from parity.comparison import ENDED
from parity.record import Fault, Remark, Run
from parity.report import Row, within, wrong
from parity.student.cases import Case

CONSTANT = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}  # of a batch norm
FACTOR = 4  # between the usual schemes for weights: LeCun's, Glorot's, He's, and PyTorch's


def rows_of_built(case: Case, run: Run) -> list[Row]:
    """Dtype, seed and size of the first weights. PyTorch draws them uniform within 1 / sqrt(inputs)."""
    rows: list[Row] = []
    for name, like in case.weights.items():
        array = run.arrays.get((case.kind, name))
        remark = _remark(case, run, name, like, array)
        if remark or array is None:
            rows.append(wrong(case.kind, name, remark or Remark(Fault.MISSING, "missing"), like.shape))
        elif case.kind == "BatchNorm2D":
            off = float(np.abs(array - CONSTANT[name]).max())
            rows.append(within(case.kind, name, like.shape, off, 0.0, _unlike(off, CONSTANT[name])))
        elif name == "weight":
            rms, usual = float(np.sqrt((array.astype(float) ** 2).mean())), 1 / math.sqrt(3 * like[0].size)
            off = abs(math.log(rms / usual)) if rms else math.inf
            rows.append(within(case.kind, name, like.shape, off, math.log(FACTOR), _size(rms, usual)))
        else:
            rows.append(within(case.kind, name, like.shape, 0.0, 0.0))
    if run.failure:
        rows.append(wrong(case.kind, ENDED, Remark(Fault.ENDED, str(run.failure))))
    return rows


def _remark(case: Case, run: Run, name: str, like: Array, array: Array | None) -> Remark | None:
    if array is None:
        return run.remarks.get((case.kind, name))
    if array.shape != like.shape:
        return Remark(Fault.WRONG_SHAPE, f"shape is {array.shape}, expected {like.shape}")
    if array.dtype != like.dtype:
        return Remark(
            Fault.DTYPE_IGNORED, f"dtype is {array.dtype} in an object made with dtype={like.dtype}"
        )
    again, other = (run.arrays.get((case.kind, f"{name} {which}")) for which in ("again", "of another rng"))
    if again is None or other is None or case.kind == "BatchNorm2D":
        return None
    if not np.array_equal(array, again):
        return Remark(Fault.RNG_IGNORED, "differs between two objects whose rng has the same seed")
    if name == "weight" and (array == array.flat[0]).all():
        return Remark(Fault.ALIKE, f"is {array.flat[0]:g} everywhere at first")
    if name in ("weight", "out") and np.array_equal(array, other) and (array != array.flat[0]).any():
        return Remark(Fault.RNG_IGNORED, "is the same whatever rng is")
    return None


def _unlike(off: float, expected: float) -> Remark | None:
    return Remark(Fault.START, f"is not {expected:g} at first") if off else None


def _size(rms: float, usual: float) -> Remark | None:
    if usual / FACTOR <= rms <= usual * FACTOR:
        return None
    return Remark(Fault.START, f"has a root mean square of {rms:.2g} at first, PyTorch's {usual:.2g}")
