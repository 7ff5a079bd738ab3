"""What people call things."""

from types import ModuleType

import numpy as np
import pytest

from parity.foreign.calls import UnknownArgumentError
from parity.foreign.find import subjects_in
from parity.foreign.layouts import BIASES, IMAGES, KERNELS, back, moved
from parity.foreign.names import (
    argument_named,
    arguments_named,
    array_named,
    doubtful,
    given_named,
    kinds_named,
    readings,
    state_named,
)
from parity.foreign.recognise import behind, choose
from parity.foreign.subject import Subject


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("Conv3x3", ("Conv2D",)),
        ("ConvolutionalLayer", ("Conv2D",)),
        ("conv_naive", ("Conv2D",)),
        ("Layer_Dense", ("Dense",)),
        ("Affine", ("Dense",)),
        ("Activation_ReLU", ("ReLU",)),
        ("MaxPool2", ("MaxPool2D",)),
        ("Pooling", ("MaxPool2D", "AvgPool2D")),
        ("SoftmaxWithLoss", ("CrossEntropyLoss",)),
        ("Activation_Softmax_Loss_CategoricalCrossentropy", ("CrossEntropyLoss",)),
        ("Optimizer_Adam", ("Adam",)),
        ("Momentum", ("SGD",)),
        ("Conv2d_stride1", ("Conv2D",)),
        ("MeanPool2d_stride1", ("AvgPool2D",)),
        ("ConvLayer2D", ("Conv2D",)),
        ("MaxPoolLayer2D", ("MaxPool2D",)),
        ("PoolingMax", ("MaxPool2D",)),
        ("ReshapeLayer", ("Flatten",)),
        ("FaltungsSchicht", ("Conv2D",)),
        ("MittelwertPooling", ("AvgPool2D",)),
        ("Glätten", ("Flatten",)),
        ("Kreuzentropie", ("CrossEntropyLoss",)),
        ("CoucheConvolution", ("Conv2D",)),
        ("CoucheMoyenne", ("AvgPool2D",)),
        ("entropie_croisee", ("CrossEntropyLoss",)),
        ("CapaReLU", ("ReLU",)),
        ("CamadaPoolingMax", ("MaxPool2D",)),
        ("StratoDenso", ("Dense",)),
        ("NormalizzazioneBatch", ("BatchNorm2D",)),
        ("全连接层", ("Dense",)),
        ("juanjiceng", ("Conv2D",)),
        *[(name, ()) for name in ("LeakyReLU", "ConvTranspose2D", "Conv1D", "Softmax", "BinaryCrossEntropy")],
        *[(name, ()) for name in ("GlobalAveragePoolingLayer", "LayerNorm", "Sigmoid", "MLP", "Sequential")],
        *[(name, ()) for name in ("CapaSigmoide", "CapaTanh", "SchichtNormalisierung", "Faltung1D")],
    ],
)  # fmt: skip
def test_the_kinds_that_a_name_may_mean(name, kinds):
    assert kinds_named(name) == kinds


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("W", "weight"), ("filterWeights", "weight"), ("kernels", "weight"),
        ("biases", "bias"), ("B", "bias"),
        ("dW", "dweight"), ("dweights", "dweight"), ("grad_W", "dweight"),
        ("w_gradient", "dweight"), ("d_b", "dbias"), ("bias_grad", "dbias"), ("dinputs", "dx"),
        ("dA_prev", "dx"), ("output", "out"), ("velocity", None), ("last_input", None),
        ("dLdBW", "dweight"), ("dLdBb", "dbias"), ("BW", "weight"),
        ("dE_dW", "dweight"), ("nabla_b", "dbias"),
        ("gewichte", "weight"), ("d_schwellen", "dbias"), ("grad_pesos", "dweight"), ("viés", "bias"),
        ("dfiltros", "dweight"), ("noyaux", "weight"), ("d_eingabe", "dx"), ("权重", "weight"),
        ("weight_init_fn", None), ("mascara", None), ("entrada", None), ("forme", None),
    ],
)  # fmt: skip
def test_the_role_of_an_array(name, role):
    assert array_named(name) == role


