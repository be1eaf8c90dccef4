"""What users run today instead of coregain, for bench/partition.mjs: the same partition (cosine graph cut, m bins of
floor(N / m) rows) in numpy, in a process of its own.

    python bench/baselines.py paper|numpy|numpy64 X.npy BINS ORDER.npy

paper    the method of the Dataset Quantization code that arXiv 2502.15834 uses, step for step: for each bin a full
         float32 similarity matrix of the rows that are left and its column sums; each step gathers the block
         (selected, not selected) of it, sums that, and takes the argmax. Written anew from the published code
         (magic-research/Dataset_Quantization, GraphCut + NaiveGreedy) without its progress bars.
numpy    what one would write instead: closed form, one float32 matrix-vector product a step.
numpy64  the same in float64, to tell rounding from error when orders are compared.

Writes the order of selection to ORDER.npy (int64) and prints one line of JSON: seconds, cpuSeconds, peakBytes.
"""

import json
import resource
import sys
import time

import numpy as np


def paper(x, bins):
    size = len(x) // bins
    left = np.arange(len(x))
    order = []
    for _ in range(bins):
        v = x[left]
        norm = np.linalg.norm(v, axis=1)
        similarity = 0.5 + 0.5 * (v @ v.T / (norm[:, None] * norm))
        column_sums = similarity.sum(axis=0)
        selected = np.zeros(len(left), dtype=bool)
        gain = np.zeros(len(left))
        for _ in range(size):
            gain[~selected] = -2.0 * similarity[np.ix_(selected, ~selected)].sum(axis=0) + column_sums[~selected]
            best = gain.argmax()
            selected[best] = True
            gain[best] = -np.inf
            order.append(left[best])
        left = left[~selected]
    return order


def matrix_vector(x, bins, dtype):
    x = x.astype(dtype)
    u = x / np.linalg.norm(x, axis=1)[:, None]
    size = len(x) // bins
    left = np.arange(len(x))
    order = []
    for _ in range(bins):
        v = u[left]
        w = v.sum(axis=0, dtype=np.float64)  # T - 2 s
        taken = np.zeros(len(left), dtype=dtype)
        for _ in range(size):
            best = (v @ w.astype(dtype) + taken).argmax()
            taken[best] = -np.inf
            w -= 2 * v[best].astype(np.float64)
            order.append(left[best])
        left = left[taken == 0]
    return order


METHODS = {
    "paper": paper,
    "numpy": lambda x, bins: matrix_vector(x, bins, np.float32),
    "numpy64": lambda x, bins: matrix_vector(x, bins, np.float64),
}


def peak_bytes():
    try:  # ru_maxrss would count the parent's memory before exec
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main():
    method, path, bins, out = sys.argv[1:]
    x = np.load(path)
    x[:64] @ x[:64].T  # the first product starts BLAS and its threads
    wall, cpu = time.perf_counter(), time.process_time()
    order = METHODS[method](x, int(bins))
    result = {
        "seconds": time.perf_counter() - wall,
        "cpuSeconds": time.process_time() - cpu,
        "peakBytes": peak_bytes(),
        "version": f"Python {sys.version.split()[0]}, numpy {np.__version__}",
    }
    np.save(out, np.asarray(order, dtype=np.int64))
    print(json.dumps(result))


main()
