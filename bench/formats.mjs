/**
 * How fast embeddings are read from each format, beside `dd if=FILE of=/dev/null bs=4M` of the same file: blocks of 4 MiB
 * through openEmbeddings().read to the end, each repeat in a process of its own, dd and coregain in turn. Warm: the file is
 * in the page cache. Cold: its pages are dropped before (by `dd iflag=nocache`, or by /proc/sys/vm/drop_caches where pages
 * stay and that can be written); what a disk or hypervisor caches beneath is not.
 *
 *   node bench/formats.mjs
 *
 * Options: --rows 100000 --cols 768 --repeats 5 --only 'npy.*' (of the names below) --folder /tmp (room for three files)
 * --out bench/results/formats-<date>.json
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { openEmbeddings, writeNpy, writeParquet } from 'coregain';
import { rowMaker } from '#lib/bench/kinds.js';
import { spreadOf } from '#lib/bench/statistics.js';
import { literal, openDuckdb } from '#lib/formats/duckdb.js';
import { filesOf } from '#lib/formats/open.js';
import { writeSafetensors } from '#lib/weights/safetensors.js';
import { toHalf } from '#lib/weights/tensor.js';
import { optionsOf, peakBytes, save } from './script.mjs';

const BLOCK_BYTES = 4 << 20;
if (process.argv[2] === '--child') {
  await readAll(JSON.parse(process.argv[3]));
  process.exit();
}

const { rows, cols, repeats, ...values } = optionsOf('formats', {
  rows: 100_000,
  cols: 768,
  repeats: 5,
  only: '',
  folder: tmpdir(),
});
const folder = mkdtempSync(join(values.folder, 'coregain-formats-'));
const data = new Float32Array(new SharedArrayBuffer(rows * cols * 4));
const fill = rowMaker('mix', cols, 1);
for (let row = 0; row < rows; row++) fill(data.subarray(row * cols, (row + 1) * cols));

const lancedb = await import('@lancedb/lancedb').catch(() => undefined);
const toByte = (value) => Math.max(-127, Math.min(127, Math.round(value * 400)));
const toUint8 = (value) => toByte(value) + 128;
const h5 = (options) => ({ name: 'x', data: new Float32Array(data), shape: [rows, cols], ...options });

/**
 * One line a format: how a file is named and written, what `openEmbeddings` is told of it besides (`source`), and what is
 * stored of a value where that is not the value (`stored`, within a hundredth).
 */