def test_one_letter_means_what_the_others_leave():
    assert argument_named("Conv2D", "F") == "kernel_size"
    assert arguments_named("Conv2D", ["C", "F", "K"]) == {
        "C": "in_channels", "F": "out_channels", "K": "kernel_size",
    }  # fmt: skip
    assert arguments_named("Conv2D", ["kh", "kw", "c", "f"])["f"] == "out_channels"
    assert arguments_named("AvgPool2D", ["p", "s"]) == {"p": "kernel_size", "s": "stride"}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("Conv2D", {"num_input_channels": "in_channels", "depth_out": "out_channels",
                    "kernel_dims": "kernel_size", "weight_init_fn": None, "bias_init_fn": None}),
        ("Conv2D", {"eingangs_kanaele": "in_channels", "anzahl_filter": "out_channels", "kern": "kernel_size",
                    "schritt": "stride", "rand": "padding"}),
        ("Conv2D", {"nb_canaux": "in_channels", "nb_filtres": "out_channels", "taille_noyau": "kernel_size",
                    "pas": "stride", "marge": "padding"}),
        ("Conv2D", {"canais_de_entrada": "in_channels", "tamanho_filtro": "kernel_size", "passo": "stride"}),
        ("Conv2D", {"输入通道数": "in_channels", "核大小": "kernel_size", "步长": "stride"}),
        ("Dense", {"n_ein": "in_features", "n_aus": "out_features", "semilla": "seed"}),
        ("Dense", {"nb_entrees": "in_features", "nb_neurones": "out_features", "taxa_aprendizado": "lr"}),
    ],
)  # fmt: skip
def test_the_arguments_in_other_words(kind, names):
    assert {name: argument_named(kind, name) for name in names} == names


def test_names_of_other_languages_are_put_into_english():
    assert readings("taille_noyau") == ("taillenoyau", "sizekernel", "kernelsize")
    assert "forwardpropagation" in readings("propagation_avant")
    assert readings("Rückwärts")[1:] == ("backward",)
    assert given_named("fehler", ("dout",)) == "dout"
    assert state_named("laufender_mittelwert") == state_named("running_M") == "running_mean"


@pytest.mark.parametrize(
    "name", ["forward_pass", "da_prev", "in_features", "d_out", "random", "kernels", "passes"]
)
def test_english_names_are_left_as_they_are(name):
    assert readings(name) == (name.replace("_", ""),)


DENSE = """
import numpy as np

class {layer}:
    def __init__(self, {n_in}, {n_out}):
        self.{weights} = np.random.randn({n_out}, {n_in})
        self.{bias} = np.zeros({n_out})

    def {forward}(self, {input}):
        self.{input} = {input}
        return {input} @ self.{weights}.T + self.{bias}

    def {backward}(self, {error}):
        self.d_{weights} = {error}.T @ self.{input}
        self.d_{bias} = {error}.sum(axis=0)
        return {error} @ self.{weights}
"""
ROLES = "layer n_in n_out weights bias forward backward input error"


@pytest.mark.parametrize(
    "words",
    [
        "VollVerbunden n_ein n_aus gewichte schwellen vorwärts rückwärts eingabe fehler",
        "CoucheDense nb_entrees nb_sorties poids biais propagation_avant retropropagation entree grad_sortie",
        "CapaDensa n_entradas n_salidas pesos sesgos propagar retropropagar entrada grad",
        "CamadaDensa num_entradas num_neurônios pesos viés frente trás entrada erro",
        "StratoDenso num_ingressi num_uscite pesi distorsione avanti indietro ingresso errore",
        "QuanLianJieCeng shuru_geshu shuchu_geshu quanzhong pianzhi qianxiang fanxiang shuru tidu",
        "全连接层 输入数 输出数 权重 偏置 前向传播 反向传播 输入 梯度",
    ],
)
def test_a_layer_in_another_language_is_examined(words):
    source = DENSE.format(**dict(zip(ROLES.split(), words.split(), strict=True)))
    error = words.split()[-1]
    wrong = {
        f"{error}.sum(axis=0)": f"{error}.mean(axis=0)",
        f"return {error} @": f"return 2 * {error} @",
    }
    assert examined(source)[0].right
    for old, new in wrong.items():
        assert old in source and not examined(source.replace(old, new))[0].right


