/** By folder: what this process is doing in it, or did last. */
const last = new Map<string, Promise<unknown>>();

/** Runs `work` when everything that this process began before in the folder has ended: its lock keeps out others only. */
export function inTurn<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const turn = (last.get(folder) ?? Promise.resolve()).then(work);
  last.set(
    folder,
    turn.catch(() => {}),
  );
  return turn;
}
