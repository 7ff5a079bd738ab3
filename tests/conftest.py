"""Settings for every test: few cases while writing, fixed ones in CI, many at night."""

import os
import sys

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # two workers share the cores
    os.environ.setdefault(threads, "1")

import hypothesis  # noqa: E402  # after the thread counts, which NumPy reads when it starts
import pytest  # noqa: E402
import torch  # noqa: E402

from examples.common import data, mnist_files  # noqa: E402
from parity.student import mend  # noqa: E402

hypothesis.settings.register_profile("dev", max_examples=25, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("nightly", max_examples=2000, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small arrays gain nothing from more, and the results do not depend on the machine."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    """No test of this process fetches MNIST, unless it says from where."""
    monkeypatch.setattr(mnist_files, "MIRRORS", [])
    monkeypatch.setattr(mnist_files, "PIP", [sys.executable, "-c", "raise SystemExit('no pip in tests')"])


@pytest.fixture(autouse=True)
def no_lines(request, monkeypatch):
    """The search for the line that is wrong takes seconds: only for tests that are marked `lines`."""
    if not request.node.get_closest_marker("lines"):
        monkeypatch.setattr(mend, "SECONDS", 0.0)


@pytest.fixture
def few_digits(monkeypatch):
    """The embedded digits, with fewer to train on; whoever loads them gets these."""
    whole = data.load_digits()
    few = data.Dataset(
        "digits", whole.train_images[:130], whole.train_labels[:130], whole.test_images, whole.test_labels
    )
    monkeypatch.setattr(data, "load_digits", lambda: few)
    return few
