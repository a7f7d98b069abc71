/**
 * Reads a YAML file (1.2, core schema) to a tree in which every value keeps its place and its text as written: the
 * field decides what `1.10`, `0x1F`, `12:30:00` and `2001:db8::1` mean. Aliases are resolved and duplicate keys are
 * reported here. `${NAME}` has its own kind of node, which only readers made with `fromEnvironment` resolve; other
 * readers report it as a mistake.
 */
import { isUtf8 } from 'node:buffer';
import { isAlias, isMap, isScalar, isSeq, parseDocument, type YAMLParseError } from 'yaml';
import { MAX_NAME_OCTETS } from '../wire/limits.ts';
import type { Place, PlaceInFile, Report } from './diagnostics.ts';
import { expandEnvironment, referencesIn, type Environment } from './environment.ts';
import { MAX_ALIASED_NODES, MAX_SYNTAX_ERRORS, MAX_YAML_BYTES, MAX_YAML_DEPTH } from './limits.ts';
import { faultOf, readRegularFile } from './read-file.ts';
import { hideInMessage, hideSecrets, secretsInText, secretSpans, type SecretSpan } from './secrets.ts';

/** A file's text, the offsets of its lines, and the spans that diagnostics must not show. */
export type YamlFile = {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly number[];
  readonly secrets: readonly SecretSpan[];
};

/** Offsets into the file's text; `end` is exclusive. */
type Span = { readonly file: YamlFile; readonly start: number; readonly end: number };

/** `text` has quotes and escapes resolved; `plain`: it is written without quotes. */
export type YamlScalar = Span & {
  readonly kind: 'scalar';
  readonly text: string;
  readonly plain: boolean;
  /** The text in the file, if `text` has the value of an environment variable, which messages must not show. */
  readonly written?: string;
};
/** A text with `${NAME}` in it. */
export type YamlReference = Span & {
  readonly kind: 'reference';
  /** The variables that it names. */
  readonly names: readonly string[];
  /** The text in the file, which messages may show. */
  readonly written: string;
  /** Replaces the variables by their values. A missing variable is reported once. */
  readonly resolve: (report: Report) => YamlScalar | YamlBroken;
};
export type YamlEntry = { readonly key: YamlScalar; readonly value: YamlNode };
export type YamlMap = Span & { readonly kind: 'map'; readonly entries: readonly YamlEntry[] };
export type YamlList = Span & { readonly kind: 'list'; readonly items: readonly YamlNode[] };
/** Nothing, `~` or `null`. */
export type YamlNull = Span & { readonly kind: 'null' };
/** It has a mistake, which has been reported: readers skip it. */
export type YamlBroken = Span & { readonly kind: 'broken' };
export type YamlNode = YamlScalar | YamlReference | YamlMap | YamlList | YamlNull | YamlBroken;

/** Restrictions on a file. */
export type YamlLimits = {
  /** The folder that must contain it. */
  readonly below?: string | undefined;
  /** Variables that it must not use. */
  readonly withheld?: ReadonlySet<string>;
};

/** Reads one file. Returns undefined for one that cannot be read or is not YAML, which it reports. */
export function readYaml(
  path: string,
  env: Environment,
  report: Report,
  { below, withheld }: YamlLimits = {},
): YamlNode | undefined {
  const text = readText(path, below, report);
  return text === undefined ? undefined : parseYaml(path, text, env, report, withheld);
}

/** Reads text; `path` is for diagnostics. */
export function parseYaml(
  path: string,
  text: string,
  env: Environment,
  report: Report,
  withheld: ReadonlySet<string> = new Set(),
): YamlNode | undefined {
  const lines = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.push(at + 1);
  // uniqueKeys compares every key with every other: 104 s for 100,000 records. convertMap finds duplicates.
  const document = parseDocument(text, { uniqueKeys: false, prettyErrors: false, resolveKnownTags: false });
  const file: YamlFile = { path, text, lines, secrets: secretSpans(document.contents, text) };
  const mistakes = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  if (mistakes.length > 0) {
    reportSyntax({ ...file, secrets: [...file.secrets, ...secretsInText(text, lines)] }, mistakes, report);
    return undefined;
  }
  return createConverter(file, env, withheld, report)(document.contents);
}

