"""Section 31.4: the pretrained models, by torchvision's own numbers, and transfer learning."""

import re
from functools import cache

from examples.audit.claim import (
    CONFIRMED,
    WRONG,
    Finding,
    claim,
    confirmed,
    holds,
    only_if,
    open_,
    rounded,
    wrong,
)
from examples.common import data
from examples.common.statistics import paired
from examples.experiments import zoo
from examples.experiments.transfer import train_body, transfer_accuracies
from examples.experiments.zoo import PRINTED_LIST, PRINTED_TABLE

PAPERS = {  # where a printed accuracy comes from that is not torchvision's
    "efficientnet_b0": "of Tan and Le, arXiv 1905.11946",
    "vit_b_16": "of Dosovitskiy et al., arXiv 2010.11929",
}
EARLIER = {"alexnet": 2012}  # Krizhevsky, Sutskever and Hinton, NeurIPS 2012: another network of this name


@cache
def rows() -> dict[str, zoo.Row]:
    return {row.name: row for row in zoo.zoo_rows()}


def in_words(verdict: str, computed: str) -> Finding:
    """A finding out of what examples.zoo says: agrees, is cut off instead of rounded, or differs."""
    text = f"{computed}: {verdict}"
    return only_if(text) if verdict.startswith("cut") else holds(verdict.startswith("agrees"), text)


@claim("31.4", "MNISTCNN has about 13,000 parameters", by="examples.shapes")
def thirteen_thousand(lab):
    from tinycnn_torch import MNISTCNN

    return rounded(13, zoo.count(MNISTCNN()) / 1000, 0, "thousand")


for model, printed in PRINTED_LIST.items():

    @claim("31.4", f"{model} has {printed} parameters", "examples.zoo", f"parameters_of_{model}")
    def exact_count(lab, model=model, printed=printed):
        counted = rows()[model].parameters
        return in_words(zoo.count_verdict(printed, counted), f"{counted:,}")


for model, (label, year, millions, top1) in PRINTED_TABLE.items():

    @claim("31.4", f"{label} is of {year}", "examples.zoo", f"year_of_{model}")
    def year_of(lab, model=model, printed=year):
        from torchvision import models

        return dated(printed, getattr(models, model).__doc__, EARLIER.get(model))

    @claim("31.4", f"{label} has {millions} parameters", "examples.zoo", f"millions_of_{model}")
    def millions_of(lab, model=model, printed=millions):
        counted = rows()[model].parameters
        return in_words(zoo.count_verdict(printed, counted), f"{counted:,}")

    @claim("31.4", f"{label} has {top1} % top-1 accuracy on ImageNet", "examples.zoo", f"top1_of_{model}")
    def top1_of(lab, model=model, printed=top1):
        weights = rows()[model].weights
        published = ", ".join(f"{each.name} {each.top1:.3f} %" for each in weights if each.top1 == each.top1)
        found = in_words(zoo.top1_verdict(printed, weights), published)
        if found.verdict == CONFIRMED and sum(each.top1 == each.top1 for each in weights) > 1:
            return only_if(found.computed)
        if found.verdict == WRONG and model in PAPERS:
            return only_if(f"the figure {PAPERS[model]}; torchvision's: {found.computed}")
        return found


def dated(printed: int, doc: str, earlier: int | None = None):
    """By the arXiv number of the paper in torchvision's docstring; a condition if an earlier one is meant."""
    found = re.search(r"arxiv\.org/\w+/(\d\d)(\d\d\.\d+)", doc)
    if not found:
        return open_("torchvision names no paper on arXiv")
    year, text = 2000 + int(found[1]), f"torchvision's network is that of arXiv {found[1]}{found[2]}"
    if printed == earlier != year:
        return only_if(f"{text}, of {year}; the first network of this name is of {earlier}")
    return holds(printed == year, text)


@claim(
    "31.4",
    "fine-tuning a new head gives excellent results with very little data",
    by="examples.transfer",
    comparisons=2,
)
def transfer(lab):
    """The digits 5 to 9 of scikit-learn from 10 images each, on a body that knows 0 to 4 of the data set."""
    bodies = [train_body(lab.dataset, seed, 1000)[0] for seed in range(3)]
    found = transfer_accuracies(bodies, data.load_digits(), [10], 300)
    text = "; ".join(f"{way} {accuracies.mean():.1f} %" for way, accuracies in found.items())
    text = f"from 10 images a class: {text}"
    frozen = found["frozen body"][0]
    gains = [paired(frozen, found[way][0]) for way in ("from scratch", "frozen untrained body")]
    over = " and ".join(gain.rounded(1) for gain in gains)
    text = f"{text}; frozen body minus the last two {over} points (95 % intervals of {len(bodies)} seeds)"
    winners = [gain.winner for gain in gains]
    if min(winners) < 0:
        return wrong(text)
    return confirmed(text) if winners == [1, 1] and frozen.mean() > 95 else open_(text)
