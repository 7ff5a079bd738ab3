"""A layer in somebody else's interface, behind the library's."""

import dis
import inspect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.foreign.calls import (
    BACKWARD,
    FORWARD,
    Path,
    UnknownArgumentError,
    arguments,
    at,
    called,
    keys_of,
    method_of,
    parameters_of,
    put,
    roles_in,
    shown,
    update_of,
)
from parity.foreign.layouts import (
    BIASES,
    EVERY_PIXEL,
    FLAT,
    IMAGES,
    KERNELS,
    MATRICES,
    ROWS,
    Layout,
    Weights,
    back,
    fitting,
)
from parity.foreign.names import argument_named, arguments_named, array_named, given_named
from parity.foreign.subject import SAME, WHATEVER, Offer, Subject
from parity.kinds import KINDS, WEIGHTS

Array = np.ndarray[Any, Any]
RATE = 1024.0  # of a backward that updates at once: so large that the weight itself does not count
RESETS = (
    "zero_grad",
    "zero_grads",
    "zero_gradients",
    "flush_gradients",
    "reset_gradients",
    "clear_gradients",
)
OURS = {
    "Dense": ("NK", "NK", "MK"),
    "Conv2D": ("NCHW", "NCHW", "FCHW"),
    "Flatten": ("NCHW", "NK", ""),
    "BatchNorm2D": ("NCHW", "NCHW", "M"),
}
INITIALISE = ("init_param", "init_params", "init_parameters", "init_weights", "initialize_weights", "init")
IN_ORDER = {  # the arguments without which nobody can build it, as people order them
    "Dense": ("in_features", "out_features"),
    "Conv2D": ("in_channels", "out_channels", "kernel_size"),
    "MaxPool2D": ("kernel_size",),
    "AvgPool2D": ("kernel_size",),
    "BatchNorm2D": ("num_features",),
    "Dropout": ("p",),
}
ELEMENTWISE = ("ReLU", "Dropout")  # of an array in any order of axes


@dataclass(frozen=True)
class Manner:
    """How a layer is to be used.

    weight, bias  the order of their axes, None where it has none
    local         its backward gives the derivative at x alone, which is multiplied by dout elsewhere
    means         its gradients are means over the batch, which a loss leaves to them
    counted       the shape that its constructor is told counts the images
    """

    layout: Layout
    offer: Offer = WHATEVER
    weight: Weights | None = None
    bias: Weights | None = None
    local: bool = False
    means: bool = False
    counted: bool = False


