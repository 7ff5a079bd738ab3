"""The proof that tinycnn_numpy and tinycnn_torch compute the same, and a doctor for hand-written layers."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

# Imported on first use: the process that runs a student's file needs parity.record alone, and no PyTorch.
_HOMES = {
    "check": "student.examine",
    "Checkup": "student.checkup",
    "assert_parity": "comparison",
    "compare": "comparison",
    "compare_loss": "comparison",
    "compare_optimizers": "comparison",
    "Diagnosis": "report",
    "diagnose": "doctor.diagnose",
    "is_smooth": "training",
    "lockstep": "training",
    "smooth_batches": "training",
    "smooth_input": "training",
    "check_adjoint": "oracles",
    "check_gradients": "oracles",
    "correlate_images": "oracles",
    "Report": "report",
    "Row": "report",
    "heat_map": "heatmap",
    "exact_run": "exact",
    "from_torch": "twins",
    "twin": "twins",
    "twin_optimizer": "twins",
    "twin_schedule": "twins",
    "copy_weights": "weights",
    "load_numpy_state": "weights",
    "load_optimizer_state": "weights",
    "load_weights": "weights",
    "numpy_state": "weights",
    "save_weights": "weights",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "heat_map" and find_spec("matplotlib") is None:
        raise ImportError("parity.heat_map needs matplotlib: pip install matplotlib")
    if name in _HOMES:
        return getattr(import_module(f"parity.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'parity' has no attribute {name!r}")
