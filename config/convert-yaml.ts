/**
 * Converts the nodes of the YAML parser to the tree of yaml.ts. Resolves aliases and merge keys, and reports duplicate
 * keys.
 */
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import type { PlaceInFile, Report } from './diagnostics.ts';
import { expandEnvironment, referencesIn, type Environment } from './environment.ts';
import { MAX_ALIASED_NODES, MAX_YAML_DEPTH } from './limits.ts';
import {
  isSecret,
  nodePlace,
  refuseReference,
  type YamlSpan,
  type YamlBroken,
  type YamlEntry,
  type YamlFile,
  type YamlMap,
  type YamlNode,
  type YamlReference,
  type YamlScalar,
} from './yaml.ts';

/** The conversion of one file. */
type Conversion = {
  readonly file: YamlFile;
  readonly env: Environment;
  readonly withheld: ReadonlySet<string>;
  readonly report: Report;
  /** By anchor: the node and how many nodes it has, or `open` while it is read. */
  readonly anchors: Map<string, { readonly node: YamlNode; readonly size: number } | 'open'>;
  /** Nodes so far. The nodes of an alias count again at each use. */
  nodes: number;
  /** Nodes that came from aliases. */
  aliased: number;
  /** End of the last node: the place of a node without a range. */
  end: number;
};

/** `contents` is a node of the parser; `withheld` are variables that the file must not use. */
export function convertYaml(
  contents: unknown,
  file: YamlFile,
  env: Environment,
  withheld: ReadonlySet<string>,
  report: Report,
): YamlNode {
  return convert({ file, env, withheld, report, anchors: new Map(), nodes: 0, aliased: 0, end: 0 }, contents, 0);
}

function broken(span: YamlSpan): YamlBroken {
  return { ...span, kind: 'broken' };
}

function convert(conversion: Conversion, node: unknown, depth: number): YamlNode {
  const span = spanOf(conversion, node);
  if (isAlias(node)) return resolveAlias(conversion, node.source, span);
  if (depth > MAX_YAML_DEPTH) {
    conversion.report.error('PH007', `nested more than ${MAX_YAML_DEPTH} deep`, nodePlace(span, 0, 1));
    return broken(span);
  }
  const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
  const before = conversion.nodes++;
  if (anchor !== undefined) conversion.anchors.set(anchor, 'open');
  const converted = convertContent(conversion, node, span, depth);
  if (anchor !== undefined) conversion.anchors.set(anchor, { node: converted, size: conversion.nodes - before });
  conversion.end = Math.max(conversion.end, span.end);
  return converted;
}

function spanOf(conversion: Conversion, node: unknown): YamlSpan {
  const range = isAlias(node) || isScalar(node) || isMap(node) || isSeq(node) ? node.range : undefined;
  return range
    ? { file: conversion.file, start: range[0], end: range[1] }
    : { file: conversion.file, start: conversion.end, end: conversion.end };
}

function convertContent(conversion: Conversion, node: unknown, span: YamlSpan, depth: number): YamlNode {
  if (isMap(node)) return convertMap(conversion, node.items, span, depth);
  if (isSeq(node))
    return { ...span, kind: 'list', items: node.items.map((item) => convert(conversion, item, depth + 1)) };
  if (!isScalar(node)) return { ...span, kind: 'null' };
  const plain = node.type === 'PLAIN';
  const text = node.source ?? (typeof node.value === 'string' ? node.value : '');
  if (plain && /^(?:|~|null|Null|NULL)$/.test(text)) return { ...span, kind: 'null' };
  return expand(conversion, text, plain, span);
}

function expand(
  conversion: Conversion,
  text: string,
  plain: boolean,
  span: YamlSpan,
): YamlScalar | YamlReference | YamlBroken {
  if (!text.includes('${')) return { ...span, kind: 'scalar', text, plain };
  const { names, malformed } = referencesIn(text);
  const placeOf = createFinder(span);
  for (const reference of malformed) {
    const hint = 'write ${NAME}, or $${ for the characters themselves';
    const shown = isSecret(span.file, span.start, span.end) ? '${***' : reference;
    conversion.report.error('PH009', `${shown} does not name an environment variable`, placeOf(reference), hint);
  }
  if (malformed.length > 0) return broken(span);
  if (names.length === 0) return { ...span, kind: 'scalar', text: expandEnvironment(text, conversion.env).text, plain };
  let resolved: YamlScalar | YamlBroken | undefined;
  const resolve = (to: Report): YamlScalar | YamlBroken => (resolved ??= substitute(conversion, text, plain, span, to));
  return { ...span, kind: 'reference', names, written: text, resolve };
}

