"""PyTorch's side of a comparison."""

import torch

from parity.record_torch import use_plain_float32


def test_no_digits_are_dropped_on_gpus_that_would():
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    for switch in switches:
        switch.allow_tf32 = True
    use_plain_float32()
    assert [switch.allow_tf32 for switch in switches] == [False, False]
