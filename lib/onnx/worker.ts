/** The thread of one inference session. */
import type { SessionTensor } from './messages.js';
import { type Device, loadModel, serve, toTensor } from './serve.js';

export interface SessionSetup {
  readonly modelPath: string;
  readonly threads: number;
  readonly device: Device;
  readonly placement: boolean;
}

export interface SessionRun {
  readonly feeds: Readonly<Record<string, SessionTensor>>;
  readonly outputs: readonly string[];
}

await serve<SessionSetup>(async ({ modelPath, threads, device, placement }) => {
  const model = await loadModel(modelPath, threads, device, placement);
  return {
    opened: model.provider,
    calls: {
      async run({ feeds, outputs }: SessionRun) {
        const tensors = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toTensor(tensor)]));
        const results = await model.run(tensors, outputs);
        const value = Object.fromEntries(
          outputs.map((name) => {
            const { data, dims } = results[name]!;
            return [name, { data: data as SessionTensor['data'], dims }];
          }),
        );
        return { value, transfer: Object.values(value).map(({ data }) => data.buffer as ArrayBuffer) };
      },
    },
    close: () => model.release(),
  };
});
