import type { WriteStream } from 'node:tty';
import type { Progress } from '../progress.js';
import { formatCount, formatSeconds } from '../report/numbers.js';

const BAR = 24;

/** One line that keeps up with the running stage; a finished stage stays above it with its time and rate. */
export interface ProgressLine {
  onProgress(progress: Progress): void;
  /** Leaves the terminal on a fresh line, whatever was going on. */
  end(): void;
}

/** Draws on a terminal; anything else stays quiet. */
export function progressLine(stream: WriteStream | NodeJS.WriteStream, now = () => performance.now()): ProgressLine {
  if (!stream.isTTY) return { onProgress: () => {}, end: () => {} };
  let stage = '';
  let started = now();
  /** Where the stage stood when it was first heard of: a resumed one does not begin at 0. */
  let first = 0;
  let open = false;

  const draw = (text: string) => stream.write(`\r${text.slice(0, (stream.columns || 80) - 1)}\x1b[K`);

  return {
    onProgress({ stage: name, done, total, unit }) {
      if (name !== stage) {
        stage = name;
        first = done;
        started = open || first > 0 ? now() : started;
      }
      const seconds = (now() - started) / 1000;
      const rate = (done - first) / seconds;
      if (done >= total) {
        const speed = rate > 0 && Number.isFinite(rate) ? `${formatRate(rate)} ${unit}/s` : '';
        draw(
          `${name.padEnd(9)} ${`${formatCount(total)} ${unit}`.padEnd(18)} ${formatSeconds(seconds).padEnd(12)} ${speed}`.trimEnd(),
        );
        stream.write('\n');
        open = false;
        stage = '';
        started = now();
        return;
      }
      open = true;
      const filled = Math.floor((done / total) * BAR);
      const bar = '━'.repeat(filled) + '╌'.repeat(BAR - filled);
      const left = rate > 0 ? `${formatRate(rate)}/s  ETA ${formatSeconds(Math.ceil((total - done) / rate))}` : '';
      draw(`${name.padEnd(9)} ${bar} ${formatCount(done)}/${formatCount(total)} ${unit}  ${left}`.trimEnd());
    },
    end() {
      if (open) stream.write('\n');
      open = false;
    },
  };
}

function formatRate(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate));
}
