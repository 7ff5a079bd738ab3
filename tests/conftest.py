"""Settings for every test: few cases while writing, fixed ones in CI, many at night."""

import os

import hypothesis
import pytest
import torch

from examples.common import data

hypothesis.settings.register_profile("dev", max_examples=25, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("nightly", max_examples=2000, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small arrays gain nothing from more, and the results do not depend on the machine."""
    torch.set_num_threads(1)


@pytest.fixture
def few_digits(monkeypatch):
    """The embedded digits, with fewer to train on; whoever loads them gets these."""
    whole = data.load_digits()
    few = data.Dataset(
        "digits", whole.train_images[:130], whole.train_labels[:130], whole.test_images, whole.test_labels
    )
    monkeypatch.setattr(data, "load_digits", lambda: few)
    return few
