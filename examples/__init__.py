"""Programs on both backends, in the order of the book: python -m examples lists them."""

import sys
from importlib.util import find_spec

EXTRA = ("torchvision", "sklearn", "matplotlib", "tqdm", "threadpoolctl")
if missing := [name for name in EXTRA if find_spec(name) is None]:
    print(f"error: {', '.join(missing)} missing: pip install -e '.[examples]'", file=sys.stderr)
    raise SystemExit(2)
