import { readFileSync } from 'node:fs';

const read = (url: URL) => (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;

/** Version of coregain. */
export const version = read(new URL('../package.json', import.meta.url));
