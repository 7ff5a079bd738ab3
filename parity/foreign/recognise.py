"""In which manner a layer, loss or optimiser is to be used.

It is tried on a small case, whose axes all have different lengths, in one manner after another, until the
numbers are right; a wrong one is used in the manner that fits best.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import tinycnn_numpy
from parity.foreign import layers, losses, modes, optimizers
from parity.foreign.calls import (
    BACKWARD,
    FORWARD,
    NoMannerError,
    UnknownArgumentError,
    method_of,
    parameters_of,
)
from parity.foreign.names import argument_named
from parity.foreign.subject import SAME, Offer, Subject
from parity.kinds import KINDS, NAMES
from parity.record import Fault, Outcome, Run, catching
from parity.student.cases import Case
from parity.student.run_case import build, run_case

Array = np.ndarray[Any, Any]
CLOSE = 1e-4  # of the largest entry


@dataclass(frozen=True)
class Recognised:
    """What can be examined: the class to build, in the library's interface, and how it was taken."""

    subject: Subject
    cls: type
    offer: Offer
    taken: str = ""  # in words; "" if it has the library's interface
    score: tuple[Any, ...] = ()

    @property
    def right(self) -> bool:
        return bool(self.score and self.score[-1])


def behind(subject: Subject, exact: bool = False) -> Recognised:
    """The class to build in the library's interface: the student's own if it has that, else an adapter.

    exact  it should have the library's interface, whatever it is called; it does if it has one of its names

    Raises UnknownArgumentError for what can be used in no manner and has not one of the library's names.
    """
    exact = exact or (subject.cls is not None and any(base.__name__ in NAMES for base in subject.cls.__mro__))
    is_model = KINDS[subject.kind].role == "model"
    if is_model and not is_built_as_ours(subject):
        raise UnknownArgumentError("it is a network with another constructor or without forward and backward")
    if exact and (is_model or has_our_interface(subject)):
        return Recognised(subject, subject.cls, Offer())  # type: ignore[arg-type]
    try:
        found = without_activation(subject)
    except (OwnActivationError, losses.OtherLossError):
        raise
    except (UnknownArgumentError, NoMannerError) as error:
        if not exact or _has_no_weight(subject):
            raise
        if KINDS[subject.kind].role == "optimizer":
            if not (isinstance(error, NoMannerError) and optimizers.is_like_ours(subject)):
                raise
        elif reason := _is_called_otherwise(subject):
            raise NoMannerError(reason) from None
        return Recognised(subject, subject.cls, Offer())  # type: ignore[arg-type]
    return found


class OwnActivationError(UnknownArgumentError):
    """It is two layers in one."""


def _has_no_weight(subject: Subject) -> bool:
    """A layer called Dense or Linear without any array is another thing: an activation, say."""
    takes = inspect.signature(subject.cls).parameters if subject.cls else {}
    return "weight" in probe(subject.kind, Offer()).weights and not takes


_SIGNATURE = re.compile(
    "takes no arguments|required .*argument|unexpected keyword|multiple values|positional arg"
)


def _is_called_otherwise(subject: Subject) -> str:
    """What shows that a class with a name of the library's has another interface; "" if nothing does."""
    failure = run_case(subject.cls, probe(subject.kind, Offer()))["first"].failure  # type: ignore[arg-type]
    if not failure or failure.where:
        return ""
    signature = failure.exception == "TypeError" and _SIGNATURE.search(failure.text)
    return str(failure) if signature or failure.text.endswith("after __init__") else ""


def is_built_as_ours(subject: Subject) -> bool:
    """Whether a network is made as the library's is: a Sequential of stages by name, others of nothing."""
    cls: Any = subject.cls
    try:
        inspect.signature(cls).bind(**({"conv": None, "fc": None} if subject.kind == "Sequential" else {}))
    except TypeError:
        return False
    return hasattr(cls, "forward") and hasattr(cls, "backward")


