"""Section 31.2: is the CNN better than the MLP, and with how many weights? python -m examples.compare_mlp

Both are trained with the same recipe from the same seeds; the runs are those of examples.seeds, and none is
trained twice.
"""

from examples.common.cli import Parser, run
from examples.common.flags import add_seed_flags


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.compare_mlp", description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=["torch", "numpy"], default="torch", help="who computes")
    add_seed_flags(parser, seeds=10, output_dir="runs/compare_mlp")
    args = parser.parse_args(argv)

    from examples.common import data
    from examples.common.figures import save
    from examples.experiments import seeds
    from examples.experiments.compare_mlp import compare, introduction, verdict

    dataset = data.from_flags(args)
    models = ["MNISTCNN", "MLP"]
    print(introduction(models, dataset, args.backend, args.seeds, args.epochs), flush=True)
    found = compare(models, dataset, args.backend, args.seeds, args.epochs, args.results)
    print(found)
    cnn, mlp = found.parameters.values()
    difference = found.difference("MNISTCNN", "MLP")
    print(f"MNISTCNN - MLP by seed: {' '.join(f'{points:+.2f}' for points in difference.differences)}")
    print(f"MNISTCNN - MLP: {difference}")
    print(seeds.sampling(found.last["MNISTCNN"].mean(), dataset))
    print(f"On {dataset.name} {verdict(difference, 'MNISTCNN', 'MLP')}.")
    print(f"MLP has {mlp / cnn:.1f} times as many parameters. What an MLP of MNISTCNN's size reaches:")
    print("python -m examples.exercises 31.4")
    save(found.curves(), args.output_dir / "compare_mlp.png")
    return 0


if __name__ == "__main__":
    run(main)
