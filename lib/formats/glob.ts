import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Whether a path has wildcards: `*`, `?`, `**`. */
export function hasWildcards(path: string): boolean {
  return /[*?]/.test(path);
}

/**
 * The files that a pattern names: `*` is any characters but /, `?` one, `**` any folders. Names that begin with a dot are
 * found only where the pattern says the dot. (`fs.glob` came with Node 22.)
 */
export async function glob(pattern: string): Promise<string[]> {
  const parts = pattern.split('/').filter((part, i) => part !== '' || i === 0);
  const found = new Set<string>();
  await walk(pattern.startsWith('/') ? '/' : '', pattern.startsWith('/') ? parts.slice(1) : parts, found);
  return [...found];
}

async function walk(folder: string, [part, ...others]: string[], found: Set<string>): Promise<void> {
  if (part === undefined) return;
  if (part === '**') {
    if (others.length === 0) others = ['*'];
    await walk(folder, others, found);
    for (const entry of await entriesOf(folder)) {
      if (entry.isDirectory() && !entry.name.startsWith('.'))
        await walk(join(folder, entry.name), ['**', ...others], found);
    }
    return;
  }
  if (!hasWildcards(part) && others.length > 0) return walk(join(folder, part), others, found);
  const matches = matcher(part);
  for (const entry of await entriesOf(folder)) {
    const { name } = entry;
    if (!matches.test(name) || (name.startsWith('.') && !part.startsWith('.'))) continue;
    if (others.length > 0) await walk(join(folder, name), others, found);
    else if (!entry.isDirectory()) found.add(join(folder, name));
  }
}

function matcher(part: string): RegExp {
  const source = part.replace(/[^*?]/g, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
  return new RegExp(`^${source.replace(/\*+/g, '[^]*').replace(/\?/g, '[^]')}$`, 'u');
}

/** None where there is no folder: a pattern that finds nothing is the caller's to report. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder || '.', { withFileTypes: true }).catch(() => []);
}
