"""One convolution in seven rungs, from plain loops to PyTorch.

Every rung computes the same numbers (strictly a cross-correlation, as in PyTorch):

    out[n,f,h,w] = bias[f] + sum_cij weight[f,c,i,j] * x[n, c, h*SH + i, w*SW + j]      x already zero-padded

x (N, C, H, W), weight (F, C, KH, KW), bias (F,), stride (SH, SW), padding (PH, PW) -> out (N, F, OH, OW).
What changes from rung to rung is who runs the loops, Python or compiled code, and how the numbers lie in
memory while they are read. The program times them on the second convolution of MNISTCNN, on one thread.
"""

import os
import platform
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import scipy
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft2, rfft2

import tinycnn_numpy as tn
from parity import exact_run, twin
from parity.report import judge

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def six_loops(x, weight, bias, stride, padding):
    """The formula as it stands: six loops for an image, one multiply-add at a time.

    No memory but a padded x and out. Slow: Python makes an object of every number, product and sum.
    """
    x, (SH, SW) = pad(x, padding), stride
    N, (F, C, KH, KW), (OH, OW) = len(x), weight.shape, out_size(x, weight, stride)
    out = np.empty((N, F, OH, OW), x.dtype)
    for n in range(N):
        for f in range(F):
            for h in range(OH):
                for w in range(OW):
                    total = bias[f]
                    for c in range(C):
                        for i in range(KH):
                            for j in range(KW):
                                total += weight[f, c, i, j] * x[n, c, h * SH + i, w * SW + j]
                    out[n, f, h, w] = total
    return out


def one_loop_a_pixel(x, weight, bias, stride, padding):
    """Loops over the pixels h, w of out: one matrix product takes all filters to that window of all images.

    Copies one window at a time. Faster by far: n, f, c, i and j now run in compiled code.
    """
    x, (SH, SW) = pad(x, padding), stride
    N, (F, C, KH, KW), (OH, OW) = len(x), weight.shape, out_size(x, weight, stride)
    matrix = weight.reshape(F, C * KH * KW).T
    out = np.empty((N, F, OH, OW), x.dtype)
    for h in range(OH):
        for w in range(OW):
            window = x[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW]
            out[:, :, h, w] = window.reshape(N, C * KH * KW) @ matrix + bias
    return out


def im2col(x, weight, bias, stride, padding):
    """All windows at once, each copied into a column: the whole convolution becomes one matrix product.

    The columns take up to KH*KW times the memory of x. Faster: KH*KW large copies and one large product
    instead of OH*OW small ones.
    """
    x, (SH, SW) = pad(x, padding), stride
    N, (F, C, KH, KW), (OH, OW) = len(x), weight.shape, out_size(x, weight, stride)
    columns = np.empty((C, KH, KW, N, OH, OW), x.dtype)
    for i, j in np.ndindex(KH, KW):
        columns[:, i, j] = x[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW].swapaxes(0, 1)
    out = weight.reshape(F, C * KH * KW) @ columns.reshape(C * KH * KW, N * OH * OW)
    out += bias[:, None]
    return out.reshape(F, N, OH, OW).swapaxes(0, 1)


def windows_einsum(x, weight, bias, stride, padding):
    """The formula as a string of indices: the windows are a view of x, and einsum does the rest.

    About as fast as im2col, with the same memory: einsum too copies the windows for one matrix product.
    """
    SH, SW = stride
    windows = sliding_window_view(pad(x, padding), weight.shape[2:], axis=(2, 3))[:, :, ::SH, ::SW]
    out = np.einsum("nchwij,fcij->nfhw", windows, weight, optimize=True)
    out += bias[:, None, None]
    return out


def library(x, weight, bias, stride, padding):
    """im2col for one row of pixels at a time, in tinycnn_numpy's order of memory: H, W, C, N.

    Less memory: x in that order and 1/OH of the columns. Faster: the copies are runs of C*N numbers instead
    of OW, and every product finds its columns in the processor's cache.
    """
    return layer_of(weight, bias, stride, padding)(x)


def fft(x, weight, bias, stride, padding):
    """Between spectra a convolution is a product, frequency by frequency: the loops over i and j are gone.

    The spectra take more memory than x and out. Slower here: the transforms cost more than a small kernel
    can save. But their cost does not grow with KH*KW: for large kernels on many large images this wins.
    """
    x, (KH, KW), (SH, SW) = pad(x, padding), weight.shape[2:], stride
    H, W = x.shape[2:]
    x_hat = rfft2(x.transpose(2, 3, 0, 1), axes=(0, 1))  # (H, W//2 + 1, N, C)
    weight_hat = rfft2(weight.transpose(2, 3, 1, 0), (H, W), axes=(0, 1))  # (H, W//2 + 1, C, F)
    out = irfft2(x_hat @ weight_hat.conj(), (H, W), axes=(0, 1))  # (H, W, N, F); conj flips the kernel
    return (out[: H - KH + 1 : SH, : W - KW + 1 : SW] + bias).transpose(2, 3, 0, 1)


def torch_conv2d(x, weight, bias, stride, padding):
    """The six loops again, compiled: in float32 on x86 by oneDNN, which makes machine code for these sizes.

    No columns: x and out are copied once, so that 8 or 16 channels lie side by side and fill one register.
    Faster than every rung above: from then on each number is used where it lies.
    """
    x, weight, bias = map(torch.from_numpy, (x, weight, bias))
    return torch.nn.functional.conv2d(x, weight, bias, stride, padding).numpy()


