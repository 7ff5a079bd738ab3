"""Train both TinyCNNs side by side on 8 x 8 patterns: python -m examples.train_tinycnn

Chapters 23 to 25 of the book: 200 images of a horizontal or a vertical line under noise. Both networks
start from the same weights and see the same batches; the two columns of losses are the point.
"""

from examples.common.cli import Parser, output_folder, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.train_tinycnn", description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=whole_number(1), default=15, help="passes over the 200 images")
    parser.add_argument(
        "--seed", type=whole_number(0), default=42, help="of the images, the weights and their order"
    )
    parser.add_argument(
        "--output-dir", type=output_folder, default="runs/tinycnn", help="folder of the picture"
    )
    args = parser.parse_args(argv)

    import numpy as np
    import torch

    import tinycnn_numpy
    import tinycnn_torch
    from examples.common.figures import image_grid, save
    from examples.experiments.train_tinycnn import line_patterns
    from parity import copy_weights, numpy_state

    rng = np.random.default_rng(args.seed)
    images, labels = line_patterns(200, rng)
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    model, module = tinycnn_numpy.TinyCNN(rng=rng, dtype=np.float64), tinycnn_torch.TinyCNN().double()
    copy_weights(model, module)
    losses = tinycnn_numpy.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    optimizers = (
        tinycnn_numpy.SGD(model.parameters(), 0.1, momentum=0.9),
        torch.optim.SGD(module.parameters(), 0.1, 0.9),
    )

    print("TinyCNN on 200 synthetic 8x8 line patterns, SGD, float64, both sides in lockstep")
    print("epoch  NumPy loss         PyTorch loss       difference")
    for epoch in range(1, args.epochs + 1):
        batches = np.split(rng.permutation(200), range(20, 200, 20))
        ours = tinycnn_numpy.train_epoch(model, losses[0], optimizers[0], images, labels, batches)
        torch_batches = [torch.from_numpy(batch) for batch in batches]
        theirs = tinycnn_torch.train_epoch(module, losses[1], optimizers[1], *tensors, torch_batches)
        print(f"{epoch:5}  {ours:.15f}  {theirs:.15f}  {abs(ours - theirs):.0e}")

    print(f"accuracy on these images: NumPy {tinycnn_numpy.evaluate(model, images, labels):.1f} %,", end=" ")
    print(f"PyTorch {tinycnn_torch.evaluate(module, *tensors):.1f} %")
    both = np.concatenate([numpy_state(side)["conv.weight"][:, 0] for side in (model, module)])
    title = "TinyCNN on synthetic line patterns: the learned filters of both sides"
    picture = image_grid(both, 4, title, name="filter", unit="weight", rows=["NumPy", "PyTorch"])
    save(picture, args.output_dir / "tinycnn_filters.png")
    return 0


if __name__ == "__main__":
    run(main)
