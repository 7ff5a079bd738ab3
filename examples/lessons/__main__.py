"""Write the lessons as notebooks, with blanks to fill in: python -m examples.lessons

--solved writes them with the answers, under names of their own; --execute also runs them. Open them in
Jupyter, VS Code or whatever reads .ipynb, from the folder of this repository. A notebook that somebody has
worked in is never written over. The lessons train on MNIST from --data-dir, or in the environment of a
notebook DATA_DIR (default: the folder data), where it is put if it is missing; with LESSON_DATASET=digits,
or where it cannot be had, on the 1,797 digits inside scikit-learn. --small, or LESSON_SIZE=small, trains on
less.
"""

import os
import time
from pathlib import Path

from examples.common.cli import Parser, fail, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.lessons", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--output-dir", type=Path, default=Path("runs/lessons"), help="folder of the notebooks")
    add("--only", type=whole_number(1), nargs="+", metavar="N", help="these lessons, not all of them")
    add("--solved", action="store_true", help="with solutions and predictions, as lesson_..._solved.ipynb")
    add("--execute", action="store_true", help="run them from top to bottom and keep what they print")
    add("--small", action="store_true", help="with --execute: small settings, for a quick look")
    add("--data-dir", type=Path, help="with --execute: folder of MNIST (else DATA_DIR, or data)")
    add("--overwrite", action="store_true", help="also write over notebooks that were edited")
    args = parser.parse_args(argv)
    try:
        import nbformat

        from examples.lessons.making import SOURCES, Lesson, LessonError, execute, was_edited
    except ModuleNotFoundError as error:
        fail(f"the lessons need the extra notebooks ({error.name} is missing): pip install -e '.[notebooks]'")

    lessons = {lesson.number: lesson for lesson in (Lesson(s, args.solved) for s in SOURCES)}
    if unknown := [number for number in args.only or [] if number not in lessons]:
        fail(f"--only {unknown[0]} names no lesson, expected some of {', '.join(map(str, lessons))}")
    chosen = [lesson for number, lesson in lessons.items() if not args.only or number in args.only]
    edited = [
        path for lesson in chosen if (path := args.output_dir / lesson.file).exists() and was_edited(path)
    ]
    if edited and not args.overwrite:
        fail(f"{edited[0]} was edited and stays: use another --output-dir, or --overwrite to lose it")

    environment = os.environ | ({"LESSON_SIZE": "small"} if args.small else {})
    environment |= {"DATA_DIR": str(args.data_dir.absolute())} if args.data_dir else {}
    for lesson in chosen:
        notebook, path, failure = lesson.notebook(), args.output_dir / lesson.file, ""
        start = time.perf_counter()
        if args.execute:
            try:
                execute(notebook, environment)
            except LessonError as error:
                failure = f"lesson {lesson.number}, {error}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, path)
        except OSError as error:
            fail(f"--output-dir {args.output_dir} cannot be written: {error.strerror}")
        if failure:
            fail(failure, code=1)
        done = f", run in {time.perf_counter() - start:.1f} s" if args.execute else ""
        print(f"{lesson.number}. {lesson.title}: {path}{done}", flush=True)
    return 0


if __name__ == "__main__":
    run(main)
