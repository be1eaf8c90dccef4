/** The reason of every abort by Ctrl-C or by a polite kill. */
export class Interrupted extends Error {}

/**
 * Turns the first Ctrl-C (SIGINT) or SIGTERM into an abort. The signals then have their default effect again: a second
 * one kills at once.
 */
export function interruptible(): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const stop = () => {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  };
  const interrupt = () => {
    stop();
    controller.abort(new Interrupted('interrupted'));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return { signal: controller.signal, stop };
}
