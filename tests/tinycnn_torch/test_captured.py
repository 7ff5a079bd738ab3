"""The captured step takes the same steps as the ordinary one: on a GPU if there is one, and on a stand-in."""

import contextlib
import copy

import numpy as np
import pytest
import torch

import tinycnn_torch as tt
from tinycnn_torch import captured

BATCHES = [np.arange(i, min(i + 8, 52)) for i in range(0, 52, 8)]  # the last has 4


def train(module, device, step, epochs=2):
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((52, 1, 8, 8), dtype=np.float32)).to(device)
    labels = torch.from_numpy(rng.integers(2, size=52)).to(device)
    fused = device == "cuda"
    adam = torch.optim.Adam(module.parameters(), 0.01, fused=fused, capturable=fused)
    batches = [torch.from_numpy(batch).to(device) for batch in BATCHES]
    return [
        tt.train_epoch(module, torch.nn.CrossEntropyLoss(), adam, images, labels, batches, step=step)
        for _ in range(epochs)
    ]


def compare(device, step):
    torch.manual_seed(0)
    module = tt.TinyCNN().to(device)
    other = copy.deepcopy(module)
    losses, others = train(module, device, tt.train_step), train(other, device, step)
    assert others == pytest.approx(losses, rel=1e-5)
    for ours, theirs in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_graph_takes_the_same_steps():
    step = tt.CapturedStep()
    compare("cuda", step)
    assert step.graph is not None


class StandIn:
    """Does at each replay what was recorded, as a CUDA graph does, and counts."""

    def __init__(self):
        self.recorded, self.replays = None, 0

    def replay(self):
        self.replays += 1
        self.recorded()


def test_a_stand_in_for_the_graph_takes_the_same_steps(monkeypatch):
    step, graphs, real = tt.CapturedStep(), [], captured.train_step

    @contextlib.contextmanager
    def record(graph):
        graphs.append(graph)

        def only_noted(*arguments):
            graph.recorded = lambda: setattr(step, "loss", real(*arguments))

        with monkeypatch.context() as patch:
            patch.setattr(captured, "train_step", only_noted)
            yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", StandIn)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(tt.CapturedStep, "step_beside", staticmethod(real))
    compare("cpu", step)
    (graph,) = graphs
    assert graph.replays == 2 * 6 - tt.CapturedStep.WARM_UP  # of 2 x 7 steps, 2 have another size


def test_the_stand_in_notices_images_that_are_not_copied(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "copy_", lambda self, other: self)
    with pytest.raises(AssertionError):
        test_a_stand_in_for_the_graph_takes_the_same_steps(monkeypatch)
