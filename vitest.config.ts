import { defineConfig } from 'vitest/config';

// The tests import the built package (`coregain`, `#lib/...`), so what is tested is what ships.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    server: { deps: { external: [/\/dist\//] } },
  },
});
