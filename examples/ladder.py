"""One convolution in seven rungs, from plain loops to PyTorch: python -m examples.ladder

Every rung computes the same numbers (strictly a cross-correlation, as in PyTorch):

    out[n,f,h,w] = bias[f] + sum_cij weight[f,c,i,j] * x[n, c, h*SH + i, w*SW + j]      x already zero-padded

x (N, C, H, W), weight (F, C, KH, KW), bias (F,), stride (SH, SW), padding (PH, PW) -> out (N, F, OH, OW).
What changes from rung to rung is who runs the loops, Python or compiled code, and how the numbers lie in
memory while they are read. The program times them on the second convolution of MNISTCNN, on one thread.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from examples.common.cli import Parser, fail, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.ladder", description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=whole_number(1), default=64, help="images")
    parser.add_argument("--side", type=whole_number(1), default=13, help="pixels to a side of the images")
    parser.add_argument("--kernel", type=whole_number(1), default=3, help="pixels to a side of the filters")
    parser.add_argument("--turns", type=whole_number(1), default=20, help="turns of every rung")
    parser.add_argument("--calls", type=whole_number(1), default=5, help="calls to a turn")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of images and weights")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args(argv)

    import torch

    from examples.experiments.ladder import THREADS, measure, table

    if args.kernel > args.side:
        fail(f"--kernel {args.kernel} is larger than --side {args.side}")
    if any(os.environ.get(name) != "1" for name in THREADS):  # read once, when NumPy is imported: start again
        command = [sys.executable, "-m", "examples.ladder", *(sys.argv[1:] if argv is None else argv)]
        return subprocess.run(command, env=os.environ | dict.fromkeys(THREADS, "1"), check=False).returncode

    torch.set_num_threads(1)
    result = measure(args.batch_size, args.side, args.kernel, args.turns, args.calls, args.seed)
    print(table(result))
    if args.json:
        try:
            args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            fail(f"--json {args.json} cannot be written: {error.strerror}")
    return 0


if __name__ == "__main__":
    run(main)
