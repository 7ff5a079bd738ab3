"""Optimisers with one mistake each. A class is complete in itself and replaces tn.SGD or tn.Adam."""

import math

import numpy as np

import tinycnn_numpy as tn
from examples.bugs.bug import bug

# stochastic gradient descent


@bug("SGD", "weight", "momentum-damped")
class MomentumDamped(tn.SGD):
    """The new gradient is weighted with 1 - momentum, so that steps are ten times smaller at 0.9.

    Source: eriklindernoren/ML-From-Scratch mlfromscratch/deep_learning/optimizers.py
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            b[...] = self.momentum * b + (1 - self.momentum) * g  # bug: + g
            parameter.data[...] -= self.lr * (g + self.momentum * b if self.nesterov else b)


@bug("SGD", "weight", "momentum-ignored")
class MomentumForgotten(tn.SGD):
    """The buffer is made anew in every step, so that momentum multiplies zeros.

    Source: classic
    """

    def step(self):
        self.steps += 1
        for parameter in self.parameters:
            g = parameter.grad + self.weight_decay * parameter.data
            b = np.zeros_like(parameter.data)  # bug: the buffer of the step before
            b = self.momentum * b + g
            parameter.data[...] -= self.lr * (g + self.momentum * b if self.nesterov else b)


@bug("SGD", "weight", "momentum-misplaced")
class MomentumOnGradient(tn.SGD):
    """The factor stands at the new gradient instead of at the buffer, which never fades.

    Source: ooples/AiDotNet#2008
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            b += (self.momentum or 1) * g  # bug: momentum * b + g
            parameter.data[...] -= self.lr * (b if self.momentum else g)


@bug("SGD", "weight", "nesterov-ignored")
class NesterovIgnored(tn.SGD):
    """nesterov=True is accepted, and the step is that of plain momentum.

    Source: classic
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            b *= self.momentum
            b += parameter.grad + self.weight_decay * parameter.data
            parameter.data[...] -= self.lr * b  # bug: nesterov never asked


@bug("SGD", "weight", "nesterov-sign")
class NesterovPlus(tn.SGD):
    """The part of Nesterov's step that comes from the buffer is added where it must be subtracted.

    Source: PaddlePaddle/Paddle#12231
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            b[...] = self.momentum * b + g
            if self.nesterov:
                parameter.data[...] += -self.lr * g + self.lr * self.momentum * b  # bug: - self.lr * momentum
            else:
                parameter.data[...] -= self.lr * b


@bug("SGD", "weight", "decay-ignored")
class DecayIgnored(tn.SGD):
    """weight_decay is checked and stored, and no step uses it.

    Source: kozistr/pytorch_optimizer#517
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad  # bug: + weight_decay * data
            b[...] = self.momentum * b + g
            parameter.data[...] -= self.lr * (g + self.momentum * b if self.nesterov else b)


@bug("SGD", "weight", "decay-sign")
class DecayGrows(tn.SGD):
    """The decay is subtracted from the gradient, which makes the weights grow.

    Source: chainer/chainer#261
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad - self.weight_decay * parameter.data  # bug: +
            b[...] = self.momentum * b + g
            parameter.data[...] -= self.lr * (g + self.momentum * b if self.nesterov else b)


@bug("SGD", "weight", "decay-decoupled")
class DecayOutsideMomentum(tn.SGD):
    """The weights shrink directly and the decay does not enter the momentum buffer.

    Source: classic
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad
            b[...] = self.momentum * b + g
            parameter.data[...] *= 1 - self.lr * self.weight_decay  # bug: part of g
            parameter.data[...] -= self.lr * (g + self.momentum * b if self.nesterov else b)


@bug("SGD", "weight", "wrong-sign")
class Ascent(tn.SGD):
    """The weights go up the gradient.

    Source: classic
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            b[...] = self.momentum * b + g
            parameter.data[...] += self.lr * (g + self.momentum * b if self.nesterov else b)  # bug: -=


@bug("SGD", "weight", "not-in-place")
class LocalName(tn.SGD):
    """`data = data - step` gives a new array to a local name; the layer keeps the old one.

    Source: classic
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            data, g = parameter.data, parameter.grad + self.weight_decay * parameter.data
            b[...] = self.momentum * b + g
            data = data - self.lr * (g + self.momentum * b if self.nesterov else b)  # bug: data[...] =


@bug("SGD", "weight", "last-only")
class LastParameterOnly(tn.SGD):
    """The update stands after the loop instead of in it, so that only the last parameter learns.

    Source: classic
    """

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            b[...] = self.momentum * b + g
        parameter.data[...] -= self.lr * (g + self.momentum * b if self.nesterov else b)  # bug: indentation


# Adam


@bug("Adam", "weight", "no-bias-correction")
class NoBiasCorrection(tn.Adam):
    """Neither moment is corrected for its start at zero, so that the first steps are three times too long.

    Source: CNNumpy src/fast/layers.py
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g**2
            parameter.data[...] -= self.lr * m / (np.sqrt(v) + self.eps)  # bug: m_hat, v_hat


