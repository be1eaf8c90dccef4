import { expect, test } from 'vitest';
import { benchPage } from '#lib/bench/page.js';
import { measureAll } from '#lib/bench/schedule.js';
import { exponents, summarize } from '#lib/bench/summarize.js';
import { benchLines } from '#lib/bench/table.js';
import type { BenchReport } from '#lib/bench/types.js';
import { extrapolated, fakeBed, machine, measured, plan } from './fakes.js';

async function report(withGuess: boolean): Promise<BenchReport> {
  const bed = fakeBed((contestant, cell) =>
    withGuess && contestant.name === 'sweep' && cell.rows === 400
      ? extrapolated(contestant, cell)
      : measured(contestant, cell),
  );
  const { all, notes, failures } = await measureAll(plan(), bed, {});
  const results = summarize(all, { machine, bins: 10, bytesPerValue: 4 });
  return {
    ...{ format: 'coregain-bench', formatVersion: 1, date: '2026-01-02T03:04:05.000Z', version: '0.0.0', machine },
    settings: { bins: 10, gain: 'cosine', repeats: 3, limitSeconds: 60, seed: 0 },
    ...{ results, exponents: exponents(results), notes, failures },
  };
}

test('the page fetches nothing, and text of the machine is no markup', async () => {
  const page = benchPage(await report(true));
  const attributes = [...page.matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, url]) => url);
  expect(attributes).toEqual(['data:,']);
  expect(page).not.toMatch(/<script|@import|url\(/);
  expect(page).toContain('&lt;script src=&quot;http://elsewhere');
  expect(page).toContain('default-src &#39;none&#39;; img-src data:; style-src &#39;unsafe-inline&#39;"');
  expect(page).toContain('prefers-color-scheme:dark');
});

test('extrapolated: hollow and dashed in the chart, ~ in the tables; nothing of it where all was measured', async () => {
  const guess = await report(true);
  const page = benchPage(guess);
  expect(page.match(/class="hole"/g)).toHaveLength(1);
  expect(page.match(/class="line guess"/g)).toHaveLength(1);
  expect(page.match(/<tr class="guess">/g)).toHaveLength(1);
  const row = benchLines(guess).find((line) => /^ *sweep, 1 thread +400/.test(line));
  expect(row).toMatch(/ ~160 ms +~160 ms\.\.~160 ms +~320 ms +~1\.0x /);
  expect(benchLines(guess)).toContain('~ extrapolated from a timed prefix, not measured');

  const whole = await report(false);
  expect(benchPage(whole)).not.toMatch(/class="(hole|line guess|guess)"/);
  expect(benchLines(whole).join('\n')).not.toContain('~');
});

test('one point for each result, one entry of the key with its exponent for each contestant', async () => {
  const page = benchPage(await report(false));
  expect(page.match(/class="point"/g)).toHaveLength(9);
  expect(page).toContain('<b>lazy, 1 thread</b> <span>time N^1.50, dot products N^1.50</span>');
  expect(page).toContain('<b>numpy, 1 thread</b> <span>time N^2.00</span>');
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
});
