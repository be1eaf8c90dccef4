import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Root of the checkout. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command in the checkout with its output shown; ends this process with the command's status if it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) {
    console.error(`${command}: ${error.message}`);
    process.exit(1);
  }
  if (status !== 0) process.exit(status ?? 1);
}

/** Whether a command can be started at all. */
export function has(command) {
  return !spawnSync(command, ['--version'], { stdio: 'ignore' }).error;
}
