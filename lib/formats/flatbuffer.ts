/**
 * Reading FlatBuffers, each step within bounds: generated readers trust lengths, and one flipped bit has them make arrays of
 * a billion things. All positions are bytes of one buffer; what is out of bounds throws a RangeError.
 * https://flatbuffers.dev/internals/
 */

/** A table: named by its number, a field is where `field` says, or absent. */
export interface Table {
  readonly view: DataView;
  readonly at: number;
}

export function rootTable(bytes: Uint8Array): Table {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { view, at: view.getUint32(0, true) };
}

/** Where a field is; 0 if it is absent. A table begins with the distance back to a list of its fields' distances. */
function field({ view, at }: Table, id: number): number {
  const fields = at - view.getInt32(at, true);
  const entry = 4 + 2 * id;
  if (entry + 2 > view.getUint16(fields, true)) return 0;
  const distance = view.getUint16(fields + entry, true);
  return distance === 0 ? 0 : at + distance;
}

/** A scalar: read by the DataView's method, or `absent`. */
export function scalar(
  table: Table,
  id: number,
  type: 'getInt8' | 'getUint8' | 'getInt16' | 'getInt32',
  absent = 0,
): number {
  const at = field(table, id);
  return at === 0 ? absent : table.view[type](at, true);
}

/** An integer of 64 bits; lengths and places in files are far below 2^53. */
export function long({ view }: Table, at: number): number {
  return Number(view.getBigInt64(at, true));
}

export function longField(table: Table, id: number): number {
  const at = field(table, id);
  return at === 0 ? 0 : long(table, at);
}

export function child(table: Table, id: number): Table | undefined {
  const at = field(table, id);
  return at === 0 ? undefined : { view: table.view, at: at + table.view.getUint32(at, true) };
}

/** Where the elements of a vector begin, and how many of `bytes` there are. */
export function vector(table: Table, id: number, bytes: number): { at: number; length: number } {
  const at = field(table, id);
  if (at === 0) return { at: 0, length: 0 };
  const begin = at + table.view.getUint32(at, true);
  const length = table.view.getUint32(begin, true);
  if (begin + 4 + length * bytes > table.view.byteLength) throw new RangeError('a vector is longer than its buffer');
  return { at: begin + 4, length };
}

export function children(table: Table, id: number): Table[] {
  const { view } = table;
  const { at, length } = vector(table, id, 4);
  return Array.from({ length }, (_, i) => ({ view, at: at + 4 * i + view.getUint32(at + 4 * i, true) }));
}

export function text(table: Table, id: number): string {
  const { view } = table;
  const { at, length } = vector(table, id, 1);
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at, length));
}
