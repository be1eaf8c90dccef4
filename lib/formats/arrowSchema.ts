/** Arrow's types, and where the buffers of a field are among those of a record batch. */
import { DataError } from '../errors.js';
import type { ElementType } from './elements.js';
import { child, children, scalar, type Table, text } from './flatbuffer.js';
import type { TableColumn } from './tableColumns.js';

/** Numbers of Arrow's Schema.fbs. */
export const TYPE = {
  null: 1,
  int: 2,
  float: 3,
  binary: 4,
  utf8: 5,
  bool: 6,
  decimal: 7,
  date: 8,
  time: 9,
  timestamp: 10,
  interval: 11,
  list: 12,
  struct: 13,
  union: 14,
  fixedSizeBinary: 15,
  fixedSizeList: 16,
  map: 17,
  duration: 18,
  largeBinary: 19,
  largeUtf8: 20,
  largeList: 21,
  runEndEncoded: 22,
  binaryView: 23,
  utf8View: 24,
  listView: 25,
  largeListView: 26,
} as const;
const NAMES = new Map<number, string>(Object.entries(TYPE).map(([name, id]) => [id, name]));
const LISTS: readonly number[] = [TYPE.list, TYPE.fixedSizeList, TYPE.largeList];

/** A column, or a part of one. */
export interface ArrowField {
  readonly name: string;
  readonly typeId: number;
  readonly children: readonly ArrowField[];
  /** Type of the numbers, if they are numbers as they are stored. */
  readonly element: ElementType | undefined;
  /** Of lists of a fixed size. */
  readonly listSize: number | undefined;
  /** Of unions. */
  readonly dense: boolean;
  /** Whether it holds numbers of values that are in messages of their own; `typeId` is of the values. */
  readonly dictionary: boolean;
}

/** More fields than this are no table, but a damaged header that says the same part again and again. */
const MAX_FIELDS = 1 << 17;

/** @throws {RangeError} where a part is out of bounds. */
export function readFields(schema: Table): ArrowField[] {
  let left = MAX_FIELDS;
  const read = (table: Table): ArrowField => {
    if (--left < 0) throw new RangeError(`it has more than ${MAX_FIELDS} fields`);
    const typeId = scalar(table, 2, 'getUint8');
    const type = child(table, 3);
    const dictionary = child(table, 4) !== undefined;
    return {
      name: text(table, 0),
      typeId,
      children: children(table, 5).map(read),
      element: type && !dictionary ? elementOf(typeId, type) : undefined,
      listSize: type && typeId === TYPE.fixedSizeList ? scalar(type, 0, 'getInt32') : undefined,
      dense: type !== undefined && typeId === TYPE.union && scalar(type, 0, 'getInt16') === 1,
      dictionary,
    };
  };
  return children(schema, 1).map(read);
}

function elementOf(typeId: number, type: Table): ElementType | undefined {
  if (typeId === TYPE.float) return (['float16', 'float32', 'float64'] as const)[scalar(type, 0, 'getInt16')];
  return typeId === TYPE.int ? integerType(scalar(type, 0, 'getInt32'), scalar(type, 1, 'getUint8') !== 0) : undefined;
}

export function integerType(bits: number, signed: boolean): ElementType | undefined {
  return [8, 16, 32, 64].includes(bits) ? (`${signed ? '' : 'u'}int${bits}` as ElementType) : undefined;
}

/** What `chooseColumns` asks about. */
export function columnsOf(fields: readonly ArrowField[]): TableColumn[] {
  return fields.map((field) => {
    const isList = LISTS.includes(field.typeId) && !field.dictionary;
    return {
      name: field.name,
      shape: isList ? 'list' : 'scalar',
      type: isList ? field.children[0]?.element : field.element,
      typeName: typeName(field),
    };
  });
}

export function typeName({ typeId, element, listSize, children: parts, dictionary }: ArrowField): string {
  const name = element ?? NAMES.get(typeId) ?? `type ${typeId}`;
  const size = listSize === undefined ? '' : `[${listSize}]`;
  const full = `${name}${parts.length > 0 ? `<${parts.map(typeName).join(', ')}>` : ''}${size}`;
  return dictionary ? `dictionary of ${full}` : full;
}

/** How many buffers each view of a batch has beyond two, in the order of the views. */
type Variadic = readonly number[];

/**
 * Indices of the first node and the first buffer of each field; those of its children follow, depth first. How many a type
 * has: "Buffer Listing for Each Layout" of the format. Validity has a buffer even where there is no NULL.
 */
export function placesOf(fields: readonly ArrowField[], variadic: Variadic): { node: number; buffer: number }[] {
  const at = { node: 0, buffer: 0, view: 0 };
  return fields.map((field) => {
    const { node, buffer } = at;
    skip(field, at, variadic);
    return { node, buffer };
  });
}

function skip(field: ArrowField, at: { node: number; buffer: number; view: number }, variadic: Variadic): void {
  at.node++;
  if (field.dictionary) {
    at.buffer += 2;
    return;
  }
  switch (field.typeId) {
    case TYPE.null:
    case TYPE.runEndEncoded:
      break;
    case TYPE.struct:
    case TYPE.fixedSizeList:
      at.buffer += 1;
      break;
    case TYPE.union:
      at.buffer += field.dense ? 2 : 1;
      break;
    case TYPE.binary:
    case TYPE.utf8:
    case TYPE.largeBinary:
    case TYPE.largeUtf8:
    case TYPE.listView:
    case TYPE.largeListView:
      at.buffer += 3;
      break;
    case TYPE.binaryView:
    case TYPE.utf8View:
      at.buffer += 2 + (variadic[at.view++] ?? 0);
      break;
    default:
      at.buffer += 2;
  }
  for (const part of field.children) skip(part, at, variadic);
}

const TEXTS: readonly number[] = [
  ...[TYPE.int, TYPE.float, TYPE.bool, TYPE.utf8, TYPE.largeUtf8, TYPE.utf8View],
  ...[TYPE.date, TYPE.timestamp],
];

/** @throws {DataError} `ERR_COLUMN_UNFIT` for a column whose values no one text stands for. */
export function checkText(path: string, field: ArrowField): void {
  if (TEXTS.includes(field.typeId)) return;
  throw new DataError(
    'ERR_COLUMN_UNFIT',
    `${path}: the column ${JSON.stringify(field.name)} (${typeName(field)}) is neither text nor a number. Choose another.`,
  );
}
