"""Plain functions for one image (channels, rows, cols)."""
import numpy as np


def convolution(image, filt, bias, s=1):
    (n_f, n_c_f, f, _) = filt.shape
    n_c, in_dim, _ = image.shape
    out_dim = int((in_dim - f) / s) + 1
    assert n_c == n_c_f
    out = np.zeros((n_f, out_dim, out_dim))
    for curr_f in range(n_f):
        for y in range(out_dim):
            for x in range(out_dim):
                patch = image[:, y * s : y * s + f, x * s : x * s + f]
                out[curr_f, y, x] = np.sum(filt[curr_f] * patch) + bias[curr_f, 0]
    return out


def convolution_backward(dconv_prev, conv_in, filt, s):
    (n_f, n_c, f, _) = filt.shape
    out_dim = dconv_prev.shape[1]
    dout = np.zeros(conv_in.shape)
    dfilt = np.zeros(filt.shape)
    dbias = np.zeros((n_f, 1))
    for curr_f in range(n_f):
        for y in range(out_dim):
            for x in range(out_dim):
                g = dconv_prev[curr_f, y, x]
                dfilt[curr_f] += g * conv_in[:, y * s : y * s + f, x * s : x * s + f]
                dout[:, y * s : y * s + f, x * s : x * s + f] += g * filt[curr_f]
        dbias[curr_f] = np.sum(dconv_prev[curr_f])
    return dout, dfilt, dbias


def maxpool(image, f=2, s=2):
    n_c, h_prev, w_prev = image.shape
    h, w = int((h_prev - f) / s) + 1, int((w_prev - f) / s) + 1
    down = np.zeros((n_c, h, w))
    for i in range(n_c):
        for y in range(h):
            for x in range(w):
                down[i, y, x] = np.max(image[i, y * s : y * s + f, x * s : x * s + f])
    return down


def nanargmax(arr):
    return np.unravel_index(np.nanargmax(arr), arr.shape)


def maxpool_backward(dpool, orig, f, s):
    n_c, _, _ = orig.shape
    dout = np.zeros(orig.shape)
    for c in range(n_c):
        for y in range(dpool.shape[1]):
            for x in range(dpool.shape[2]):
                a, b = nanargmax(orig[c, y * s : y * s + f, x * s : x * s + f])
                dout[c, y * s + a, x * s + b] = dpool[c, y, x]
    return dout


def softmax(raw_preds):
    out = np.exp(raw_preds - raw_preds.max())
    return out / np.sum(out)


def categorical_cross_entropy(probs, label):
    return -np.sum(label * np.log(probs))
