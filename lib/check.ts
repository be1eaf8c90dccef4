/** Argument checks for the public border: one sentence that names the option, what it must be, and what it was. */

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'object';
  return String(value);
}

function withCode<E extends Error>(error: E, code: string): E & { code: string } {
  return Object.assign(error, { code });
}

/** `TypeError` with code `ERR_INVALID_ARG_TYPE`: "`name` must be X, but it is Y." */
export function wrongType(name: string, expected: string, actual: unknown): TypeError {
  return withCode(
    new TypeError(`\`${name}\` must be ${expected}, but it is ${show(actual)} (${typeof actual}).`),
    'ERR_INVALID_ARG_TYPE',
  );
}

/** `RangeError` with code `ERR_OUT_OF_RANGE`: "`name` must be X, but it is Y." */
export function outOfRange(name: string, expected: string, actual: unknown): RangeError {
  return withCode(new RangeError(`\`${name}\` must be ${expected}, but it is ${show(actual)}.`), 'ERR_OUT_OF_RANGE');
}

/** Returns `value` if it is an integer in [min, max]; throws TypeError / RangeError otherwise. */
export function integer(name: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const range = max === Number.MAX_SAFE_INTEGER ? `an integer >= ${min}` : `an integer in ${min}..${max}`;
  if (typeof value !== 'number') throw wrongType(name, range, value);
  if (!Number.isInteger(value) || value < min || value > max) throw outOfRange(name, range, value);
  return value;
}

/** Returns `value` if it is one of `choices`; throws TypeError / RangeError otherwise. */
export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  const expected = `one of ${choices.join(', ')}`;
  if (typeof value !== 'string') throw wrongType(name, expected, value);
  if (!(choices as readonly string[]).includes(value)) throw outOfRange(name, expected, value);
  return value as T;
}