const FORMATS = {
  'npy float32': { file: 'x.npy', write: (path) => writeNpy(path, { data, shape: [rows, cols] }) },
  'npy float64': { file: 'x.npy', write: (path) => writeRaw(path, npy('<f8'), Float64Array.from(data)) },
  'npy float16': { file: 'x.npy', write: (path) => writeRaw(path, npy('<f2'), toHalf(data)) },
  'npy int8': {
    file: 'x.npy',
    write: (path) => writeRaw(path, npy('|i1'), Int8Array.from(data, toByte)),
    stored: toByte,
  },
  'npy float32 big-endian': {
    file: 'x.npy',
    write: (path) => writeRaw(path, npy('>f4'), bytesOf(data.slice()).swap32()),
  },
  'npy float32 Fortran': { file: 'x.npy', write: (path) => writeRaw(path, npy('<f4', true), transposed()) },
  'npy float32, 8 shards': { file: 'shards', write: writeShards },
  'npz float32': { file: 'x.npz', write: (path) => writeZip(path, 'x.npy', [npy('<f4'), bytesOf(data)], false) },
  'npz float32 deflated': {
    file: 'x.npz',
    write: (path) => writeZip(path, 'x.npy', [npy('<f4'), bytesOf(data)], true),
  },
  'safetensors float32': { file: 'x.safetensors', write: (path) => writeTensor(path, 'F32', data) },
  'safetensors bfloat16': { file: 'x.safetensors', write: (path) => writeTensor(path, 'BF16', brain()) },
  'raw float32': { file: 'x.f32', write: (path) => writeRaw(path, Buffer.alloc(0), data), source: { cols } },
  fvecs: { file: 'x.fvecs', write: (path) => writeVecs(path, data) },
  bvecs: { file: 'x.bvecs', write: (path) => writeVecs(path, Uint8Array.from(data, toUint8)), stored: toUint8 },
  'parquet float32 snappy': { file: 'x.parquet', write: (path) => writeParquet(path, { data, rows, cols }) },
  'parquet float32 uncompressed': { file: 'x.parquet', write: (path) => copyParquet(path, '*', 'uncompressed') },
  'parquet float32 zstd': { file: 'x.parquet', write: (path) => copyParquet(path, '*', 'zstd') },
  'parquet float32 columns': {
    file: 'x.parquet',
    write: (path) =>
      copyParquet(
        path,
        Array.from({ length: cols }, (_, i) => `embedding[${i + 1}] AS f${i}`),
        'snappy',
      ),
  },
  'arrow float32 file': { file: 'x.arrow', write: (path) => writeArrow(path, false) },
  'arrow float32 stream': { file: 'x.arrows', write: (path) => writeArrow(path, true) },
  // npm install --no-save --legacy-peer-deps @lancedb/lancedb@0.37 apache-arrow@18 in a folder above this one
  'lance float32': { file: 'x.lance', write: writeLance, absent: !lancedb && '@lancedb/lancedb is not installed' },
  'hdf5 float32': { file: 'x.h5', write: (path) => writeHdf5(path, h5()) },
  'hdf5 float32 in chunks': { file: 'x.h5', write: (path) => writeHdf5(path, h5({ chunks: [256, cols] })) },
  'hdf5 float32 gzip': { file: 'x.h5', write: (path) => writeHdf5(path, h5({ chunks: [256, cols], compression: 4 })) },
};

/** Measures one read to the end, in this process. */
async function readAll(source) {
  const start = performance.now();
  const file = await openEmbeddings(source);
  const opened = performance.now();
  const Floats = file.dtype === 'float32' ? Float32Array : Float64Array;
  const height = Math.max(1, Math.floor(BLOCK_BYTES / (file.cols * Floats.BYTES_PER_ELEMENT)));
  const block = new Floats(new SharedArrayBuffer(height * file.cols * Floats.BYTES_PER_ELEMENT));
  let last;
  for (let row = 0; row < file.rows; row += height) {
    const count = Math.min(height, file.rows - row);
    await file.read(row, count, block.subarray(0, count * file.cols));
    last = block.subarray((count - 1) * file.cols, count * file.cols);
  }
  const end = performance.now();
  await file.close();
  const { dtype, rows: n, cols: d } = file;
  const seconds = { open: (opened - start) / 1000, read: (end - start) / 1000 };
  console.log(JSON.stringify({ dtype, rows: n, cols: d, seconds, last: [...last], peakBytes: peakBytes() }));
}

function child(source) {
  const script = fileURLToPath(import.meta.url);
  return JSON.parse(execFileSync(process.execPath, [script, '--child', JSON.stringify(source)], { encoding: 'utf8' }));
}

/** Seconds that dd says it took for all files. */
function dd(paths) {
  return paths.reduce((sum, path) => {
    const { stderr } = spawnSync('dd', [`if=${path}`, 'of=/dev/null', 'bs=4M'], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
    });
    return sum + Number(/([\d.e-]+) s,/.exec(stderr)[1]);
  }, 0);
}

/** Drops the pages of files. Returns how, or undefined where they stay. */
function dropPages(paths) {
  for (const path of paths) spawnSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
  const stays = paths.some((path) => {
    const { status, stdout } = spawnSync('fincore', ['-bno', 'res', path], { encoding: 'utf8' });
    return status === 0 && Number(stdout) > statSync(path).size / 20;
  });
  if (!stays) return 'posix_fadvise';
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    return 'drop_caches';
  } catch {
    return undefined;
  }
}

const summary = (seconds) => ({ ...spreadOf(seconds), seconds });

