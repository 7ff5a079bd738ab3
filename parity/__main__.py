"""python -m parity                   prove that tinycnn_numpy and tinycnn_torch compute the same
python -m parity check FILE        examine the layers, losses, optimisers and models that FILE defines
python -m parity template          print a file to start from
python -m parity explain CODE      what a cause is, a wrong and a right example, why it matters

Each takes --help.
"""

import os
import sys


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    match arguments:
        case ["check", *rest]:
            from parity.student.program import main as check

            return check(rest)
        case ["template", *rest]:
            from parity.student.program import print_template

            return print_template(rest)
        case ["explain", *rest]:
            from parity.program import explain

            return explain(rest)
    from parity.program import main as prove

    return prove(arguments)


if __name__ == "__main__":
    try:
        code = main()
        if sys.stdout:  # None where the caller has closed it
            sys.stdout.flush()
    except BrokenPipeError:  # `| head -1`: what is left to print goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code)
