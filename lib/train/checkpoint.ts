/** Training in a file: weights, moments and what was measured so far, so that a killed run goes on bit-identically. */
import { stat } from 'node:fs/promises';
import { DataError } from '../errors.js';
import { readSafetensors, writeSafetensors } from '../weights/safetensors.js';
import type { Tensor } from '../weights/tensor.js';
import type { TrainerState } from './trainer.js';

const PARTS = ['values', 'first', 'second'] as const;

/** Writes the state under one name, whole or not at all. `notes` is any JSON value. */
export function writeCheckpoint(
  path: string,
  names: readonly string[],
  state: TrainerState,
  notes: unknown,
): Promise<void> {
  const tensors: Record<string, Tensor> = {};
  const text = new TextEncoder().encode(JSON.stringify({ step: state.step, notes }));
  tensors.notes = { dtype: 'U8', shape: [text.length], data: text };
  for (const part of PARTS) {
    names.forEach((name, i) => {
      const data = state[part][i]!;
      tensors[`${part}.${name}`] = { dtype: 'F32', shape: [data.length], data: data as Float32Array<ArrayBuffer> };
    });
  }
  return writeSafetensors(path, tensors);
}

/**
 * Reads a checkpoint of a model with these weights; undefined where there is none.
 * @throws {DataError} `ERR_CHECKPOINT` where it belongs to another model.
 */
export async function readCheckpoint(
  path: string,
  names: readonly string[],
): Promise<{ state: TrainerState; notes: unknown } | undefined> {
  if (!(await stat(path).catch(() => undefined))) return undefined;
  const tensors = await readSafetensors(path);
  const list = (part: (typeof PARTS)[number]) =>
    names.map((name) => {
      const tensor = tensors[`${part}.${name}`];
      if (tensor) return tensor.data as Float32Array;
      throw new DataError(
        'ERR_CHECKPOINT',
        `${path} lacks "${part}.${name}", so it belongs to another model. Remove it: the run starts anew.`,
      );
    });
  const { step, notes } = JSON.parse(new TextDecoder().decode(tensors.notes?.data as Uint8Array));
  return { state: { step, values: list('values'), first: list('first'), second: list('second') }, notes };
}
