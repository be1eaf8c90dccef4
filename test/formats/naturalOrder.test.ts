import { expect, test } from 'vitest';
import { naturalOrder } from '#lib/formats/naturalOrder.js';

test('numbers by their value, of any length; the rest by code units', () => {
  const ordered = [
    '',
    '9',
    '10',
    'A.npy',
    'a/part-2.npy',
    'a/part-10.npy',
    'a-1',
    'a-1-2',
    'a-1-10',
    'a-01-11',
    'part-99999999999999999998',
    'part-99999999999999999999',
    'z',
  ].sort((a, b) => (a < b ? 1 : -1));
  expect(ordered.sort(naturalOrder)).toEqual([
    '',
    '9',
    '10',
    'A.npy',
    'a-1',
    'a-1-2',
    'a-1-10',
    'a-01-11',
    'a/part-2.npy',
    'a/part-10.npy',
    'part-99999999999999999998',
    'part-99999999999999999999',
    'z',
  ]);
});

test('names that differ only in zeros have one order', () => {
  expect(['x1', 'x01', 'x001'].sort(naturalOrder)).toEqual(['x001', 'x01', 'x1'].sort(naturalOrder));
  expect(naturalOrder('x01', 'x1')).toBe(-naturalOrder('x1', 'x01'));
  expect(naturalOrder('x1', 'x1')).toBe(0);
});
