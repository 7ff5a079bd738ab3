"""What the programs here share: a user's error is one line on stderr and exit code 2."""

import argparse
import math
import sys
from typing import NoReturn


def fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


class Parser(argparse.ArgumentParser):
    """argparse with every default in --help and without the usage text before an error."""

    def __init__(self, **options):
        super().__init__(
            formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        fail(f"{message} (see --help)")


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


def positive_number(text: str) -> float:
    """An argparse type: a finite float > 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}, expected a number > 0")
    return value
