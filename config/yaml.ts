/**
 * The tree of a YAML file, in which every value keeps its place and its text as written: the field decides what
 * `1.10`, `0x1F`, `12:30:00` and `2001:db8::1` mean. `${NAME}` has its own kind of node, which only readers made with
 * `fromEnvironment` resolve; other readers report it as a mistake. parse-yaml.ts reads a file to such a tree.
 */
import type { Place, PlaceInFile, Report } from './diagnostics.ts';
import { hideSecrets, type SecretSpan } from './secrets.ts';

/** A file's text, the offsets of its lines, and the spans that diagnostics must not show. */
export type YamlFile = {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly number[];
  readonly secrets: readonly SecretSpan[];
};

/** Offsets into the file's text; `end` is exclusive. */
export type YamlSpan = { readonly file: YamlFile; readonly start: number; readonly end: number };

/** `text` has quotes and escapes resolved; `plain`: it is written without quotes. */
export type YamlScalar = YamlSpan & {
  readonly kind: 'scalar';
  readonly text: string;
  readonly plain: boolean;
  /** The text in the file, if `text` has the value of an environment variable, which messages must not show. */
  readonly written?: string;
};
/** A text with `${NAME}` in it. */
export type YamlReference = YamlSpan & {
  readonly kind: 'reference';
  /** The variables that it names. */
  readonly names: readonly string[];
  /** The text in the file, which messages may show. */
  readonly written: string;
  /** Replaces the variables by their values. A missing variable is reported once. */
  readonly resolve: (report: Report) => YamlScalar | YamlBroken;
};
export type YamlEntry = { readonly key: YamlScalar; readonly value: YamlNode };
export type YamlMap = YamlSpan & { readonly kind: 'map'; readonly entries: readonly YamlEntry[] };
export type YamlList = YamlSpan & { readonly kind: 'list'; readonly items: readonly YamlNode[] };
/** Nothing, `~` or `null`. */
export type YamlNull = YamlSpan & { readonly kind: 'null' };
/** It has a mistake, which has been reported: readers skip it. */
export type YamlBroken = YamlSpan & { readonly kind: 'broken' };
export type YamlNode = YamlScalar | YamlReference | YamlMap | YamlList | YamlNull | YamlBroken;

/** The place of a node, or of `length` characters at `offset` in it. */
export function nodePlace(node: YamlSpan, offset = 0, length = node.end - node.start - offset): PlaceInFile {
  return yamlPlace(node.file, node.start + offset, length);
}

/**
 * The place of `length` characters at `offset` in a scalar's text. If escapes or the environment make the text differ
 * from the source, the place of the whole scalar.
 */
export function placeInText(node: YamlScalar, offset: number, length = 1): PlaceInFile {
  const source = node.file.text.slice(node.start, node.end);
  const quote = source.startsWith('"') || source.startsWith("'") ? 1 : 0;
  const same = source.slice(quote, source.length - quote) === node.text;
  return same ? nodePlace(node, quote + Math.min(offset, node.text.length), length) : nodePlace(node);
}

/** Whether YAML resolves escapes in it, which it does only in double quotes. */
export function isDoubleQuoted(node: YamlScalar): boolean {
  return node.file.text[node.start] === '"';
}

/** The place of a file as a whole. */
export function placeOfFile(path: string): Place {
  return { file: path };
}

/** The place of `length` characters at an offset of the file. */
export function yamlPlace(file: YamlFile, offset: number, length: number): PlaceInFile {
  let low = 0;
  let high = file.lines.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((file.lines[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  const start = file.lines[low] ?? 0;
  const excerpt = hideSecrets(file.text.slice(start, file.lines[low + 1]).trimEnd(), start, file.secrets);
  const column = offset - start + 1;
  const rest = Math.max(1, excerpt.length - column + 1);
  return { file: file.path, line: low + 1, column, length: Math.max(1, Math.min(length, rest)), excerpt };
}

/** Whether a part of the text overlaps what diagnostics must not show. */
export function isSecret({ secrets }: YamlFile, start: number, end: number): boolean {
  return secrets.some((span) => span.start < end && start < span.end);
}

/** The variables in a node and below it. */
export function variablesIn(node: YamlNode): readonly string[] {
  if (node.kind === 'reference') return node.names;
  if (node.kind === 'list') return node.items.flatMap(variablesIn);
  return node.kind === 'map' ? node.entries.flatMap(({ value }) => variablesIn(value)) : [];
}

/** Reports `${NAME}` in a value that cannot use it. `why` is appended to the message. */
export function refuseReference(node: YamlReference, name: string, report: Report, why = ''): void {
  const hint =
    'write the value; only keys for secrets, addresses and paths take ${NAME}; $${ is for the characters themselves';
  report.error('PH095', `${name} takes no \${NAME}${why}`, nodePlace(node), hint);
}

/** An empty file, from which defaults are read. */
export function nothing(path: string): YamlNull {
  return { kind: 'null', file: { path, text: '', lines: [0], secrets: [] }, start: 0, end: 0 };
}
