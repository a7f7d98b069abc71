/**
 * Readers of single values and of maps: they turn YAML nodes into typed values, and report every mistake with its
 * place. A map's reader is a table of its keys:
 *
 *     const readLimits = map('limits', {
 *       rrl: withDefault(integer({ min: 0, max: 1_000_000 }), 0),
 *       tcp_clients: withDefault(integer({ min: 1, max: 65_536, hint: 'use 1024 if unsure' }), 1024),
 *     });
 */
import type { Report } from './diagnostics.ts';
import { nearestHint } from './nearest-word.ts';
import {
  anyOf,
  closedMap,
  described,
  like,
  oneOrMore,
  openMap,
  pattern,
  SCALAR,
  schemaOf,
  type HasSchema,
  type JsonSchema,
} from './schema.ts';
import { formatDuration, parseDistanceKm, parseDurationMs, parseInteger, parseSeconds, parseShare } from './units.ts';
import {
  isSecret,
  nodePlace,
  refuseReference,
  type YamlEntry,
  type YamlMap,
  type YamlNode,
  type YamlScalar,
} from './yaml.ts';

/**
 * Reads a node, which messages call `name`. Returns undefined for an invalid node, which has been reported.
 */
export type Read<T> = ((node: YamlNode, name: string, report: Report) => T | undefined) & HasSchema;

/** Options of a reader: the diagnostic's code, its hint, and whether messages must not show the value. */
export type Tailor = { readonly code?: string; readonly hint?: string; readonly secret?: boolean };

/**
 * A reader of scalars. `parse` returns undefined for text that is not `expected` ("weight must be EXPECTED,
 * got -3").
 */
export function scalar<T>(
  expected: string,
  parse: (text: string, node: YamlScalar) => T | undefined,
  tailor: Tailor & { readonly code: string; readonly schema?: JsonSchema },
): Read<T> {
  return described(tailor.schema ?? SCALAR, (node: YamlNode, name: string, report: Report): T | undefined => {
    if (node.kind === 'broken') return undefined;
    if (node.kind === 'null') {
      report.error('PH011', `${name} has no value; it must be ${expected}`, nodePlace(node, 0, 1), tailor.hint);
      return undefined;
    }
    if (node.kind === 'reference') {
      refuseReference(node, name, report);
      return undefined;
    }
    if (node.kind !== 'scalar') {
      const message = `${name} must be ${expected}, got a ${node.kind}`;
      report.error('PH013', message, nodePlace(node, 0, 1), tailor.hint);
      return undefined;
    }
    const value = parse(node.text, node);
    if (value !== undefined) return value;
    const isHidden = tailor.secret === true || node.written !== undefined || isSecret(node.file, node.start, node.end);
    const got = isHidden ? '' : `, got ${show(node.text)}`;
    report.error(tailor.code, `${name} must be ${expected}${got}`, nodePlace(node), tailor.hint);
    return undefined;
  });
}

/**
 * The same reader for a key that takes `${NAME}`: a secret, an address or a path
 * (docs/configuration.md#environment-variables).
 */
export function fromEnvironment<T>(read: Read<T>): Read<T> {
  const schema = (): JsonSchema | undefined => (read.schema === undefined ? undefined : anyOf(read.schema, VARIABLE));
  return described(schema, (node: YamlNode, name: string, report: Report): T | undefined =>
    read(node.kind === 'reference' ? node.resolve(report) : node, name, report),
  );
}

/** Text with `${NAME}`. */
const VARIABLE = pattern(/\$\{\w+\}/);

/** Usual names of variables that identify a node of a fleet. */
const IDENTITY = /(?:^|_)(?:NSID|HOST|HOSTNAME|NODE|NODE_NAME|POD_NAME|REGION|SITE)$/;

/**
 * For a key whose value is published: only variables that identify a node are allowed, so that no secret is published
 * by mistake.
 */
export function identityFromEnvironment<T>(read: Read<T>): Read<T> {
  return like(fromEnvironment(read), (node: YamlNode, name: string, report: Report): T | undefined => {
    const other = node.kind === 'reference' ? node.names.find((each) => !IDENTITY.test(each)) : undefined;
    if (other === undefined) return fromEnvironment(read)(node, name, report);
    const hint = 'rename the variable to HOSTNAME or NODE_NAME, if its value is not secret';
    report.error('PH098', `${name} is published: it cannot use the value of ${other}`, nodePlace(node), hint);
    return undefined;
  });
}

/** The text that messages show for a value: as written in the file, never the value of a variable. */
export function asWritten(node: YamlScalar): string {
  return node.written ?? node.text;
}