class AdaptedLayer:
    """Built as the library's layer is. The student's own object is made at the first forward."""

    subject: Subject
    manner: Manner
    weight: Any = None
    bias: Any = None
    dweight: Any = None
    dbias: Any = None
    training = True

    def __init__(self, *positional: Any, **settings: Any):
        kind = self.subject.kind
        self.settings = {**dict(zip(KINDS[kind].arguments, positional, strict=False)), **settings}
        self.given, self.returned, self.letters = OURS.get(kind, ("NCHW", "NCHW", ""))
        self.theirs: Any = None
        self.paths: dict[str, Path] = {}
        self.cache: Any = None
        self.notes: dict[str, None] = {}
        self.names = arguments_named(kind, [p.name for p in own_parameters(self.subject)])

    def forward(self, x: Array) -> Any:
        self.x = x
        if self.theirs is not None:
            self._reset()
        self.pieces = self._split(x, self.given, self.manner.layout.given)
        found = []
        for i, piece in enumerate(self.pieces):
            found.append(self._forward(given := piece.copy()))
            if not np.array_equal(given, piece, equal_nan=True):  # it writes into its input: so does this one
                x[i if len(self.pieces) > 1 else ...] = self._joined(
                    [given], self.manner.layout.given, self.given
                )[0 if len(self.pieces) > 1 else ...]
        return self._joined(found, self.manner.layout.returned, self.returned)

    def _reset(self) -> None:
        """Clear gradients that are added up, by their own method: one for that, or their update."""
        for name in RESETS:
            if callable(reset := getattr(self.theirs, name, None)):
                reset()
        if self.dweight is not None and (update := update_of(self.theirs)):
            update()

    def backward(self, dout: Array) -> Any:
        self.dweight = self.dbias = None
        found = []
        for piece, upstream in zip(
            self.pieces, self._split(dout, self.returned, self.manner.layout.returned), strict=True
        ):
            if len(self.pieces) > 1:
                self._forward(piece.copy())
            gradients = self._backward(piece, given := upstream.copy())
            if not np.array_equal(given, upstream):
                self.notes["backward writes into what it is given"] = None
            found.append(gradients.pop("dx", None))
            for name, gradient in gradients.items():
                ours = self._in_our_order(name[1:], gradient)
                ours = ours * len(self.x) if self.manner.means else ours
                total = getattr(self, name)
                setattr(self, name, ours if total is None else total + ours)
        return self._joined(found, self.manner.layout.given, self.given) if found[0] is not None else None

    def _split(self, array: Array, ours: str, theirs: str) -> list[Array]:
        if self.subject.kind in ELEMENTWISE:
            return [array.copy()]
        return [piece.copy() for piece in self.manner.layout.split(array, ours, theirs)]

    def _joined(self, pieces: Sequence[Any], theirs: str, ours: str) -> Any:
        arrays = [np.asarray(piece) for piece in pieces]
        if self.subject.kind not in ELEMENTWISE:
            try:
                arrays = [back(array, theirs, ours) for array in arrays]
            except ValueError:
                return self._cast(arrays[0])  # of a shape that its judge will name
        return self._cast(np.concatenate(arrays) if len(arrays) > 1 else arrays[0])

    def _cast(self, array: Array) -> Array:
        if array.dtype.kind not in "fiub":
            return array
        if array.dtype.itemsize > self.x.dtype.itemsize and array.dtype.kind == "f":
            self.notes["it computes in float64 whatever x is"] = None
        keep = array.dtype.kind == "f" and array.dtype.itemsize < self.x.dtype.itemsize
        return array if keep else array.astype(self.x.dtype)

    # weights

    def _their_weights(self) -> dict[str, Array]:
        """Ours in their order; without those that they do not have."""
        orders = {"weight": (self.manner.weight, self.letters), "bias": (self.manner.bias, "M")}
        return {
            name: getattr(self, name)[:, None, None]
            if order is EVERY_PIXEL
            else order.theirs(getattr(self, name), letters).copy()
            for name, (order, letters) in orders.items()
            if order is not None and getattr(self, name) is not None
        }

    def _in_our_order(self, name: str, array: Any) -> Array:
        order = self.manner.weight if name == "weight" else self.manner.bias
        letters = self.letters if name == "weight" else "M"
        try:
            assert order is not None
            if order is EVERY_PIXEL:
                return self._cast(np.asarray(array).sum(axis=(1, 2)))
            return self._cast(order.ours(array, letters, getattr(self, name).shape))
        except ValueError:
            return self._cast(np.asarray(array))

    def _push(self, piece: Array) -> None:
        """Write the weights into their object; one that makes them at the first forward runs once before."""
        wanted = [name for name in WEIGHTS if getattr(self, name) is not None]
        if not wanted or self.subject.cls is None:
            return
        self.paths |= roles_in(self.theirs)
        if any(name not in self.paths for name in wanted):
            self._call_forward(piece.copy())
            self.paths |= roles_in(self.theirs)
        for name, array in self._their_weights().items():
            if name not in self.paths:
                raise UnknownArgumentError(f"{self.subject.name} has no {name} that the check can find")
            if name == "bias" and self.manner.bias is EVERY_PIXEL:
                array = np.broadcast_to(array, at(self.theirs, self.paths[name]).shape).copy()
            put(self.theirs, self.paths[name], array)

    # calls

    def option(self, name: str, default: Any = None) -> Any:
        """What a parameter of this name, or a key, stands for; None if nothing."""
        if name in self.subject.words:
            return self.subject.words[name]
        kind = self.subject.kind
        argument = self.names.get(name) or argument_named(kind, name)
        if argument == "lr":
            return RATE
        if argument == "bias":
            return self.settings.get("bias", True)
        if argument == "input_shape" and self.cache is not None and self.subject.cls is None:
            return None  # it is what forward has handed on
        if argument == "input_shape":
            shape, layout = self.pieces[0].shape, self.manner.layout
            N = shape[:1] if self.manner.counted else ()
            shape = shape if layout.single else shape[1:] if layout.given[0] == "N" else shape[:-1]
            return (*N, *(shape if kind != "Dense" else (self.settings["in_features"],)))
        if argument == "output_shape":  # of one image
            length = self.pieces[0].size // (1 if self.manner.layout.single else len(self.x))
            return tuple(length if axis == "K" else 1 for axis in self.manner.layout.returned if axis != "N")
        if argument in ("kernel_height", "kernel_width"):
            size = as_pair(self.settings["kernel_size"])
            return size[argument == "kernel_width"]
        if argument == "stride" and "stride" not in self.settings:
            plain = 1 if kind == "Conv2D" else self.settings["kernel_size"]
            return self.in_form("stride", plain)
        if argument == "padding" and "padding" not in self.settings:
            return "valid" if isinstance(default, str) else self.in_form("padding", 0)
        return self.in_form(argument, self.settings[argument]) if argument in self.settings else None

    def in_form(self, argument: str, value: Any) -> Any:
        return as_pair(value) if argument in self.manner.offer.pairs else value

    def dictionary(self) -> dict[str, Any]:
        functions = (
            [self.subject.forward, self.subject.backward]
            if self.subject.cls is None
            else [*vars(self.subject.cls).values()]
        )
        keys = keys_of(self.subject.kind, *functions)
        found = {key: self.option(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def build(self) -> None:
        weights, found = self._their_weights(), {}
        spare = [name for name in IN_ORDER.get(self.subject.kind, ()) if name not in self.names.values()]
        for parameter in own_parameters(self.subject):
            name, required = parameter.name, parameter.default is parameter.empty
            argument = self.names.get(name)
            role = array_parameter(argument, required)
            if role == "bias" and "weight" not in arrays_taken(self.subject):  # of (a, b) the second
                role = argument = None
            if role in weights:
                value: Any = weights[role].copy()
            elif argument in ("rng", "seed", "name"):
                value = (
                    {"rng": np.random.default_rng(0), "seed": 0, "name": "layer"}[argument]
                    if required
                    else None
                )
            elif (
                argument in ("stride", "padding")
                and argument not in self.settings
                and usual(parameter.default, argument, self.subject.kind)
            ):
                value = None
            else:
                value = self.option(name, parameter.default)
            if value is None and required and argument is None and spare:  # by its place
                value = self.in_form(spare[0], self.settings[spare.pop(0)])
            if value is None and required:
                raise UnknownArgumentError(f"{name} of {self.subject.name} means nothing to the check")
            if value is not None:
                found[name] = value
        self.theirs = called(self.subject.cls, found)  # type: ignore[arg-type]
        for method in INITIALISE if "weight" not in roles_in(self.theirs) else ():
            function = getattr(self.theirs, method, None)
            if callable(function) and all(p.default is not p.empty for p in parameters_of(function)):
                function()
        shape = self.pieces[0].shape if self.manner.layout.single else self.pieces[0].shape[1:]
        for method, given in (("set_input_shape", shape), ("initialize", Recorder())):
            function = getattr(self.theirs, method, None)
            if (
                function is not None
                and len([p for p in parameters_of(function) if p.default is p.empty]) == 1
            ):
                function(given)

    def _forward(self, piece: Array) -> Any:
        if self.subject.cls is not None:
            if self.theirs is None:
                self.build()
            self._push(piece)
        return self._call_forward(piece)

    def _call_forward(self, piece: Array) -> Any:
        function = self.subject.forward or found_method(self.theirs, FORWARD)
        given = {"x": piece, **self._their_weights(), "training": self.training}
        found = arguments(function, given, ("x", "weight", "bias", "training"), self.option, self.dictionary)
        returned = called(function, found)
        if isinstance(returned, tuple):
            self.cache = returned[1] if len(returned) == 2 else returned[1:]
            returned = returned[0]
        if returned is None and self.theirs is not None:
            out = roles_in(self.theirs).get("out")
            returned = at(self.theirs, out) if out else None
        return returned

    def _clear(self) -> None:
        """A gradient in a parameter, where PyTorch has it, is added to, and cleared before each step.

        So is one that another method than backward sets.
        """
        for role, path in roles_in(self.theirs).items() if self.theirs is not None else ():
            if (
                role[0] == "d"
                and (_is_parameter(path) or self._is_set_elsewhere(path))
                and isinstance(old := at(self.theirs, path), np.ndarray)
            ):
                put(self.theirs, path, np.zeros_like(old))

    def _is_set_elsewhere(self, path: Path) -> bool:
        backward = found_method(self.theirs, BACKWARD).__name__
        methods = (m for name, m in vars(type(self.theirs)).items() if name not in ("__init__", backward))
        return len(path) == 1 and any(
            step.opname == "STORE_ATTR" and step.argval == path[0][1]
            for method in methods
            if inspect.isfunction(method)
            for step in dis.get_instructions(method)
        )

    def _backward(self, piece: Array, upstream: Array) -> dict[str, Any]:
        function = self.subject.backward or found_method(self.theirs, BACKWARD)
        before = self._their_weights()
        self._clear()
        given = {"dout": upstream, "cache": self.cache, "lr": RATE, "x": piece, **before}
        given["training"] = self.training
        among: tuple[str, ...] = ("dout", "cache", "lr", "x", "weight", "bias", "training")
        among = ("x", "cache") if self.manner.local else among
        returned = called(function, arguments(function, given, among, self.option, self.dictionary))
        if self.manner.local:
            returned = np.asarray(returned, upstream.dtype) * upstream
        found = sorted_out(returned, piece, before)
        if self.theirs is None:
            return found
        places = roles_in(self.theirs)
        for name in ("dx", *(f"d{name}" for name in before)):
            if name not in found and name in places:
                found[name] = at(self.theirs, places[name])
        for name, array in before.items():
            if f"d{name}" not in found and name in self.paths:
                now = at(self.theirs, self.paths[name])
                array = np.broadcast_to(array, now.shape) if now.ndim == array.ndim else array
                if now.shape == array.shape and not np.array_equal(now, array):
                    self.notes["backward updates the weights at once"] = None
                    found[f"d{name}"] = (array.astype(np.float64) - now) / RATE
        for name in before:
            if f"d{name}" in places and f"d{name}" in found:
                self.notes[f"{shown(places[f'd{name}'])}"] = None
        return found


def _is_parameter(path: Path) -> bool:
    return len(path) == 2 and path[1][0] == "attribute"


class Recorder:
    """In place of an optimiser inside a layer: what it is given shows in the weights."""

    def update(self, weight: Array, gradient: Array) -> Array:
        return weight - RATE * np.asarray(gradient)


def as_pair(value: Any) -> tuple[Any, Any]:
    return (value, value) if isinstance(value, int) else tuple(value)


def usual(default: Any, argument: str, kind: str) -> bool:
    """Whether a stride or padding need not be given: its default is PyTorch's."""
    if argument == "stride" and kind != "Conv2D":
        return default is None  # the window; 1 is another default
    return default is None or default in ((1, (1, 1)) if argument == "stride" else (0, (0, 0), "valid"))


def found_method(theirs: Any, names: Sequence[str]) -> Any:
    method = method_of(theirs, names)
    if method is None:
        raise UnknownArgumentError(f"{type(theirs).__name__} has no {names[0]} that the check can find")
    return method


def sorted_out(returned: Any, piece: Array, weights: dict[str, Array]) -> dict[str, Any]:
    """dx, dweight and dbias of what a backward returned: by key, by their usual order, or by shape."""
    if returned is None:
        return {}
    if isinstance(returned, dict):
        return _by_key(returned)
    if not isinstance(returned, tuple | list):
        only = np.asarray(returned)
        fits = only.shape == piece.shape or only.shape not in [w.shape for w in weights.values()]
        return {"dx" if fits else "dweight": only}
    returned = [a for part in returned for a in (part if isinstance(part, tuple | list) else [part])]
    for more in returned:
        if isinstance(more, dict):
            return {"dx": next((a for a in returned if isinstance(a, np.ndarray)), None), **_by_key(more)}
    wanted = {"dx": piece.shape, **{f"d{name}": w.shape for name, w in weights.items()}}
    arrays = [np.asarray(array) for array in returned if array is not None]
    in_order = dict(zip(wanted, arrays, strict=False))
    if len(arrays) == len(wanted) and all(a.size == np.prod(wanted[n]) for n, a in in_order.items()):
        return in_order
    found: dict[str, Any] = {}
    for array in arrays:
        fits = [name for name, shape in wanted.items() if name not in found and array.shape == shape]
        fits = fits or [n for n, shape in wanted.items() if n not in found and array.size == np.prod(shape)]
        if fits:
            found[fits[0]] = array
    return found or in_order


def _by_key(returned: dict[Any, Any]) -> dict[str, Any]:
    roles = {array_named(str(key)): value for key, value in returned.items()}
    return {role if role[0] == "d" else f"d{role}": value for role, value in roles.items() if role}


def manners(subject: Subject) -> Iterator[list[Manner]]:
    """What to try: groups, of which a later one is for those that none of the earlier ones fits."""
    has = choices_of(subject)
    windows: Sequence[int | None] = (None,)
    conv, pool = subject.kind == "Conv2D", subject.kind in ("MaxPool2D", "AvgPool2D")
    given = "weight" in arrays_taken(subject)
    if ((conv and not given) or pool) and not {"kernel_size", "kernel_height"} & has:
        windows = (3, 2, 5, 4)
    layouts = {"Dense": ROWS, "Flatten": FLAT, "ReLU": IMAGES[:1]}.get(subject.kind, IMAGES)
    sizes = ("kernel_size", "stride", "padding")
    forms = [((), ()), (sizes, ()), ((), sizes), (sizes[1:], sizes[:1])] if conv or pool else [((), ())]
    images = (("square",), ("tiles",), ()) if conv or pool else ((),)
    offer = Offer(
        stride=None if "stride" in has or not (conv or pool) else 1 if conv else 0,
        padding=None if "padding" in has or not (conv or pool) else 0,
        bias=None if "bias" in has else True,
        sizes="input_shape" not in has and not hasattr(subject.cls, "set_input_shape"),
    )
    local = (
        [Manner(layouts[0], offer, local=True)] if subject.kind == "ReLU" and not takes_dout(subject) else []
    )
    strides = (0, 1) if offer.stride == 0 else (offer.stride,)
    shapes = (False, True) if "input_shape" in has and subject.cls is not None else (False,)
    margins = [0, SAME] if conv and offer.padding == 0 else [offer.padding]
    for margin, special, single, (numbers, pairs) in itertools.product(
        margins, reversed(images), (False, True), forms
    ):
        offer = replace(offer, padding=margin, numbers=numbers, pairs=pairs)
        offer = replace(offer, tiles="tiles" in special, square="square" in special)
        yield local + [
            Manner(
                layout,
                replace(
                    offer,
                    kernel=window,
                    stride=stride,
                    channels=1 if "C" not in layout.given and (conv or pool) else None,
                    filters=1 if "C" not in layout.returned and conv else None,
                ),
                counted=counted,
            )
            for counted, layout, window, stride in itertools.product(shapes, layouts, windows, strides)
            if layout.single is single
        ]


def takes_dout(subject: Subject) -> bool:
    """Whether backward has a parameter for the gradient of the output, or is called so."""
    backward = subject.backward or method_of(subject.cls, BACKWARD)
    named = any(given_named(parameter.name, ("dout",)) for parameter in parameters_of(backward or len))
    return named or "back" in str(getattr(backward, "__name__", ""))


def own_parameters(subject: Subject) -> list[inspect.Parameter]:
    if subject.cls is not None:
        return parameters_of(subject.cls)
    return [*parameters_of(subject.forward), *parameters_of(subject.backward)]  # type: ignore[arg-type]


def array_parameter(argument: str | None, required: bool) -> str | None:
    """Whether a parameter of a constructor takes the weight or the bias itself."""
    arrays = {"weight": "weight", "bias_array": "bias", "bias": "bias"}
    return arrays.get(str(argument)) if required else None


def arrays_taken(subject: Subject) -> set[str]:
    """Of the weight and the bias those that are given to a constructor or to a function."""
    if subject.cls is None:
        return {"weight", "bias"}
    parameters = own_parameters(subject)
    names = arguments_named(subject.kind, [p.name for p in parameters])
    return {str(array_parameter(names.get(p.name), p.default is p.empty)) for p in parameters}


def choices_of(subject: Subject) -> set[str]:
    """What it lets one choose."""
    functions = [subject.forward, subject.backward] if subject.cls is None else [subject.cls.__init__]  # type: ignore[misc]
    parameters = own_parameters(subject)
    found = {
        *keys_of(subject.kind, *functions).values(),
        *arguments_named(subject.kind, [p.name for p in parameters]).values(),
    }
    for parameter in parameters:
        argument = argument_named(subject.kind, parameter.name)
        if argument == "bias" and not isinstance(parameter.default, bool):
            found.discard("bias")
        if argument == "padding" and isinstance(parameter.default, str):
            found.discard("padding")
    return found


def with_weights(subject: Subject, manner: Manner, layer: AdaptedLayer, x: Array) -> list[Manner]:
    """The manner with each order of weights and biases that fits what their object has, or may be given.

    layer: built, with weight and bias as the case has them
    """
    if layer.weight is None:
        return [manner]
    shapes: dict[str, Any] = {}
    if subject.cls is not None and "weight" not in arrays_taken(subject):
        layer.x, layer.pieces = x, layer._split(x, layer.given, manner.layout.given)
        layer.build()
        places = roles_in(layer.theirs)
        if "weight" not in places:
            layer._call_forward(layer.pieces[0].copy())
            places = roles_in(layer.theirs)
        if "weight" not in places:
            raise UnknownArgumentError(f"{subject.name} has no weight that the check can find")
        shapes = {name: at(layer.theirs, path).shape for name, path in places.items() if name in WEIGHTS}
        if "bias" not in shapes:
            shapes["bias"] = ()
    orders = {"Dense": MATRICES, "BatchNorm2D": BIASES}.get(subject.kind, KERNELS)
    if "weight" not in shapes:  # of functions
        one_channel = subject.kind == "Conv2D" and "C" not in manner.layout.given
        orders = (*KERNELS[8:11] * one_channel, *orders[:5])
    weights = list(fitting(orders, layer.weight, layer.letters, shapes.get("weight")))[:6]
    if not weights:
        raise UnknownArgumentError(
            f"the weight of {subject.name} has shape {shapes['weight']}, in which the check knows no order"
        )
    if (shapes and shapes["bias"] == ()) or layer.bias is None:
        bare = replace(
            manner, offer=replace(manner.offer, bias=False if layer.bias is not None else manner.offer.bias)
        )
        return [replace(bare, weight=weight) for weight in weights]
    scalar = (Weights(""),) if manner.offer.filters == 1 else ()
    orders = BIASES if shapes else (*scalar, *BIASES[:4])
    biases = list(fitting(orders, layer.bias, "M", shapes.get("bias")))[:4]
    if len(shapes.get("bias", ())) == 3 and not biases and shapes["bias"][0] == len(layer.bias):
        biases = [EVERY_PIXEL]
    if subject.kind == "BatchNorm2D":  # whose weight and bias are alike
        return [replace(manner, weight=order, bias=order) for order in weights]
    return [replace(manner, weight=w, bias=b) for w, b in itertools.product(weights, biases)]


def told(layer: AdaptedLayer) -> list[str]:
    """What was taken for what, a few words each."""
    manner, words = layer.manner, []
    plain = layer.subject.kind in ELEMENTWISE
    spell = {"K": {"K": "features", "N": "images"}, "M": {"M": "out", "K": "in"}}
    if layer.weight is not None and manner.weight:
        name = shown(layer.paths["weight"]) if "weight" in layer.paths else "weight"
        axes = manner.weight.order
        text = ", ".join(spell["M"].get(a, a) for a in axes) if layer.letters == "MK" else ", ".join(axes)
        words.append(f"{name} ({text})".replace("(, ", "(").replace(", )", ")"))
    if layer.bias is not None and manner.bias:
        name = shown(layer.paths["bias"]) if "bias" in layer.paths else "bias"
        words.append(
            f"{name} ({'one a pixel' if manner.bias is EVERY_PIXEL else ', '.join(manner.bias.order)})"
        )
    if not plain:
        axes = ", ".join(manner.layout.given)
        words.append(
            f"{'one image' if manner.layout.single else 'images'} {axes}"
            if layer.letters != "MK"
            else f"x ({axes})"
        )
    if manner.offer.numbers:
        words.append(f"whole numbers alone for {' and '.join(manner.offer.numbers)}")
    if manner.offer.kernel:
        words.append(f"a window of {manner.offer.kernel}")
    words += ["padding that keeps the size"] * (manner.offer.padding == SAME)
    words += ["backward gives the derivative at x, without dout"] * manner.local
    words += ["gradients are means over the batch"] * manner.means
    words += [f"its {argument} cannot be used" for argument in manner.offer.unusable]
    if manner.offer.tiles:
        words.append("images that the window divides")
    if manner.offer.square:
        words.append("square images")
    if not manner.offer.dx:
        words.append("no dx")
    if not manner.offer.kinks:
        at = "at 0" if plain else "of equal maxima"
        words.append(f"its gradient {at} is another sound one than PyTorch's")
    return words + list(layer.notes)