def has_our_interface(subject: Subject) -> bool:
    """Whether it is built as the library's class is, keeps its weights so, and takes images so."""
    cls: Any = subject.cls
    if any(base.__module__.startswith("tinycnn_numpy") for base in cls.__mro__):
        return True
    if subject.kind == "Dropout" and ("keep" in layers.choices_of(subject) or not hasattr(cls, "eval")):
        return False
    case, run = probe(subject.kind, Offer()), Run()
    if not hasattr(cls, "backward") and method_of(cls, BACKWARD):
        return False
    if KINDS[subject.kind].role != "layer":
        run = run_case(cls, case)["first"]
        if run.failure:
            return run.failure.outcome is Outcome.NOT_WRITTEN
        moved = [not np.array_equal(run.arrays["steps", n][-1], w) for n, w in case.weights.items()]
        return any(moved) or not moved  # a loss has nothing to move
    with catching(run):
        layer = build(cls, case.positional, case.settings, case.dtype)
        for name, array in case.weights.items():
            if getattr(layer, name).shape != array.shape:
                return False
        run = run_case(cls, case)["first"]
        if any(remark.fault is Fault.NOT_AN_ARRAY for remark in run.remarks.values()) or _widens(
            subject, case
        ):
            return False
        out, lacks = run.arrays.get((subject.kind, "out")), (subject.kind, "dweight") not in run.arrays
        if "weight" in case.weights and not run.failure and lacks and _gradients_elsewhere(subject):
            return False
        if out is not None:
            return bool(out.shape == case.first["dout"].shape)
    return run.failure is not None and run.failure.outcome is Outcome.NOT_WRITTEN


def _widens(subject: Subject, case: Case) -> bool:
    """Whether it makes float64 of float32 and its parameters have other names than the library's."""
    methods = (method_of(subject.cls, FORWARD), method_of(subject.cls, BACKWARD))
    if [next((p.name for p in parameters_of(m)), "") for m in methods] == ["x", "dout"]:
        return False
    single = {name: array.astype(np.float32) for name, array in case.first.items()}
    weights = {name: array.astype(np.float32) for name, array in case.weights.items()}
    case = replace(case, runs={"first": single}, weights=weights, dtype=np.float32)
    run = run_case(subject.cls, case)["first"]  # type: ignore[arg-type]
    return any(array.dtype == np.float64 for array in run.arrays.values())


def _gradients_elsewhere(subject: Subject) -> bool:
    """Whether the adapter finds the gradient of the weight under another name."""
    try:
        found = recognise(subject)
    except (UnknownArgumentError, NoMannerError):
        return False
    return bool(found.score[2] > 2)


def recognise(subject: Subject) -> Recognised:
    """Raises UnknownArgumentError, with a reason, if it fits in no manner; NoMannerError if it fails."""
    module, base = _parts(subject.kind)
    is_layer = issubclass(base, layers.AdaptedLayer)
    best: tuple[Any, ...] | None = None
    ended = False  # by an exception, with the best manner
    reasons: list[str] = []
    for group in module.manners(subject):
        first = len(reasons)
        for manner in group:
            if best and best[0][1] and not ended and not _differs_in_backward(manner, best):
                continue
            for finished in _finished(subject, manner, base, reasons):
                score, run, cls = _tried(subject, finished, base)
                if run.failure:
                    reasons.append(str(run.failure))
                if score[0] and (best is None or score > best[0]):
                    best, ended = (score, finished, cls), bool(run.failure)
                if score[-1]:
                    break
            if best and (best[0][-1] or (best[0][1] and is_layer and subject.kind != "ReLU" and not ended)):
                break
        if base is not losses.AdaptedLoss and len(reasons) > first:
            del reasons[:first]
        if best and best[0][1 if base is losses.AdaptedLoss else 0] and not (ended or _columns_next(best)):
            break
    if best is None:
        known = [reason for reason in reasons if "the check" in reason] or reasons
        if base is optimizers.AdaptedOptimizer:
            raise optimizers.misfit(subject, reasons)
        if known and "the check" not in known[0]:
            raise NoMannerError(known[0])
        raise UnknownArgumentError(
            known[0] if known else "its arrays have shapes that the check does not know"
        )
    score, manner, _ = best
    if isinstance(manner, modes.NormManner | modes.DropManner):
        manner = modes.finished(subject, manner, base, probe(subject.kind, manner.offer))
        score = _tried(subject, manner, base)[0]
    elif is_layer:
        manner = with_kinks(subject, with_means(subject, with_forms(subject, manner), score))
    elif base is losses.AdaptedLoss:
        if not score[1]:
            losses.check_kind(subject, **probe(subject.kind, manner.offer).first)
        manner, score = with_epsilon(subject, manner, score)
    elif not score[-1] or "momentum" in (manner.offer.options or ()):
        manner = with_damping(subject, manner)
    cls = type(subject.name, (base,), {"subject": subject, "manner": manner})
    return _recognised(subject, manner, cls, score)


