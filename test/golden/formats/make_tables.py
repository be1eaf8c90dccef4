"""Writes the tables beside it from x.npy and k.npy: python make_tables.py (pyarrow 25, numpy 2)."""
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

here = Path(__file__).parent
x = np.load(here / "x.npy")
k = np.load(here / "k.npy")
rows, cols = x.shape
ids = pa.array([f"s-{i}" for i in range(rows)])
clips = pa.array([f"clip {i % 3}" for i in range(rows)])


def lists(values, kind=pa.list_, type=pa.float32(), size=None):
    values = [[v.item() for v in row] for row in np.asarray(values)]
    return pa.array(values, type=kind(type, size) if size else kind(type))


fixed = lists(x, size=cols)


def parquet(name, columns, **options):
    pq.write_table(pa.table(columns), here / f"{name}.parquet", **{"row_group_size": 7, **options})


def arrow(name, columns, stream=False, chunk=7):
    table = pa.table(columns)
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(here / name, table.schema) as writer:
        writer.write_table(table, max_chunksize=chunk)


with_ids = {"id": ids, "clip": clips, "year": pa.array(range(2000, 2000 + rows))}
parquet("list", {**with_ids, "emb": lists(x)})
parquet("fixed", {**with_ids, "emb": fixed}, compression="zstd", use_dictionary=False)
parquet("large", {**with_ids, "emb": lists(x, pa.large_list, pa.float64())}, compression="gzip")
parquet("half", {"emb": lists(x.astype(np.float16), type=pa.float16())}, compression="none")
for name in ["int8", "int16", "int32", "int64"]:
    parquet(name, {"emb": lists(k, type=getattr(pa, name)())}, row_group_size=40)
for name in ["uint8", "uint16", "uint32", "uint64"]:
    parquet(name, {"emb": lists(np.abs(k), type=getattr(pa, name)())}, row_group_size=40)
features = {f"f{j}": pa.array(x[:, j].tolist(), type=pa.float32()) for j in range(cols)}
parquet("columns", {"id": ids, **features, "year": with_ids["year"]})
parquet("mixed", {**features, "f1": pa.array(x[:, 1].tolist(), type=pa.float64())})
parquet("several", {"a": lists(x), "b": lists(k, type=pa.int8()), "score": pa.array(x[:, 0].tolist()), "id": ids})
parquet("none", {"id": ids, "year": with_ids["year"]})
parquet("empty", {"emb": lists(x).slice(0, 0)})
parquet("no_values", {"emb": pa.array([[]] * 3, type=pa.list_(pa.float32()))})
short = [row.tolist() for row in x]
short[23] = short[23][:4]
parquet("ragged", {"id": ids, "emb": pa.array(short, type=pa.list_(pa.float32()))})
null_row = [row.tolist() for row in x]
null_row[17] = None
parquet("null_row", {"id": ids, "emb": pa.array(null_row, type=pa.list_(pa.float32()))})
null_value = [row.tolist() for row in x]
null_value[31][3] = None
parquet("null_value", {"id": ids, "emb": pa.array(null_value, type=pa.list_(pa.float32()))})
parquet("null_column", {**features, "f2": pa.array([None if i == 12 else float(v) for i, v in enumerate(x[:, 2])], type=pa.float32())})
parquet("null_id", {"id": pa.array([None if i == 5 else f"s-{i}" for i in range(rows)]), "emb": lists(x)})
parquet("quotes", {'a"b; DROP TABLE t; --': lists(x), "x' OR 1=1": ids})

# Everything that stands before the embeddings has to be passed over.
before = {
    "null": pa.nulls(rows),
    "flag": pa.array([i % 2 == 0 for i in range(rows)]),
    "word": pa.array([f"clip {i % 3}" for i in range(rows)]).dictionary_encode(),
    "wide": pa.array([f"s-{i}" for i in range(rows)], type=pa.large_string()),
    "view": pa.array([f"a text of more than twelve bytes {i}" for i in range(rows)], type=pa.string_view()),
    "point": pa.array([{"x": i, "tags": ["a"] * (i % 3)} for i in range(rows)]),
    "pairs": pa.array([[("a", i)] for i in range(rows)], type=pa.map_(pa.string(), pa.int64())),
    "bytes": pa.array([b"abc"] * rows, type=pa.binary(3)),
    "price": pa.array([i for i in range(rows)], type=pa.decimal128(10, 2)),
    "when": pa.array([1_600_000_000 + i for i in range(rows)], type=pa.timestamp("s")),
    "either": pa.UnionArray.from_sparse(pa.array([i % 2 for i in range(rows)], type=pa.int8()), [pa.array(range(rows)), ids]),
    "or": pa.UnionArray.from_dense(pa.array([0] * rows, type=pa.int8()), pa.array(range(rows), type=pa.int32()), [pa.array(range(rows)), ids]),
}
arrow("fixed.arrow", {**with_ids, "emb": fixed})
arrow("before.arrow", {**before, "id": ids, "emb": lists(x)})
arrow("before.arrows", {**before, "id": ids, "emb": fixed}, stream=True)
arrow("sliced.arrows", {"emb": pa.concat_arrays([lists(x), lists(x)]).slice(rows, rows)}, stream=True)
arrow("large.arrow", {"emb": lists(x, pa.large_list, pa.float64())})
arrow("half.arrow", {"emb": lists(x.astype(np.float16), type=pa.float16(), size=cols)})
arrow("int8.arrow", {"emb": lists(k, type=pa.int8(), size=cols)})
arrow("uint32.arrow", {"emb": lists(np.abs(k), type=pa.uint32())})
arrow("columns.arrow", {"id": ids, **features})
arrow("mixed.arrows", {**features, "f1": pa.array(x[:, 1].tolist(), type=pa.float64())}, stream=True)
arrow("several.arrow", {"a": fixed, "b": lists(k, type=pa.int8())})
arrow("empty.arrow", {"emb": fixed.slice(0, 0)})
arrow("ragged.arrow", {"id": ids, "emb": pa.array(short, type=pa.list_(pa.float32()))})
arrow("null_row.arrow", {"id": ids, "emb": pa.array(null_row, type=pa.list_(pa.float32(), cols))})
arrow("null_value.arrow", {"id": ids, "emb": pa.array(null_value, type=pa.list_(pa.float32()))})
arrow("null_column.arrow", {**features, "f2": pa.array([None if i == 12 else float(v) for i, v in enumerate(x[:, 2])], type=pa.float32())})
arrow("null_id.arrow", {"id": pa.array([None if i == 5 else f"s-{i}" for i in range(rows)]), "emb": fixed})
for codec in ["lz4", "zstd"]:
    pa.feather.write_feather(pa.table({**with_ids, "word": before["word"], "emb": lists(x)}), here / f"{codec}.feather", compression=codec, chunksize=16)
    pa.feather.write_feather(pa.table({"id": ids, "emb": pa.array(null_value, type=pa.list_(pa.float32()))}), here / f"null_{codec}.feather", compression=codec)
    # Long enough for several blocks, alike enough for long matches.
    long = pa.array([[float((i * j) % 7) for j in range(16)] for i in range(20_000)], type=pa.list_(pa.float32(), 16))
    pa.feather.write_feather(pa.table({"emb": long}), here / f"long_{codec}.feather", compression=codec, chunksize=15_000)
