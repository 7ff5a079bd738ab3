"""Optimisers in people's own interfaces: the right ones are accepted, and a planted mistake is caught."""

import pytest

from parity.foreign.calls import NoMannerError, UnknownArgumentError
from parity.foreign.find import subjects_in
from parity.foreign.recognise import choose
from parity.student.examine import examine, questions
from parity.student.load import load
from parity.student.run_case import run_case

# name: (source, [(text, what is wrong in its place, the code of the cause or "")])
RIGHT = {
    "course_plain": (
        """
def update_parameters(parameters, grads, learning_rate=1.2):
    for l in range(1, len(parameters) // 2 + 1):
        parameters["W" + str(l)] = parameters["W" + str(l)] - learning_rate * grads["dW" + str(l)]
        parameters["b" + str(l)] = parameters["b" + str(l)] - learning_rate * grads["db" + str(l)]
    return parameters
""",
        [("] - learning", "] + learning", "wrong-sign"), ("range(1, len", "range(2, len", "")],
    ),
    "course_momentum": (
        """
def update_parameters_with_momentum(parameters, grads, v, beta, learning_rate):
    for l in range(1, len(parameters) // 2 + 1):
        for n in ("W", "b"):
            k = n + str(l)
            v["d" + k] = beta * v["d" + k] + (1 - beta) * grads["d" + k]
            parameters[k] = parameters[k] - learning_rate * v["d" + k]
    return parameters, v
""",
        [("= beta * v", "= -beta * v", ""), ("- learning", "+ learning", "")],
    ),
    "course_adam": (
        """
def update_parameters_with_adam(parameters, grads, v, s, t, learning_rate=0.01, beta1=0.9, beta2=0.999,
                                epsilon=1e-8):
    corrected, squares = {}, {}
    for key in parameters:
        v["d" + key] = beta1 * v["d" + key] + (1 - beta1) * grads["d" + key]
        s["d" + key] = beta2 * s["d" + key] + (1 - beta2) * grads["d" + key] ** 2
        corrected["d" + key] = v["d" + key] / (1 - beta1 ** t)
        squares["d" + key] = s["d" + key] / (1 - beta2 ** t)
        step = corrected["d" + key] / (np.sqrt(squares["d" + key]) + epsilon)
        parameters[key] = parameters[key] - learning_rate * step
    return parameters, v, s, corrected, squares
""",
        [
            ("/ (1 - beta2 ** t)", "", ""),
            (" / (1 - beta1 ** t)", "", ""),
            ("np.sqrt(squares", "(squares", ""),
            ("beta2 ** t)", "beta1 ** t)", "betas-swapped"),
            ("** t)", "** 1)", "step-not-counted"),
        ],
    ),
    "states_and_a_count": (
        """
def adam_step(t, m, v, grads, params, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8):
    m = [b1 * a + (1 - b1) * g for a, g in zip(m, grads)]
    v = [b2 * a + (1 - b2) * g * g for a, g in zip(v, grads)]
    for i, p in enumerate(params):
        params[i] = p - lr * m[i] / (1 - b1 ** (t + 1)) / (np.sqrt(v[i] / (1 - b2 ** (t + 1))) + eps)
    return m, v, params
""",
        [("b2) * g * g", "b2) * g", ""), ("p - lr", "p + lr", "wrong-sign")],
    ),
    "a_count_that_is_returned": (
        """
def adam_update(w, dw, m, v, t, lr, beta1, beta2, eps):
    t += 1
    m = beta1 * m + (1 - beta1) * dw
    v = beta2 * v + (1 - beta2) * dw ** 2
    return w - lr * (m / (1 - beta1 ** t)) / (np.sqrt(v / (1 - beta2 ** t)) + eps), m, v, t
""",
        [("m = beta1 * m +", "m =", "")],
    ),
    "an_array": (
        """
def momentum_step(w, dw, v, lr=0.1, mu=0.9):
    v = mu * v - lr * dw
    return w + v, v
""",
        [("w + v", "w - v", ""), ("mu * v -", "-mu * v -", "")],
    ),
    "in_place": (
        """
def sgd_update(lr, weights, gradients):
    for w, g in zip(weights, gradients):
        w -= lr * g
""",
        [("-=", "+=", "wrong-sign"), ("w -= lr * g", "w = w - lr * g", "")],
    ),
    "summed_gradients": (
        """
def sgd(params, grads, lr, batch_size):
    for param, grad in zip(params, grads):
        param[:] = param - lr * grad / batch_size
""",
        [("- lr", "+ lr", "wrong-sign"), ("grad / batch", "grad * batch", ""), (" / batch_size", "", "")],
    ),
    "states_and_hyperparams": (
        """
def adam(params, grads, states, hyperparams):
    for p, g, (v, s) in zip(params, grads, states):
        v[:] = 0.9 * v + 0.1 * g
        s[:] = 0.999 * s + 0.001 * np.square(g)
        p[:] -= hyperparams['lr'] * v / (1 - 0.9 ** hyperparams['t']) / (
            np.sqrt(s / (1 - 0.999 ** hyperparams['t'])) + 1e-6)
    hyperparams['t'] += 1
""",
        [("    hyperparams['t'] += 1", "    pass", "step-not-counted")],
    ),
    "of_the_module": (
        """
PARAMS, GRADS, VEL = {}, {}, {}

def momentum_step(lr=0.05, mu=0.9):
    for k in PARAMS:
        VEL[k] = mu * VEL.get(k, 0.0) - lr * GRADS[k]
        PARAMS[k] = PARAMS[k] + VEL[k]
""",
        [("+ VEL", "- VEL", ""), ("VEL.get(k, 0.0)", "0.0", "")],
    ),
    "a_model": (
        """
class SGD:
    def __init__(self, model, lr=0.1, momentum=0):
        self.l, self.lr, self.mu = model.layers, lr, momentum
        self.v_W = [np.zeros(l.W.shape, dtype="f") for l in self.l]
        self.v_b = [np.zeros(l.b.shape, dtype="f") for l in self.l]

    def step(self):
        for i in range(len(self.l)):
            self.v_W[i] = self.mu * self.v_W[i] + self.l[i].dLdW
            self.v_b[i] = self.mu * self.v_b[i] + self.l[i].dLdb
            self.l[i].W = self.l[i].W - self.lr * self.v_W[i]
            self.l[i].b = self.l[i].b - self.lr * self.v_b[i]
""",
        [("self.mu * self.v_W[i] +", "", ""), ("W - self.lr", "W + self.lr", "")],
    ),
    "layers_of_dictionaries": (
        """
class Adam:
    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps, self.t, self.m, self.v = lr, beta1, beta2, eps, 0, {}, {}

    def update(self, layers):
        self.t += 1
        for i, layer in enumerate(layers):
            for name in layer.params:
                g, key = layer.grads[name], (i, name)
                self.m[key] = self.beta1 * self.m.get(key, 0) + (1 - self.beta1) * g
                self.v[key] = self.beta2 * self.v.get(key, 0) + (1 - self.beta2) * g ** 2
                m, v = self.m[key] / (1 - self.beta1 ** self.t), self.v[key] / (1 - self.beta2 ** self.t)
                layer.params[name] -= self.lr * m / (np.sqrt(v) + self.eps)
""",
        [
            ("        self.t += 1\n", "", ""),
            (
                "m, v = self.m[key] / (1 - self.beta1 ** self.t), self.v[key] / (1 - self.beta2 ** self.t)",
                "m, v = self.m[key], self.v[key]",
                "no-bias-correction",
            ),
            ("np.sqrt(v) + self.eps", "np.sqrt(v + self.eps)", "eps-inside-root"),
        ],
    ),
    "a_net_of_lists": (
        """
class SGDMomentum:
    def __init__(self, net, lr=1e-2, mu=.9):
        self.net, self.lr, self.mu = net, lr, mu
        self.vs = [[np.zeros_like(p) for p in l.params] for l in net]

    def step(self):
        for l, v in zip(self.net, self.vs):
            for i, (p, g) in enumerate(zip(l.params, l.grads)):
                v[i] = self.mu * v[i] + g
                p -= self.lr * v[i]
""",
        [("p -=", "p +=", "wrong-sign"), ("p -= self.lr * v[i]", "p = p - self.lr * v[i]", "")],
    ),
    "parameters_of_a_model": (
        """
class Adam:
    def __init__(self, model, learning_rate=0.001, betas=(0.9, 0.999)):
        self.ps, self.a, (self.b, self.c), self.n = list(model.parameters()), learning_rate, betas, 0
        self.s = {id(p): [np.zeros_like(p.value), np.zeros_like(p.value)] for p in self.ps}

    def step(self):
        self.n += 1
        for p in self.ps:
            m, v = self.s[id(p)]
            m += (1 - self.b) * (p.gradient - m)
            v += (1 - self.c) * (p.gradient ** 2 - v)
            p.value = p.value - self.a * m / (1 - self.b ** self.n) / (
                np.sqrt(v / (1 - self.c ** self.n)) + 1e-8)
""",
        [("            p.value = ", "            p_value = ", ""), (" / (1 - self.b ** self.n)", "", "")],
    ),
    "theta_and_grad": (
        """
class GradientDescent:
    def __init__(self, layers, eta=0.1):
        self.layers, self.eta = layers, eta

    def step(self):
        for l in self.layers:
            l.theta -= self.eta * l.grad
""",
        [("-=", "+=", "wrong-sign")],
    ),
    "gradients_of_layers": (
        """
class GradientDescent:
    def __init__(self, lr):
        self._lr = lr

    def update(self, layers):
        for layer in layers:
            if not hasattr(layer, "gradients"):
                continue
            layer.w = layer.w - self._lr * layer.gradients["w"]
            layer.b = layer.b - self._lr * layer.gradients["b"]
""",
        [("b - self", "b + self", "wrong-sign"), ('gradients["b"]', 'gradients["b"].mean()', "")],
    ),
    "pairs": (
        """
class SGD:
    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False):
        self.lr, self.momentum, self.nesterov, self.v = learning_rate, momentum, nesterov, {}

    def apply_gradients(self, grads_and_vars):
        for i, (g, x) in enumerate(grads_and_vars):
            v = self.v[i] = self.momentum * self.v.get(i, 0) - self.lr * g
            x += self.momentum * v - self.lr * g if self.nesterov else v
""",
        [("- self.lr * g if", "+ self.lr * g if", ""), ("x +=", "x -=", "")],
    ),
    "a_learning_rule": (
        """
class MomentumLearningRule:
    def __init__(self, learning_rate=1e-3, mom_coeff=0.9):
        self.learning_rate, self.mom_coeff = learning_rate, mom_coeff

    def initialise(self, params):
        self.params = params
        self.moms = [np.zeros_like(param) for param in params]

    def reset(self):
        for mom in self.moms:
            mom *= 0.

    def update_params(self, grads_wrt_params):
        for param, mom, grad in zip(self.params, self.moms, grads_wrt_params):
            mom *= self.mom_coeff
            mom -= self.learning_rate * grad
            param += mom
""",
        [("param += mom", "param -= mom", ""), ("mom -= self", "mom += self", "")],
    ),
    "called": (
        """
class AdaptiveMoments:
    def __init__(self, alpha=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.alpha, self.beta_1, self.beta_2, self.epsilon = alpha, beta_1, beta_2, epsilon
        self.m = self.v = self.n = 0

    def __call__(self, w, dw):
        self.n += 1
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * dw
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * dw ** 2
        m, v = self.m / (1 - self.beta_1 ** self.n), self.v / (1 - self.beta_2 ** self.n)
        return w - self.alpha * m / (v ** 0.5 + self.epsilon)
""",
        [("self.n += 1", "self.n = 1", "step-not-counted"), ("(1 - self.beta_2) * dw", "dw", "")],
    ),
    "both_in_the_constructor": (
        """
class SGD:
    def __init__(self, params, grads, lr=0.01):
        self.params, self.grads, self.lr = params, grads, lr

    def step(self):
        for key in self.params:
            self.params[key] = self.params[key] - self.lr * self.grads["d" + key]
""",
        [("- self.lr", "+ self.lr", "wrong-sign"), ("self.params[key] =", "param =", "not-in-place")],
    ),
    "a_rate_at_every_step": (
        """
class SGD:
    def __init__(self, network):
        self.network = network

    def update_params(self, learning_rate):
        for layer in self.network.layers:
            for param, grad in layer.get_params_and_grads():
                param -= learning_rate * grad
""",
        [("-=", "+=", "wrong-sign")],
    ),
    "a_layer_and_a_count": (
        """
class AdamOptimizer:
    def __init__(self, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps

    def update(self, layer, t):
        for n in "Wb":
            g = getattr(layer, "d" + n)
            m = self.beta1 * getattr(layer, "m_" + n, 0) + (1 - self.beta1) * g
            v = self.beta2 * getattr(layer, "v_" + n, 0) + (1 - self.beta2) * g * g
            setattr(layer, "m_" + n, m)
            setattr(layer, "v_" + n, v)
            m, v = m / (1 - self.beta1 ** t), v / (1 - self.beta2 ** t)
            setattr(layer, n, getattr(layer, n) - self.lr * m / (np.sqrt(v) + self.eps))
""",
        [
            ("        for n in", "        t = 1\n        for n in", "step-not-counted"),
            ("- self.lr", "+ self.lr", ""),
        ],
    ),
    "weights_with_a_gradient": (
        """
def sgd(layers, lr):
    for layer in layers:
        for p in (layer.weight, layer.bias):
            p.data = p.data - lr * p.grad
""",
        [("- lr", "+ lr", "wrong-sign"), ("p.data =", "data =", "not-in-place")],
    ),
    "lists_of_two": (
        """
class SGD:
    def __init__(self, params, lr=0.1, momentum=0.9):
        self.params, self.lr, self.momentum, self.v = params, lr, momentum, [0] * len(params)

    def step(self):
        for i, (w, dw) in enumerate(self.params):
            self.v[i] = self.momentum * self.v[i] + self.lr * dw
            w -= self.v[i]
""",
        [("w -=", "w +=", "wrong-sign")],
    ),
    "by_name": (
        """
class SGD:
    def __init__(self, lr=0.1, momentum=0.9):
        self.lr, self.momentum, self.v = lr, momentum, {}

    def update(self, w, dw, layer_name):
        self.v[layer_name] = self.momentum * self.v.get(layer_name, 0) + dw
        return w - self.lr * self.v[layer_name]
""",
        [("return w -", "return w +", "wrong-sign")],
    ),
    "always_nesterov": (
        """
class Nesterov:
    def __init__(self, lr=0.01, momentum=0.9):
        self.lr, self.momentum, self.v = lr, momentum, {}

    def update(self, params, grads):
        for key in params:
            before = self.v.get(key, np.zeros_like(params[key]))
            self.v[key] = self.momentum * before - self.lr * grads[key]
            params[key] += -self.momentum * before + (1 + self.momentum) * self.v[key]
""",
        [("(1 + self.momentum)", "self.momentum", ""), ("-self.momentum * before +", "", "")],
    ),
}


