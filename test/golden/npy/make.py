"""Writes the .npy files of this folder with NumPy. Run: python3 make.py"""
import numpy as np
from numpy.lib import format as npf

rng = np.random.default_rng(7)
x = rng.standard_normal((5, 3))
np.save("f8.npy", x)
np.save("f4.npy", x.astype("<f4"))
for version in (2, 3):
    with open(f"v{version}.npy", "wb") as f:
        npf.write_array(f, x.astype("<f4"), version=(version, 0))
np.save("fortran.npy", np.asfortranarray(x))
np.save("big_endian.npy", x.astype(">f4"))
np.save("f2.npy", x.astype("<f2"))
np.save("i8.npy", np.arange(6).reshape(2, 3))
np.save("bool.npy", np.ones((2, 3), bool))
np.save("complex.npy", np.ones((2, 3), complex))
np.save("object.npy", np.array([["a"]], object), allow_pickle=True)
np.save("structured.npy", np.zeros((2, 2), [("a", "<f4"), ("shape", "<i4")]))
np.save("one_d.npy", x[0])
np.save("zero_d.npy", np.float32(1))
np.save("three_d.npy", np.zeros((2, 3, 4), "<f4"))
np.save("no_rows.npy", np.zeros((0, 3), "<f4"))
np.savez("archive.npz", x=x)

# PCA by SVD in float64: tall (covariance side), wide (Gram side) and rank 2 of 6.
for name, (n, d) in {"tall": (40, 6), "wide": (9, 30), "low_rank": (20, 6)}.items():
    a = rng.standard_normal((n, d)) * np.linspace(3, 0.5, d) + 10
    if name == "low_rank":
        a = rng.standard_normal((n, 2)) @ rng.standard_normal((2, d)) + 5
    centred = a - a.mean(0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    vt *= np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(1)])[:, None]
    k = 2 if name == "low_rank" else 4
    np.save(f"pca_{name}.npy", a)
    np.save(f"pca_{name}_components.npy", vt[:k])
    np.save(f"pca_{name}_scores.npy", centred @ vt[:k].T)
    np.save(f"pca_{name}_variance.npy", (s[:k] ** 2 / (n - 1))[None])