_PARTS: dict[str, tuple[Any, type]] = {
    "layer": (layers, layers.AdaptedLayer),
    "loss": (losses, losses.AdaptedLoss),
    "optimizer": (optimizers, optimizers.AdaptedOptimizer),
    "BatchNorm2D": (modes, modes.AdaptedNorm),
    "Dropout": (modes, modes.AdaptedDropout),
}


def _parts(kind: str) -> tuple[Any, type]:
    return _PARTS.get(kind) or _PARTS[KINDS[kind].role]


def _differs_in_backward(manner: Any, best: tuple[Any, ...]) -> bool:
    """Once an output is right only backward is open: a loss may want something else there."""
    if isinstance(manner, losses.LossManner):
        return bool(manner.forward_part == best[1].forward_part)
    if isinstance(manner, optimizers.OptimizerManner) or manner.local or best[1].local:
        return True
    return _columns_next(best) and bool(manner.layout.given == "K1")


def _columns_next(best: tuple[Any, ...]) -> bool:
    """Columns whose gradients have another shape: it may be code for one column."""
    score, manner, _ = best
    return isinstance(manner, layers.Manner) and manner.layout.given == "KN" and bool(score[2] < 4)


def with_epsilon(subject: Subject, manner: Any, score: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    _, run, _ = _tried(subject, manner, losses.AdaptedLoss)
    data, loss = probe(subject.kind, manner.offer).first, run.arrays.get(("loss", "loss"))
    if loss is None:
        return manner, score
    found = losses.with_epsilon(manner, data["logits"], data["labels"], float(loss))
    return found, _tried(subject, found, losses.AdaptedLoss)[0]


def with_damping(subject: Subject, manner: Any) -> Any:
    """Whether steps with momentum come out right only if it averages."""
    case = replace(probe(subject.kind, manner.offer), settings={"lr": 0.1, "momentum": 0.5})
    wanted = run_case(getattr(tinycnn_numpy, subject.kind), case)["first"].arrays
    for damped in (False, True) if subject.kind == "SGD" else ():
        cls: Any = type(
            subject.name,
            (optimizers.AdaptedOptimizer,),
            {"manner": replace(manner, damped=damped), "subject": subject},
        )
        arrays = run_case(cls, case)["first"].arrays
        if arrays and all(key in arrays and np.allclose(arrays[key], right) for key, right in wanted.items()):
            return replace(manner, damped=damped)
    return manner


def with_forms(subject: Subject, manner: layers.Manner) -> layers.Manner:
    """Whether the window, stride and padding may be one number, two, or both: each is tried."""
    if subject.kind not in ("Conv2D", "MaxPool2D", "AvgPool2D"):
        return manner
    numbers, pairs, offer = list[str](), list[str](), replace(manner.offer, numbers=(), pairs=())
    for argument, own in (
        ("kernel_size", offer.kernel),
        ("stride", offer.stride),
        ("padding", offer.padding),
    ):
        if own is not None:
            continue
        two, one = {"kernel_size": ((3, 2), 3), "stride": ((2, 3), 2), "padding": ((1, 2), 1)}[argument]
        two = (3, 5) if argument == "kernel_size" and offer.padding == SAME else two
        free = replace(manner.offer, numbers=tuple(n for n in manner.offer.numbers if n != argument),
                       pairs=tuple(n for n in manner.offer.pairs if n != argument))  # fmt: skip
        takes: dict[Any, bool | None] = {}
        for tiles in (free.tiles, True):
            takes = {size: _runs(subject, replace(manner, offer=replace(free, tiles=tiles)), {argument: size})
                     for size in (two, one)}  # fmt: skip
            if any(takes.values()):
                offer = replace(offer, tiles=tiles or offer.tiles)
                break
        unusable = set(takes.values()) == {None}
        if argument == "padding" and unusable:
            offer = replace(offer, padding=0, unusable=(*offer.unusable, argument))
        elif argument == "stride" and unusable:
            own = 1 if subject.kind == "Conv2D" else 0
            offer = replace(offer, stride=own, unusable=(*offer.unusable, argument))
        elif takes[two] and not takes[one]:
            pairs.append(argument)
        elif not takes[two]:
            numbers.append(argument)
    return replace(manner, offer=replace(offer, numbers=tuple(numbers), pairs=tuple(pairs)))


def with_means(subject: Subject, manner: layers.Manner, score: tuple[Any, ...]) -> layers.Manner:
    """Columns whose gradients are right as means: Ng's course divides there, and not in the loss."""
    if manner.layout.given != "KN" or score[-1]:
        return manner
    means = replace(manner, means=True)
    return means if _tried(subject, means, layers.AdaptedLayer)[0][-1] else manner


def with_kinks(subject: Subject, manner: layers.Manner) -> layers.Manner:
    """Whether its gradient is another sound one than PyTorch's where there is no derivative."""
    if subject.kind not in ("MaxPool2D", "ReLU"):
        return manner
    cls: Any = type(subject.name, (layers.AdaptedLayer,), {"subject": subject, "manner": manner})
    case = probe(subject.kind, manner.offer)
    flat = {"x": np.zeros_like(case.first["x"]), "dout": np.ones_like(case.first["dout"])}
    case = replace(case, runs={"first": flat})
    wanted = run_case(getattr(tinycnn_numpy, subject.kind), case)["first"].arrays[subject.kind, "dx"]
    dx = run_case(cls, case)["first"].arrays.get((subject.kind, "dx"))
    if dx is None or dx.shape != wanted.shape or (dx < 0).any() or np.array_equal(dx, wanted):
        return manner
    sound = (dx <= 1).all() if subject.kind == "ReLU" else np.isclose(dx.sum(), wanted.sum())
    return replace(manner, offer=replace(manner.offer, kinks=not sound))


def _runs(subject: Subject, manner: layers.Manner, settings: dict[str, Any]) -> bool | None:
    """Whether its output has the right shape with a setting; None if it ends in an exception."""
    cls: Any = type(subject.name, (layers.AdaptedLayer,), {"subject": subject, "manner": manner})
    case = probe(subject.kind, manner.offer, settings)
    run = run_case(cls, case)["first"].arrays.get((subject.kind, "out"))
    return None if run is None else bool(run.shape == case.first["dout"].shape)


def _finished(subject: Subject, manner: Any, base: type, reasons: list[str]) -> list[Any]:
    """The manner with every order of the weights that may be meant; none if it does not fit."""
    if not issubclass(base, layers.AdaptedLayer):
        return [manner]
    case = probe(subject.kind, manner.offer)
    made: Any = type(subject.name, (base,), {"subject": subject, "manner": manner})
    layer = made(*case.positional, **case.settings)
    for name, array in case.weights.items():
        setattr(layer, name, array)
    run, found = Run(), []
    with catching(run):
        found = layers.with_weights(subject, manner, layer, case.first["x"])
    if run.failure:
        reasons.append(
            run.failure.text if run.failure.exception == "UnknownArgumentError" else str(run.failure)
        )
    return found


def _tried(subject: Subject, manner: Any, base: type) -> tuple[tuple[Any, ...], Run, type]:
    """How well a manner fits: shape and numbers of the output, right shapes, right numbers, all right."""
    cls: Any = type(subject.name, (base,), {"subject": subject, "manner": manner})
    case = probe(subject.kind, manner.offer)
    run = run_case(cls, case)["first"]
    wanted = wanted_of(case, run)
    same, near = set(), set()
    for key, right in wanted.items():
        given = run.arrays.get(key)
        if given is not None and given.shape == right.shape:
            same.add(key)
            if np.allclose(
                given, right, rtol=0, atol=CLOSE * max(1e-30, float(np.abs(right).max(initial=0)))
            ):
                near.add(key)
    first = next(iter(wanted))
    if (subject.kind, "dweight") in run.arrays and (subject.kind, "dx") not in run.arrays:
        del wanted[subject.kind, "dx"]  # the first layer of a network needs none
    score = first in same, first in near, len(same), len(near), near == set(wanted)
    return score, run, cls


def wanted_of(case: Case, run: Run) -> dict[tuple[str, str], Array]:
    """What the library gives; of a dropout, what follows from the mask of the run."""
    if case.kind != "Dropout":
        return run_case(getattr(tinycnn_numpy, case.kind), case)["first"].arrays
    factor = (run.arrays.get((case.kind, "out"), np.zeros(1)) != 0) / (1 - case.positional[0])
    return {(case.kind, out): case.first[given] * factor for out, given in (("out", "x"), ("dx", "dout"))}


def _recognised(subject: Subject, manner: Any, cls: Any, score: tuple[Any, ...]) -> Recognised:
    """Once more, to see what it gives in float64 and what there is to tell."""
    case = probe(subject.kind, manner.offer)
    kept: list[Any] = []
    made = type(subject.name, (cls,), {"__init__": _remembering(cls, kept)})
    run = run_case(made, case)["first"]
    offer = manner.offer
    if "weight" in case.weights and run.arrays.get((subject.kind, "dweight")) is not None:
        offer = replace(offer, dx=(subject.kind, "dx") in run.arrays)
    offer = replace(offer, float64=all(array.dtype.itemsize == 8 for array in run.arrays.values()))
    module, _ = _parts(subject.kind)
    if kept and KINDS[subject.kind].role == "layer":
        kept[-1].manner = replace(manner, offer=offer)
    taken = ", ".join(module.told(kept[-1])) if kept else ""
    return Recognised(subject, cls, offer, taken or "as it is", score)


def _remembering(cls: type, kept: list[Any]) -> Callable[..., None]:
    def init(self: Any, *positional: Any, **settings: Any) -> None:
        cls.__init__(self, *positional, **settings)  # type: ignore[misc]
        kept.append(self)

    return init


def probe(kind: str, offer: Offer, asked: Mapping[str, Any] | None = None) -> Case:
    """One small case in float64; no two axes have one length."""
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape)

    C = offer.channels or 2
    settings: dict[str, Any]
    weights: dict[str, Array]
    if kind in ("Conv2D", "MaxPool2D", "AvgPool2D"):
        asked = dict(asked or {})
        K = offer.window(layers.as_pair(asked.pop("kernel_size", (3, 2))))
        S = offer.step(layers.as_pair(asked.get("stride", (1, 1) if kind == "Conv2D" else K)), K)
        P = offer.margin(layers.as_pair(asked.get("padding", (0, 0))), K)
        N, F = (4, offer.filters or 5) if kind == "Conv2D" else (5, C)
        H, W = offer.sides((10, 13), K, S, P)  # not what the windows cover
        x = normal(N, C, H, W)
        dout = normal(N, F, (H + 2 * P[0] - K[0]) // S[0] + 1, (W + 2 * P[1] - K[1]) // S[1] + 1)
        weights, settings = {}, asked
        usual = (1, 1) if kind == "Conv2D" else K
        if usual != S:
            settings["stride"] = _plain(S)
        if offer.padding == SAME:
            settings["padding"] = _plain(P)
        positional: tuple[Any, ...] = (C, F, _plain(K)) if kind == "Conv2D" else (_plain(K),)
        if kind == "Conv2D":
            weights = {"weight": normal(F, C, *K), "bias": normal(F)}
            if offer.bias is False:
                del weights["bias"]
                settings["bias"] = False
    elif kind == "Dense":
        x, dout = normal(4, 5), normal(4, 3)
        weights, settings, positional = {"weight": normal(3, 5), "bias": normal(3)}, {}, (5, 3)
        if offer.bias is False:
            del weights["bias"]
            settings = {"bias": False}
    elif kind == "Flatten":
        x, dout = normal(3, C, 4, 5), normal(3, C * 20)
        weights, settings, positional = {}, {}, ()
    elif kind == "ReLU":
        x, dout = normal(2, 3, 4, 5), normal(2, 3, 4, 5)
        weights, settings, positional = {}, {}, ()
    elif kind == "BatchNorm2D":
        x, dout = normal(4, 3, 5, 2), normal(4, 3, 5, 2)
        weights = {name: normal(3) for name in ("weight", "bias", "running_mean")}
        weights["running_var"] = rng.uniform(0.5, 2, 3)
        settings, positional = dict(offer.own), (3,)
    elif kind == "Dropout":
        x, dout = normal(40, 50), normal(40, 50)
        weights, settings, positional = {}, {}, (0.25,)
    elif kind == "CrossEntropyLoss":
        data = {"logits": normal(4, 3), "labels": np.array([2, 0, 1, 1])}
        return Case(kind, "probe", {"first": data}, dtype=np.float64)
    else:
        grads = {"0": normal(3, 4, 3), "1": normal(3, 3)}
        settings = {"lr": 0.1}
        return Case(
            kind, "probe", {"first": grads}, (), settings, {"0": normal(4, 3), "1": normal(3)}, np.float64
        )
    return Case(kind, "probe", {"first": {"x": x, "dout": dout}}, positional, settings, weights, np.float64)


def _plain(size: tuple[int, int]) -> Any:
    return size[0] if size[0] == size[1] else size


def choose(alternatives: list[Subject]) -> Recognised:
    """The alternative whose numbers are right, else the first that fits. Raises UnknownArgumentError."""
    fitting: list[Recognised] = []
    reasons: list[Exception] = []
    for subject in alternatives:
        try:
            fitting.append(behind(subject))
        except (UnknownArgumentError, NoMannerError) as error:
            reasons.append(error)
    if alternatives[0].doubtful and not any(one.right for one in fitting):
        raise UnknownArgumentError(f"its numbers are not {alternatives[0].kind}'s: it may be another thing")
    if not fitting:
        raise reasons[0]
    return next((one for one in fitting if one.right), fitting[0])


def without_activation(subject: Subject) -> Recognised:
    """A layer with an activation of its own is asked for none. Raises UnknownArgumentError."""
    found = recognise(subject)
    own = (
        [p.name for p in parameters_of(subject.cls) if argument_named(subject.kind, p.name) == "activation"]
        if subject.cls
        else []
    )
    if found.right or not own or found.score[1]:
        return found
    for word in (None, "linear", "identity", "none"):
        try:
            plain = recognise(replace(subject, words={own[0]: word}))
        except (UnknownArgumentError, NoMannerError):
            continue
        if plain.score[1]:
            return plain
    raise OwnActivationError("it has an activation of its own")