def judged(tmp_path, source):
    """What is said of the one optimiser of a file: how it is taken, what is right, what is the cause."""
    path = tmp_path / "optimizer.py"
    path.write_text("import numpy as np\n" + source, encoding="utf-8")
    (alternatives,), _ = subjects_in(load(path)[0], {})
    one = choose(alternatives)
    answers = [(case, run_case(one.cls, case)) for case in questions(one.subject.kind, 0, one.offer)]
    checks = [check for check in examine("it", answers, one.offer) if not check.skipped]
    assert checks
    return one.taken, all(check.ok for check in checks), {d.code for check in checks for d in check.diagnoses}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_one_is_accepted_in_its_own_interface(name, tmp_path):
    taken, right, codes = judged(tmp_path, RIGHT[name][0])
    assert right and not codes, (taken, codes)


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [(name, *planted) for name, (_, all_) in RIGHT.items() for planted in all_],
)
def test_a_planted_mistake_is_caught(name, old, new, code, tmp_path):
    source = RIGHT[name][0]
    assert old in source
    taken, right, codes = judged(tmp_path, source.replace(old, new))
    assert not right, taken
    assert not code or code in codes, codes


NOT_EXAMINED = {
    "other names": (
        """
class SGD:
    def __init__(self, capas, tasa=0.01):
        self.capas, self.tasa = capas, tasa

    def step(self):
        for capa in self.capas:
            capa.pesos -= self.tasa * capa.grad_pesos
""",
        "it is given no parameters under a name",
    ),
    "other attributes": (
        """
class SGD:
    def __init__(self, layers, lr=0.01):
        self.layers, self.lr = layers, lr

    def step(self):
        for layer in self.layers:
            layer.numbers_of_it -= self.lr * layer.slope_of_it
""",
        "numbers_of_it means nothing to the check",
    ),
    "layers of other names alone": (
        """
class SGD:
    def __init__(self, layers, lr=0.01):
        self.layers, self.lr = [layer for layer in layers if hasattr(layer, "numbers_of_it")], lr

    def step(self):
        for layer in self.layers:
            layer.numbers_of_it -= self.lr * layer.slope_of_it
""",
        "no gradient",
    ),
    "layers of its own classes alone": (
        """
class Conv:
    pass

class SGD:
    def __init__(self, lr=0.01):
        self.lr = lr

    def update(self, layers):
        for layer in layers:
            if isinstance(layer, Conv):
                layer.W -= self.lr * layer.dW
""",
        "no gradient",
    ),
    "a setting": (
        """
class Adam:
    def __init__(self, schedule, beta1=0.9, beta2=0.999):
        self.schedule = schedule

    def update(self, w, dw):
        return w - self.schedule(1) * dw
""",
        "schedule of Adam means nothing to the check",
    ),
    "a call with other things": (
        """
class Adam:
    def __init__(self, lr=0.01):
        self.lr = lr

    def update(self, params, grads):
        params.apply(lambda w: w - self.lr * grads)
""",
        "no manner of calling it",
    ),
    "a momentum of its own": (
        """
class Momentum:
    def __init__(self, lr):
        self.lr, self.v = lr, 0

    def update(self, w, dw):
        self.v = 0.9 * self.v - self.lr * dw
        return w + self.v
""",
        "a number of its own",
    ),
}


@pytest.mark.parametrize("name", NOT_EXAMINED)
def test_what_cannot_be_called_is_not_accused(name, tmp_path):
    source, reason = NOT_EXAMINED[name]
    with pytest.raises(UnknownArgumentError, match=reason):
        judged(tmp_path, source)


@pytest.mark.parametrize(
    "source",
    [
        "def gradient_descent(X, y, theta, alpha, num_iters):\n    return theta, []\n",
        "def update_weights(m, b, X, Y, learning_rate):\n    return m, b\n",
        "def sgd(model, x, y, epochs):\n    return model, []\n",
    ],
)
def test_a_loop_that_trains_is_no_optimizer(source, tmp_path):
    path = tmp_path / "loop.py"
    path.write_text(source, encoding="utf-8")
    assert subjects_in(load(path)[0], {})[0] == []


def test_a_name_that_does_not_exist_is_a_mistake_of_its_own(tmp_path):
    with pytest.raises(NoMannerError, match="NameError"):
        judged(tmp_path, RIGHT["pairs"][0].replace("self.lr * g", "lr * g"))
