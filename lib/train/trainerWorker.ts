/**
 * The thread that trains: a session that computes loss and gradients, one that validates, and the weights with their
 * moments between them. They never leave the thread while it trains.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { native } from '../native.js';
import type { SessionTensor } from '../onnx/messages.js';
import type { Provider } from '../onnx/placement.js';
import { type Device, loadModel, type Model, serve, ThreadError, toTensor } from '../onnx/serve.js';
import type { Optimizer, WeightOptions } from './optimizer.js';
import { firstMoment, secondMoment, stacked, stepCoefficients, stepped } from './scanGraph.js';

export interface TrainerSetup {
  readonly device: Device;
  readonly threads: number;
  readonly trainPath: string;
  readonly evaluatePath: string;
  /** The model of `scanGraph`, which takes the steps on CUDA; undefined where that is not asked for. */
  readonly scanPath: string | undefined;
  /** Whether it does; undefined = on CUDA. */
  readonly stepsInGraph: boolean | undefined;
  /** Trained weights, in the order of `gradients` and `each`. */
  readonly names: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  /** The outputs with the gradients. */
  readonly gradients: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly optimizer: Optimizer;
  readonly each: readonly WeightOptions[];
}

export interface TrainerOpened {
  readonly provider: Provider;
  /** Whether steps are taken by the model of `scanPath`. */
  readonly inGraph: boolean;
}

/** Weights and moments, in the order of `names`. */
export interface TrainerState {
  /** Optimizer steps done. */
  readonly step: number;
  readonly values: readonly Float32Array[];
  readonly first: readonly Float32Array[];
  readonly second: readonly Float32Array[];
}

type Feeds = Readonly<Record<string, SessionTensor>>;

interface Steps {
  readonly batches: readonly Feeds[];
  readonly learningRates: readonly number[];
}

