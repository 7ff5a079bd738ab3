"""How large and how good are the pretrained models of the chapter? python -m examples.zoo

Section 31.4 of the chapter. The parameters are counted on PyTorch's meta device, where a tensor has a shape
and no memory; the accuracies are those that torchvision publishes with its weights. Nothing is downloaded.
"""

import math

from examples.common.cli import Parser, output_folder, run


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.zoo", description=__doc__.splitlines()[0])
    parser.add_argument("--output-dir", type=output_folder, default="runs/zoo", help="folder of the picture")
    args = parser.parse_args(argv)

    from examples.common.figures import save
    from examples.experiments.zoo import count, count_verdict, picture, top1_verdict, zoo_rows
    from tinycnn_torch import MNISTCNN

    rows = zoo_rows()

    print("Parameters of the models in the chapter's list, counted:")
    for row in rows:
        if row.printed_in_list:
            verdict = count_verdict(row.printed_in_list, row.parameters)
            print(f"  {row.name:16}{row.parameters:>12,}  the printed count {verdict}")
    print("\nThe chapter's table, against torchvision's counts and published accuracies (ImageNet):")
    for row in sorted(rows, key=lambda row: row.year):
        if row.printed_parameters:
            print(f"{row.label}, {row.year}")
            parameters = count_verdict(row.printed_parameters, row.parameters)
            print(f"  parameters  {row.printed_parameters:>5}   {row.parameters:,}: {parameters}")
            print(f"  top-1       {row.printed_top1:>5} % {top1_verdict(row.printed_top1, row.weights)}")
    print(
        "\nEvery published set of weights; the count is ours, of the architecture at the weights' image size:"
    )
    print("model            weights                     top-1 %     parameters  torchvision's number")
    for row in rows:
        for each in row.weights:
            top1 = "none" if math.isnan(each.top1) else f"{each.top1:.3f}"
            same = count_verdict(f"{each.said:,}", each.counted)
            print(f"{row.name:15}  {each.name:26}  {top1:>7}  {each.counted:13,}  {same}")
    ours = count(MNISTCNN())
    print(f"\nMNISTCNN has {ours:,} parameters, and no accuracy on ImageNet to set beside these.")
    save(picture(rows), args.output_dir / "parameters.png")
    return 0


if __name__ == "__main__":
    run(main)
