"""Holds published outputs of real tensor cores to the bound of docs/kernels.md.

    git clone https://github.com/north-numerical-computing/MATLAB-tensor-core
    python3 bench/tensor_cores.py MATLAB-tensor-core > bench/results/tensor-cores-DATE.json

The repository has inputs and outputs of the tensor cores of several GPUs, recorded for "Accurate Models of NVIDIA Tensor
Cores" (F. A. Khattak and M. Mikaitis, ACM TACO, doi:10.1145/3830409): each line one d = a.b + c of a step of the unit. For
each file this says how many outputs the model of native/test/cuda_emulation.h gives bit for bit, and the largest error as
a share of the bound for a step of n products: 3 n roundings of 2^-23 of the sum of magnitudes.
"""

import datetime
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

# (GPU, type): products of a step, bits behind which addends are cut off
UNITS = {
    ("A100", "bf16"): (8, 24),
    ("A100", "tf32"): (4, 24),
    ("H100", "bf16"): (16, 25),
    ("H100", "tf32"): (4, 25),
    ("H200", "bf16"): (16, 25),
    ("H200", "tf32"): (4, 25),
    ("B200", "bf16"): (16, 25),
    ("B200", "tf32"): (4, 25),
}


def words(path, base):
    lines = path.read_text().split("\n")
    values = [[int(word, base) for word in line.split()] for line in lines if line.strip()]
    return np.array(values, dtype=np.uint32).view(np.float32)


def alignment(x):
    exponent = x.view(np.uint32) >> 23 & 255
    return np.maximum(exponent, 1).astype(np.int64) - 127


def emulate(a, b, c, fraction):
    """What the unit gives: addends aligned to the largest and cut off, added exactly, cut off to float32."""
    products = a.astype(np.float64) * b.astype(np.float64)
    addends = np.concatenate([products, c.astype(np.float64)], axis=1)
    top = np.concatenate([alignment(a) + alignment(b), alignment(c)], axis=1).max(axis=1, keepdims=True)
    total = np.trunc(np.ldexp(addends, fraction - top)).sum(axis=1, keepdims=True)
    exact = np.ldexp(total, top - fraction)
    nearest = exact.astype(np.float32)
    beyond = np.abs(nearest.astype(np.float64)) > np.abs(exact)
    return np.where(beyond, np.nextafter(nearest, np.float32(0)), nearest)


def main():
    root = Path(sys.argv[1])
    git = ["git", "-C", str(root), "rev-parse", "HEAD"]
    results = []
    for (gpu, kind), (terms, fraction) in UNITS.items():
        folder = root / "model_validation" / gpu / kind
        a, b = (words(folder / f"{name}_{gpu}_{kind}.txt", 16) for name in "ab")
        c, d = (words(folder / f"{name}_{gpu}_fp32.txt", 2) for name in "cd")
        assert a.shape == b.shape == (len(c), terms), (gpu, kind, a.shape)
        same = emulate(a, b, c, fraction).view(np.uint32) == d.view(np.uint32)
        addends = np.concatenate([a.astype(np.longdouble) * b, c.astype(np.longdouble)], axis=1)
        error = np.abs(addends.sum(axis=1, keepdims=True) - d)
        count = 3 * terms * 2.0**-23
        bound = count / (1 - count) * np.abs(addends).sum(axis=1, keepdims=True)
        results.append(
            dict(
                gpu=gpu,
                type=kind,
                terms=terms,
                fraction=fraction,
                outputs=len(d),
                bit_for_bit=int(same.sum()),
                largest_error_over_bound=float((error / bound).max()),
                largest_error_over_magnitudes=float((error / np.abs(addends).sum(axis=1, keepdims=True)).max()),
            )
        )
    print(
        json.dumps(
            dict(
                what="Published outputs of tensor cores against the model and the bound of docs/kernels.md",
                date=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                source="https://github.com/north-numerical-computing/MATLAB-tensor-core",
                source_commit=subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip(),
                results=results,
            ),
            indent=1,
        )
    )


main()
