"""The proof that tinycnn_numpy and tinycnn_torch compute the same."""

from parity.comparison import (
    assert_parity,
    compare,
    compare_loss,
    compare_optimizers,
    is_smooth,
    lockstep,
    smooth_batches,
    smooth_input,
)
from parity.oracles import check_adjoint, check_gradients, correlate_images
from parity.report import Report, Row
from parity.twins import twin, twin_optimizer
from parity.weights import (
    copy_weights,
    load_numpy_state,
    load_optimizer_state,
    load_weights,
    numpy_state,
    save_weights,
)

__all__ = [
    "Report",
    "Row",
    "assert_parity",
    "check_adjoint",
    "check_gradients",
    "compare",
    "compare_loss",
    "compare_optimizers",
    "copy_weights",
    "correlate_images",
    "is_smooth",
    "load_numpy_state",
    "load_optimizer_state",
    "load_weights",
    "lockstep",
    "numpy_state",
    "save_weights",
    "smooth_batches",
    "smooth_input",
    "twin",
    "twin_optimizer",
]
