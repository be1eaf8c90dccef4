import type { Progress } from '../progress.js';
import { formatCount, formatSeconds } from '../report/numbers.js';

const BAR = 24;

/** What is needed of a terminal; anything that is none stays quiet. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** One line that keeps up with the running stage; a finished stage stays above it with its time and rate. */
export interface ProgressLine {
  onProgress(progress: Progress): void;
  /** Leaves the terminal on a fresh line, whatever was going on. */
  end(): void;
}

/** Draws on `screen`. `now` is a clock in milliseconds. */
export function progressLine(screen: Screen, now = () => performance.now()): ProgressLine {
  if (!screen.isTTY) return { onProgress: () => {}, end: () => {} };
  /** When the stage before ended: a stage's time includes what it does before it first reports. */
  let began = now();
  /** Where the stage stood when it first reported: what an interrupted run had done says nothing about the rate. */
  let first: { stage: string; done: number; at: number } | undefined;
  let drawn = false;

  const draw = (text: string) => screen.write(`\r${text.slice(0, (screen.columns || 80) - 1).trimEnd()}\x1b[K`);

  return {
    onProgress({ stage, done, total, unit }) {
      drawn = true;
      const name = stage.padEnd(9);
      if (first?.stage !== stage) first = { stage, done, at: now() };
      if (done >= total) {
        const seconds = (now() - began) / 1000;
        const counted = `${formatCount(total)} ${unit}`;
        draw(
          `${name} ${counted.padEnd(18)} ${formatSeconds(seconds).padEnd(12)} ${formatRate(total / seconds)} ${unit}/s`,
        );
        screen.write('\n');
        first = undefined;
        began = now();
        return;
      }
      const filled = Math.floor((done / total) * BAR);
      const bar = '━'.repeat(filled) + '╌'.repeat(BAR - filled);
      const rate = (done - first.done) / ((now() - first.at) / 1000);
      const outlook = rate > 0 ? `${formatRate(rate)}/s  ETA ${formatEta((total - done) / rate)}` : '';
      draw(`${name} ${bar} ${formatCount(done)}/${formatCount(total)} ${unit}  ${outlook}`);
    },
    end() {
      if (drawn) screen.write('\n');
      drawn = false;
    },
  };
}

function formatRate(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate));
}

function formatEta(seconds: number): string {
  return seconds < 120 ? `${Math.ceil(seconds)} s` : formatSeconds(seconds);
}
