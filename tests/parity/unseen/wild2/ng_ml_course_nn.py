# python port of the ex3 / ex4 exercises
import numpy as np
import scipy.optimize as op


def sigmoid(z):
    g = 1.0 / (1.0 + np.exp(-z))
    return g


def sigmoidGradient(z):
    return sigmoid(z) * (1 - sigmoid(z))


def lrCostFunction(theta, X, y, lambda_):
    """Regularized logistic regression, returns J and grad."""
    m = y.size
    h = sigmoid(X.dot(theta))
    reg = np.r_[0, theta[1:]]
    J = (-y.dot(np.log(h)) - (1 - y).dot(np.log(1 - h))) / m + lambda_ / (2 * m) * np.sum(reg ** 2)
    grad = X.T.dot(h - y) / m + lambda_ / m * reg
    return J, grad


def gradientDescent(X, y, theta, alpha, num_iters):
    m = y.shape[0]
    theta = theta.copy()
    J_history = []
    for i in range(num_iters):
        theta = theta - (alpha / m) * (np.dot(X, theta) - y).dot(X)
        J_history.append(np.sum((X.dot(theta) - y) ** 2) / (2 * m))
    return theta, J_history


def featureNormalize(X):
    mu = np.mean(X, axis=0)
    sigma = np.std(X, axis=0, ddof=1)
    return (X - mu) / sigma, mu, sigma


def nnCostFunction(nn_params, input_layer_size, hidden_layer_size, num_labels, X, y, lambda_=0.0):
    Theta1 = np.reshape(nn_params[:hidden_layer_size * (input_layer_size + 1)],
                        (hidden_layer_size, (input_layer_size + 1)))
    Theta2 = np.reshape(nn_params[(hidden_layer_size * (input_layer_size + 1)):],
                        (num_labels, (hidden_layer_size + 1)))
    m = y.size
    a1 = np.concatenate([np.ones((m, 1)), X], axis=1)
    z2 = a1.dot(Theta1.T)
    a2 = np.concatenate([np.ones((m, 1)), sigmoid(z2)], axis=1)
    a3 = sigmoid(a2.dot(Theta2.T))
    Y = np.eye(num_labels)[y]
    J = -np.sum(Y * np.log(a3) + (1 - Y) * np.log(1 - a3)) / m
    J += lambda_ / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))

    d3 = a3 - Y
    d2 = d3.dot(Theta2)[:, 1:] * sigmoidGradient(z2)
    Theta1_grad = d2.T.dot(a1) / m
    Theta2_grad = d3.T.dot(a2) / m
    Theta1_grad[:, 1:] += lambda_ / m * Theta1[:, 1:]
    Theta2_grad[:, 1:] += lambda_ / m * Theta2[:, 1:]
    return J, np.concatenate([Theta1_grad.ravel(), Theta2_grad.ravel()])


# ---- extra part: ReLU hidden units and a softmax output -------------------

def relu(z):
    return (z > 0) * z


def reluGradient(z):
    return (z > 0).astype(float)


def softmaxCost(z, y):
    """z: (m, K) outputs, y: (m,) labels 0..K-1. Returns J (mean) and dJ/dz."""
    m, K = z.shape
    z = z - z.max(axis=1)[:, None]
    h = np.exp(z) / np.exp(z).sum(axis=1)[:, None]
    Y = (y[:, None] == np.arange(K)).astype(float)
    J = -1.0 / m * np.sum(Y * np.log(h))
    grad = 1.0 / m * (h - Y)
    return J, grad


def predict(Theta1, Theta2, X):
    m = X.shape[0]
    h1 = sigmoid(np.dot(np.concatenate([np.ones((m, 1)), X], axis=1), Theta1.T))
    h2 = sigmoid(np.dot(np.concatenate([np.ones((m, 1)), h1], axis=1), Theta2.T))
    return np.argmax(h2, axis=1)


if __name__ == '__main__':
    X = np.random.randn(40, 3)
    y = (X.sum(axis=1) > 0).astype(int)
    init = np.random.randn(4 * 4 + 2 * 5) * 0.12
    res = op.minimize(lambda p: nnCostFunction(p, 3, 4, 2, X, y, 1.0), init, jac=True,
                      method='TNC', options={'maxfun': 50})
    print(res.fun)