RUNGS: dict[str, Callable[..., np.ndarray]] = {
    "six_loops": six_loops,
    "one_loop_a_pixel": one_loop_a_pixel,
    "im2col": im2col,
    "windows_einsum": windows_einsum,
    "library": library,
    "fft": fft,
    "torch": torch_conv2d,
}


def pad(x, padding):
    """PH rows and PW columns of zeros on every side of x."""
    PH, PW = padding
    return np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])


def out_size(x, weight, stride):
    """OH, OW for images that are already padded."""
    (H, W), (KH, KW), (SH, SW) = x.shape[2:], weight.shape[2:], stride
    return (H - KH) // SH + 1, (W - KW) // SW + 1


def layer_of(weight, bias, stride, padding) -> tn.Conv2D:
    """The library's layer with these weights."""
    F, C, KH, KW = weight.shape
    layer = tn.Conv2D(C, F, (KH, KW), stride, padding, rng=np.random.default_rng(0), dtype=weight.dtype)
    layer.weight, layer.bias = weight, bias
    return layer


def measure(batch_size=64, side=13, kernel=3, turns=20, calls=5, seed=0) -> dict:
    """Time, memory and error of every rung in float32, by default on the second convolution of MNISTCNN.

    A turn calls every rung `calls` times, up the ladder or, every other turn, down. six_loops is called once
    a turn and on one image, and its time multiplied by the number of images. Threads are the caller's affair.
    """
    rng = np.random.default_rng(seed)
    layer = tn.Conv2D(16, 32, kernel, rng=rng)
    x = rng.standard_normal((batch_size, 16, side, side), dtype=np.float32)
    arrays, options = (x, layer.weight, layer.bias), (layer.stride, layer.padding)
    images = {name: 1 if name == "six_loops" else batch_size for name in RUNGS}

    def call(name: str) -> np.ndarray:
        return RUNGS[name](x[: images[name]], *arrays[1:], *options)

    def milliseconds(name: str) -> float:
        repeats = 1 if name == "six_loops" else calls
        start = time.perf_counter()
        for _ in range(repeats):
            call(name)
        return 1000 * (time.perf_counter() - start) / repeats * batch_size / images[name]

    def megabytes(name: str) -> float:
        C = 0 if name == "six_loops" else 16  # the sums take no memory, but tracing them takes minutes
        tracemalloc.start()
        RUNGS[name](x, layer.weight[:, :C], layer.bias, *options)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / 1e6

    def error_to_bound(name: str) -> float:
        exact = exact_run({"conv": twin(layer)}, x[: images[name]]).tensors["conv", "out"]
        return judge("conv", "out", call(name), exact, x.dtype).ratio

    errors = {name: error_to_bound(name) for name in RUNGS}  # and a warm-up
    memory = {name: None if name == "torch" else megabytes(name) for name in RUNGS}
    times: dict[str, list[float]] = {name: [] for name in RUNGS}
    for turn in range(turns):
        for name in reversed(RUNGS) if turn % 2 else RUNGS:
            times[name].append(milliseconds(name))
    return {
        "x": x.shape,
        "weight": layer.weight.shape,
        "dtype": str(x.dtype),
        "seed": seed,
        "threads": torch.get_num_threads(),
        "turns": turns,
        "calls": calls,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__,
        "rungs": [
            {
                "rung": name,
                "images": images[name],
                "ms": float(np.median(times[name])),
                "ratio": np.percentile(np.divide(times[name], times["library"]), [10, 50, 90]).tolist(),
                "extra_mb": memory[name],
                "error_to_bound": errors[name],
            }
            for name in RUNGS
        ],
    }


def table(r: dict) -> str:
    N = r["x"][0]
    lines = [
        f"convolution of x {r['x']} with weight {r['weight']}, {r['dtype']}, seed {r['seed']}",
        f"{r['turns']} turns of {r['calls']} calls for each rung, threads: {r['threads']}",
        f"{r['machine']}, NumPy {r['numpy']}, SciPy {r['scipy']}, PyTorch {r['torch']}",
        "rung                  ms  extra MB  error  time / library: median (10 % to 90 %)",
    ]
    for row in r["rungs"]:
        name = row["rung"] + "*" * (row["rung"] == "six_loops")
        megabytes = "-" if row["extra_mb"] is None else f"{row['extra_mb']:.1f}"
        ms, low, middle, high = (f"{v:.2f}" if v < 100 else f"{v:.0f}" for v in (row["ms"], *row["ratio"]))
        figures = f"{ms:>6}  {megabytes:>8}  {row['error_to_bound']:5.2f}"
        lines.append(f"{name:16}  {figures}  {middle:>6} ({low} to {high})")
    lines += [
        f"* time and error on 1 image, one call to a turn, time multiplied by {N}",
        "  memory on all images, with the sums left out: they take none",
        "extra MB: the most that NumPy's arrays took during a call, out included; PyTorch's are not seen",
        "error: largest difference from float64 over the bound of parity/exact.py; right is up to 1",
    ]
    return "\n".join(lines)
