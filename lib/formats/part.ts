/** Parts of a file that are read like files: stored as they are, or deflated. */
import { pipeline, Readable } from 'node:stream';
import { createInflateRaw, type InflateRaw } from 'node:zlib';
import type { RandomAccessFile } from './bytes.js';
import type { Broken } from './zip.js';

/** Where a part is. */
export interface Part {
  readonly offset: number;
  /** Bytes that it takes in the file. */
  readonly packedSize: number;
  /** Bytes of its content. */
  readonly size: number;
}

/** Of what is read at once for inflating; the smaller first piece is enough for a header. */
const FIRST_BYTES = 64 << 10;
const PACKED_BYTES = 1 << 20;
const INFLATED_BYTES = 256 << 10;
/** What deflate makes of n bytes at most. */
const LARGEST_RATIO = 1032;

/** A part that is stored as it is. Closing it leaves the file open. */
export function storedPart(file: RandomAccessFile, { offset, size }: Part, broken: Broken): RandomAccessFile {
  const inside = (from: number, length: number) => {
    if (!(from >= 0 && length >= 0 && from + length <= size)) throw broken(`bytes after its ${size} are needed`);
  };
  return {
    path: file.path,
    size,
    async readAt(from, length) {
      inside(from, length);
      return file.readAt(offset + from, length);
    },
    async readInto(from, target) {
      inside(from, target.byteLength);
      return file.readInto(offset + from, target);
    },
    ...(file.readPieces && {
      async readPieces(from: number, stride: number, count: number, target: NodeJS.TypedArray) {
        inside(from, (count - 1) * stride + target.byteLength / count);
        return file.readPieces!(offset + from, stride, count, target);
      },
    }),
    close: async () => {},
  };
}

/**
 * A deflated part: forwards at the speed of zlib (in its own thread), backwards by beginning again. Memory does not depend
 * on its size. Closing it leaves the file open.
 */
export function deflatedPart(file: RandomAccessFile, part: Part, broken: Broken): RandomAccessFile {
  const { size } = part;
  if (size > (part.packedSize + 1) * LARGEST_RATIO) {
    throw broken(`it promises ${size} bytes, more than its ${part.packedSize} packed ones can hold`);
  }
  let stream: InflateRaw | undefined;
  let chunks: AsyncIterator<Buffer> | undefined;
  let rest: Buffer = Buffer.alloc(0);
  let position = 0;

  const stop = () => {
    stream?.destroy();
    stream = undefined;
  };
  const begin = () => {
    stop();
    const inflate = createInflateRaw({ chunkSize: INFLATED_BYTES });
    // Its errors come out of the iterator.
    pipeline(Readable.from(packedBytes(file, part)), inflate, () => {});
    stream = inflate;
    chunks = inflate[Symbol.asyncIterator]();
    rest = Buffer.alloc(0);
    position = 0;
  };
  /** The next piece of the content; undefined at its end. */
  const more = async (): Promise<Buffer | undefined> => {
    try {
      const { value, done } = await chunks!.next();
      return done ? undefined : value;
    } catch (error) {
      throw (error as { code?: string }).code?.startsWith('Z_') ? broken((error as Error).message) : error;
    }
  };
  const fill = async (from: number, target: NodeJS.ArrayBufferView): Promise<void> => {
    if (!(from >= 0 && from + target.byteLength <= size)) throw broken(`bytes after its ${size} are needed`);
    if (!stream || from < position) begin();
    const end = from + target.byteLength;
    while (position < end) {
      if (rest.length === 0) {
        const next = await more();
        if (!next) throw broken(`it ends after ${position} of ${size} bytes`);
        rest = next;
      }
      const wanted = position < from ? from - position : end - position;
      const taken = rest.subarray(0, wanted);
      if (position >= from) bytesOf(target, position - from, taken.length).set(taken);
      rest = rest.subarray(taken.length);
      position += taken.length;
    }
    if (position === size && (rest.length > 0 || (await more()))) throw broken(`it has more than its ${size} bytes`);
  };
  // One stream serves all reads, one after the other.
  let turn: Promise<void> = Promise.resolve();
  const readInto = (from: number, target: NodeJS.ArrayBufferView): Promise<void> => {
    const mine = turn.then(() => fill(from, target));
    turn = mine.catch(stop);
    return mine;
  };
  return {
    path: file.path,
    size,
    forwardOnly: true,
    readInto,
    async readAt(from, length) {
      if (!(from >= 0 && length >= 0 && from + length <= size)) throw broken(`bytes after its ${size} are needed`);
      const bytes = new Uint8Array(new ArrayBuffer(length));
      await readInto(from, bytes);
      return bytes;
    },
    async close() {
      await turn;
      stop();
    },
  };
}

async function* packedBytes(file: RandomAccessFile, { offset, packedSize }: Part): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < packedSize; ) {
    const count = Math.min(done === 0 ? FIRST_BYTES : PACKED_BYTES, packedSize - done);
    yield await file.readAt(offset + done, count);
    done += count;
  }
}

function bytesOf(view: NodeJS.ArrayBufferView, from: number, count: number): Uint8Array {
  return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset + from, count);
}
