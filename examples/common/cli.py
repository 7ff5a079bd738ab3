"""What the programs here share: a user's error is one line on stderr and exit code 2."""

import argparse
import functools
import importlib.metadata
import importlib.util
import math
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


def fail(message: str, code: int = 2, all_say_so: bool = False) -> NoReturn:
    """End the program. Of the processes that torchrun starts, the first speaks for all."""
    if all_say_so or os.environ.get("RANK", "0") == "0":
        print(f"error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(code)


@functools.cache
def note(line: str) -> None:
    """A remark on stderr, which is made once."""
    print(f"note: {line}", file=sys.stderr, flush=True)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which asks for the same as Ctrl-C."""


def run(main: Callable[[], int]) -> NoReturn:
    """Run a program's main and exit: 130 after Ctrl-C, 143 after SIGTERM, 141 if nobody reads its output."""

    def terminate(signum, frame):
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    open_the_closed()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # for a locale without é
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head -1`: whatever Python would still print on its way out goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except KeyboardInterrupt as interrupt:
        code = 143 if isinstance(interrupt, Terminated) else 130
    sys.exit(code)


def open_the_closed() -> None:
    """A stream that the caller has closed, `2>&-` say, goes nowhere.

    Otherwise the next file that is opened would stand in its place, and take what C code prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # until the end


class Parser(argparse.ArgumentParser):
    """argparse with every default in --help and without the usage text before an error."""

    def __init__(self, **options):
        super().__init__(
            formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        fail(f"{message} (see --help)")


def machine() -> dict[str, Any]:
    """What a figure depends on besides its seed: hardware and versions."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found: dict[str, Any] = {"machine": platform.machine(), "cores": cores}
    found["Python"] = platform.python_version()
    for name in ("numpy", "scipy", "torch", "jax", "flax"):
        if importlib.util.find_spec(name):
            found[name] = importlib.metadata.version(name)
    found["threads"] = torch.get_num_threads()
    if torch.cuda.is_available():
        found["GPU"] = torch.cuda.get_device_name()
    return found


def in_words(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def whole_number(at_least: int):
    """An argparse type: an int >= at_least."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = at_least - 1
        if value < at_least:
            raise argparse.ArgumentTypeError(f"is {text!r}, expected a whole number >= {at_least}")
        return value

    return parse


def output_folder(text: str) -> Path:
    """An argparse type: a folder for results, made if need be; better refused now than after the work."""
    try:
        Path(text).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=text):
            return Path(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be written: {error.strerror}") from None


def positive_number(text: str) -> float:
    """An argparse type: a finite float > 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}, expected a number > 0")
    return value
