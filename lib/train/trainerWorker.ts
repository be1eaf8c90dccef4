/**
 * The thread that trains: a session that computes loss and gradients, one that validates, and the weights with their
 * moments between them. They never leave the thread while it trains.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { native } from '../native.js';
import type { SessionTensor } from '../onnx/messages.js';
import { createSession, type Device, guarded, serve, ThreadError, toTensor } from '../onnx/serve.js';
import type { Optimizer } from './optimizer.js';

export interface TrainerSetup {
  readonly device: Device;
  readonly threads: number;
  readonly trainPath: string;
  readonly evaluatePath: string;
  /** Trained weights, in the order of `gradients`, `scales` and `decays`. */
  readonly names: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  /** Names of the outputs with the gradients. */
  readonly gradients: readonly string[];
  readonly optimizer: Optimizer;
  /** Of each weight: factor of the learning rate, and weight decay. */
  readonly scales: readonly number[];
  readonly decays: readonly number[];
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

await serve<TrainerSetup>(async (setup) => {
  const { trainPath, evaluatePath, threads, device, names, shapes, gradients, optimizer, scales, decays } = setup;
  const { session: training, provider } = await createSession(trainPath, threads, device);
  const { session: validation } = await createSession(evaluatePath, threads, device);
  const decay = Float64Array.from(decays);
  const empty = () => shapes.map((shape) => new Float32Array(shape.reduce((product, dim) => product * dim, 1)));
  let step = 0;
  // The same memory at every step: ONNX Runtime reads the weights from it and writes the gradients into it.
  const [values, slopes, first, second] = [empty(), empty(), empty(), empty()];
  const weights = named(names, values, shapes);
  const loss = new Float32Array(1);
  const lossShape = training.outputMetadata.find(({ name }) => name === 'loss');
  const lossDims = lossShape?.isTensor ? (lossShape.shape as number[]) : [];
  const fetches = { loss: toTensor({ data: loss, dims: lossDims }), ...named(gradients, slopes, shapes) };
  const run = (session: InferenceSession, feeds: Feeds, outputs: InferenceSession.FetchesType) => {
    const tensors = Object.entries(feeds).map(([name, tensor]) => [name, toTensor(tensor)] as const);
    return guarded(() => session.run({ ...weights, ...Object.fromEntries(tensors) }, outputs));
  };

  return {
    opened: provider,
    calls: {
      async step({ feeds, learningRate }: { feeds: Feeds; learningRate: number }) {
        await run(training, feeds, fetches);
        const value = loss[0]!;
        if (!Number.isFinite(value)) {
          throw new ThreadError(
            'ERR_TRAINING_DIVERGED',
            `The loss is ${value} at step ${step + 1}, so training cannot go on. Lower the learning rate, or look for values in the data that are not finite.`,
          );
        }
        step++;
        const { beta1, beta2, epsilon, kind } = optimizer;
        native().adamStep({
          values,
          gradients: slopes,
          first,
          second,
          rates: Float64Array.from(scales, (scale) => scale * learningRate),
          decays: decay,
          beta1,
          beta2,
          epsilon,
          decoupled: kind === 'adamw',
          step,
          threads,
        });
        return { value };
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
        const value: TrainerState = { step, values: copy(values), first: copy(first), second: copy(second) };
        const buffers = [...value.values, ...value.first, ...value.second].map((array) => array.buffer as ArrayBuffer);
        return { value, transfer: buffers };
      },
      async load(state: TrainerState) {
        step = state.step;
        const put = (to: Float32Array[], from: readonly Float32Array[]) => {
          to.forEach((array, i) => {
            array.set(from[i]!);
          });
        };
        put(values, state.values);
        put(first, state.first);
        put(second, state.second);
        return { value: undefined };
      },
    },
    async close() {
      await training.release();
      await validation.release();
    },
  };
});

function named(names: readonly string[], data: readonly Float32Array[], shapes: readonly (readonly number[])[]) {
  return Object.fromEntries(
    names.map((name, i): [string, Tensor] => [name, toTensor({ data: data[i]!, dims: shapes[i]! })]),
  );
}
