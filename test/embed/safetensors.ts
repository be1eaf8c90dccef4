import { readFileSync } from 'node:fs';

/** One float32 tensor of a safetensors file, read independently of the product's own reader. */
export function readTensor(path: string, name: string): { shape: number[]; data: Float32Array } {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { shape, data_offsets: range } = JSON.parse(bytes.toString('utf8', 8, 8 + length))[name];
  return {
    shape,
    data: new Float32Array(
      bytes.buffer.slice(bytes.byteOffset + 8 + length + range[0], bytes.byteOffset + 8 + length + range[1]),
    ),
  };
}
