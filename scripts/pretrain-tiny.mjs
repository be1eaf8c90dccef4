// Makes weights/tiny.safetensors, the encoder that is used where nothing is said: rendered scenes of both kinds, depth as
// the task (or masked images, for comparison), half precision. About twelve minutes on two cores. Run it after `npm run build`:
//
//     node scripts/pretrain-tiny.mjs [--objective depth] [--steps 5000] [--size 128] [--threads 0] [--work folder] [--out weights/tiny.safetensors]
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generateScenes, pretrain } from '../dist/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    objective: { type: 'string', default: 'depth' },
    steps: { type: 'string', default: '5000' },
    size: { type: 'string', default: '128' },
    scenes: { type: 'string', default: '2000' },
    threads: { type: 'string', default: '0' },
    work: { type: 'string', default: join(tmpdir(), 'coregain-pretrain-tiny') },
    out: { type: 'string', default: join(root, 'weights', 'tiny.safetensors') },
  },
});
const [steps, size, scenes, threads] = [values.steps, values.size, values.scenes, values.threads].map(Number);

// Seeds that no example or experiment uses.
const lines = [];
for (const [regime, seed] of [
  ['uniform', 900_001],
  ['logs', 900_002],
]) {
  const folder = join(values.work, regime);
  await generateScenes(folder, { scenes, size, regime, seed, valFraction: 0.05, threads });
  for (const line of (await readFile(join(folder, 'manifest.jsonl'), 'utf8')).trim().split('\n')) {
    const sample = JSON.parse(line);
    for (const kind of ['rgb', 'semseg', 'depth', 'instance', 'scene']) sample[kind] = `${regime}/${sample[kind]}`;
    lines.push(JSON.stringify({ ...sample, id: `${regime}-${sample.id}` }));
  }
}
await mkdir(values.work, { recursive: true });
await writeFile(join(values.work, 'manifest.jsonl'), `${lines.join('\n')}\n`);

const result = await pretrain({
  data: values.work,
  objective: values.objective,
  encoder: { preset: 'tiny', image: size, seed: 0 },
  steps,
  half: true,
  threads,
  out: join(values.work, `${values.objective}-${size}`),
  onProgress: ({ stage, done, total }) => process.stderr.write(`\r${stage} ${done}/${total} `),
});
process.stderr.write('\n');
for (const { step, trainLoss, valLoss, metrics } of result.curve) {
  const measured = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(3)}`);
  console.log(
    `step ${step}: training loss ${trainLoss.toFixed(4)}, validation ${valLoss.toFixed(4)}, ${measured.join(', ')}`,
  );
}
await mkdir(dirname(values.out), { recursive: true });
await copyFile(result.encoder, values.out);
console.log(`${values.out}: ${steps} steps in ${Math.round(result.seconds)} s`);