function check(name, { rows: n, cols: d, last }, stored = (value) => value) {
  const expected = data.subarray((rows - 1) * cols);
  const wrong = last.findIndex((value, i) => {
    const want = stored(expected[i]);
    return !(Math.abs(value - want) <= Math.abs(want) / 100 + 1e-6);
  });
  if (n !== rows || d !== cols || wrong >= 0) throw new Error(`${name}: what was read is not what was written`);
}

const results = [];
for (const [name, format] of Object.entries(FORMATS)) {
  if (!new RegExp(values.only).test(name)) continue;
  if (format.absent) {
    console.log(`${name}: left out, ${format.absent}`);
    continue;
  }
  const path = join(folder, format.file);
  await format.write(path);
  spawnSync('sync', [path]);
  const files = await filesOf(path);
  const fileBytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  const source = { path, ...format.source };
  for (const pages of ['warm', 'cold']) {
    const runs = { dd: [], read: [], open: [], peakBytes: [] };
    let dropped = 'no';
    let dtype;
    // The first round of the warm ones fills the cache and is not counted.
    for (let repeat = pages === 'warm' ? -1 : 0; repeat < repeats && dropped; repeat++) {
      if (pages === 'cold') dropped = dropPages(files);
      const seconds = dd(files);
      if (pages === 'cold') dropped = dropPages(files);
      const run = child(source);
      check(name, run, format.stored);
      dtype = run.dtype;
      if (repeat < 0) continue;
      runs.dd.push(seconds);
      runs.read.push(run.seconds.read);
      runs.open.push(run.seconds.open);
      runs.peakBytes.push(run.peakBytes);
    }
    if (!dropped) {
      console.log(`${name} cold: left out, the pages of the file cannot be dropped here`);
      continue;
    }
    const valueBytes = rows * cols * (dtype === 'float32' ? 4 : 8);
    const read = summary(runs.read);
    const row = {
      ...{ name, pages, dropped, dtype, fileBytes, valueBytes },
      valuesMBps: valueBytes / 1e6 / read.median,
      fileMBps: fileBytes / 1e6 / read.median,
      read,
      open: summary(runs.open),
      dd: { ...summary(runs.dd), fileMBps: fileBytes / 1e6 / summary(runs.dd).median },
      peakBytes: Math.max(...runs.peakBytes),
    };
    results.push(row);
    const spread = `${read.median.toFixed(3)} s (${read.min.toFixed(3)}..${read.max.toFixed(3)})`;
    console.log(
      `${name} ${pages}: ${row.valuesMBps.toFixed(0)} MB/s of values, ${row.fileMBps.toFixed(0)} of the file, ${spread}; ` +
        `dd ${row.dd.fileMBps.toFixed(0)} MB/s; peak ${(row.peakBytes / 2 ** 20).toFixed(0)} MiB`,
    );
  }
  rmSync(path, { recursive: true });
}
rmSync(folder, { recursive: true });

save(values.out, {
  what: `reading ${rows} x ${cols} embeddings (mixture of 50 Gaussians on the unit sphere) in blocks of 4 MiB, each repeat in its own process; MB are 10^6 bytes; dd with bs=4M`,
  memoryBytes: totalmem(),
  repeats,
  results,
});

// Writers of what the package itself does not write.

function bytesOf(array) {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}

