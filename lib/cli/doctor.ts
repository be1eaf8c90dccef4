import type { Command } from 'commander';
import type { DeviceTrial } from '../deviceTrial.js';
import { type DoctorReport, doctor, type Finding, type ProviderFacts } from '../doctor.js';
import { addCommand } from './command.js';

export function addDoctor(program: Command): void {
  addCommand(program, {
    name: 'doctor',
    summary: 'what this machine has: SIMD level, CUDA, ONNX Runtime providers, versions',
    examples: ['coregain doctor', 'coregain doctor --json'],
    resumes: false,
    async action(_flags, { signal }) {
      const report = await doctor({ signal });
      return { json: report, lines: table(report), failed: !report.healthy };
    },
  });
}

function table({ healthy, versions, machine, addon, images, providers, cuda, engines }: DoctorReport): string[] {
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const rows: [string, string][] = [
    ['coregain', versions.coregain],
    ['Node', `${versions.node}, ${machine.platform}`],
    ['processor', `${machine.processor}, ${machine.threads} threads`],
    ['memory', `${gib(machine.memoryBytes)}, ${gib(machine.freeMemoryBytes)} free`],
    ['addon', show(addon, ({ path }) => path)],
    ['SIMD', show(addon, ({ simd, available }) => `${simd} (of ${available.join(', ')})`)],
    ['images', show(images, ({ sharp, libvips }) => `sharp ${sharp}, libvips ${libvips}`)],
    ['ONNX Runtime', versions.onnxruntime],
    ['  CPU', show(providers.cpu, () => 'runs')],
    ['  CUDA', show(providers.cuda, onCuda)],
    [
      'NVIDIA',
      show(
        cuda,
        ({ driver, devices }) => `driver ${driver}: ${devices.map((d) => `${d.name}, ${d.memory}`).join('; ')}`,
      ),
    ],
    [
      'CUDA engines',
      show(engines, ({ devices }) =>
        devices
          .map((d, i) => `cuda:${i} ${d.name}, ${gib(d.memoryBytes)}, sm_${d.capability.replace('.', '')}`)
          .join('; '),
      ),
    ],
    ...(engines.works ? trialRows(engines.trial) : []),
  ];
  const verdict = healthy
    ? 'All that coregain needs is here.'
    : 'Something that coregain needs is missing: see "no" above.';
  return [...rows.map(([name, text]) => `${name.padEnd(14)}${text}`), '', verdict];
}

function onCuda({ tf32, onCpu }: ProviderFacts): string {
  const where =
    onCpu.length === 0
      ? 'all operators of encoder and training on the GPU'
      : `these operators fall back to the CPU: ${onCpu.join(', ')}`;
  return `runs, ${tf32 ? 'products rounded to TF32' : 'products in full float32'}; ${where}`;
}

function trialRows({ outcome, why, seconds, checks }: DeviceTrial): [string, string][] {
  const words = { passed: 'passed all checks', failed: 'failed', undecided: 'could not be tried' }[outcome];
  const auto = outcome === 'passed' ? 'auto takes it for large problems' : `auto stays on the processor: ${why}`;
  return [
    ['  trial', `cuda:0 ${words}, ${seconds.toFixed(1)} s; ${auto}`],
    ...checks.filter(({ ok }) => !ok).map(({ name, error }): [string, string] => ['', `${name}: ${error}`]),
  ];
}

function show<T>(finding: Finding<T>, text: (found: T) => string): string {
  return finding.works ? text(finding) : `no: ${finding.why}`;
}
