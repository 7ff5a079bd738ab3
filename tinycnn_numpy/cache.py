"""What a layer's forward leaves for its backward, and how to leave nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

KEPT = ContextVar("kept", default=True)


@contextmanager
def no_grad() -> Iterator[None]:
    """Forward passes that no backward will follow: no layer keeps a cache, as under torch.no_grad()."""
    before = KEPT.set(False)
    try:
        yield
    finally:
        KEPT.reset(before)


class Cache:
    """The attribute `cache` of a layer: of its last forward, and of none if that ran under no_grad."""

    def __set__(self, layer: Any, value: Any) -> None:
        vars(layer).pop("cache", None)
        if KEPT.get():
            vars(layer)["cache"] = value

    def __get__(self, layer: Any, cls: type) -> Any:
        if layer is None:  # asked of the class
            return self
        if "cache" not in vars(layer):
            raise RuntimeError(f"{layer}: backward was called before forward, or forward ran under no_grad")
        return vars(layer)["cache"]
