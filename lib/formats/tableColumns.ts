/** Which column of a table holds the embeddings, or which columns do. */
import { DataError } from '../errors.js';
import { conversionNotes, ELEMENTS, type ElementType } from './elements.js';

/** A column of a table. */
export interface TableColumn {
  readonly name: string;
  /** Whether a row has one value or many. */
  readonly shape: 'list' | 'scalar';
  /** Type of its numbers; undefined where it has none. */
  readonly type: ElementType | undefined;
  /** In the words of the format. */
  readonly typeName: string;
}

/** Embeddings in one column of lists, or in a column of numbers for each of the d features. */
export interface EmbeddingColumns {
  readonly shape: 'list' | 'scalar';
  /** In the order of the features; one for lists. */
  readonly columns: readonly (TableColumn & { type: ElementType })[];
  /** What messages call it: `column "emb"`. */
  readonly label: string;
  /** Sentences about a choice that the table left open. */
  readonly notes: readonly string[];
}

/** As many names as a sentence bears. */
const MOST_NAMES = 20;

/**
 * The columns that `name` names: one (a list of numbers, or one number), several (`x,y,z`), or all of a pattern (`f*`, in the
 * order of the table). Without it the only column that is a list of numbers, or, where there is none, every column of
 * floating-point numbers.
 * @throws {DataError} `ERR_COLUMN_MISSING`, `ERR_COLUMN_AMBIGUOUS`, `ERR_COLUMN_UNFIT`; each lists what is there.
 */
export function chooseColumns(
  path: string,
  columns: readonly TableColumn[],
  name: string | undefined,
): EmbeddingColumns {
  if (name !== undefined) return named(path, columns, name);
  const lists = columns.filter(({ shape, type }) => shape === 'list' && type !== undefined);
  if (lists.length > 1) {
    throw new DataError(
      'ERR_COLUMN_AMBIGUOUS',
      `${path} has several columns that embeddings may be. Say which with \`name\`: ${list(lists)}.`,
    );
  }
  const chosen = lists.length > 0 ? lists : columns.filter(({ type }) => type?.includes('float'));
  if (chosen.length === 0) {
    throw new DataError(
      'ERR_COLUMN_UNFIT',
      `${path} has no column of lists of numbers and none of floating-point numbers, only ${list(columns)}. Say with \`name\` what the embeddings are.`,
    );
  }
  const found = usable(path, chosen);
  if (found.shape === 'list') return found;
  const ends = [...new Set([chosen[0]!, chosen.at(-1)!])].map((column) => JSON.stringify(column.name)).join(' to ');
  const others = columns.length > chosen.length ? ', all that are floating-point' : '';
  return {
    ...found,
    notes: [`${path} has no lists of numbers; its features are ${chosen.length} columns, ${ends}${others}.`],
  };
}

function named(path: string, columns: readonly TableColumn[], name: string): EmbeddingColumns {
  const exact = columns.find((column) => column.name === name);
  if (exact) return usable(path, [exact]);
  const chosen = name.split(',').flatMap((part) => {
    const wanted = part.trim();
    const one = columns.find((column) => column.name === wanted);
    if (one) return [one];
    const matches = wanted.includes('*') ? columns.filter((column) => pattern(wanted).test(column.name)) : [];
    if (matches.length > 0) return matches;
    throw new DataError(
      'ERR_COLUMN_MISSING',
      `${path} has no column ${JSON.stringify(wanted)}. Give \`name\` as one of those there, or several: ${list(columns)}.`,
    );
  });
  const twice = chosen.find((column, i) => chosen.indexOf(column) !== i);
  if (twice) {
    throw new DataError(
      'ERR_COLUMN_AMBIGUOUS',
      `\`name\` has the column ${JSON.stringify(twice.name)} of ${path} twice. Name each once.`,
    );
  }
  return usable(path, chosen);
}

function pattern(text: string): RegExp {
  const parts = text.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

function usable(path: string, columns: readonly TableColumn[]): EmbeddingColumns {
  const unfit = columns.find(({ type, shape }) => type === undefined || (shape === 'list' && columns.length > 1));
  if (unfit) {
    const why = unfit.type === undefined ? 'embeddings are numbers' : 'several columns are one number each';
    throw new DataError(
      'ERR_COLUMN_UNFIT',
      `${path}: the column ${show(unfit)} cannot be read, because ${why}. Choose another \`name\`, or convert it.`,
    );
  }
  const [first] = columns as EmbeddingColumns['columns'];
  return {
    shape: first!.shape,
    columns: columns as EmbeddingColumns['columns'],
    label: columns.length === 1 ? `column ${JSON.stringify(first!.name)}` : 'set of feature columns',
    notes: [],
  };
}

/** The smaller type that holds the values of all. */
export function columnType({ columns }: EmbeddingColumns): 'float32' | 'float64' {
  return columns.some(({ type }) => ELEMENTS[type].as === 'float64') ? 'float64' : 'float32';
}

/** Sentences about types that are not given as they are stored. */
export function columnNotes(path: string, chosen: EmbeddingColumns): string[] {
  const dtype = columnType(chosen);
  const source = `${path}: the ${chosen.label}`;
  return [...new Set(chosen.columns.map(({ type }) => type))].flatMap((type) =>
    ELEMENTS[type].as === dtype
      ? conversionNotes(source, { type })
      : [`${source} holds ${type} beside wider numbers; read as ${dtype}.`],
  );
}

/** @throws {DataError} `ERR_COLUMN_MISSING`. */
export function findColumn<T extends { readonly name: string }>(path: string, columns: readonly T[], name: string): T {
  const found = columns.find((column) => column.name === name);
  if (found) return found;
  throw new DataError(
    'ERR_COLUMN_MISSING',
    `${path} has no column ${JSON.stringify(name)}. Those there are ${names(columns)}.`,
  );
}

function show({ name, typeName }: TableColumn): string {
  return `${JSON.stringify(name)} (${typeName})`;
}

function list(columns: readonly TableColumn[]): string {
  return shorten(columns.map(show));
}

function names(columns: readonly { readonly name: string }[]): string {
  return shorten(columns.map(({ name }) => JSON.stringify(name)));
}

function shorten(words: readonly string[]): string {
  const more = words.length - MOST_NAMES;
  return `${words.slice(0, MOST_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** @throws {DataError} `ERR_LIST_LENGTH`: embeddings are [N, d] with one d. Rows count from 0. */
export function ragged(path: string, label: string, row: number, length: number, cols: number): DataError {
  return new DataError(
    'ERR_LIST_LENGTH',
    `${path}: the ${label} has ${length} values in row ${row} (counted from 0), but ${cols} in those before. Leave such rows out, or make all lists equally long.`,
  );
}

/** @throws {DataError} `ERR_NULL`. */
export function isNull(path: string, label: string, row: number, cure: string): DataError {
  return new DataError('ERR_NULL', `${path}: the ${label} is NULL in row ${row} (counted from 0). ${cure}`);
}

/** @throws {DataError} `ERR_NULL`. */
export function hasNull(path: string, label: string, row: number, col: number): DataError {
  return new DataError(
    'ERR_NULL',
    `${path}: the ${label} has NULL in row ${row}, value ${col} (counted from 0). Repair that row, or leave it out.`,
  );
}
