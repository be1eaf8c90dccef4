/** The child process of a trial (lib/deviceTrial.ts): all checks on the device whose number it is given. */
import { CHECKS, type DeviceCheck, type TrialMessage } from '../deviceTrial.js';
import { checks } from './checks.js';

const tell = (message: TrialMessage) =>
  new Promise<void>((resolve, reject) => {
    process.send!(message, (error: Error | null) => (error ? reject(error) : resolve()));
  });

// Ctrl-C goes to the whole group of processes, but it is the caller who ends this one.
process.on('SIGINT', () => {});
// The caller is gone. Threads that wait for a device do not stop for less.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

const ended: DeviceCheck[] = [];
for (const name of CHECKS) {
  await tell(name);
  const start = performance.now();
  let failure: { error: string; code?: string } | undefined;
  try {
    await checks[name](`cuda:${Number(process.argv[2])}`);
  } catch (thrown) {
    const { message, code } = thrown as Error & { code?: string };
    failure = { error: message, ...(code !== undefined && { code }) };
  }
  ended.push({ name, ok: failure === undefined, seconds: (performance.now() - start) / 1000, ...failure });
}
await tell({ ok: ended.every(({ ok }) => ok), checks: ended });
process.exit(0);
