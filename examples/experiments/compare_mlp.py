"""Section 31.2: is the CNN better than the MLP, and with how many weights? python -m examples.compare_mlp

Both are trained with the same recipe from the same seeds; the runs are those of examples.seeds, and none is
trained twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from examples.common import data
from examples.common.figures import training_curves
from examples.common.flags import RESULTS
from examples.common.models import start
from examples.common.statistics import Paired, paired
from examples.experiments import seeds
from parity import numpy_state

SHOWN = {"numpy": "NumPy", "torch": "PyTorch"}


@dataclass(frozen=True)
class Comparison:
    """Models trained by one recipe from the same seeds. str() is a table."""

    dataset: str
    backend: str
    logs: Mapping[str, Sequence[list[dict]]]  # of each model a log (see training.train) for every seed
    parameters: Mapping[str, int]
    images: int  # of the test set

    @property
    def last(self) -> dict[str, np.ndarray]:
        """(seeds,) test accuracies of each model after the last epoch, in percent."""
        return {model: seeds.last_accuracies(logs) for model, logs in self.logs.items()}

    def difference(self, first: str, second: str) -> Paired:
        """How much better the first model is than the second, in points, over seeds and test images."""
        return paired(*(seeds.correct(self.logs[model], self.images) for model in (first, second)))

    def __str__(self) -> str:
        rows = [f"{'test accuracy in percent':26}parameters  {seeds.HEADER}"]
        for model, accuracies in self.last.items():
            rows.append(f"{model:26}{self.parameters[model]:10,}  {seeds.spread(accuracies)}")
        return "\n".join(rows)

    def curves(self) -> Figure:
        """Training loss and test accuracy: the mean over seeds, in the band from smallest to largest."""
        count = len(next(iter(self.logs.values())))
        title = f"{self.dataset}, {SHOWN[self.backend]}: mean and range of {count} seeds"
        figure = training_curves({model: mean_log(logs) for model, logs in self.logs.items()}, title)
        for axes, name in zip(figure.axes, ("train_loss", "test_accuracy"), strict=True):
            for line, logs in zip(axes.get_lines(), self.logs.values(), strict=True):
                values = values_of(logs, name)
                low, high = values.min(axis=0), values.max(axis=0)
                axes.fill_between(line.get_xdata(), low, high, color=line.get_color(), alpha=0.2)
        largest = max(values_of(logs, "train_loss").max() for logs in self.logs.values())
        figure.axes[0].set_ylim(0, 1.05 * largest)
        return figure


def compare(
    models: Sequence[str],
    dataset: data.Dataset,
    backend: str = "torch",
    seed_count: int = 5,
    epochs: int = 5,
    results: Path = RESULTS,
) -> Comparison:
    """Train each of `models`, names in MODELS, from seeds 0, 1, ..., or find it in `results`."""
    logs = {
        model: seeds.logs(results, dataset, model, backend, range(seed_count), epochs) for model in models
    }
    parameters = {model: parameter_count(model) for model in models}
    return Comparison(dataset.name, backend, logs, parameters, len(dataset.test_images))


def introduction(
    models: Sequence[str], dataset: data.Dataset, backend: str, seed_count: int, epochs: int
) -> str:
    """A line with the models, the backend, the data set, the recipe and the machine."""
    return f"{', '.join(models)}, {SHOWN[backend]}: {seeds.introduction(dataset, seed_count, epochs)}"


def parameter_count(model: str) -> int:
    """The number of weights and biases of a model in MODELS."""
    return sum(array.size for array in numpy_state(start(model, "numpy", 0)).values())


def values_of(logs: Sequence[list[dict]], name: str) -> np.ndarray:
    """(seeds, epochs): train_loss or test_accuracy."""
    return np.array([[entry[name] for entry in log] for log in logs])


def mean_log(logs: Sequence[list[dict]]) -> list[dict]:
    """One log with the means over seeds."""
    means = {name: values_of(logs, name).mean(axis=0).tolist() for name in ("train_loss", "test_accuracy")}
    return [
        {"epoch": entry["epoch"]} | {name: means[name][i] for name in means}
        for i, entry in enumerate(logs[0])
    ]


def verdict(difference: Paired, first: str, second: str) -> str:
    """What the seeds allow to say, as a clause."""
    count = len(difference.differences)
    if difference.winner == 0:
        return f"{count} seeds do not tell whether {first} or {second} is better"
    better, worse = (first, second) if difference.winner > 0 else (second, first)
    return f"{better} is better than {worse}, by {abs(difference.mean):.2f} points over {count} seeds"
