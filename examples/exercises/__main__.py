"""The chapter's exercises, solved and measured: python -m examples.exercises 31.1"""

from importlib import import_module

from examples.common import data
from examples.common.cli import Parser, run
from examples.common.flags import add_seed_flags

EXERCISES = {
    "31.1": "third_convolution",
    "31.2": "average_pooling",
    "31.3": "second_layer_maps",
    "31.4": "parameters",
}


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.exercises", description=__doc__)
    add = parser.add_argument
    add("exercise", nargs="?", choices=list(EXERCISES), help="which one; without it they are listed")
    add("--backend", choices=["torch", "numpy"], default="torch", help="who computes")
    add_seed_flags(parser, seeds=5, output_dir="runs/exercises")
    args = parser.parse_args(argv)
    exercises = {number: import_module(f"examples.exercises.{name}") for number, name in EXERCISES.items()}
    if not args.exercise:
        for number, exercise in exercises.items():
            print(f"{number}  {exercise.QUESTION}\n")
        print("The solution of one: python -m examples.exercises 31.1")
        return 0
    exercise = exercises[args.exercise]
    print(f"Exercise {args.exercise}. {exercise.QUESTION}\n")
    exercise.solve(data.from_flags(args), args)
    return 0


if __name__ == "__main__":
    run(main)
