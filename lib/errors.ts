/**
 * Every failure that coregain reports is one of these classes, or a `TypeError` / `RangeError` for a bad argument.
 * All carry a stable `code` (`ERR_...`). The message is whole sentences: what is wrong, naming the file, row or
 * option, then the cure.
 */
export class CoregainError extends Error {
  /** Stable machine-readable identifier, e.g. `ERR_NPY_TRUNCATED`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A file or data set that cannot be used: missing, truncated, wrong type, mismatched rows, NaN. */
export class DataError extends CoregainError {}

/** Model weights or a model description that cannot be used: hostile or legacy checkpoint, missing tensor, wrong shape. */
export class ModelError extends CoregainError {}

/** A configuration file or command-line flag that cannot be used. The CLI exits with 2. */
export class ConfigError extends CoregainError {}

/** The native addon could not be loaded or failed. */
export class NativeError extends CoregainError {}
