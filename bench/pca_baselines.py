"""The Python side of bench/pca.mjs: data, scikit-learn's randomized PCA, and the matrix products alone.

    pca_baselines.py make X.npy ROWS COLS POWER      normal values, variance of column i proportional to i^-POWER, a common mean
    pca_baselines.py sklearn X.npy DIMS SCORES.npy   PCA(svd_solver="randomized").fit_transform, from the file
    pca_baselines.py touch BYTES                     writes to that much memory, and gives it back
    pca_baselines.py gemm ROWS COLS VECTORS PASSES   PASSES times A V and A^T Y by NumPy's BLAS
    pca_baselines.py gram ROWS COLS DIMS             A A^T and U A by NumPy's BLAS
    pca_baselines.py eigh SIDE                       all eigenvectors of a matrix of bench/native/eigen.cc

Each prints one line of JSON. Threads by OMP_NUM_THREADS.
"""

import json
import resource
import sys
import time

import numpy


def make(path, rows, cols, power):
    random = numpy.random.default_rng(1)
    scale = (random.permutation(cols) + 1.0) ** (-power / 2)
    mean = random.standard_normal(cols)
    out = numpy.lib.format.open_memmap(path, mode="w+", dtype=numpy.float32, shape=(rows, cols))
    step = max(1, 2**24 // cols)
    for start in range(0, rows, step):
        block = random.standard_normal((min(step, rows - start), cols), dtype=numpy.float32)
        out[start : start + step] = block * scale + mean
    out.flush()
    return {"bytes": out.nbytes}


def touch(size):
    return {"bytes": int(numpy.ones(size // 8).nbytes)}


def used(started, cpu):
    return {
        "seconds": time.perf_counter() - started,
        "cpuSeconds": time.process_time() - cpu,
        "peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def sklearn_pca(path, dims, out):
    from sklearn.decomposition import PCA

    started, cpu = time.perf_counter(), time.process_time()
    x = numpy.load(path)
    model = PCA(n_components=dims, svd_solver="randomized", random_state=0)
    scores = model.fit_transform(x)
    result = used(started, cpu)
    numpy.save(out, numpy.ascontiguousarray(scores, dtype=numpy.float32))
    return result


def products(work, repeats=3):
    seconds = []
    work(1)
    for _ in range(repeats):
        started = time.perf_counter()
        work(None)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[len(seconds) // 2]


def gemm(rows, cols, vectors, passes):
    random = numpy.random.default_rng(2)
    a = random.standard_normal((rows, cols), dtype=numpy.float32)
    v = random.standard_normal((cols, vectors), dtype=numpy.float32)

    def work(_):
        y = a @ v
        a.T @ y

    return {"secondsOfPass": products(work), "passes": passes}


def gram(rows, cols, dims):
    random = numpy.random.default_rng(2)
    a = random.standard_normal((rows, cols), dtype=numpy.float32)
    u = random.standard_normal((dims, rows), dtype=numpy.float32)
    return {"secondsOfGram": products(lambda _: a @ a.T), "secondsOfComponents": products(lambda _: u @ a)}


def eigh(side):
    """All eigenvectors of the matrices of bench/native/eigen.cc."""
    random = numpy.random.default_rng(1)
    cols = side // 4
    x = random.standard_normal((side, cols)) / numpy.sqrt(numpy.arange(1, cols + 1))
    matrix = x @ x.T + numpy.diag(1e-3 * numpy.arange(side) / side)
    return {"side": side, "secondsOfEigh": products(lambda _: numpy.linalg.eigh(matrix), 7)}


verb, *rest = sys.argv[1:]
if verb == "make":
    found = make(rest[0], int(rest[1]), int(rest[2]), float(rest[3]))
elif verb == "touch":
    found = touch(int(rest[0]))
elif verb == "sklearn":
    found = sklearn_pca(rest[0], int(rest[1]), rest[2])
elif verb == "eigh":
    found = eigh(int(rest[0]))
elif verb == "gemm":
    found = gemm(*map(int, rest))
else:
    found = gram(*map(int, rest))
print(json.dumps(found))
