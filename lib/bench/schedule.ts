/** The order of measurements: contestants take turns, one at a time, and must agree. */
import { CoregainError } from '../errors.js';
import type { JobOptions } from '../progress.js';
import type { Bed, Measured } from './measure.js';
import { PAPER_MAX_ROWS, type Plan } from './plan.js';
import type { Cell, Contestant, Run } from './types.js';

/** All runs of a contestant in a cell. */
export interface Runs extends Cell, Contestant {
  readonly runs: Run[];
  agreesUpTo?: { step: number; steps: number };
}

export interface Measurements {
  readonly all: readonly Runs[];
  /** What was not run on purpose. */
  readonly notes: readonly string[];
  /** What was to run and failed. */
  readonly failures: readonly string[];
}

/**
 * Measures every contestant in every cell, `plan.repeats` times in turn. A run that fails is noted and the others go on.
 * @throws {CoregainError} `ERR_ORDERS_DIFFER` when two engines do not give the same order: then no time means anything.
 */
export async function measureAll(plan: Plan, bed: Bed, { signal, onProgress }: JobOptions): Promise<Measurements> {
  const all: Runs[] = [];
  const notes = remarks();
  const failures = remarks();
  const total = plan.cells.length * plan.contestants.length * plan.repeats;
  let done = 0;

  for (const cell of plan.cells) {
    const here = describeCell(cell);
    const running = new Set<Runs>(plan.contestants.map((contestant) => ({ ...cell, ...contestant, runs: [] })));
    all.push(...running);
    for (const entry of running) {
      const why = impossible(entry, plan);
      if (why === undefined) continue;
      notes.add(`${entry.name} was not run: ${why}`, here);
      running.delete(entry);
    }
    done += (plan.contestants.length - running.size) * plan.repeats;

    await bed.prepare(cell, signal);
    let reference: (Measured & { by: string }) | undefined;
    for (let repeat = 0; repeat < plan.repeats; repeat++) {
      for (const entry of running) {
        signal?.throwIfAborted();
        const who = `${entry.name} on ${entry.threads} ${entry.threads === 1 ? 'thread' : 'threads'}`;
        const first = entry.runs[0];
        const drop = (list: Remarks, message: string) => {
          list.add(message, here);
          running.delete(entry);
          entry.runs.length = 0;
          done += plan.repeats - repeat - 1;
        };
        try {
          const prefix = first === undefined ? 'beyondLimit' : first.extrapolated ? 'always' : 'never';
          const measured = await bed.measure(entry, prefix, signal);
          const why = unusable(entry, measured.run);
          if (why) drop(notes, `${who} ${why}`);
          else {
            entry.runs.push(measured.run);
            if (measured.run.engine) reference ??= { ...measured, by: who };
            compare(entry, measured, reference, () => ordersDiffer(here, who, reference!.by));
          }
        } catch (error) {
          if (signal?.aborted || !(error instanceof CoregainError) || error.code === 'ERR_ORDERS_DIFFER') throw error;
          // An engine that knows beforehand that its memory is not there has not failed.
          const [list, verb] = error.code === 'ERR_MEMORY' ? [notes, 'was not run'] : [failures, 'failed'];
          drop(list, `${who} ${verb}: ${error.message.replace(/\.$/, '')}`);
        }
        done++;
        onProgress?.({ stage: 'bench', done, total, unit: 'runs' });
      }
    }
  }
  return { all: all.filter(({ runs }) => runs.length > 0), notes: notes.lines(), failures: failures.lines() };
}

/** Why a contestant need not be tried on N rows. */
function impossible({ name, rows }: Runs, { gain }: Plan): string | undefined {
  if (name === 'paper' && gain !== 'cosine') return 'it is for the cosine gain only';
  if (name === 'paper' && rows > PAPER_MAX_ROWS) {
    return `its memory is a multiple of N x N, so it is run up to N = ${PAPER_MAX_ROWS}`;
  }
  return undefined;
}

/** Why a run cannot stand beside the others of its contestant. */
function unusable({ name, runs }: Runs, { engine, extrapolated }: Run): string | undefined {
  if (engine && name !== 'auto' && engine.name !== name) {
    return `was not measured: ${engine.name} ran in its place, because: ${engine.why}`;
  }
  const first = runs[0];
  if (first && (first.extrapolated === undefined) !== (extrapolated === undefined)) {
    return 'was left out: it ended within the limit in some runs and not in others. Change --limit';
  }
  return undefined;
}

/** Engines must give the order of the first one; of a baseline it is noted how far it does. */
function compare(entry: Runs, { run, order }: Measured, reference: Measured | undefined, differ: () => Error): void {
  if (!order || !reference?.order) return;
  if (!run.engine) entry.agreesUpTo = { step: agreement(order, reference.order), steps: order.length };
  else if (run.orderHash !== reference.run.orderHash) throw differ();
}

interface Remarks {
  add(message: string, where: string): void;
  /** Each message once, with all the places that it is about. */
  lines(): string[];
}

function remarks(): Remarks {
  const places = new Map<string, string[]>();
  return {
    add(message, where) {
      places.set(message, [...(places.get(message) ?? []), where]);
    },
    lines: () => [...places].map(([message, where]) => `${message} (${where.join('; ')}).`),
  };
}

/** How many leading steps two orders share. */
function agreement(a: BigInt64Array, b: BigInt64Array): number {
  const at = a.findIndex((row, i) => row !== b[i]);
  return at < 0 ? a.length : at;
}

function describeCell({ kind, rows, cols }: Cell): string {
  return `${kind} ${rows} x ${cols}`;
}

function ordersDiffer(here: string, a: string, b: string): CoregainError {
  return new CoregainError(
    'ERR_ORDERS_DIFFER',
    `The orders of ${a} and of ${b} differ on ${here}, and both claim to be exact. One of them is wrong; nothing was written. Please report it with this command line and the output of \`coregain doctor\`.`,
  );
}
