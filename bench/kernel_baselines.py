"""The pairwise kernels as one would write them in numpy and PyTorch, for `coregain bench kernels`.

    python bench/kernel_baselines.py '{"input": "X.npy", "rows": N, "dims": d, "queries": q, "k": k, "centres": c,
                                       "kernels": [...], "repeats": r, "threads": t, "seed": 0}'

Prints one line of JSON: results (kernel, name, precision, device, seconds of each timed call) and notes. Rows are of unit
length; one call before the timed ones is not counted. A CUDA device is waited for, and its results are brought back. With
"values": "FOLDER" nothing is timed: the folder gets NAME-PRECISION-DEVICE-KERNEL.f64, what each kernel gives as
float64.
"""

import json
import os
import sys
import time

ASKED = json.loads(sys.argv[1])
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(ASKED["threads"])

import numpy as np  # noqa: E402  (after the threads are set)

BLOCK = 1024  # rows of a block, so that N x N is never in memory


def numpy_kernels(x):
    n, q, k, c = len(x), ASKED["queries"], ASKED["k"], ASKED["centres"]
    squares = np.einsum("ij,ij->i", x, x)

    def distances(a, a_squares):
        return np.maximum(a_squares[:, None] + squares[None, :] - 2 * (a @ x.T), 0)

    def nearest():
        out = []
        for i in range(0, n, BLOCK):
            d = distances(x[i : i + BLOCK], squares[i : i + BLOCK])
            d[np.arange(len(d)), np.arange(i, i + len(d))] = np.inf
            best = np.argpartition(d, k - 1, axis=1)[:, :k]
            order = np.argsort(np.take_along_axis(d, best, axis=1), axis=1)
            out.append(np.take_along_axis(best, order, axis=1))
        return np.concatenate(out)

    # what stays the same, or changes by one row, from step to step
    w = 2 * x[: n // 4].sum(axis=0) - x.sum(axis=0)
    constant = 2 * squares[: n // 4].sum() - squares.sum()

    def gains():
        return (2 * (n // 4) - n) * squares - 2 * (x @ w) + constant

    def facility():
        out = np.zeros(q, dtype=np.float32)
        for i in range(0, n, BLOCK):
            out += np.maximum(0.5 + 0.5 * (x[i : i + BLOCK] @ x[:q].T), 0).sum(axis=0)
        return out

    return {
        "distances": lambda: distances(x[:q], squares[:q]),
        "nearest": nearest,
        "gains": gains,
        "facilityLocationGains": facility,
        "kCenterUpdate": lambda: distances(x[:c], squares[:c]).min(axis=0),
    }


def torch_kernels(torch, x):
    n, q, k, c = len(x), ASKED["queries"], ASKED["k"], ASKED["centres"]
    squares = (x * x).sum(dim=1)

    def distances(a, a_squares):
        return torch.clamp(a_squares[:, None] + squares[None, :] - 2 * (a @ x.T), min=0)

    def nearest():
        out = []
        for i in range(0, n, BLOCK):
            d = distances(x[i : i + BLOCK], squares[i : i + BLOCK])
            own = torch.arange(len(d), device=x.device)
            d[own, own + i] = float("inf")
            out.append(torch.topk(d, k, dim=1, largest=False).indices)
        return torch.cat(out)

    w = 2 * x[: n // 4].sum(dim=0) - x.sum(dim=0)
    constant = 2 * squares[: n // 4].sum() - squares.sum()

    def gains():
        return (2 * (n // 4) - n) * squares - 2 * (x @ w) + constant

    def facility():
        out = torch.zeros(q, device=x.device)
        for i in range(0, n, BLOCK):
            out += torch.clamp(0.5 + 0.5 * (x[i : i + BLOCK] @ x[:q].T), min=0).sum(dim=0)
        return out

    return {
        "distances": lambda: distances(x[:q], squares[:q]).cpu(),
        "nearest": lambda: nearest().cpu(),
        "gains": lambda: gains().cpu(),
        "facilityLocationGains": lambda: facility().cpu(),
        "kCenterUpdate": lambda: distances(x[:c], squares[:c]).min(dim=0).values.cpu(),
    }


def timed(work):
    work()
    seconds = []
    for _ in range(ASKED["repeats"]):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def main():
    results, notes = [], []

    def measure(name, precision, device, kernels):
        for kernel in ASKED["kernels"]:
            if "values" in ASKED:
                file = f"{name}-{precision}-{device}-{kernel}.f64"
                np.asarray(kernels[kernel](), dtype="<f8").tofile(os.path.join(ASKED["values"], file))
                continue
            seconds = timed(kernels[kernel])
            results.append(dict(kernel=kernel, name=name, precision=precision, device=device, seconds=seconds))

    x = np.load(ASKED["input"])
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
    measure("numpy", "fp32", "cpu", numpy_kernels(x))
    try:
        import torch
    except ImportError:
        notes.append("Not run: torch, because this Python cannot import it.")
    else:
        torch.set_num_threads(ASKED["threads"])
        measure("torch", "fp32", "cpu", torch_kernels(torch, torch.from_numpy(x)))
        if torch.cuda.is_available():
            on_device = torch.from_numpy(x).cuda()
            for precision in ("fp32", "tf32"):
                torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
                measure("torch", precision, "cuda", torch_kernels(torch, on_device))
    print(json.dumps({"results": results, "notes": notes}))


main()