await serve<TrainerSetup>(async (setup) => {
  const { trainPath, evaluatePath, scanPath, threads, device, names, shapes, gradients, optimizer, each } = setup;
  const training = await loadModel(trainPath, threads, device);
  const { provider } = training;
  const validation = await loadModel(evaluatePath, threads, provider);
  const scan =
    scanPath !== undefined && (setup.stepsInGraph ?? provider === 'cuda')
      ? await loadModel(scanPath, threads, provider)
      : undefined;
  const empty = () => shapes.map((shape) => new Float32Array(shape.reduce((product, dim) => product * dim, 1)));
  const emptyState = () => ({ values: empty(), first: empty(), second: empty() });
  let step = 0;
  // The same memory at every step: ONNX Runtime reads the weights from it and writes the gradients into it.
  let state = emptyState();
  // What a run of `scan` writes into: it may still read the one state when it writes the other.
  let spare = scan ? emptyState() : undefined;
  const slopes = empty();
  const loss = new Float32Array(1);
  const lossShape = training.outputs.find(({ name }) => name === 'loss');
  const lossDims = lossShape?.isTensor ? (lossShape.shape as number[]) : [];
  const fetches = {
    loss: toTensor({ data: loss, dims: lossDims }),
    ...named(
      gradients.map(({ name }) => name),
      slopes,
      gradients.map(({ shape }) => shape),
    ),
  };
  const run = (model: Model, feeds: Feeds, outputs: InferenceSession.FetchesType) =>
    model.run({ ...named(names, state.values, shapes), ...tensorsOf(feeds) }, outputs);

  const diverged = (value: number) =>
    new ThreadError(
      'ERR_TRAINING_DIVERGED',
      `The loss is ${value} at step ${step + 1}, so training cannot go on. Lower the learning rate, or look for values in the data that are not finite.`,
    );

  /** Gradients from ONNX Runtime, the optimizer in this addon: on the CPU that is sooner than both in the graph. */
  const stepsOneByOne = async ({ batches, learningRates }: Steps) => {
    const losses = new Float32Array(batches.length);
    for (const [k, feeds] of batches.entries()) {
      await run(training, feeds, fetches);
      losses[k] = loss[0]!;
      if (!Number.isFinite(loss[0])) throw diverged(loss[0]!);
      step++;
      const { beta1, beta2, epsilon, kind } = optimizer;
      native().adamStep({
        ...state,
        gradients: slopes,
        rates: Float64Array.from(each, ({ scale }) => scale * learningRates[k]!),
        decays: Float64Array.from(each, ({ decay }) => decay),
        beta1,
        beta2,
        epsilon,
        decoupled: kind === 'adamw',
        step,
        threads,
      });
    }
    return losses;
  };

  const stateNames = [...names, ...names.map(firstMoment), ...names.map(secondMoment)];
  const stateShapes = [...shapes, ...shapes, ...shapes];
  const stateTensors = (rename: (name: string) => string, { values, first, second }: typeof state) =>
    named(stateNames.map(rename), [...values, ...first, ...second], stateShapes);

  const stepsByScan = async (model: Model, { batches, learningRates }: Steps): Promise<Float32Array> => {
    const columns = Object.entries(stepCoefficients(optimizer, each, learningRates, step));
    const feeds = {
      ...Object.fromEntries(columns.map(([name, data]) => [stacked(name), { data, dims: [data.length] }])),
      ...Object.fromEntries(Object.keys(batches[0]!).map((name) => [stacked(name), stack(batches, name)])),
    };
    const outputs = await model.run(
      { ...stateTensors(stacked, state), ...tensorsOf(feeds) },
      { ...stateTensors(stepped, spare!), losses: null },
    );
    const losses = (outputs.losses!.data as Float32Array).slice();
    const bad = losses.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      if (bad > 0) {
        await stepsByScan(model, { batches: batches.slice(0, bad), learningRates: learningRates.slice(0, bad) });
      }
      throw diverged(losses[bad]!);
    }
    [state, spare] = [spare!, state];
    step += batches.length;
    return losses;
  };

  return {
    opened: { provider, inGraph: scan !== undefined } satisfies TrainerOpened,
    calls: {
      async steps(work: Steps) {
        return { value: await (scan ? stepsByScan(scan, work) : stepsOneByOne(work)) };
      },
      async evaluate({ feeds }: { feeds: Feeds }) {
        const outputs = await run(validation, feeds, ['loss', 'prediction']);
        const prediction = outputs.prediction!.data as Float32Array;
        const value = { loss: (outputs.loss!.data as Float32Array)[0]!, prediction };
        return { value, transfer: [prediction.buffer as ArrayBuffer] };
      },
      async gradients({ feeds }: { feeds: Feeds }) {
        await run(training, feeds, fetches);
        return { value: { loss: loss[0]!, gradients: slopes.map((slope) => slope.slice()) } };
      },
      async save() {
        const copy = (arrays: Float32Array[]) => arrays.map((array) => array.slice());
        const { values, first, second } = state;
        const value: TrainerState = { step, values: copy(values), first: copy(first), second: copy(second) };
        const buffers = [...value.values, ...value.first, ...value.second].map((array) => array.buffer as ArrayBuffer);
        return { value, transfer: buffers };
      },
      async load(from: TrainerState) {
        step = from.step;
        for (const part of ['values', 'first', 'second'] as const) {
          state[part].forEach((array, i) => {
            array.set(from[part][i]!);
          });
        }
        return { value: undefined };
      },
    },
    async close() {
      await training.release();
      await validation.release();
      await scan?.release();
    },
  };
});

function named(names: readonly string[], data: readonly Float32Array[], shapes: readonly (readonly number[])[]) {
  return Object.fromEntries(
    names.map((name, i): [string, Tensor] => [name, toTensor({ data: data[i]!, dims: shapes[i]! })]),
  );
}

function tensorsOf(feeds: Feeds): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toTensor(tensor)]));
}

/** The same input of all mini-batches, [K, ...]. */
function stack(batches: readonly Feeds[], name: string): SessionTensor {
  const parts = batches.map((batch) => batch[name]!);
  const { data: sample, dims } = parts[0]!;
  const size = sample.length;
  const data = new (sample.constructor as Float32ArrayConstructor)(size * parts.length) as SessionTensor['data'];
  parts.forEach((part, k) => {
    (data as Float32Array).set(part.data as Float32Array, k * size);
  });
  return { data, dims: [parts.length, ...dims] };
}
