import { expect, test } from 'vitest';
import { progressLine } from '#lib/cli/progressLine.js';

function terminal(columns = 120) {
  let text = '';
  let now = 0;
  const screen = {
    isTTY: true,
    columns,
    write(part: string) {
      text += part;
    },
  };
  const line = progressLine(screen, () => now);
  return {
    line,
    at(seconds: number, stage: 'embed' | 'select', done: number, total: number) {
      now = seconds * 1000;
      line.onProgress({ stage, done, total, unit: 'samples' });
    },
    /** What stands on the terminal. */
    lines: () => text.split('\n').map((part) => part.slice(part.lastIndexOf('\r') + 1).replaceAll('\x1b[K', '')),
    raw: () => text,
  };
}

test('one line keeps up; a finished stage stays with its time and rate', () => {
  const { at, lines, line } = terminal();
  at(1, 'embed', 0, 100);
  at(2, 'embed', 25, 100);
  expect(lines()).toEqual(['embed     ━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 25/100 samples  25/s  ETA 3 s']);
  at(5, 'embed', 100, 100);
  at(6, 'select', 5, 10);
  at(7, 'select', 10, 10);
  expect(lines()).toEqual([
    'embed     100 samples        5.00 s       20 samples/s',
    'select    10 samples         2.00 s       5.0 samples/s',
    '',
  ]);
  line.end();
  expect(lines().slice(2)).toEqual(['', '']);
});

test('what was there before says nothing about the rate', () => {
  const { at, lines } = terminal();
  at(0, 'embed', 900, 1000);
  at(10, 'embed', 910, 1000);
  expect(lines()[0]).toMatch(/ 1\.0\/s {2}ETA 90 s$/);
});

test('the line is never longer than the terminal', () => {
  const { at, raw } = terminal(30);
  at(0, 'embed', 0, 100_000);
  at(1, 'embed', 50, 100_000);
  for (const part of raw().split('\r')) expect(part.replaceAll('\x1b[K', '').length).toBeLessThan(30);
});

test('without a terminal it is quiet', () => {
  const written: string[] = [];
  const line = progressLine({ write: (text) => written.push(text) });
  line.onProgress({ stage: 'embed', done: 1, total: 1, unit: 'samples' });
  line.end();
  expect(written).toEqual([]);
});