/** The place of a node, or of `length` characters at `offset` in it. */
export function nodePlace(node: Span, offset = 0, length = node.end - node.start - offset): PlaceInFile {
  return placeAt(node.file, node.start + offset, length);
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

function placeAt(file: YamlFile, offset: number, length: number): PlaceInFile {
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

function readText(path: string, below: string | undefined, report: Report): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(path, { maxOctets: MAX_YAML_BYTES, below }).octets;
  } catch (error) {
    const { code, why, hint = 'check the name and the folder that it is relative to' } = faultOf(error);
    if (code === 'TOO_LARGE') {
      const message = `the file is too large to be read as YAML: at most ${MAX_YAML_BYTES / 1024 ** 2} MiB`;
      const bulk = 'put large numbers of records into a master file: include: [bulk.db]';
      report.error('PH007', message, placeOfFile(path), bulk);
    } else if (code === 'OUTSIDE') report.error('PH385', `${path} is not read: ${why}`, placeOfFile(path), hint);
    else report.error('PH001', `cannot read ${path}: ${why}`, placeOfFile(path), hint);
    return undefined;
  }
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes);
  // In UTF-8 a newline octet is never part of another character, so lines can be checked one by one.
  let line = 1;
  for (let at = 0; at < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0 || !isUtf8(bytes.subarray(at, end))) break;
    at = end + 1;
  }
  report.error('PH003', 'the file is not UTF-8 text', { file: path, line, column: 1 }, 'save it as UTF-8');
  return undefined;
}

function reportSyntax(
  file: YamlFile,
  mistakes: readonly {
    readonly code: YAMLParseError['code'];
    readonly message: string;
    readonly pos: [number, number];
  }[],
  report: Report,
): void {
  const lines = new Set<number>();
  let lostKey = false;
  for (const { code, message, pos } of mistakes) {
    // A mistake after the last line break is shown at the end of the text.
    const at = Math.min(pos[0], file.text.trimEnd().length);
    const place = placeAt(file, at, pos[1] - pos[0]);
    if (lines.has(place.line) || lines.size === MAX_SYNTAX_ERRORS) continue; // one mistake per line
    // Once the parser has lost the structure, it repeats this for every following line.
    if (lines.size > 0 && message.includes('in YAML stream')) continue;
    // Lines below an invalid key are reported with a wrong indentation.
    if (lostKey && code === 'BAD_INDENT') continue;
    lines.add(place.line);
    if (code === 'RESOURCE_EXHAUSTION') {
      report.error('PH007', `nested more than ${MAX_YAML_DEPTH} deep`, place);
      return;
    }
    const bare = bareName(file, at);
    if (bare) {
      lostKey = true;
      const { word, start } = bare;
      const why = word.startsWith('*') ? 'without quotes it is an alias in YAML' : 'YAML reserves the sign @';
      const hint = `put it in quotes: "${word}"`;
      report.error('PH002', `${word} needs quotes: ${why}`, placeAt(file, start, word.length), hint);
      continue;
    }
    report.error(
      'PH002',
      syntaxMessage(file, code, message, pos),
      place,
      syntaxHint(code, message, lineOf(file, place)),
    );
  }
}

/**
 * The unquoted name at `at`, or whose colon is at `at`: the apex (`@`) and wildcards (`*.dev`) need quotes in YAML.
 */
function bareName(file: YamlFile, at: number): { readonly word: string; readonly start: number } | undefined {
  const { text } = file;
  const lineAt = text.lastIndexOf('\n', at - 1) + 1;
  const start = at - (/(?<=^|[\s,[{])\*[\w.*-]*$/.exec(text.slice(lineAt, at))?.[0].length ?? 0);
  const word = /^(?:@|\*[\w.*-]*)(?=[\s:,\]}]|$)/.exec(text.slice(start, start + MAX_NAME_OCTETS))?.[0];
  return word === undefined || isSecret(file, start, start + word.length) ? undefined : { word, start };
}

/** The parser's message, without secrets and without names of the parser's functions. */
function syntaxMessage(file: YamlFile, code: string, message: string, pos: readonly [number, number]): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here';
  if (code === 'TAG_RESOLVE_FAILED') return 'unexpected YAML tag';
  const [line = message] = message.split('\n');
  return isSecret(file, ...pos) ? hideInMessage(line, file.text.slice(...pos)) : line;
}

/** Whether a part of the text overlaps what diagnostics must not show. */
function isSecret({ secrets }: YamlFile, start: number, end: number): boolean {
  return secrets.some((span) => span.start < end && start < span.end);
}

function lineOf({ text, lines }: YamlFile, { line }: PlaceInFile): string {
  return text.slice(lines[line - 1], lines[line]);
}