/** Header of an .npy file. */
function npy(descr, fortran = false, count = rows) {
  const order = fortran ? 'True' : 'False';
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${count}, ${cols}), }`.padEnd(117);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00\x76\x00', 'latin1'), Buffer.from(`${text}\n`)]);
}

async function writeRaw(path, ...parts) {
  const file = await open(path, 'w');
  for (const part of parts) {
    const bytes = bytesOf(part);
    for (let from = 0; from < bytes.length; from += 64 << 20) await file.write(bytes.subarray(from, from + (64 << 20)));
  }
  await file.close();
}

function transposed() {
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++)
    for (let col = 0; col < cols; col++) out[col * rows + row] = data[row * cols + col];
  return out;
}

async function writeShards(path) {
  mkdirSync(path);
  const height = Math.ceil(rows / 8);
  for (let from = 0; from < rows; from += height) {
    const to = Math.min(rows, from + height);
    await writeNpy(join(path, `part-${from / height}.npy`), {
      data: data.subarray(from * cols, to * cols),
      shape: [to - from, cols],
    });
  }
}

/** An archive of one member. Its checksum is not looked at. */
async function writeZip(path, name, parts, deflate) {
  const content = Buffer.concat(parts);
  const packed = deflate ? deflateRawSync(content) : content;
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(deflate ? 8 : 0, 4);
  fields.writeUInt32LE(packed.length, 14);
  fields.writeUInt32LE(content.length, 18);
  fields.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name)]);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), fields, Buffer.alloc(14), Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length + packed.length, 16);
  await writeRaw(path, local, packed, central, end);
}

/** Upper halves of the values, rounded towards zero. */
function brain() {
  const words = new Uint32Array(data.buffer);
  return Uint16Array.from(words, (word) => word >>> 16);
}

function writeTensor(path, dtype, array) {
  return writeSafetensors(path, { x: { dtype, shape: [rows, cols], data: array } });
}

async function writeVecs(path, array) {
  const prefix = Buffer.alloc(4);
  prefix.writeInt32LE(cols);
  const file = await open(path, 'w');
  const height = 1000;
  for (let from = 0; from < rows; from += height) {
    const parts = [];
    for (let row = from; row < Math.min(rows, from + height); row++) {
      parts.push(prefix, bytesOf(array.subarray(row * cols, (row + 1) * cols)));
    }
    await file.write(Buffer.concat(parts));
  }
  await file.close();
}

async function writeHdf5(path, options) {
  const hdf5 = await import('h5wasm/node');
  await hdf5.ready;
  const file = new hdf5.File(path, 'w');
  file.create_dataset(options);
  file.close();
}

/** Columns of a table of embeddings, in row groups of DuckDB's size. */
async function copyParquet(path, columns, codec) {
  const plain = join(folder, 'plain.parquet');
  await writeParquet(plain, { data, rows, cols });
  const duckdb = await openDuckdb([plain, path]);
  await duckdb.connection.run(
    `COPY (SELECT ${columns} FROM read_parquet(${literal(plain)})) TO ${literal(path)} (FORMAT parquet, COMPRESSION ${codec})`,
  );
  duckdb.close();
  rmSync(plain);
}

/** Batches of 4,096 rows of a list of fixed size. */
async function writeArrow(path, stream) {
  const arrow = await import('apache-arrow');
  const type = new arrow.FixedSizeList(cols, new arrow.Field('item', new arrow.Float32(), false));
  const schema = new arrow.Schema([new arrow.Field('embedding', type, false)]);
  const Writer = stream ? arrow.RecordBatchStreamWriter : arrow.RecordBatchFileWriter;
  const writer = new Writer();
  writer.reset(undefined, schema);
  const file = await open(path, 'w');
  const draining = (async () => {
    for await (const bytes of writer) await file.write(bytes);
  })();
  for (let row = 0; row < rows; row += 4096) {
    const length = Math.min(4096, rows - row);
    const values = data.slice(row * cols, (row + length) * cols);
    const child = arrow.makeData({ type: new arrow.Float32(), data: values });
    const list = arrow.makeData({ type, length, nullCount: 0, child });
    const struct = arrow.makeData({ type: new arrow.Struct(schema.fields), length, children: [list] });
    writer.write(new arrow.RecordBatch(schema, struct));
  }
  writer.finish();
  await draining;
  await file.close();
}

async function writeLance(path) {
  const database = await lancedb.connect(dirname(path));
  let table;
  for (let row = 0; row < rows; row += 5000) {
    const part = Array.from({ length: Math.min(5000, rows - row) }, (_, i) => ({
      vector: Array.from(data.subarray((row + i) * cols, (row + i + 1) * cols)),
    }));
    if (table) await table.add(part);
    else table = await database.createTable('x', part);
  }
}
