import type { FileHandle } from 'node:fs/promises';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModelError } from '../errors.js';
import type { Graph } from './graph.js';
import { extractParameter } from './parameters.js';
import { serializeModel } from './serialize.js';

const ALIGNMENT = 64;
const PARAMETER_FILE = 'parameters.bin';

/**
 * A graph on its way to ONNX Runtime: the parameters go through a file in the temporary folder, which the runtime maps
 * into memory. In one piece with the model they would be in memory three times and could not exceed 2 GB.
 */
export interface ModelFolder {
  /** Stores every parameter that comes from this checkpoint tensor; `data` is the whole tensor, row-major. */
  put(tensor: string, data: Float32Array): Promise<void>;
  /** Writes the model, once all parameters are there, and returns its path. */
  finish(): Promise<string>;
  /** Deletes the folder; a session that has loaded the model does not need it any more. */
  remove(): Promise<void>;
}

/** Makes the folder. ModelError `ERR_TEMPORARY_FOLDER` where it cannot be written, by `put` and `finish` too. */
export async function createModelFolder(graph: Graph): Promise<ModelFolder> {
  const folder = await guard(() => mkdtemp(join(tmpdir(), 'coregain-model-')));
  const remove = () => rm(folder, { recursive: true, force: true });
  let file: FileHandle;
  try {
    file = await guard(() => open(join(folder, PARAMETER_FILE), 'w'));
  } catch (error) {
    await remove();
    throw error;
  }
  const offsets = new Map<string, { offset: number; length: number }>();
  let position = 0;
  return {
    async put(tensor, data) {
      for (const parameter of graph.parameters) {
        if (parameter.tensor !== tensor) continue;
        const values = extractParameter(parameter, data);
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await guard(() => file.write(bytes, done, bytes.length - done, position + done));
          done += bytesWritten;
        }
        offsets.set(parameter.name, { offset: position, length: bytes.length });
        position += Math.ceil(bytes.length / ALIGNMENT) * ALIGNMENT;
      }
    },
    async finish() {
      await file.close();
      const path = join(folder, 'model.onnx');
      await guard(() => writeFile(path, serializeModel(graph, { file: PARAMETER_FILE, offsets })));
      return path;
    },
    async remove() {
      await file.close();
      await remove();
    },
  };
}

async function guard<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new ModelError(
      'ERR_TEMPORARY_FOLDER',
      `The model cannot be written to the temporary folder ${tmpdir()}: ${(cause as Error).message}. Make room there, or set TMPDIR to another folder.`,
      { cause },
    );
  }
}
