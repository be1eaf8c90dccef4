/** Selection in one pass over rows that need not fit in memory. */
import { isFloat64Array } from 'node:util/types';
import { integer, oneOf, outOfRange, wrongType } from '../check.js';
import { DataError, NativeError } from '../errors.js';
import { checkFinite } from '../formats/finite.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { native } from '../native.js';
import { sharedData } from '../sharedData.js';
import { checkMatrix } from './bins.js';
import { SIMILARITIES, type Similarity } from './objectives/types.js';

export interface SieveOptions {
  /**
   * `facility-location`: sum over the rows of `reference`, a sample of what is to be represented, of the largest
   * similarity to a selected row. `log-determinant`: log det(K_S + ridge I) of the selected rows.
   */
  objective:
    | { name: 'facility-location'; reference: EmbeddingMatrix; similarity?: Similarity; gamma?: number }
    | { name: 'log-determinant'; similarity?: Similarity; gamma?: number; ridge?: number };
  /** Most rows that are selected, a whole number: how long the stream is, is not known. */
  budget: number;
  /** In (0, 1), 0.1 if not given: the value is at least (1/2 - epsilon) of the best. Memory and time go with 1 / epsilon. */
  epsilon?: number | undefined;
  /** Threads of the native engine; 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
  /** Aborting rejects the pending `partialFit` with `signal.reason`, and every later one. */
  signal?: AbortSignal | undefined;
}

export interface SieveResult {
  /** Selected rows, counted from 0 from the start of the stream, in the order in which they came. */
  readonly rows: Float64Array;
  /** What each of them added. */
  readonly gains: Float64Array;
  /** f(S). */
  readonly value: number;
  /** Rows seen. */
  readonly seen: number;
  /** Candidate selections that were kept side by side at the end. */
  readonly sieves: number;
}

export interface SieveStream {
  /**
   * The next rows of the stream. A matrix on a SharedArrayBuffer is read in place: keep its values until the promise has
   * settled. Calls are worked off in their order. A refused batch leaves the stream as it was.
   * @throws {DataError} `ERR_NOT_FINITE` naming the row of the batch; {TypeError} or {RangeError} for a batch of another
   * width or type than the rows before; rejects with `signal.reason` when aborted.
   */
  partialFit(batch: EmbeddingMatrix): Promise<void>;
  /** The selection from all rows so far; the stream may go on after it. */
  finish(): Promise<SieveResult>;
}

/**
 * Sieve-streaming (Badanidiyuru, Mirzasoleiman, Karbasi, Krause, KDD 2014, algorithm 3): for each threshold v = (1 +
 * epsilon)^i between the best gain m of a single row and 2 budget m it keeps a selection, which a row joins if its gain is
 * at least (v / 2 - f(S)) / (budget - |S|); the best of them is the result. Memory O(ln(budget) / epsilon) times
 * the reference points (facility location), or the budget's rows and Cholesky factor (log-determinant).
 *
 * @throws {TypeError} or {RangeError} for a bad argument, {DataError} for a reference that is not finite.
 */
