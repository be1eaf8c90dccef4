/** Writes what torch.save writes, and what it never would, byte by byte. */

/** A stored (method 0) zip archive; `pad` bytes of extra field in the LOCAL headers only, as torch aligns storages. */
export function zip(
  entries: Record<string, Uint8Array>,
  options: { method?: number; pad?: number; zip64?: boolean } = {},
): Buffer {
  const { method = 0, pad = 0, zip64 = false } = options;
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, data] of Object.entries(entries)) {
    const nameBytes = Buffer.from(name);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(method, 8);
    head.writeUInt32LE(data.length, 18);
    head.writeUInt32LE(data.length, 22);
    head.writeUInt16LE(nameBytes.length, 26);
    head.writeUInt16LE(pad, 28);
    local.push(head, nameBytes, Buffer.alloc(pad, 0x5a), Buffer.from(data));
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(zip64 ? 0xffffffff : data.length, 20);
    entry.writeUInt32LE(zip64 ? 0xffffffff : data.length, 24);
    entry.writeUInt16LE(nameBytes.length, 28);
    entry.writeUInt32LE(zip64 ? 0xffffffff : offset, 42);
    const extra = zip64 ? Buffer.alloc(28) : Buffer.alloc(0);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(data.length), 4);
      extra.writeBigUInt64LE(BigInt(data.length), 12);
      extra.writeBigUInt64LE(BigInt(offset), 20);
    }
    entry.writeUInt16LE(extra.length, 30);
    central.push(entry, nameBytes, extra);
    offset += 30 + nameBytes.length + pad + data.length;
  }
  const directory = Buffer.concat(central);
  const count = Object.keys(entries).length;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(zip64 ? 0xffff : count, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : directory.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  if (!zip64) return Buffer.concat([...local, directory, end]);
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(directory.length), 40);
  end64.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + directory.length), 8);
  return Buffer.concat([...local, directory, end64, locator, end]);
}

export interface View {
  storage: string;
  count: number;
  offset?: number;
  shape: number[];
  strides: number[];
  type?: string;
}

/** The pickle of `{'model': {name: tensor}}`. */
export function pickle(tensors: Record<string, View>, top: 'model' | 'bare' = 'model'): Buffer {
  const dict = Buffer.concat([
    ascii('}('),
    ...Object.entries(tensors).flatMap(([name, view]) => [text(name), tensor(view)]),
    ascii('u'),
  ]);
  const body = top === 'model' ? Buffer.concat([ascii('}('), text('model'), dict, ascii('u')]) : dict;
  return Buffer.concat([Buffer.from([0x80, 2]), body, ascii('.')]);
}

export const ascii = (characters: string) => Buffer.from(characters, 'latin1');

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([ascii('X'), length, bytes]);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(5, 'J');
  bytes.writeInt32LE(value, 1);
  return bytes;
}

function tensor({ storage, count, offset = 0, shape, strides, type = 'FloatStorage' }: View): Buffer {
  const tuple = (values: number[]) => Buffer.concat([ascii('('), ...values.map(int), ascii('t')]);
  return Buffer.concat([
    ascii('ctorch._utils\n_rebuild_tensor_v2\n('),
    ascii('('),
    text('storage'),
    ascii(`ctorch\n${type}\n`),
    text(storage),
    text('cpu'),
    int(count),
    ascii('tQ'),
    int(offset),
    tuple(shape),
    tuple(strides),
    ascii('\x89ccollections\nOrderedDict\n)RtR'),
  ]);
}