/** Replaces the variables by their values. */
function substitute(
  conversion: Conversion,
  text: string,
  plain: boolean,
  span: YamlSpan,
  to: Report,
): YamlScalar | YamlBroken {
  const placeOf = createFinder(span);
  const { names } = referencesIn(text);
  const refused = names.filter((name) => conversion.withheld.has(name));
  for (const name of refused) {
    const message = `a zone file cannot use ${name}, which is for a secret of pharos.yaml`;
    to.error('PH097', message, placeOf(`\${${name}}`), 'use another variable for the zone');
  }
  if (refused.length > 0) return broken(span);
  const expanded = expandEnvironment(text, conversion.env);
  for (const name of expanded.missing) {
    const hint = `set ${name} where Pharos is started, or write $\${${name}} for the characters themselves`;
    const why = conversion.env[name] === '' ? 'empty' : 'not set';
    to.error('PH008', `the environment variable ${name} is ${why}`, placeOf(`\${${name}}`), hint);
  }
  return expanded.missing.length > 0
    ? broken(span)
    : { ...span, kind: 'scalar', text: expanded.text, plain, written: text };
}

/** Finds the places of a scalar's references, in order. */
function createFinder(span: YamlSpan): (reference: string) => PlaceInFile {
  let from = 0;
  return (reference) => {
    const at = span.file.text.indexOf(reference, span.start + from) - span.start;
    const found = at >= 0 && at < span.end - span.start;
    if (found) from = at + reference.length;
    return found ? nodePlace(span, at, reference.length) : nodePlace(span);
  };
}

function resolveAlias(conversion: Conversion, name: string, span: YamlSpan): YamlNode {
  const anchor = conversion.anchors.get(name);
  if (anchor === undefined || anchor === 'open') {
    const why = anchor === 'open' ? 'refers to a value that contains it' : 'refers to an anchor that is not above it';
    const shown = isSecret(span.file, span.start, span.end) ? '***' : name;
    const hint = /^(?:$|\.)|\.[a-z]/i.test(shown)
      ? `a name that begins with * needs quotes: "*${shown}"`
      : `put &${shown} in front of a value further up`;
    conversion.report.error('PH005', `*${shown} ${why}`, nodePlace(span), hint);
    return broken(span);
  }
  // Counted as if written out: readers walk the nodes at every use.
  conversion.nodes += anchor.size;
  conversion.aliased += anchor.size;
  if (isReference(anchor.node)) {
    const message = `*${name} cannot copy the value of an environment variable to another key`;
    conversion.report.error('PH096', message, nodePlace(span), 'write the ${NAME} itself here');
    return broken(span);
  }
  if (conversion.aliased <= MAX_ALIASED_NODES) return anchor.node;
  if (conversion.aliased - anchor.size <= MAX_ALIASED_NODES) {
    conversion.report.error(
      'PH005',
      `aliases expand to more than ${MAX_ALIASED_NODES} values`,
      nodePlace(span),
      'write fewer',
    );
  }
  return broken(span);
}

function convertMap(
  conversion: Conversion,
  pairs: readonly { key: unknown; value: unknown }[],
  span: YamlSpan,
  depth: number,
): YamlMap {
  const entries: YamlEntry[] = [];
  const merged: YamlEntry[] = [];
  const seen = new Map<string, YamlScalar>();
  for (const pair of pairs) {
    const key = convertKey(conversion, pair.key);
    if (key) conversion.end = Math.max(conversion.end, key.end);
    const value = convert(conversion, pair.value, depth + 1);
    if (!key) continue;
    if (key.text === '<<' && key.plain) {
      for (const map of value.kind === 'list' ? value.items : [value]) {
        if (map.kind === 'map') merged.push(...map.entries);
        else if (map.kind !== 'broken')
          conversion.report.error('PH005', '<< takes a map, or a list of maps', nodePlace(key));
      }
      continue;
    }
    const first = seen.get(key.text);
    if (first) {
      const message = `duplicate key "${key.text}" (first defined on line ${nodePlace(first).line})`;
      conversion.report.error('PH004', message, nodePlace(key), 'remove one of the two');
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

function convertKey(conversion: Conversion, node: unknown): YamlScalar | undefined {
  const span = spanOf(conversion, node);
  const target = isAlias(node) ? resolveAlias(conversion, node.source, span) : undefined;
  if (target) {
    if (target.kind === 'scalar') return target;
  } else if (isScalar(node) && (node.source ?? '') !== '') {
    // Keys are names: `null` and `123` are text.
    const key = expand(conversion, node.source ?? '', node.type === 'PLAIN', span);
    if (node.anchor !== undefined) conversion.anchors.set(node.anchor, { node: key, size: 1 });
    if (key.kind === 'reference') refuseReference(key, 'a key', conversion.report);
    return key.kind === 'scalar' ? key : undefined;
  }
  if (target?.kind !== 'broken') {
    conversion.report.error(
      'PH006',
      'a key must be a word or a number',
      nodePlace(span, 0, 1),
      'write it as "key: value"',
    );
  }
  return undefined;
}

/** Whether a node is `${NAME}` or a list with one. A map is allowed: its values stay at their keys. */
function isReference(node: YamlNode): boolean {
  return node.kind === 'reference' || (node.kind === 'list' && node.items.some(isReference));
}
