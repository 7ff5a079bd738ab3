"""The chapter's own training program, to be compared with.

A DataLoader makes every image anew out of a PIL image, one generator draws weights and order alike, the loss
is read at every step, and the loss of an epoch is the mean over its batches.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms

from examples.common import data
from tinycnn_torch import MNISTCNN


class Digits(torch.utils.data.Dataset):
    """(image, label) of a data set, each image decoded and normalised whenever it is asked for."""

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((data.MEAN,), (data.STD,))])

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.pixels = np.rint((images[:, 0] * data.STD + data.MEAN) * 255).astype(np.uint8)
        self.labels = labels.tolist()

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int):
        return self.transform(Image.fromarray(self.pixels[i])), self.labels[i]


def loaders(dataset: data.Dataset) -> tuple[DataLoader, DataLoader]:
    train = DataLoader(Digits(dataset.train_images, dataset.train_labels), batch_size=64, shuffle=True)
    return train, DataLoader(Digits(dataset.test_images, dataset.test_labels), batch_size=64)


def train_epoch(model: nn.Module, optimizer, loader: DataLoader, batches: int | None = None) -> float:
    """The mean of the batches' losses. batches: fewer than all of them."""
    device, losses = next(model.parameters()).device, []
    for x, y in islice(loader, batches):
        loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> float:
    correct = sum(int((model(x).argmax(dim=1) == y).sum()) for x, y in loader)
    return 100 * correct / len(loader.dataset)  # type: ignore[arg-type]


def train(
    dataset: data.Dataset, seed: int, epochs: int = 5, each_epoch: Callable[[dict], Any] = lambda entry: None
) -> list[dict]:
    """A log like that of training.train, of MNISTCNN. Random numbers are drawn in the chapter's order.

    Each entry also has filters, the smallest and the largest weight of conv1.
    """
    torch.manual_seed(seed)
    model = MNISTCNN()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    train_loader, test_loader = loaders(dataset)
    log = []
    for epoch in range(1, epochs + 1):
        loss = train_epoch(model, optimizer, train_loader)
        accuracy = evaluate(model, test_loader)
        filters = [float(bound) for bound in model.state_dict()["conv1.weight"].aminmax()]
        log.append({"epoch": epoch, "train_loss": loss, "test_accuracy": accuracy, "filters": filters})
        each_epoch(log[-1])
    return log
