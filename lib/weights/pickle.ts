/**
 * A pickle machine that can build a state dict and nothing else: it knows the opcodes and the globals that
 * `torch.save` writes for one, never calls anything, and refuses everything else by name.
 */
import { ModelError } from '../errors.js';
import type { TensorDtype } from './tensor.js';

/** A `torch.*Storage`: `count` elements in the archive entry `data/<key>`. */
export interface StorageReference {
  readonly kind: 'storage';
  readonly dtype: TensorDtype;
  readonly key: string;
  readonly count: number;
}

/** What `_rebuild_tensor_v2` was called with: a strided view of a storage, all in elements. Unchecked. */
export interface TensorReference {
  readonly kind: 'tensor';
  readonly storage: StorageReference;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

interface Global {
  readonly kind: 'global';
  readonly name: string;
}

interface Tuple {
  readonly kind: 'tuple';
  readonly items: readonly Value[];
}

/** An object whose content is of no interest (`argparse.Namespace`). */
interface Opaque {
  readonly kind: 'opaque';
}

export type Value =
  | null
  | boolean
  | number
  | string
  | Value[]
  | Map<Value, Value>
  | Tuple
  | Global
  | StorageReference
  | TensorReference
  | Opaque;

const storageDtypes: Readonly<Record<string, TensorDtype>> = {
  'torch.FloatStorage': 'F32',
  'torch.DoubleStorage': 'F64',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};
const ORDERED_DICT = 'collections.OrderedDict';
const REBUILD_TENSOR = 'torch._utils._rebuild_tensor_v2';
const NAMESPACE = 'argparse.Namespace';
const allowedGlobals = new Set([...Object.keys(storageDtypes), ORDERED_DICT, REBUILD_TENSOR, NAMESPACE]);

const CURE = "Save only the weights, torch.save({'model': model.state_dict()}, path), or convert them to safetensors.";
const MARK = Symbol('mark');

/**
 * Runs a pickle. Every opcode takes at least one byte and makes at most one value, so time and memory are bounded by
 * the length of `bytes`; nothing here recurses. `path` is for messages. ModelError `ERR_CHECKPOINT_REFUSED` names the
 * opcode or global that is not allowed; `ERR_CHECKPOINT_INVALID` says where the pickle is broken.
 */
export function unpickle(bytes: Uint8Array, path: string): Value {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: (Value | typeof MARK)[] = [];
  const memo = new Map<number, Value>();
  let at = 0;

  const invalid = (what: string) =>
    new ModelError('ERR_CHECKPOINT_INVALID', `${path}: the pickle is broken at byte ${at}: ${what}. ${CURE}`);
  const refused = (what: string) =>
    new ModelError(
      'ERR_CHECKPOINT_REFUSED',
      `${path}: refused to load, because it uses ${what}, which no state dict needs. ${CURE}`,
    );
  const take = (length: number): number => {
    const start = at;
    if (length > buffer.length - at) throw invalid('it ends early');
    at += length;
    return start;
  };
  const pop = (): Value => {
    const value = stack.pop();
    if (value === undefined || value === MARK) throw invalid('a value is missing');
    return value;
  };
  const top = (): Value => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const popToMark = (): Value[] => {
    const mark = stack.lastIndexOf(MARK);
    if (mark < 0) throw invalid('a mark is missing');
    const items = stack.splice(mark + 1) as Value[];
    stack.pop();
    return items;
  };
  const pushTuple = (items: Value[]) => stack.push({ kind: 'tuple', items });
  const line = (): string => {
    const end = buffer.indexOf(0x0a, at);
    if (end < 0) throw invalid('a name has no end');
    const text = buffer.toString('utf8', at, end);
    at = end + 1;
    return text;
  };
  const recall = (index: number): Value => {
    const value = memo.get(index);
    if (value === undefined) throw invalid(`memo ${index} is empty`);
    return value;
  };
  const setItems = (items: Value[]) => {
    const target = top();
    if (!(target instanceof Map) || items.length % 2) throw invalid('items are set on something that is no dict');
    for (let i = 0; i < items.length; i += 2) target.set(items[i]!, items[i + 1]!);
  };
  const appendItems = (items: Value[]) => {
    const target = top();
    if (!Array.isArray(target)) throw invalid('items are appended to something that is no list');
    for (const item of items) target.push(item);
  };
  const construct = (callee: Value, args: Value): Value => {
    if (!isKind(callee, 'global') || !isKind(args, 'tuple')) throw invalid('a call has no function or no arguments');
    if (callee.name === ORDERED_DICT && args.items.length === 0) return new Map();
    if (callee.name === NAMESPACE && args.items.length === 0) return { kind: 'opaque' };
    if (callee.name === REBUILD_TENSOR) {
      const tensor = tensorReference(args.items);
      if (!tensor) throw invalid('a tensor has arguments that torch.save does not write');
      return tensor;
    }
    throw refused(`a call of ${callee.name} with ${args.items.length} arguments`);
  };

  for (;;) {
    const opcode = buffer[take(1)]!;
    switch (opcode) {
      case 0x80: {
        const protocol = buffer[take(1)]!;
        if (protocol < 2 || protocol > 5) throw invalid(`it has protocol ${protocol}`);
        break;
      }
      case 0x7d: // EMPTY_DICT
        stack.push(new Map());
        break;
      case 0x29: // EMPTY_TUPLE
        pushTuple([]);
        break;
      case 0x5d: // EMPTY_LIST
        stack.push([]);
        break;
      case 0x28:
        stack.push(MARK);
        break;
      case 0x71: // BINPUT
        memo.set(buffer[take(1)]!, top());
        break;
      case 0x72: // LONG_BINPUT
        memo.set(buffer.readUInt32LE(take(4)), top());
        break;
      case 0x68: // BINGET
        stack.push(recall(buffer[take(1)]!));
        break;
      case 0x6a: // LONG_BINGET
        stack.push(recall(buffer.readUInt32LE(take(4))));
        break;
      case 0x58: {
        const length = buffer.readUInt32LE(take(4)); // BINUNICODE
        const start = take(length);
        stack.push(buffer.toString('utf8', start, start + length));
        break;
      }
      case 0x4a: // BININT
        stack.push(buffer.readInt32LE(take(4)));
        break;
      case 0x4b: // BININT1
        stack.push(buffer[take(1)]!);
        break;
      case 0x4d: // BININT2
        stack.push(buffer.readUInt16LE(take(2)));
        break;
      case 0x47: // BINFLOAT
        stack.push(buffer.readDoubleBE(take(8)));
        break;
      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
        stack.push(true);
        break;
      case 0x89: // NEWFALSE
        stack.push(false);
        break;
      case 0x74: // TUPLE
        pushTuple(popToMark());
        break;
      case 0x85: // TUPLE1
        pushTuple([pop()]);
        break;
      case 0x86: {
        const b = pop(); // TUPLE2
        pushTuple([pop(), b]);
        break;
      }
      case 0x87: {
        const c = pop(); // TUPLE3
        const b = pop();
        pushTuple([pop(), b, c]);
        break;
      }
      case 0x61: // APPEND
        appendItems([pop()]);
        break;
      case 0x65: // APPENDS
        appendItems(popToMark());
        break;
      case 0x73: {
        const value = pop(); // SETITEM
        setItems([pop(), value]);
        break;
      }
      case 0x75: // SETITEMS
        setItems(popToMark());
        break;
      case 0x63: {
        const name = `${line()}.${line()}`; // GLOBAL
        if (!allowedGlobals.has(name)) throw refused(`the Python global ${name}`);
        stack.push({ kind: 'global', name });
        break;
      }
      case 0x52: // REDUCE
      case 0x81: {
        const args = pop(); // NEWOBJ
        stack.push(construct(pop(), args));
        break;
      }
      case 0x62: {
        pop(); // BUILD: attributes (`_metadata`, a Namespace's fields) are of no interest
        const target = top();
        if (!(target instanceof Map) && !isKind(target, 'opaque'))
          throw refused('BUILD on something that is no OrderedDict');
        break;
      }
      case 0x51: {
        const storage = storageReference(pop()); // BINPERSID
        if (!storage) throw refused('a persistent id that is no CPU or CUDA storage');
        stack.push(storage);
        break;
      }
      case 0x2e: // STOP
        return pop();
      default:
        throw refused(`the pickle opcode 0x${opcode.toString(16).padStart(2, '0')} (at byte ${at - 1})`);
    }
  }
}

/** Whether `value` is the object of that kind. */
export function isKind<K extends 'tensor' | 'storage' | 'global' | 'tuple' | 'opaque'>(
  value: Value | undefined,
  kind: K,
): value is Extract<Value, { kind: K }> {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}

/** `('storage', torch.FloatStorage, key, location, count)` */
function storageReference(id: Value): StorageReference | undefined {
  if (!isKind(id, 'tuple') || id.items.length !== 5) return undefined;
  const [tag, type, key, location, count] = id.items;
  const dtype = isKind(type, 'global') ? storageDtypes[type.name] : undefined;
  if (tag !== 'storage' || !dtype || typeof key !== 'string' || typeof location !== 'string') return undefined;
  if (typeof count !== 'number' || !Number.isInteger(count)) return undefined;
  return { kind: 'storage', dtype, key, count };
}

/** `(storage, offset, size, stride, requires_grad, backward_hooks)` */
function tensorReference(args: readonly Value[]): TensorReference | undefined {
  const [storage, offset, size, stride] = args;
  if (args.length !== 6 || !isKind(storage, 'storage')) return undefined;
  if (typeof offset !== 'number' || !Number.isInteger(offset)) return undefined;
  const shape = integers(size);
  const strides = integers(stride);
  return shape && strides ? { kind: 'tensor', storage, offset, shape, strides } : undefined;
}

function integers(value: Value | undefined): number[] | undefined {
  if (!isKind(value, 'tuple')) return undefined;
  const whole = value.items.filter((item) => typeof item === 'number' && Number.isInteger(item)) as number[];
  return whole.length === value.items.length ? whole : undefined;
}
