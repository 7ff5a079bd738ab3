"""Layers in interfaces that people really use, right and with a mistake planted.

Each file says in which line of the report its convention must be told; each mistake which tensors are wrong.
"""

import pytest

from parity.student.submission import examine_file

STATIC = """
import numpy as np

class Linear:
    @staticmethod
    def forward(x, w, b):
        return x @ w + b, (x, w)
    @staticmethod
    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout, dout.sum(axis=0)

class MaxPool:
    @staticmethod
    def forward(x, pool_param):
        ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
        H, W = (x.shape[2] - ph) // s + 1, (x.shape[3] - pw) // s + 1
        out = np.zeros((*x.shape[:2], H, W), x.dtype)
        for i in range(H):
            for j in range(W):
                out[:, :, i, j] = x[:, :, i * s : i * s + ph, j * s : j * s + pw].max(axis=(2, 3))
        return out, (x, pool_param)
    @staticmethod
    def backward(dout, cache):
        x, pool_param = cache
        ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
        dx = np.zeros_like(x)
        for n, c, i, j in np.ndindex(dout.shape):
            window = x[n, c, i * s : i * s + ph, j * s : j * s + pw]
            k, l = np.unravel_index(window.argmax(), window.shape)
            dx[n, c, i * s + k, j * s + l] += dout[n, c, i, j]
        return dx
"""
CALLS_ANOTHER = """
import numpy as np

def conv_forward(x, w, b, conv_param):
    return loop_forward(x, w, b, conv_param)

def conv_backward(dout, cache):
    return loop_backward(dout, cache)

def loop_forward(x, w, b, settings):
    s, p = settings["stride"], settings["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    (N, _, H, W), (F, _, KH, KW) = xp.shape, w.shape
    out = np.zeros((N, F, (H - KH) // s + 1, (W - KW) // s + 1), x.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            window = xp[:, :, i * s : i * s + KH, j * s : j * s + KW]
            out[:, :, i, j] = np.tensordot(window, w, ((1, 2, 3), (1, 2, 3))) + b
    return out, (xp, w, settings)

def loop_backward(dout, state):
    xp, w, settings = state
    s, p = settings["stride"], settings["pad"]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    KH, KW = w.shape[2:]
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, columns = slice(i * s, i * s + KH), slice(j * s, j * s + KW)
            dxp[:, :, rows, columns] += np.tensordot(dout[:, :, i, j], w, 1)
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, rows, columns], ((0,), (0,)))
    H, W = xp.shape[2:]
    return dxp[:, :, p : H - p, p : W - p], dw, dout.sum((0, 2, 3))
"""
DERIVATIVE = """
import numpy as np

class ReLU:
    def forward(self, z):
        return np.maximum(z, 0)
    def derivative(self, z):
        return (z >= 0).astype(float)

def relu(z):
    return np.maximum(z, 0)

def relu_prime(z):
    return np.where(z > 0, 1.0, 0.0)
"""
EVEN = """
import numpy as np

class MaxPool2x2:
    def forward(self, x):
        N, C, H, W = x.shape
        self.tiles = x.reshape(N, C, H // 2, 2, W // 2, 2)
        self.out = self.tiles.max(axis=(3, 5))
        return self.out
    def backward(self, dout):
        mask = self.tiles == self.out[:, :, :, None, :, None]
        shared = mask / mask.sum(axis=(3, 5), keepdims=True)
        N, C, H, _, W, _ = self.tiles.shape
        return (shared * dout[:, :, :, None, :, None]).reshape(N, C, 2 * H, 2 * W)
"""
SAME = """
import numpy as np

class Conv:
    def __init__(self, in_ch, out_ch, k):
        self.k = k
        self.params = [np.random.randn(out_ch, in_ch, k, k), np.zeros(out_ch)]
    def windows(self, a):
        p = self.k // 2
        padded = np.pad(a, ((0, 0), (0, 0), (p, p), (p, p)))
        return np.lib.stride_tricks.sliding_window_view(padded, (self.k, self.k), axis=(2, 3))
    def forward(self, x):
        self.x = x
        w, b = self.params
        return np.einsum("nchwij,fcij->nfhw", self.windows(x), w) + b[:, None, None]
    def backward(self, dout):
        w, b = self.params
        dw = np.einsum("nchwij,nfhw->fcij", self.windows(self.x), dout)
        self.grads = [dw, dout.sum(axis=(0, 2, 3))]
        return np.einsum("nfhwij,fcij->nchw", self.windows(dout), w[:, :, ::-1, ::-1])
"""
COLUMNS = """
import numpy as np

def linear_forward(A, W, b):
    return np.dot(W, A) + b, (A, W, b)

def linear_backward(dZ, cache):
    A_prev, W, b = cache
    m = A_prev.shape[1]
    dW = np.dot(dZ, A_prev.T) / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    return np.dot(W.T, dZ), dW, db
"""
UPDATED_APART = """
import numpy as np

class FullyConnect:
    def __init__(self, shape, output_num=2):
        self.weights = np.random.standard_normal((int(np.prod(shape[1:])), output_num))
        self.bias = np.zeros(output_num)
        self.w_gradient, self.b_gradient = np.zeros_like(self.weights), np.zeros_like(self.bias)
    def forward(self, x):
        self.x = x
        return np.dot(x, self.weights) + self.bias
    def gradient(self, eta):
        self.w_gradient += np.dot(self.x.T, eta)
        self.b_gradient += eta.sum(axis=0)
        return np.dot(eta, self.weights.T)
    def backward(self, alpha=0.00001):
        self.weights -= alpha * self.w_gradient
        self.bias -= alpha * self.b_gradient
        self.w_gradient, self.b_gradient = np.zeros_like(self.weights), np.zeros_like(self.bias)

class Relu:
    def forward(self, x):
        self.mask = x <= 0
        return np.where(self.mask, 0, x)
    def backward(self, dout):
        dout[self.mask] = 0
        dx = dout
        return dx
"""
WITHIN = """
import numpy as np

class Multiply:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out)
    def forward(self, A):
        self.A = A
        return A @ self.W
    def backward(self, dLdZ):
        self.dLdW = self.A.T @ dLdZ
        return dLdZ @ self.W.T

class Dense:
    def __init__(self, n_in, n_out):
        self.product = Multiply(n_in, n_out)
        self.b = np.zeros(n_out)
    def forward(self, A):
        return self.product.forward(A) + self.b
    def backward(self, dLdZ):
        self.dLdb = dLdZ.sum(axis=0)
        return self.product.backward(dLdZ)

class Linear:
    def __init__(self, n_in, n_out):
        self.weight, self.bias = np.random.randn(n_in, n_out), np.zeros(n_out)
    def forward(self, inputs):
        self.inputs = inputs
        return inputs @ self.weight + self.bias
    def backward(self, grad):
        return grad @ self.weight.T, {"weight": self.inputs.T @ grad, "bias": grad.sum(axis=0)}
"""
SIZES = """
import numpy as np

class MaxPooling2D:
    def __init__(self, pool_shape=(2, 2), stride=1):
        self.pool_shape, self.stride = pool_shape, stride
    def set_input_shape(self, shape):
        self.input_shape = shape
    def output_shape(self):
        C, H, W = self.input_shape
        return C, (H - self.pool_shape[0]) // self.stride + 1, (W - self.pool_shape[1]) // self.stride + 1
    def forward_pass(self, X):
        self.X, (C, H, W) = X, self.output_shape()
        out = np.zeros((len(X), C, H, W))
        for i in range(H):
            for j in range(W):
                out[:, :, i, j] = X[:, :, self.rows(i), self.columns(j)].max(axis=(2, 3))
        return out
    def rows(self, i):
        return slice(i * self.stride, i * self.stride + self.pool_shape[0])
    def columns(self, j):
        return slice(j * self.stride, j * self.stride + self.pool_shape[1])
    def backward_pass(self, accum_grad):
        dX = np.zeros_like(self.X)
        for n, c, i, j in np.ndindex(accum_grad.shape):
            window = self.X[n, c, self.rows(i), self.columns(j)]
            k, l = np.unravel_index(window.argmax(), window.shape)
            dX[n, c, i * self.stride + k, j * self.stride + l] += accum_grad[n, c, i, j]
        return dX
"""
BY_PLACE = """
import numpy as np

rng = np.random.default_rng(0)

class Dense:
    def __init__(self, a, b):
        self.params = [rng.standard_normal((a, b)), np.zeros(b)]
    def __call__(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]
    def grad(self, dy):
        return dy @ self.params[0].T, (self.x.T @ dy, dy.sum(axis=0))

class Linear:
    def __init__(self, row, column):
        self.W = {"val": np.random.randn(row, column), "grad": 0}
        self.B = {"val": np.zeros(column), "grad": 0}
    def forward(self, x):
        self.x = x
        return x @ self.W["val"] + self.B["val"]
    def backward(self, delta):
        self.W["grad"], self.B["grad"] = self.x.T @ delta, delta.sum(axis=0)
        return delta @ self.W["val"].T

train_images = open("no/such/file").read()
"""
HELD_TWICE = """
import numpy as np

class Parameter:
    __slots__ = ("value", "grad")
    def __init__(self, value):
        self.value, self.grad = value, np.zeros_like(value)

class Affine:
    def __init__(self, n_in, n_out):
        self.kernel, self.offset = np.random.randn(n_in, n_out), np.zeros((1, n_out))
        self.params = [self.kernel, self.offset]
    def feedforward(self, x):
        self.x = x
        return x @ self.kernel + self.offset
    def backpropagate(self, delta):
        self.grads = [self.x.T @ delta, delta.sum(axis=0, keepdims=True)]
        return delta @ self.kernel.T

class FullyConnectedLayer:
    def __init__(self, n_in, n_out):
        self.W, self.b = Parameter(np.random.randn(n_out, n_in)), Parameter(np.zeros((n_out, 1)))
        self.n_in = n_in
    def forward(self, a):
        self.a = a
        return self.W.value @ a + self.b.value
    def backward(self, delta):
        self.W.grad += delta @ self.a.T
        self.b.grad += delta.sum(axis=1, keepdims=True)
        return self.W.value.T @ delta

class Dense:
    def __init__(self, n_in, n_out):
        self.w, self.b = np.random.randn(n_out, n_in), np.zeros(n_out)
        self.nabla_w, self.nabla_b = np.zeros_like(self.w), np.zeros_like(self.b)
    def forward(self, a):
        self.a = a
        return a @ self.w.T + self.b
    def backward(self, delta):
        self.nabla_w += delta.T @ self.a
        self.nabla_b += delta.sum(axis=0)
        return delta @ self.w
    def update(self, eta, n):
        self.w, self.b = self.w - eta / n * self.nabla_w, self.b - eta / n * self.nabla_b
        self.nabla_w, self.nabla_b = np.zeros_like(self.w), np.zeros_like(self.b)
"""
FILES = {
    "by place": (
        BY_PLACE,
        ["Dense is taken for Dense: params[0] (in, out)", "Linear is taken for Dense: W['val']"],
    ),
    "held twice": (
        HELD_TWICE,
        ["kernel (in, out), params[1] (1, M)", "Dense is taken for Dense", "W.value (out, in)"],
    ),
    "static": (STATIC, ["Linear is taken for Dense", "MaxPool is taken for MaxPool2D"]),
    "calls another": (CALLS_ANOTHER, ["conv_forward is taken for Conv2D"]),
    "derivative": (
        DERIVATIVE,
        ["its gradient at 0 is another", "relu is taken for ReLU: backward gives the"],
    ),
    "even": (EVEN, ["its gradient of equal maxima is another sound one"]),
    "same": (SAME, ["padding that keeps the size"]),
    "columns": (COLUMNS, ["gradients are means over the batch"]),
    "updated apart": (UPDATED_APART, ["FullyConnect is taken for Dense", "writes into what it is given"]),
    "within": (WITHIN, ["product.W (in, out)", "Linear is taken for Dense"]),
    "sizes": (SIZES, ["whole numbers alone for stride"]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_right_file_is_right(name, tmp_path):
    text, told = FILES[name]
    (tmp_path / "student.py").write_text(text)
    checkup = examine_file(tmp_path / "student.py")
    assert checkup.ok
    assert all(any(words in remark for remark in checkup.remarks) for words in told), checkup.remarks
    assert {"out", "dx"} <= {row.tensor for check in checkup.checks for row in check.rows}
    assert checkup.score == checkup.max_score


UPDATE = """        self.w, self.b = self.w - eta / n * self.nabla_w, self.b - eta / n * self.nabla_b
        self.nabla_w, self.nabla_b = np.zeros_like(self.w), np.zeros_like(self.b)
"""
PLANTED = [
    ("by place", "self.x.T @ dy, dy.sum(axis=0)", "self.x.T @ dy, dy.mean(axis=0)", {"dbias"}),
    (
        "by place",
        "self.x.T @ delta, delta.sum(axis=0)",
        "self.x.T @ delta * 2, delta.sum(axis=0)",
        {"dweight"},
    ),
    ("held twice", "return delta @ self.kernel.T", "return delta @ self.params[0].T * 2", {"dx"}),
    ("held twice", UPDATE, "        return None\n", {"dweight", "dbias"}),
    ("static", "return dout @ w.T, x.T @ dout", "return dout @ w.T, x.T @ dout * 2", {"dweight"}),
    ("static", "dx[n, c, i * s + k, j * s + l] +=", "dx[n, c, i * s + k, j * s + l] =", {"dx"}),
    ("calls another", "p : H - p, p : W - p", ": H - 2 * p, : W - 2 * p", {"dx"}),
    ("calls another", "dout.sum((0, 2, 3))", "dout.mean((0, 2, 3))", {"dbias"}),
    ("derivative", "np.where(z > 0, 1.0, 0.0)", "np.where(z > 0, 1.0, 0.1)", {"dx"}),
    ("derivative", "np.where(z > 0, 1.0, 0.0)", "np.where(z > 1, 1.0, 0.0)", {"dx"}),
    ("even", "mask / mask.sum(axis=(3, 5), keepdims=True)", "mask", {"dx"}),
    ("even", "mask.sum(axis=(3, 5), keepdims=True)", "4", {"dx"}),
    ("same", "w[:, :, ::-1, ::-1]", "w", {"dx"}),
    ("same", "self.windows(self.x), dout)", "self.windows(self.x), dout) / len(dout)", {"dweight"}),
    ("columns", "np.dot(dZ, A_prev.T) / m", "np.dot(dZ, A_prev.T)", {"dbias"}),
    ("columns", "np.dot(W.T, dZ), dW", "np.dot(W.T, dZ) / m, dW", {"dx", "dweight", "dbias"}),
    ("updated apart", "eta.sum(axis=0)", "eta.mean(axis=0)", {"dbias"}),
    ("updated apart", "self.mask = x <= 0", "self.mask = x <= 0.5", {"out", "dx"}),
    ("within", "self.dLdW = self.A.T @ dLdZ", "self.dLdW = self.A.T @ dLdZ / 2", {"dweight"}),
    ("within", '"bias": grad.sum(axis=0)', '"bias": grad.sum(axis=0) / 2', {"dbias"}),
    ("sizes", "j * self.stride + l] += accum_grad", "j * self.stride + l] = accum_grad", {"dx"}),
]


@pytest.mark.parametrize("name, old, new, tensors", PLANTED)
def test_a_planted_mistake_is_found_in_its_tensors(name, old, new, tensors, tmp_path):
    text = FILES[name][0]
    assert text.count(old) == 1
    (tmp_path / "student.py").write_text(text.replace(old, new))
    checkup = examine_file(tmp_path / "student.py")
    wrong = {row.tensor for check in checkup.checks for row in check.rows if not row.ok}
    assert not checkup.ok and wrong and wrong <= tensors, (wrong, checkup.remarks)


OTHERWISE = """
class Conv2D:
    def __init__(self, shape_of_everything, flavour):
        self.shape = shape_of_everything
    def forward(self, x):
        return x
    def backward(self, dout):
        return dout
"""


def test_an_exception_of_the_call_is_no_mistake_of_the_file(tmp_path):
    (tmp_path / "student.py").write_text(OTHERWISE)
    checkup = examine_file(tmp_path / "student.py")
    (one,) = checkup.classes
    assert one.state == "not examined" and not checkup.ok and checkup.score == 0


ONE_ROW = """
import numpy as np

class FCLayer:
    def __init__(self, input_size, output_size):
        self.weights = np.random.rand(input_size, output_size)
        self.bias = np.zeros((1, output_size))
    def forward_propagation(self, input):
        self.input = input
        return np.dot(self.input, self.weights) + self.bias
    def backward_propagation(self, output_error, learning_rate):
        self.weights -= learning_rate * np.dot(self.input.T, output_error)
        self.bias -= learning_rate * output_error
        return np.dot(output_error, self.weights.T)
"""
UNDIVIDED = """
import numpy as np

def avg_pool(image, size):
    H, W = image.shape
    tiles = image[: H // size * size, : W // size * size].reshape(H // size, size, W // size, size)
    return tiles.mean((1, 3))

def avg_pool_backward(d_out, shape, size):
    d_image = np.zeros(shape)
    for r, c in np.ndindex(d_out.shape):
        d_image[r * size : (r + 1) * size, c * size : (c + 1) * size] = d_out[r, c]
    return d_image
"""


def test_one_row_at_a_time_is_seen_although_backward_is_wrong(tmp_path):
    (tmp_path / "student.py").write_text(ONE_ROW)
    checkup = examine_file(tmp_path / "student.py")
    assert {row.tensor for check in checkup.checks for row in check.rows if not row.ok} == {"dx"}


def test_a_missing_division_is_not_called_an_overwritten_window(tmp_path):
    (tmp_path / "student.py").write_text(UNDIVIDED)
    checkup = examine_file(tmp_path / "student.py")
    assert {d.code for check in checkup.checks for d in check.diagnoses} == {"wrong-factor"}
