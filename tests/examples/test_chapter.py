"""The chapter's own loop: the same network, recipe and step as ours, another way to feed it."""

import copy

import numpy as np
import pytest
import torch

import tinycnn_torch as tt
from examples import chapter as chapter_program
from examples.common import data
from examples.experiments import chapter


@pytest.fixture(scope="module")
def few():
    """As many images as make three batches, the last of 22."""
    whole = data.load_digits()
    train, test = slice(150), slice(70)
    return data.Dataset(
        "digits",
        whole.train_images[train],
        whole.train_labels[train],
        whole.test_images[test],
        whole.test_labels[test],
    )


def test_the_loaders_give_every_image_as_it_is_but_for_its_way_through_bytes(few):
    train, test = chapter.loaders(few)
    half_a_grey_level = 1.001 * 0.5 / 255 / data.STD
    images, labels = (torch.cat(part).numpy() for part in zip(*train, strict=True))
    order, wanted = (np.lexsort(np.rint(a.reshape(150, -1).T * 50)) for a in (images, few.train_images))
    np.testing.assert_allclose(images[order], few.train_images[wanted], atol=half_a_grey_level)
    assert (labels[order] == few.train_labels[wanted]).all() and not (labels == few.train_labels).all()
    images, labels = (torch.cat(part).numpy() for part in zip(*test, strict=True))
    np.testing.assert_allclose(images, few.test_images, atol=half_a_grey_level)
    assert (labels == few.test_labels).all()


def test_an_epoch_is_our_epoch_but_for_the_mean_of_means(few):
    """Planted: a mean over images, which weights the last batch less, is another number."""
    torch.manual_seed(0)
    theirs = tt.MNISTCNN()
    ours = copy.deepcopy(theirs)
    loader = torch.utils.data.DataLoader(chapter.Digits(few.train_images, few.train_labels), batch_size=64)
    loss = chapter.train_epoch(theirs, torch.optim.Adam(theirs.parameters(), 1e-3), loader)
    images, labels = (torch.stack([torch.as_tensor(pair[i]) for pair in loader.dataset]) for i in (0, 1))
    step, losses = torch.optim.Adam(ours.parameters(), 1e-3), []
    for batch in torch.arange(150).split(64):
        losses.append(
            float(tt.train_step(ours, torch.nn.CrossEntropyLoss(), step, images[batch], labels[batch]))
        )
    assert loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert loss != pytest.approx(np.average(losses, weights=[64, 64, 22]), rel=1e-4)
    for p, q in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6)


def test_one_seed_is_one_run(few, capsys):
    first, again, other = (chapter.train(few, seed, 2, each_epoch=print) for seed in (1, 1, 2))
    assert first == again and first[0]["train_loss"] != other[0]["train_loss"]
    assert "test_accuracy" in capsys.readouterr().out


def test_the_program(few, monkeypatch, capsys):
    monkeypatch.setattr(data, "load_digits", lambda: few)
    assert chapter_program.main(["--dataset", "digits", "--epochs", "1"]) == 0
    assert "digits: epoch 1/1, train loss" in capsys.readouterr().out