/** Formats a value for a message: one line of at most 60 characters. */
export function show(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line === '' ? 'an empty text' : line.length > 60 ? `${line.slice(0, 57)}...` : line;
}

/** Any text, unchanged: `1.10` stays `1.10`. */
export function text(
  options: Tailor & { readonly allowEmpty?: boolean; readonly maxOctets?: number } = {},
): Read<string> {
  const max = options.maxOctets ?? Infinity;
  const expected = max === Infinity ? 'a text' : `a text of at most ${max} octets`;
  const fits = (value: string): boolean =>
    (value !== '' || options.allowEmpty === true) && (max === Infinity || Buffer.byteLength(value) <= max);
  const filled: JsonSchema = anyOf({ type: 'string', minLength: 1 }, { type: ['number', 'boolean'] });
  const schema = options.allowEmpty === true ? SCALAR : filled;
  return scalar(expected, (value) => (fits(value) ? value : undefined), {
    ...options,
    schema,
    code: options.code ?? 'PH025',
  });
}

export function integer(options: Tailor & { readonly min: number; readonly max: number }): Read<number> {
  const { min, max } = options;
  const parse = (value: string): number | undefined => {
    const number = parseInteger(value);
    return number !== undefined && number >= min && number <= max ? number : undefined;
  };
  const schema: JsonSchema = { type: 'integer', minimum: min, maximum: max };
  return scalar(`${min} to ${max}`, parse, { ...options, schema, code: options.code ?? 'PH014' });
}

/** Milliseconds. A number without a unit is invalid: its unit would be a guess. */
export function duration(options: Tailor & { readonly minMs?: number; readonly maxMs?: number } = {}): Read<number> {
  const { minMs = 0, maxMs = Number.MAX_SAFE_INTEGER } = options;
  const range =
    maxMs < Number.MAX_SAFE_INTEGER
      ? ` from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`
      : minMs > 0
        ? ` of at least ${formatDuration(minMs)}`
        : '';
  return described(DURATION, (node: YamlNode, name: string, report: Report): number | undefined => {
    const bare = node.kind === 'scalar' && /^\d+(?:\.\d+)?$/.test(node.text) ? node.text : undefined;
    const hint = bare === undefined ? 'write it as 500ms, 5s, 30m, 2h, 14d' : `add a unit: ${bare}s or ${bare}ms`;
    const parse = (value: string): number | undefined => {
      const ms = parseDurationMs(value);
      return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined;
    };
    const tailor = { hint, ...options, code: options.code ?? 'PH015' };
    return scalar(`a duration${range}`, parse, tailor)(node, name, report);
  });
}

/** The schema does not limit the duration; the reader does. */
const DURATION = anyOf(pattern(/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/), { const: 0 });

/** Whole seconds, as in the TTLs of master files: `300`, or `5m`. */
export function seconds(options: Tailor & { readonly min: number; readonly max: number }): Read<number> {
  const { min, max } = options;
  const parse = (value: string): number | undefined => {
    const number = parseSeconds(value);
    return number !== undefined && number >= min && number <= max ? number : undefined;
  };
  const hint = 'write seconds, or a duration such as 5m or 1h';
  const schema = anyOf({ type: 'integer', minimum: min, maximum: max }, DURATION);
  return scalar(`${min} to ${max} seconds`, parse, { hint, ...options, schema, code: options.code ?? 'PH015' });
}

/** `50%`, or 0 to 1: a number from 0 to 1. */
export function share(tailor: Tailor = {}): Read<number> {
  const hint = 'write it as 50%, or as a number from 0 to 1';
  return scalar('a share from 0% to 100%', parseShare, {
    hint,
    ...tailor,
    schema: SHARE,
    code: tailor.code ?? 'PH016',
  });
}

const SHARE = anyOf(pattern(/^(?:100(?:\.0+)?|\d{1,2}(?:\.\d+)?|\.\d+)\s*%$/), {
  type: 'number',
  minimum: 0,
  maximum: 1,
});

export function distanceField(options: Tailor & { readonly max: number }): Read<number> {
  const parse = (value: string): number | undefined => {
    const km = parseDistanceKm(value);
    return km !== undefined && km <= options.max ? km : undefined;
  };
  const schema = anyOf(pattern(/^\d+(?:\.\d+)?\s*km$/), { const: 0 });
  const tailor = { hint: 'write it with its unit: 300km', ...options, schema, code: options.code ?? 'PH017' };
  return scalar(`a distance of at most ${options.max}km`, parse, tailor);
}

