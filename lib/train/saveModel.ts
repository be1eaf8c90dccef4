/** Trained models as files that other programs read. */
import { writeFileAtomically } from '../files.js';
import { dptAliases } from '../models/dpt.js';
import { serializeInline } from '../onnx/serialize.js';
import { writeSafetensors } from '../weights/safetensors.js';
import { type Tensor, toHalf } from '../weights/tensor.js';
import { ADAPTER_PREFIX, type ModelConfig, modelWeights, predictionGraph, type TrainedModel } from './trainingGraph.js';

/**
 * Writes weights as safetensors under the names of an official checkpoint (`encoder.0...`, `output_adapters.depth...`,
 * with the second names that DPT's weights have there), all of the model or its encoder alone, in float32 or rounded to
 * half precision. `weights` reads each by name.
 */
export async function saveWeights(
  path: string,
  model: TrainedModel,
  weights: (name: string) => Promise<Float32Array>,
  { encoderOnly = false, half = false }: { encoderOnly?: boolean; half?: boolean } = {},
): Promise<void> {
  const tensors: Record<string, Tensor> = {};
  for (const [name, shape] of modelWeights(model)) {
    if (encoderOnly && name.startsWith('output_adapters.')) continue;
    const data = (await weights(name)) as Float32Array<ArrayBuffer>;
    tensors[name] = half ? { dtype: 'F16', shape, data: toHalf(data) } : { dtype: 'F32', shape, data };
  }
  if (model.loss !== 'masked' && model.adapter.kind === 'dpt' && !encoderOnly) {
    const short = Object.keys(tensors)
      .filter((name) => name.startsWith(ADAPTER_PREFIX))
      .map((name) => name.slice(ADAPTER_PREFIX.length));
    for (const [alias, name] of dptAliases(short)) tensors[ADAPTER_PREFIX + alias] = tensors[ADAPTER_PREFIX + name]!;
  }
  await writeSafetensors(path, tensors);
}

/**
 * Writes the model as one plain ONNX file (standard operators of opset 18 only, weights inside, batches of `batch`).
 * Inputs as `trainingGraph` names them, output `prediction`: depth in metres, or logits.
 */
export async function exportOnnx(
  path: string,
  model: ModelConfig,
  weights: (name: string) => Promise<Float32Array>,
  batch = 1,
): Promise<void> {
  const graph = predictionGraph(model, batch);
  const data = new Map<string, Float32Array>();
  for (const tensor of new Set(graph.parameters.map((parameter) => parameter.tensor))) {
    data.set(tensor, await weights(tensor));
  }
  await writeFileAtomically(path, serializeInline(graph, data));
}
