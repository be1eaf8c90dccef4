"""Writes the files of this folder. Run: python3 make.py (needs numpy, h5py, safetensors).

x holds multiples of 1/4 below 32, which all floating-point types down to bfloat16 hold exactly; k holds integers of -16..15.
"""
import json
import os
import zipfile

import h5py
import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(11)
x = (rng.integers(-120, 120, (40, 5)) / 4).astype("<f4")
k = rng.integers(-16, 16, (40, 5))
SIGNED = ["i1", "i2", "i4", "i8"]
UNSIGNED = ["u1", "u2", "u4", "u8"]

# .npy: every type in both byte orders, and Fortran order.
np.save("x.npy", x)
np.save("k.npy", k.astype("<f8"))
for order in "<>":
    name = {"<": "le", ">": "be"}[order]
    for t in ["f2", "f4", "f8"]:
        np.save(f"x_{name}_{t}.npy", x.astype(order + t))
    for t in SIGNED:
        np.save(f"k_{name}_{t}.npy", k.astype(order + t))
    for t in UNSIGNED:
        np.save(f"k_{name}_{t}.npy", np.abs(k).astype(order + t))
np.save("x_fortran_f4.npy", np.asfortranarray(x))
np.save("x_fortran_f2.npy", np.asfortranarray(x.astype(">f2")))

# Every 16th binary16 and one more between two of them, and what NumPy makes of each.
bits = np.arange(0, 1 << 16, 16) + rng.integers(0, 16, 4096)
halves = bits.astype("<u2").view("<f2").reshape(64, 64)
np.save("halves.npy", halves)
np.save("halves_f4.npy", halves.astype("<f4"))
# Beyond 2^53: to the nearest float64, ties to even.
large = np.array([[2**53 + 1, 2**53 + 3, -(2**53) - 1], [2**63 - 1, -(2**63), 5]], "<i8")
np.save("large_i8.npy", large)
np.save("large_u8.npy", np.array([[2**64 - 1, 2**63, 2**53 + 1]], "<u8"))

# .npz
labels = np.arange(40)
np.savez("stored.npz", x=x, labels=labels)
np.savez_compressed("deflated.npz", labels=labels, x=x)
np.savez_compressed("fortran.npz", x=np.asfortranarray(x))
np.savez("several.npz", x=x, y=x[:, :2], k=k)
np.savez("integers.npz", k=k.astype("i1"), names=np.array(["a", "b"]))
np.savez("pickled.npz", objects=np.array([{}, []], dtype=object), allow_pickle=True)
np.savez("one_d.npz", labels=labels, more=x[0])
np.savez("no_rows.npz", x=x[:0])
# As an archive of more than 4 GiB would be written.
zipfile.ZIP64_LIMIT = 10
zipfile.ZIP_FILECOUNT_LIMIT = 0
np.savez_compressed("zip64.npz", x=x)
zipfile.ZIP64_LIMIT = (1 << 31) - 1
zipfile.ZIP_FILECOUNT_LIMIT = (1 << 16) - 1
with zipfile.ZipFile("bzip2.npz", "w", zipfile.ZIP_BZIP2) as archive:
    archive.write("x.npy")

# safetensors
save_file({"x": x, "bias": x[0]}, "one.safetensors")
everything = {f"x_{t}": x.astype(t) for t in ["f2", "f4", "f8"]}
everything |= {f"k_{t}": k.astype(t) for t in SIGNED}
everything |= {f"k_{t}": np.abs(k).astype(t) for t in UNSIGNED}
everything |= {"flags": k > 0, "images": x.reshape(10, 4, 5), "empty": x[:0]}
save_file(everything, "several.safetensors")
brain = (x.view("<u4") >> 16).astype("<u2").tobytes()
header = json.dumps({"x": {"dtype": "BF16", "shape": [40, 5], "data_offsets": [0, len(brain)]}}).encode()
with open("bfloat16.safetensors", "wb") as f:
    f.write(len(header).to_bytes(8, "little") + header + brain)

# Raw
x.tofile("x.f32")
x.astype("<f8").tofile("x.f64")
x.astype("<f2").tofile("x.f16")
k.astype("i1").tofile("k.bin")


def vecs(path, rows):
    prefix = np.full((len(rows), 1), rows.shape[1], "<i4")
    np.hstack([prefix.view("u1"), np.ascontiguousarray(rows).view("u1").reshape(len(rows), -1)]).tofile(path)


vecs("x.fvecs", x)
vecs("k.bvecs", np.abs(k).astype("u1"))
vecs("k.ivecs", k.astype("<i4"))

# HDF5
with h5py.File("one.h5", "w") as f:
    f["group/x"] = x
    f["labels"] = np.arange(40)
with h5py.File("several.h5", "w") as f:
    for t in ["f2", "f4", "f8"]:
        for order in "<>":
            f[f"{'be' if order == '>' else 'le'}/x_{t}"] = x.astype(order + t)
    for t in SIGNED:
        f[f"k_{t}"] = k.astype(t)
    for t in UNSIGNED:
        f[f"k_{t}"] = np.abs(k).astype(t)
    f.create_dataset("gzip", data=x, chunks=(7, 2), compression="gzip", shuffle=True)
    f.create_dataset("lzf", data=x, chunks=(16, 5), compression="lzf")
    f.create_dataset("empty", shape=(0, 5), maxshape=(None, 5), dtype="<f4")
    f["flags"] = k > 0
    f["images"] = x.reshape(10, 4, 5)
    f["texts"] = ["a", "b"]
    f["soft"] = h5py.SoftLink("/gzip")
    f["nowhere"] = h5py.SoftLink("/none")
    f["loop"] = f["/"]
with h5py.File("none.h5", "w") as f:
    f["labels"] = np.arange(40)
# A block of the user before HDF5's own, as in MATLAB's .mat of version 7.3.
with h5py.File("block.mat", "w", userblock_size=512) as f:
    f["x"] = x

print(sum(os.path.getsize(name) for name in os.listdir(".")), "bytes")
