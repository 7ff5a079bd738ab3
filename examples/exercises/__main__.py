"""The chapter's exercises, solved and measured: python -m examples.exercises 31.1"""

from examples import data, seeds
from examples.exercises import average_pooling, parameters, second_layer_maps, third_convolution
from examples.program import Parser, run

EXERCISES = {
    "31.1": third_convolution,
    "31.2": average_pooling,
    "31.3": second_layer_maps,
    "31.4": parameters,
}


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.exercises", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("exercise", nargs="?", choices=list(EXERCISES), help="which one; without it they are listed")
    add("--backend", choices=["torch", "numpy"], default="torch", help="who computes")
    seeds.add_flags(parser, seeds=5, output_dir="runs/exercises")
    args = parser.parse_args(argv)
    if not args.exercise:
        for number, exercise in EXERCISES.items():
            print(f"{number}  {exercise.QUESTION}\n")
        print("The solution of one: python -m examples.exercises 31.1")
        return 0
    exercise = EXERCISES[args.exercise]
    print(f"Exercise {args.exercise}. {exercise.QUESTION}\n")
    exercise.solve(data.from_flags(args), args)
    return 0


if __name__ == "__main__":
    run(main)