export function choice<const T extends string>(words: readonly T[], tailor: Tailor = {}): Read<T> {
  return described({ enum: [...words] }, (node: YamlNode, name: string, report: Report): T | undefined => {
    const hint = node.kind === 'scalar' ? nearestHint(node.text, words) : undefined;
    const options = { ...(hint === undefined ? {} : { hint }), ...tailor, code: tailor.code ?? 'PH019' };
    const parse = (value: string): T | undefined => words.find((word) => word === value);
    return scalar(`one of ${words.join(', ')}`, parse, options)(node, name, report);
  });
}

/** A Map: an object would also have `constructor` and `__proto__`. */
const TRUTHS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);

export function boolean(tailor: Tailor = {}): Read<boolean> {
  const parse = (value: string): boolean | undefined => TRUTHS.get(value.toLowerCase());
  const schema = anyOf({ type: 'boolean' }, pattern(/^(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$/));
  return scalar('true or false', parse, { ...tailor, schema, code: tailor.code ?? 'PH020' });
}

/** A list, or a single value for a list of one. Invalid items are reported and left out. */
export function list<T>(
  item: Read<T>,
  options: Tailor & { readonly min?: number; readonly max?: number } = {},
): Read<T[]> {
  const { min = 0, max = Infinity } = options;
  const schema = (): JsonSchema | undefined =>
    item.schema === undefined ? undefined : oneOrMore(item.schema, min, max);
  return described(schema, (node: YamlNode, name: string, report: Report): T[] | undefined => {
    if (node.kind === 'broken') return undefined;
    const nodes = node.kind === 'list' ? node.items : [node];
    if (nodes.length < min || nodes.length > max) {
      const wanted = nodes.length < min ? `at least ${min}` : `at most ${max}`;
      const message = `${name} must have ${wanted} ${wanted.endsWith(' 1') ? 'entry' : 'entries'}, got ${nodes.length}`;
      report.error(options.code ?? 'PH026', message, nodePlace(node), options.hint);
    }
    return readEach(nodes, (each) => item(each, name, report));
  });
}

/** A list that is empty when everything below its key is commented out, as `map` reads an empty map. */
export function orNone<T>(read: Read<T[]>): Read<T[]> {
  const schema = (): JsonSchema | undefined =>
    read.schema === undefined ? undefined : anyOf(read.schema, { type: 'null' });
  return described(schema, (node: YamlNode, name: string, report: Report): T[] | undefined =>
    node.kind === 'null' ? [] : read(node, name, report),
  );
}

/** One key of a map: the reader of its value, and its default. */
export type Field<T> = {
  readonly read: Read<T>;
  readonly absent: { readonly kind: 'value'; readonly value: T } | { readonly kind: 'error'; readonly hint: string };
};

export function withDefault<T>(read: Read<T>, value: T): Field<T> {
  return { read, absent: { kind: 'value', value } };
}

export function optional<T>(read: Read<T>): Field<T | undefined> {
  return { read, absent: { kind: 'value', value: undefined } };
}

/** A map that may be absent: then every key has its default, so that each default is written once. */
export function section<F extends Fields>(label: string, fields: F): Field<Values<F>> {
  const defaults = Object.entries(fields).map(([key, { absent }]) => {
    if (absent.kind === 'error') throw new TypeError(`${label}.${key} has no default`);
    return [key, absent.value] as const;
  });
  return withDefault(map(label, fields), Object.fromEntries(defaults) as Values<F>);
}

export function required<T>(read: Read<T>, hint: string): Field<T> {
  return { read, absent: { kind: 'error', hint } };
}

type Fields = Readonly<Record<string, Field<unknown>>>;
/** The values that a table of fields reads. */
export type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** Keys of a map that its caller reads: those that `isKey` knows. `names` are suggested for a misspelled key. */
export type OtherKeys = {
  readonly isKey: (key: string) => boolean;
  readonly names: readonly string[];
  /** The schemas of their values, by regular expressions of JavaScript for the keys. */
  readonly schemas: Readonly<Record<string, JsonSchema>>;
};

/**
 * A map with known keys. `label` names the map in messages. A key without a value (`geo:` with everything below it
 * commented out) is an empty map. An invalid field is reported and gets its default, so that checking continues; the
 * result is undefined when a required field is invalid or absent.
 */
export function map<F extends Fields>(label: string, fields: F, others?: OtherKeys): Read<Values<F>> {
  const schema = (): JsonSchema => schemaOfMap(label, fields, others);
  return described(schema, (node: YamlNode, name: string, report: Report): Values<F> | undefined => {
    const entries = entriesOf(node, name, report);
    if (!entries) return undefined;
    const values = Object.create(null) as Record<string, unknown>;
    let complete = true;
    for (const { key, value } of entries) {
      const field = Object.hasOwn(fields, key.text) ? fields[key.text] : undefined;
      if (!field) {
        if (others?.isKey(key.text) === true) continue;
        const word = isSecret(key.file, key.start, key.end) ? 'a text without a colon' : firstWord(key);
        const [known = ''] = word.split(' ', 1);
        const hint = Object.hasOwn(fields, known)
          ? `a colon is missing: write "${known}: ..."`
          : nearestHint(known, [...Object.keys(fields), ...(others?.names ?? [])]);
        report.error('PH010', `${word} is not a key of ${label}`, nodePlace(key), hint);
        continue;
      }
      values[key.text] = field.read(orPlaceOf(value, key), key.text, report);
    }
    for (const [key, { absent }] of Object.entries(fields)) {
      if (values[key] !== undefined) continue;
      if (absent.kind === 'value') values[key] = absent.value;
      else {
        complete = false;
        if (entries.some((entry) => entry.key.text === key)) continue; // present but invalid
        report.error('PH012', `${name} needs the key ${key}`, nodePlace(node, 0, firstLineOf(node)), absent.hint);
      }
    }
    // Each value was read by the reader of its field.
    return complete ? (values as Values<F>) : undefined;
  });
}

function schemaOfMap(label: string, fields: Fields, others: OtherKeys | undefined): JsonSchema {
  const properties = Object.entries(fields).map(([key, { read }]) => [key, schemaOf(read, `${label}.${key}`)]);
  const required = Object.entries(fields).flatMap(([key, { absent }]) => (absent.kind === 'error' ? [key] : []));
  return closedMap(Object.fromEntries(properties) as Record<string, JsonSchema>, required, others?.schemas);
}

/** The part of a key that messages may show: without a colon, the rest is a value and may be a secret. */
export function firstWord(key: YamlScalar): string {
  const [word = ''] = key.text.trim().split(/\s/, 1);
  return word === key.text ? word : `${word} ...`;
}

/**
 * A map whose keys are names chosen by the operator: `read` gets each key with its value. `value` has the schema
 * of the values, `keys` is that of the keys.
 */
export function dictionary<T>(
  read: (entry: YamlEntry, report: Report) => T | undefined,
  value?: HasSchema,
  keys?: JsonSchema,
): Read<T[]> {
  const schema = (): JsonSchema | undefined => (value?.schema === undefined ? undefined : openMap(value.schema, keys));
  return described(schema, (node: YamlNode, name: string, report: Report): T[] | undefined => {
    const entries = entriesOf(node, name, report);
    return (
      entries && readEach(entries, (entry) => read({ ...entry, value: orPlaceOf(entry.value, entry.key) }, report))
    );
  });
}

/** The values that could be read. Not flatMap, which would flatten values that are arrays. */
function readEach<S, T>(sources: readonly S[], read: (source: S) => T | undefined): T[] {
  const values: T[] = [];
  for (const source of sources) {
    const value = read(source);
    if (value !== undefined) values.push(value);
  }
  return values;
}

/** The entries of a map; none for a key without a value. Undefined: not a map, which is reported. */
export function entriesOf(node: YamlNode, name: string, report: Report): readonly YamlEntry[] | undefined {
  if (node.kind === 'map') return node.entries;
  if (node.kind === 'null') return [];
  if (node.kind === 'reference') refuseReference(node, name, report);
  else if (node.kind !== 'broken') {
    // The message does not quote the text: it may be a secret that belongs one level deeper. The excerpt hides secrets.
    const got = node.kind === 'scalar' ? 'a text' : 'a list';
    report.error('PH013', `${name} must be a map (key: value), got ${got}`, nodePlace(node), 'write its keys below it');
  }
  return undefined;
}

/** The value of one key, for readers that need it before they know the map's fields. */
export function valueOf(node: YamlNode, key: string): YamlNode | undefined {
  const entry = node.kind === 'map' ? node.entries.find((each) => each.key.text === key) : undefined;
  return entry && orPlaceOf(entry.value, entry.key);
}

/** The keys of a map; empty for other nodes. */
export function keysOf(node: YamlNode | undefined): string[] {
  return node?.kind === 'map' ? node.entries.map(({ key }) => key.text) : [];
}

/** A map without some of its keys. */
export function without(node: YamlMap, ...keys: readonly string[]): YamlMap {
  return { ...node, entries: node.entries.filter(({ key }) => !keys.includes(key.text)) };
}

/** A missing value has no place: messages show its key. */
function orPlaceOf(value: YamlNode, key: YamlScalar): YamlNode {
  return value.kind === 'null' && value.start === value.end ? { ...value, start: key.start, end: key.end } : value;
}

function firstLineOf(node: YamlNode): number {
  return node.kind === 'map' ? (node.entries[0]?.key.end ?? node.end) - node.start : 1;
}
