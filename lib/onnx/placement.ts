/**
 * Where the operators of a model run. ONNX Runtime gives every operator that a provider has no kernel for to the CPU and
 * says nothing; its profile of a run tells.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Provider = 'cpu' | 'cuda';

/** Where the operators of one model ran. */
export interface Placement {
  /** What the model was loaded for. */
  readonly provider: Provider;
  /** Number of nodes by provider and operator, after ONNX Runtime fused some and put in copies between providers. */
  readonly operators: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** How models run, for records. */
export interface Execution {
  readonly provider: Provider;
  /** Whether products and convolutions may round their factors to TF32, see `allowsTf32`. */
  readonly tf32: boolean;
  /** Operators that ran on the CPU although the models are on CUDA; absent where that is not known, and on the CPU. */
  readonly onCpu?: readonly string[] | undefined;
}

/** These three facts of an encoder, a session or a trainer, as they are now. */
export function executionOf({ provider, tf32, onCpu }: Execution): Execution {
  return { provider, tf32, ...(onCpu && { onCpu }) };
}

/**
 * Operators that ran on the CPU although their model is on CUDA; undefined where no model there has run. Our graphs
 * compute no shapes, so none has to.
 */
export function operatorsOnCpu(placements: readonly Placement[]): string[] | undefined {
  const onCuda = placements.filter(({ provider }) => provider === 'cuda');
  if (onCuda.length === 0) return undefined;
  return [...new Set(onCuda.flatMap(({ operators }) => Object.keys(operators.cpu ?? {})))].sort();
}

/** Reads a profile of ONNX Runtime: a list of events, of which each run of a node is one. */
export function readPlacement(provider: Provider, profile: string): Placement {
  const operators: Record<string, Record<string, number>> = {};
  // The nodes of a Scan run once a step.
  const seen = new Set<string>();
  for (const { cat, name, args } of JSON.parse(profile) as ProfileEvent[]) {
    if (cat !== 'Node' || !args?.provider || seen.has(name)) continue;
    seen.add(name);
    const { provider: where, op_name: operator } = args;
    operators[shortName(where)] ??= {};
    const counts = operators[shortName(where)]!;
    counts[operator] = (counts[operator] ?? 0) + 1;
  }
  return { provider, operators };
}

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly args?: { readonly provider?: string; readonly op_name: string };
}

/** `CUDAExecutionProvider` -> `cuda`. */
function shortName(provider: string): string {
  return provider.replace('ExecutionProvider', '').toLowerCase();
}

/** A profile that ONNX Runtime writes into a folder of its own. */
export interface Profile {
  /** Of the session that is profiled from its creation to its `endProfiling`. */
  readonly options: { readonly enableProfiling: true; readonly profileFilePrefix: string };
  /** What the session ran until `endProfiling`. */
  read(provider: Provider): Promise<Placement>;
  /** Deletes the folder. */
  remove(): Promise<void>;
}

export async function createProfile(): Promise<Profile> {
  const folder = await mkdtemp(join(tmpdir(), 'coregain-profile-'));
  return {
    options: { enableProfiling: true, profileFilePrefix: join(folder, 'run') },
    async read(provider) {
      const [file] = await readdir(folder);
      return readPlacement(provider, await readFile(join(folder, file!), 'utf8'));
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