@bug("Adam", "weight", "no-bias-correction")
class OnlyMeanCorrected(tn.Adam):
    """The first moment is corrected for its start at zero and the second is not.

    Source: classic
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat = m / (1 - beta1**self.steps)
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v) + self.eps)  # bug: v_hat


@bug("Adam", "weight", "multiplied-not-divided")
class CorrectionMultiplied(tn.Adam):
    """The moments are multiplied by 1 - beta**steps where they must be divided by it.

    Source: karpathy/convnetjs#70
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat = m * (1 - beta1**self.steps)  # bug: /
            v_hat = v * (1 - beta2**self.steps)  # bug: /
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


@bug("Adam", "weight", "step-not-counted")
class CorrectionWithoutPower(tn.Adam):
    """The correction is 1 - beta in every step, as if every step were the first.

    Source: eriklindernoren/ML-From-Scratch#35
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * np.power(g, 2)
            m_hat, v_hat = m / (1 - beta1), v / (1 - beta2)  # bug: ** self.steps
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


@bug("Adam", "weight", "step-not-counted")
class StepPerParameter(tn.Adam):
    """The step is counted inside the loop, so that each parameter has its own, too large, number of steps.

    Source: flashlight/flashlight#143
    """

    def step(self):
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            self.steps += 1  # bug: once for all parameters
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


@bug("Adam", "weight", "eps-inside-root")
class EpsInsideRoot(tn.Adam):
    """eps is added under the root, where it counts as its own root.

    Source: FluxML/Flux.jl#448
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / np.sqrt(v_hat + self.eps)  # bug: outside the root


@bug("Adam", "weight", "eps-before-correction")
class EpsilonHat(tn.Adam):
    """The paper's shorter form: eps meets the root before its correction and is in effect larger at first.

    Source: keras-team/keras#17391
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        lr = self.lr * math.sqrt(1 - beta2**self.steps) / (1 - beta1**self.steps)
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            parameter.data[...] -= lr * m / (np.sqrt(v) + self.eps)  # bug: eps beside the corrected root


@bug("Adam", "weight", "betas-swapped")
class BetasSwapped(tn.Adam):
    """The slow average is taken of the gradient and the fast one of its square.

    Source: classic
    """

    def step(self):
        self.steps += 1
        beta2, beta1 = self.betas  # bug: beta1, beta2
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


@bug("Adam", "weight", "root-missing")
class RootMissing(tn.Adam):
    """The step is divided by the mean square and not by its root.

    Source: classic
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / (v_hat + self.eps)  # bug: np.sqrt(v_hat)


@bug("Adam", "weight", "not-squared")
class NotSquared(tn.Adam):
    """The second moment averages the gradient's size instead of its square.

    Source: classic
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * np.abs(g)  # bug: g * g
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


@bug("Adam", "weight", "multiplied-not-divided")
class MultipliedByRoot(tn.Adam):
    """The step is multiplied by the root of the mean square where it must be divided by it.

    Source: oracle/tribuo#401
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat * (np.sqrt(v_hat) + self.eps)  # bug: /


@bug("Adam", "weight", "not-in-place")
class MomentsLocal(tn.Adam):
    """`m = ...` gives the averages to local names; the optimiser keeps its zeros and remembers no step.

    Source: classic
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m = beta1 * m + (1 - beta1) * g  # bug: m[...] =
            v = beta2 * v + (1 - beta2) * g * g  # bug: v[...] =
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


@bug("Adam", "weight", "decay-decoupled")
class AdamWByName(tn.Adam):
    """The weights shrink directly, which is AdamW; Adam's decay is a part of the gradient.

    Source: workofart/ml-by-hand#42
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad  # bug: + weight_decay * data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            step = m_hat / (np.sqrt(v_hat) + self.eps) + self.weight_decay * parameter.data
            parameter.data[...] -= self.lr * step


@bug("Adam", "weight", "decay-ignored")
class AdamDecayIgnored(tn.Adam):
    """weight_decay is accepted and never used.

    Source: classic
    """

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad  # bug: + weight_decay * data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat, v_hat = m / (1 - beta1**self.steps), v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
