/** The part of the zip format that `torch.save` and `np.savez` use: a directory at the end, entries stored or deflated. */
import type { RandomAccessFile } from './bytes.js';

/** What the directory says of an entry. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes of its content. */
  readonly size: number;
  /** Bytes that it takes in the archive. */
  readonly packedSize: number;
  /** 0 = stored, 8 = deflated, ... */
  readonly method: number;
  readonly encrypted: boolean;
  readonly localHeader: number;
}

const END_SIGNATURE = 0x06054b50;
const END64_SIGNATURE = 0x06064b50;
const LOCATOR64_SIGNATURE = 0x07064b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
// A checkpoint has a few thousand entries of about 100 bytes.
const LARGEST_DIRECTORY = 64 << 20;

/** Makes the error of an archive that is not whole from what is wrong with it. */
export type Broken = (what: string) => Error;

/** Reads the central directory (zip64 too). */
export async function readZipDirectory(file: RandomAccessFile, broken: Broken): Promise<Map<string, ZipEntry>> {
  const { offset, length, count } = await findDirectory(file, broken);
  if (length > LARGEST_DIRECTORY) throw broken(`its directory would be ${length} bytes`);
  if (offset + length > file.size) throw broken('its directory lies outside the file');
  const bytes = Buffer.from((await file.readAt(offset, length)).buffer);

  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== CENTRAL_SIGNATURE) {
      throw broken(`entry ${i + 1} of ${count} is missing in its directory`);
    }
    const nameEnd = at + 46 + bytes.readUInt16LE(at + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
    const next = extraEnd + bytes.readUInt16LE(at + 32);
    if (next > bytes.length) throw broken(`entry ${i + 1} of ${count} is cut off in its directory`);
    const name = bytes.toString('utf8', at + 46, nameEnd);
    if (entries.has(name)) throw broken(`it has two entries "${name}"`);
    const wide = zip64Fields(bytes.subarray(nameEnd, extraEnd));
    // zip64 holds only the fields whose 32-bit twin is all ones, in this order.
    const field = (value: number): number => (value === 0xffffffff ? (wide.shift() ?? value) : value);
    const size = field(bytes.readUInt32LE(at + 24));
    const packedSize = field(bytes.readUInt32LE(at + 20));
    const localHeader = field(bytes.readUInt32LE(at + 42));
    const encrypted = (bytes.readUInt16LE(at + 8) & 1) === 1;
    entries.set(name, { name, size, packedSize, method: bytes.readUInt16LE(at + 10), encrypted, localHeader });
    at = next;
  }
  return entries;
}

async function findDirectory(
  file: RandomAccessFile,
  broken: Broken,
): Promise<{ offset: number; length: number; count: number }> {
  const tailLength = Math.min(file.size, 22 + 0xffff);
  const tailStart = file.size - tailLength;
  const tail = Buffer.from((await file.readAt(tailStart, tailLength)).buffer);
  for (let at = tail.length - 22; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== END_SIGNATURE || at + 22 + tail.readUInt16LE(at + 20) !== tail.length) continue;
    const end = tailStart + at;
    if (end >= 20) {
      const locator = Buffer.from((await file.readAt(end - 20, 20)).buffer);
      if (locator.readUInt32LE(0) === LOCATOR64_SIGNATURE) {
        const end64 = Buffer.from((await file.readAt(Number(locator.readBigUInt64LE(8)), 56)).buffer);
        if (end64.readUInt32LE(0) !== END64_SIGNATURE) throw broken('its zip64 end record is missing');
        return {
          count: Number(end64.readBigUInt64LE(32)),
          length: Number(end64.readBigUInt64LE(40)),
          offset: Number(end64.readBigUInt64LE(48)),
        };
      }
    }
    return {
      count: tail.readUInt16LE(at + 10),
      length: tail.readUInt32LE(at + 12),
      offset: tail.readUInt32LE(at + 16),
    };
  }
  throw broken('the directory at its end is missing, so it was cut off');
}

function zip64Fields(extra: Buffer): number[] {
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) {
      const fields: number[] = [];
      for (let i = at + 4; i + 8 <= Math.min(at + 4 + length, extra.length); i += 8) {
        fields.push(Number(extra.readBigUInt64LE(i)));
      }
      return fields;
    }
    at += 4 + length;
  }
  return [];
}

/**
 * Offset of an entry's first byte in the file. The LOCAL header's lengths count: torch pads its extra field, so that
 * storages are aligned, and the directory does not have that padding.
 */
export async function locateEntry(file: RandomAccessFile, entry: ZipEntry, broken: Broken): Promise<number> {
  if (entry.localHeader + 30 > file.size) throw broken(`"${entry.name}" lies outside the file`);
  const header = Buffer.from((await file.readAt(entry.localHeader, 30)).buffer);
  if (header.readUInt32LE(0) !== LOCAL_SIGNATURE) throw broken(`"${entry.name}" has no local header`);
  const start = entry.localHeader + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (start + entry.packedSize > file.size) throw broken(`"${entry.name}" is cut off`);
  return start;
}
