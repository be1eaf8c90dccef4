/** How far a long call has come. `done` never decreases within a stage; a stage ends with `done === total`. */
export interface Progress {
  stage: 'generate' | 'embed' | 'reduce' | 'select' | 'prepare' | 'tokens' | 'train' | 'report' | 'bench';
  done: number;
  total: number;
  /** What is counted, for display: `scenes`, `samples`, `points`, ... */
  unit: string;
}

/** Options that every long call takes. */
export interface JobOptions {
  /** Aborting rejects the promise with `signal.reason` and leaves no half-written file under its final name. */
  signal?: AbortSignal | undefined;
  /** Called on the JavaScript thread, at most about ten times a second, and once at the end of a stage. */
  onProgress?: ((progress: Progress) => void) | undefined;
}
