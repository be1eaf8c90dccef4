/** The thread of one inference session. */
import type { SessionTensor } from './messages.js';
import { createSession, type Device, guarded, serve, toTensor } from './serve.js';

export interface SessionSetup {
  readonly modelPath: string;
  readonly threads: number;
  readonly device: Device;
}

export interface SessionRun {
  readonly feeds: Readonly<Record<string, SessionTensor>>;
  readonly outputs: readonly string[];
}

await serve<SessionSetup>(async ({ modelPath, threads, device }) => {
  const { session, provider } = await createSession(modelPath, threads, device);
  return {
    opened: provider,
    calls: {
      async run({ feeds, outputs }: SessionRun) {
        const tensors = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toTensor(tensor)]));
        const results = await guarded(() => session.run(tensors, outputs));
        const value = Object.fromEntries(
          outputs.map((name) => {
            const { data, dims } = results[name]!;
            return [name, { data: data as SessionTensor['data'], dims }];
          }),
        );
        return { value, transfer: Object.values(value).map(({ data }) => data.buffer as ArrayBuffer) };
      },
    },
    close: () => session.release(),
  };
});