function syntaxHint(code: string, message: string, line: string): string | undefined {
  if (code === 'MULTIPLE_DOCS') return 'a file has one document: remove the "---"';
  if (code === 'TAB_AS_INDENT') return 'indent with spaces';
  if (code === 'TAG_RESOLVE_FAILED') return 'tags such as !name are not used here';
  if (/[^"'\w]\$\{/.test(line)) return 'put quotes around "${NAME}"';
  if (code === 'UNEXPECTED_TOKEN' && /flow-(?:seq|map)-(?:start|end)/.test(message))
    return 'put quotes around a value that contains brackets or braces';
  if (code === 'UNEXPECTED_TOKEN' && /"[^"]*"\s+"/.test(line))
    return `put single quotes around all of them: '"one" "two"'`;
  if (line.includes('::')) return 'put quotes around an IPv6 address that ends with ":" or has brackets';
  if (/(?:[:,[]|-\s)\s*[*@`%&|>]/.test(line)) return 'put quotes around a value that begins with a special character';
  if (code === 'BLOCK_AS_IMPLICIT_KEY') return 'put quotes around a value that contains ": "';
  if (code === 'MISSING_CHAR' && message.includes('map values')) return 'a colon is missing: write "key: value"';
  if (code === 'MISSING_CHAR' && message.includes('quote')) return 'an earlier quote is not closed';
  if (code === 'BAD_INDENT') return 'check the indentation and the brackets';
  return undefined;
}

type Convert = (node: unknown, depth?: number) => YamlNode;

function createConverter(file: YamlFile, env: Environment, withheld: ReadonlySet<string>, report: Report): Convert {
  const anchors = new Map<string, { readonly node: YamlNode; readonly size: number } | 'open'>();
  let nodes = 0;
  let aliased = 0;
  let end = 0; // end of the last node: the place of a node without a range

  const broken = (span: Span): YamlBroken => ({ ...span, kind: 'broken' });

  function convert(node: unknown, depth = 0): YamlNode {
    const span = spanOf(node);
    if (isAlias(node)) return resolveAlias(node.source, span);
    if (depth > MAX_YAML_DEPTH) {
      report.error('PH007', `nested more than ${MAX_YAML_DEPTH} deep`, nodePlace(span, 0, 1));
      return broken(span);
    }
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    const before = nodes++;
    if (anchor !== undefined) anchors.set(anchor, 'open');
    const converted = convertContent(node, span, depth);
    if (anchor !== undefined) anchors.set(anchor, { node: converted, size: nodes - before });
    end = Math.max(end, span.end);
    return converted;
  }

  function spanOf(node: unknown): Span {
    const range = isAlias(node) || isScalar(node) || isMap(node) || isSeq(node) ? node.range : undefined;
    return range ? { file, start: range[0], end: range[1] } : { file, start: end, end };
  }

  function convertContent(node: unknown, span: Span, depth: number): YamlNode {
    if (isMap(node)) return convertMap(node.items, span, depth);
    if (isSeq(node)) return { ...span, kind: 'list', items: node.items.map((item) => convert(item, depth + 1)) };
    if (!isScalar(node)) return { ...span, kind: 'null' };
    const plain = node.type === 'PLAIN';
    const text = node.source ?? (typeof node.value === 'string' ? node.value : '');
    if (plain && /^(?:|~|null|Null|NULL)$/.test(text)) return { ...span, kind: 'null' };
    return expand(text, plain, span);
  }

  function expand(text: string, plain: boolean, span: Span): YamlScalar | YamlReference | YamlBroken {
    if (!text.includes('${')) return { ...span, kind: 'scalar', text, plain };
    const { names, malformed } = referencesIn(text);
    const placeOf = createFinder(span);
    for (const reference of malformed) {
      const hint = 'write ${NAME}, or $${ for the characters themselves';
      const shown = isSecret(file, span.start, span.end) ? '${***' : reference;
      report.error('PH009', `${shown} does not name an environment variable`, placeOf(reference), hint);
    }
    if (malformed.length > 0) return broken(span);
    if (names.length === 0) return { ...span, kind: 'scalar', text: expandEnvironment(text, env).text, plain };
    let resolved: YamlScalar | YamlBroken | undefined;
    const resolve = (to: Report): YamlScalar | YamlBroken => (resolved ??= substitute(text, plain, span, to));
    return { ...span, kind: 'reference', names, written: text, resolve };
  }

  /** Replaces the variables by their values. */
  function substitute(text: string, plain: boolean, span: Span, to: Report): YamlScalar | YamlBroken {
    const placeOf = createFinder(span);
    const { names } = referencesIn(text);
    const refused = names.filter((name) => withheld.has(name));
    for (const name of refused) {
      const message = `a zone file cannot use ${name}, which is for a secret of pharos.yaml`;
      to.error('PH097', message, placeOf(`\${${name}}`), 'use another variable for the zone');
    }
    if (refused.length > 0) return broken(span);
    const expanded = expandEnvironment(text, env);
    for (const name of expanded.missing) {
      const hint = `set ${name} where Pharos is started, or write $\${${name}} for the characters themselves`;
      const why = env[name] === '' ? 'empty' : 'not set';
      to.error('PH008', `the environment variable ${name} is ${why}`, placeOf(`\${${name}}`), hint);
    }
    return expanded.missing.length > 0
      ? broken(span)
      : { ...span, kind: 'scalar', text: expanded.text, plain, written: text };
  }

  /** Finds the places of a scalar's references, in order. */
  function createFinder(span: Span): (reference: string) => PlaceInFile {
    let from = 0;
    return (reference) => {
      const at = file.text.indexOf(reference, span.start + from) - span.start;
      const found = at >= 0 && at < span.end - span.start;
      if (found) from = at + reference.length;
      return found ? nodePlace(span, at, reference.length) : nodePlace(span);
    };
  }

  function resolveAlias(name: string, span: Span): YamlNode {
    const anchor = anchors.get(name);
    if (anchor === undefined || anchor === 'open') {
      const why = anchor === 'open' ? 'refers to a value that contains it' : 'refers to an anchor that is not above it';
      const shown = isSecret(file, span.start, span.end) ? '***' : name;
      const hint = /^(?:$|\.)|\.[a-z]/i.test(shown)
        ? `a name that begins with * needs quotes: "*${shown}"`
        : `put &${shown} in front of a value further up`;
      report.error('PH005', `*${shown} ${why}`, nodePlace(span), hint);
      return broken(span);
    }
    // Counted as if written out: readers walk the nodes at every use.
    nodes += anchor.size;
    aliased += anchor.size;
    if (isReference(anchor.node)) {
      const message = `*${name} cannot copy the value of an environment variable to another key`;
      report.error('PH096', message, nodePlace(span), 'write the ${NAME} itself here');
      return broken(span);
    }
    if (aliased <= MAX_ALIASED_NODES) return anchor.node;
    if (aliased - anchor.size <= MAX_ALIASED_NODES) {
      report.error('PH005', `aliases expand to more than ${MAX_ALIASED_NODES} values`, nodePlace(span), 'write fewer');
    }
    return broken(span);
  }

  function convertMap(pairs: readonly { key: unknown; value: unknown }[], span: Span, depth: number): YamlMap {
    const entries: YamlEntry[] = [];
    const merged: YamlEntry[] = [];
    const seen = new Map<string, YamlScalar>();
    for (const pair of pairs) {
      const key = convertKey(pair.key);
      if (key) end = Math.max(end, key.end);
      const value = convert(pair.value, depth + 1);
      if (!key) continue;
      if (key.text === '<<' && key.plain) {
        for (const map of value.kind === 'list' ? value.items : [value]) {
          if (map.kind === 'map') merged.push(...map.entries);
          else if (map.kind !== 'broken') report.error('PH005', '<< takes a map, or a list of maps', nodePlace(key));
        }
        continue;
      }
      const first = seen.get(key.text);
      if (first) {
        const message = `duplicate key "${key.text}" (first defined on line ${nodePlace(first).line})`;
        report.error('PH004', message, nodePlace(key), 'remove one of the two');
        continue;
      }
      seen.set(key.text, key);
      entries.push({ key, value });
    }
    // YAML 1.1 merge keys: the map's own keys win, then those of the first merged map.
    for (const entry of merged) {
      if (seen.has(entry.key.text)) continue;
      seen.set(entry.key.text, entry.key);
      entries.push(entry);
    }
    return { ...span, kind: 'map', entries };
  }

  function convertKey(node: unknown): YamlScalar | undefined {
    const span = spanOf(node);
    const target = isAlias(node) ? resolveAlias(node.source, span) : undefined;
    if (target) {
      if (target.kind === 'scalar') return target;
    } else if (isScalar(node) && (node.source ?? '') !== '') {
      // Keys are names: `null` and `123` are text.
      const key = expand(node.source ?? '', node.type === 'PLAIN', span);
      if (node.anchor !== undefined) anchors.set(node.anchor, { node: key, size: 1 });
      if (key.kind === 'reference') refuseReference(key, 'a key', report);
      return key.kind === 'scalar' ? key : undefined;
    }
    if (target?.kind !== 'broken') {
      report.error('PH006', 'a key must be a word or a number', nodePlace(span, 0, 1), 'write it as "key: value"');
    }
    return undefined;
  }

  return convert;
}

/** Whether a node is `${NAME}` or a list with one. A map is allowed: its values stay at their keys. */
function isReference(node: YamlNode): boolean {
  return node.kind === 'reference' || (node.kind === 'list' && node.items.some(isReference));
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
