const COUNT = new Intl.NumberFormat('en-US');
const COMPACT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 4 });
const PLAIN = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 5 });
const PERCENT = new Intl.NumberFormat('en-US', { style: 'percent', maximumSignificantDigits: 3 });

/** 12345 -> `12,345`. */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** `1 bin`, `10 bins`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** part / whole as a percentage of three digits. */
export function formatShare(part: number, whole: number): string {
  return whole === 0 ? '0%' : PERCENT.format(part / whole);
}

/** A real number short enough for an axis, with a true minus sign. */
export function formatValue(value: number): string {
  const size = Math.abs(value);
  const unreadable = size !== 0 && (size < 1e-3 || size >= 1e15);
  const text = unreadable ? value.toExponential(2) : (size < 1e5 ? PLAIN : COMPACT).format(value);
  return text.replaceAll('-', '\u2212');
}

/** Seconds as a person says them: `0.42 s`, `34.2 s`, `12 min 5 s`, `3 h 20 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 7200) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