export function sieveStream(options: SieveOptions): SieveStream {
  const { objective, signal } = options;
  const kind = oneOf('objective.name', objective?.name, ['facility-location', 'log-determinant']);
  const similarity = oneOf('objective.similarity', objective.similarity ?? 'cosine', SIMILARITIES);
  const gamma = objective.gamma === undefined ? undefined : above('objective.gamma', objective.gamma, 0);
  const ridge = 'ridge' in objective && objective.ridge !== undefined ? objective.ridge : 1;
  if (above('objective.ridge', ridge, 0) < 1) {
    throw outOfRange('objective.ridge', 'at least 1, so that no row lowers the value', ridge);
  }
  if (kind === 'log-determinant' && similarity === 'rbf' && gamma === undefined) {
    throw wrongType('objective.gamma', 'given, as the variance of a stream is not known beforehand', gamma);
  }
  const budget = integer('budget', options.budget, 1, 2 ** 31 - 1);
  const epsilon = above('epsilon', options.epsilon ?? 0.1, 0);
  if (epsilon >= 1) throw outOfRange('epsilon', 'below 1', epsilon);
  const threads = integer('threads', options.threads ?? 0, 0, 1024);
  const reference = objective.name === 'facility-location' ? referenceOf(objective.reference) : undefined;
  signal?.throwIfAborted();

  const open = (cols: number, isDouble: boolean) => {
    const rows = reference && sharedCopy(reference, isDouble);
    const from = { reference: rows, referenceRows: reference?.rows };
    const handle = native().sieveOpen({
      ...from,
      objective: kind,
      similarity,
      gamma,
      ridge,
      budget,
      epsilon,
      threads,
      cols,
      isDouble,
    });
    return { handle, cols, isDouble };
  };
  let stream: ReturnType<typeof open> | undefined;
  let seen = 0;
  let broken: { reason: unknown } | undefined;
  let last: Promise<void> = Promise.resolve();

  const take = async (batch: EmbeddingMatrix): Promise<void> => {
    if (broken) throw broken.reason;
    signal?.throwIfAborted();
    const { rows, cols } = batch;
    const isDouble = isFloat64Array(batch.data);
    stream ??= open(cols, isDouble);
    if (cols !== stream.cols) throw outOfRange('batch.cols', `${stream.cols}, as the rows before have`, cols);
    if (isDouble !== stream.isDouble) {
      throw wrongType('batch.data', `a ${stream.isDouble ? 'Float64Array' : 'Float32Array'}, as before`, batch.data);
    }
    const data = await sharedData(batch, 'The batch', signal);
    const control = new Int32Array(new SharedArrayBuffer(8));
    const cancel = () => Atomics.store(control, 0, 1);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      await native().sieveFit(stream.handle, { data, rows, cols, control });
      seen += rows;
      signal?.throwIfAborted();
    } catch (error) {
      const { code, row, message } = error as Error & { code?: string; row?: number };
      if (row !== undefined) {
        checkFinite(data.subarray(row * cols, (row + 1) * cols), cols, 'The batch', row);
        throw new DataError(code!, message.replace('The embedding matrix', 'The batch'), { cause: error });
      }
      const native = code?.startsWith('ERR_') ? new NativeError(code, message, { cause: error }) : error;
      // It stopped half way through the batch.
      broken = { reason: signal?.aborted ? signal.reason : native };
      throw broken.reason;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  };

  return {
    partialFit(batch) {
      const next = last.then(() => {
        checkMatrix(batch);
        if (reference && batch.cols !== reference.cols) {
          throw outOfRange('batch.cols', `${reference.cols}, as the reference has`, batch.cols);
        }
        return take(batch);
      });
      last = next.catch(() => {});
      return next;
    },
    async finish() {
      await last;
      if (broken) throw broken.reason;
      if (!stream) return { rows: new Float64Array(), gains: new Float64Array(), value: 0, seen, sieves: 0 };
      return { ...native().sieveBest(stream.handle), seen };
    },
  };
}

function above(name: string, value: unknown, least: number): number {
  if (typeof value !== 'number') throw wrongType(name, `a number > ${least}`, value);
  if (!(value > least) || !Number.isFinite(value)) throw outOfRange(name, `a number > ${least}`, value);
  return value;
}

function referenceOf(reference: EmbeddingMatrix): EmbeddingMatrix {
  if (typeof reference !== 'object' || reference === null) {
    throw wrongType('objective.reference', 'an EmbeddingMatrix', reference);
  }
  checkMatrix(reference);
  checkFinite(reference.data, reference.cols, 'The reference');
  return { ...reference, data: reference.data.slice() };
}

function sharedCopy({ data }: EmbeddingMatrix, isDouble: boolean): Float32Array | Float64Array {
  const memory = new SharedArrayBuffer(data.length * (isDouble ? 8 : 4));
  const copy = isDouble ? new Float64Array(memory) : new Float32Array(memory);
  copy.set(data);
  return copy;
}