def examined(source):
    """What is recognised in a file, then why things are left alone. Raises where nothing fits."""
    module = ModuleType("somebodys")
    exec(source, vars(module))
    found, left = subjects_in(module, {})
    return [*map(choose, found), *left.values()]


RESHAPE = """
import numpy as np

class Reshape:
    def __init__(self, input_shape, output_shape):
        self.input_shape, self.output_shape = input_shape, output_shape

    def forward(self, x):
        return np.reshape(x, self.output_shape)

    def backward(self, dout):
        return np.reshape(dout, self.input_shape)
"""


def test_a_name_that_says_little_is_examined_only_where_the_numbers_are_right():
    assert doubtful("Reshape") == ("Flatten",) and not doubtful("Flatten")
    assert examined(RESHAPE)[0].right
    other = RESHAPE.replace("(x, self.output_shape)", "(x, (1, *x.shape))")
    with pytest.raises(UnknownArgumentError, match="it may be another thing"):
        examined(other)
    with pytest.raises(UnknownArgumentError, match="it may be another thing"):
        examined(RESHAPE.replace("Reshape", "CoucheMoyenne"))


STRIDE_1 = """
import numpy as np

class MeanPool2d_stride1:
    def __init__(self, kernel):
        self.k = kernel

    def forward(self, A):
        self.shape, k = A.shape, self.k
        H, W = A.shape[2] - k + 1, A.shape[3] - k + 1
        return sum(A[:, :, i : i + H, j : j + W] for i in range(k) for j in range(k)) / k**2

    def backward(self, dLdZ):
        dLdA, k = np.zeros(self.shape), self.k
        H, W = dLdZ.shape[2:]
        for i in range(k):
            for j in range(k):
                dLdA[:, :, i : i + H, j : j + W] += dLdZ / k**2
        return dLdA
"""


def test_a_pool_may_go_one_by_one():
    assert examined(STRIDE_1)[0].right
    assert examined(STRIDE_1)[0].offer.stride == 1
    assert not examined(STRIDE_1.replace("+= dLdZ", "= dLdZ"))[0].right


def test_what_has_no_method_that_is_known_is_left_alone_with_a_reason():
    assert "no method" in examined("class Affine:\n    def frobnicate(self, x):\n        return x")[0]


@pytest.mark.parametrize("parameters", ["self, sizes", "self, layers", "self"])
def test_a_network_is_examined_only_if_it_is_built_as_the_librarys(parameters):
    space = {}
    exec(f"class MLP:\n    def __init__({parameters}): pass\n    def forward(self, x): return x", space)
    for kind in ("MLP", "Sequential"):
        with pytest.raises(UnknownArgumentError, match="a network"):
            behind(Subject("MLP", kind, space["MLP"]))
    exec(
        "class Own(MLP):\n    def __init__(self, rng=None): pass\n    def backward(self, d): return d", space
    )
    assert behind(Subject("MLP", "MLP", space["Own"])).cls is space["Own"]


@pytest.mark.parametrize("layout", IMAGES)
def test_images_come_back_from_every_layout(layout):
    N, C = (1 if layout.single else 2), (3 if "C" in layout.given else 1)
    x = np.random.default_rng(0).standard_normal((N, C, 4, 5))
    theirs = moved(x, "NCHW", layout.given)
    assert theirs.ndim == len(layout.given)
    np.testing.assert_array_equal(back(theirs, layout.given, "NCHW"), x)


def test_weights_come_back_from_every_order():
    weight = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    shapes = set()
    for order in KERNELS:
        if set("FCHW") <= set(order.order):
            theirs = order.theirs(weight, "FCHW")
            shapes.add(theirs.shape)
            np.testing.assert_array_equal(order.ours(theirs, "FCHW", weight.shape), weight)
    assert {(4, 5, 3, 2), (2, 60), (60, 2)} <= shapes
    with pytest.raises(ValueError, match="expected"):
        KERNELS[0].ours(weight.transpose(1, 0, 2, 3), "FCHW", weight.shape)
    bias = np.arange(3.0)
    assert [order.theirs(bias, "M").shape for order in BIASES[:4]] == [(3,), (1, 3), (3, 1), (1, 1, 1, 3)]
