import { type Dim, fixedShape, type Graph } from './graph.js';
import type { SessionTensor } from './messages.js';
import { createModelFolder } from './modelFolder.js';
import type { Placement } from './placement.js';
import { openSession } from './session.js';

/**
 * Runs a graph once, with zeros for all inputs and weights, and says where its operators were.
 * @param sizes those that the graph knows by name only.
 * @throws {ModelError} as `createModelFolder`, `openSession` and its `run` do.
 */
export async function rehearse(
  graph: Graph,
  device: 'cpu' | 'cuda',
  sizes: Readonly<Record<string, number>> = {},
): Promise<Placement> {
  const folder = await createModelFolder(graph);
  try {
    for (const [tensor, length] of tensorLengths(graph)) await folder.put(tensor, new Float32Array(length));
    const session = await openSession(await folder.finish(), { device, threads: 1, placement: true });
    try {
      const named = (dim: Dim) => (typeof dim === 'number' ? dim : (sizes[dim] ?? dim));
      const feeds = graph.inputs.map((input): [string, SessionTensor] => {
        const dims = fixedShape(graph, 'Rehearsal', { ...input, shape: input.shape.map(named) });
        const length = product(dims);
        const data = input.dtype === 'int32' ? new Int32Array(length) : new Float32Array(length);
        return [input.name, { data, dims }];
      });
      await session.run(
        Object.fromEntries(feeds),
        graph.outputs.map(({ name }) => name),
      );
      return session.placement!;
    } finally {
      await session.close();
    }
  } finally {
    await folder.remove();
  }
}

/** Elements of the checkpoint tensors that the graph takes rows of, as far as it takes them. */
function tensorLengths({ parameters }: Graph): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const { tensor, shape, rows } of parameters) {
    const length = rows ? (product(shape) / (rows[1] - rows[0])) * rows[1] : product(shape);
    lengths.set(tensor, Math.max(length, lengths.get(tensor) ?? 0));
  }
  return lengths;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}
