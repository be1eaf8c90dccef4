"""What users run today instead of coregain, for `coregain bench` and bench/partition.mjs: the same partition (m bins of
floor(N / m) rows) in numpy, in a process of its own.

    python bench/baselines.py paper|numpy|numpy64 X.npy BINS ORDER.npy [cosine|sqeuclidean [LIMIT [never|beyondLimit|always]]]

paper    the method of the Dataset Quantization code that arXiv 2502.15834 uses, step for step: for each bin a full
         float32 similarity matrix of the rows that are left and its column sums; each step gathers the block
         (selected, not selected) of it, sums that, and takes the argmax. Written anew from the published code
         (magic-research/Dataset_Quantization, GraphCut + NaiveGreedy) without its progress bars. Cosine only.
numpy    what one would write instead: closed form, one float32 matrix-vector product a step.
numpy64  the same in float64, to tell rounding from error when orders are compared.

Writes the order of selection to ORDER.npy (int64) and prints one line of JSON: seconds, cpuSeconds, peakBytes,
baselineBytes (before the input was read). numpy stops where it would take longer than LIMIT seconds (`beyondLimit`), or
after a tenth of them (`always`); then there is no order, seconds and cpuSeconds are what the whole would take, and
"extrapolated" has the seconds and steps that were timed.
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


class Stopped(Exception):
    """Carries the share of the work that is done, and the steps."""


def matrix_vector(x, bins, dtype, gain, enough):
    x = x.astype(dtype)
    if gain == "cosine":
        points = x / np.linalg.norm(x, axis=1)[:, None]
        square = np.zeros(len(x), dtype=dtype)
    else:
        points = x - x.mean(axis=0, dtype=np.float64).astype(dtype)
        square = np.einsum("ij,ij->i", points, points)
    size = len(x) // bins
    work = size * sum(len(x) - b * size for b in range(bins))  # rows that all the products go through
    left = np.arange(len(x))
    order = []
    done = 0
    for _ in range(bins):
        v = points[left]
        # cosine: v (T - 2 s). sqeuclidean, without terms that all rows share: 2 v (T - 2 s) + |v|^2 (2 |S| - |D|)
        w = v.sum(axis=0, dtype=np.float64) * (1 if gain == "cosine" else 2)
        taken = np.zeros(len(left), dtype=dtype)
        for k in range(size):
            score = v @ w.astype(dtype) + taken
            if gain != "cosine":
                score += square[left] * (2 * k - len(left))
            best = score.argmax()
            taken[best] = -np.inf
            w -= (2 if gain == "cosine" else 4) * v[best].astype(np.float64)
            order.append(left[best])
            done += len(left)
            if enough(done / work):
                raise Stopped(done / work, len(order))
        left = left[taken == 0]
    return order


METHODS = {
    "paper": lambda x, bins, gain, enough: paper(x, bins),
    "numpy": lambda x, bins, gain, enough: matrix_vector(x, bins, np.float32, gain, enough),
    "numpy64": lambda x, bins, gain, enough: matrix_vector(x, bins, np.float64, gain, enough),
}


def status_bytes(name):
    """VmHWM (peak) or VmRSS (now); elsewhere than on Linux the peak stands for both."""
    try:  # ru_maxrss would count the parent's memory before exec
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main():
    method, path, bins, out = sys.argv[1:5]
    gain, limit, prefix = (sys.argv[5:] + ["cosine", "inf", "never"][len(sys.argv) - 5 :])[:3]
    limit = float(limit)
    if method == "paper" and gain != "cosine":
        sys.exit("The paper's algorithm is for the cosine gain.")
    np.ones((64, 64), dtype=np.float32) @ np.ones((64, 64), dtype=np.float32)  # starts BLAS and its threads
    baseline = status_bytes("VmRSS")
    x = np.load(path)
    wall, cpu = time.perf_counter(), time.process_time()

    first = None  # after the first step: share done, wall and processor seconds

    def whole(share):
        """What all of it would take: what came before the first step happens once, steps go on at their pace."""
        pace = (1 - first[0]) / (share - first[0])
        ahead = (time.perf_counter() - wall - first[1], time.process_time() - cpu - first[2])
        return first[1] + ahead[0] * pace, first[2] + ahead[1] * pace

    def enough(share):
        nonlocal first
        if first is None:
            first = (share, time.perf_counter() - wall, time.process_time() - cpu)
            return False
        seconds = time.perf_counter() - wall
        if prefix == "never" or share == 1 or seconds - first[1] < limit / 2:
            return False
        return prefix == "always" or whole(share)[0] > limit or seconds > limit

    order = stopped = None
    try:
        order = METHODS[method](x, int(bins), gain, enough)
    except Stopped as early:
        stopped = early.args
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    all_seconds, all_cpu_seconds = whole(stopped[0]) if stopped else (seconds, cpu_seconds)
    result = {
        "seconds": all_seconds,
        "cpuSeconds": all_cpu_seconds,
        "peakBytes": status_bytes("VmHWM"),
        "baselineBytes": baseline,
        "version": f"Python {sys.version.split()[0]}, numpy {np.__version__}",
    }
    if stopped:
        result["extrapolated"] = {"seconds": seconds, "steps": stopped[1]}
    else:
        np.save(out, np.asarray(order, dtype=np.int64))
    print(json.dumps(result))


main()
