/**
 * `updates` of pharos.yaml (docs/updates.md): which key may change which records by dynamic updates, and which token
 * over HTTP.
 */
import { inPrefix } from '../wire/address.ts';
import { NameError, nameKey, parseName, type Name } from '../wire/name.ts';
import { isMetaType, TYPE, typeNumber } from '../wire/types.ts';
import type { Place, Report } from './diagnostics.ts';
import { fromEnvironment, list, map, optional, scalar, text, valueOf, type Read } from './fields.ts';
import { nearestHint } from './nearest-word.ts';
import { prefix } from './network-fields.ts';
import { WEAK_ALGORITHMS, WEAK_HINT } from './read-transfer.ts';
import { described, like, schemaOf } from './schema.ts';
import type { TransferSettings, UpdateRule } from './settings.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

/** Types that no update changes: those of DNSSEC are made by the server, and the SOA is changed by it. */
export const FIXED_TYPES: ReadonlySet<number> = new Set([
  ...[TYPE.SOA, TYPE.RRSIG, TYPE.NSEC, TYPE.DNSKEY, TYPE.NSEC3, TYPE.NSEC3PARAM, TYPE.CDS, TYPE.CDNSKEY],
]);

const zone = scalar(
  'a zone',
  (value) => {
    try {
      return value === '' ? undefined : nameKey(parseName(value.endsWith('.') ? value : `${value}.`));
    } catch (error) {
      if (error instanceof NameError) return undefined;
      throw error;
    }
  },
  { code: 'PH421', hint: 'such as zones: [example.com]' },
);

/** `@` is the zone's own name. */
const nameGlob = scalar(
  'a pattern of names',
  (value): readonly string[] | undefined => {
    if (value === '@') return [];
    const labels = value.toLowerCase().split('.');
    const isPattern = labels.every((label) => label.length > 0 && label.length <= 63 && (/^\*\*?$/.test(label) || !label.includes('*'))); // prettier-ignore
    return isPattern ? labels : undefined;
  },
  {
    code: 'PH422',
    hint: 'relative to the zone: * is one label and ** any number of them, such as "_acme-challenge.**"',
  },
);

const type = scalar(
  'a record type',
  (value) => {
    const found = typeNumber(value.toUpperCase());
    return found === undefined || isMetaType(found) || FIXED_TYPES.has(found) ? undefined : found;
  },
  { code: 'PH423', hint: 'such as TXT; SOA and the types of DNSSEC cannot be changed' },
);

type Label = { readonly label: string; readonly place: Place };

const label: Read<Label> = like(text(), (node: YamlNode, name: string, report: Report) => {
  const label = text()(node, name, report);
  return label === undefined ? undefined : { label, place: nodePlace(node) };
});

const readRule = map('updates', {
  key: optional(label),
  token: optional(label),
  zones: optional(list(zone, { min: 1 })),
  names: optional(list(nameGlob, { min: 1 })),
  types: optional(list(type, { min: 1 })),
  from: optional(list(fromEnvironment(prefix()), { min: 1 })),
});

type WrittenRule = Omit<UpdateRule, 'key' | 'token'> & {
  readonly key: Label | undefined;
  readonly token: Label | undefined;
  readonly place: Place;
};

const rule: Read<WrittenRule> = described(
  () => ({ ...(schemaOf(readRule, 'updates') as object), oneOf: [{ required: ['key'] }, { required: ['token'] }] }),
  (node: YamlNode, name: string, report: Report): WrittenRule | undefined => {
    const read = readRule(node, name, report);
    if (!read) return undefined;
    const has = (key: string): boolean => valueOf(node, key) !== undefined;
    if (has('key') !== has('token')) return { ...read, place: nodePlace(node) };
    const message = has('key') ? 'a rule has key or token, not both' : 'a rule needs key or token';
    report.error('PH430', message, nodePlace(node), 'key: one of transfer.keys; token: one of status.tokens, for HTTP');
    return undefined;
  },
);

export const updates = list(rule, {
  hint: 'such as [{ key: acme, zones: [example.com], names: ["_acme-challenge.**"], types: [TXT] }]',
});

/** What the rules refer to. */
export type NamedInRules = {
  readonly keys: TransferSettings['keys'];
  /** The names of all tokens. */
  readonly tokens: readonly string[];
};

/** Checks the keys and tokens of the rules. */
export function updateRules(
  rules: readonly WrittenRule[],
  { keys, tokens }: NamedInRules,
  report: Report,
): readonly UpdateRule[] {
  for (const { key, token } of rules) {
    const found = keys.find((each) => each.label === key?.label);
    if (key && !found) {
      const message = `unknown key "${key.label}" in transfer.keys`;
      report.error('PH424', message, key.place, nearestHint(key.label, new Set(keys.map((each) => each.label))));
    } else if (key && found && WEAK_ALGORITHMS.has(found.algorithm) && found.isWeakAllowed !== true) {
      report.error('PH420', `the key ${key.label} uses ${found.algorithm}, which is weak`, key.place, WEAK_HINT);
    }
    if (!token || tokens.includes(token.label)) continue;
    // The file of tokens may change later, without a reload. The message must not show a token that is written here.
    const message = 'unknown token: the rule must have the name of a token in status.tokens';
    report.warning('PH429', message, token.place, nearestHint(token.label, new Set(tokens)));
  }
  return rules.map(({ zones, names, types, from, key, token }) => ({
    ...{ zones, names, types, from, key: key?.label, token: token?.label },
  }));
}

/** Whether a rule is for a zone, and for a client at an address. */
export function ruleIsFor({ zones, from }: UpdateRule, apex: Name, peer?: Uint8Array): boolean {
  const isFromThere = peer === undefined || (from?.some((each) => inPrefix(peer, each)) ?? true);
  return (zones?.includes(nameKey(apex)) ?? true) && isFromThere;
}

/**
 * Whether a rule lets its key or token change the records of a name and type. `labels` are those below the apex, in
 * lower case.
 */
export function ruleCovers({ names, types }: UpdateRule, labels: readonly string[], recordType: number): boolean {
  return (types?.includes(recordType) ?? true) && (names?.some((each) => matchesLabels(each, labels)) ?? true);
}

function matchesLabels(pattern: readonly string[], labels: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return labels.length === 0;
  if (first === '**') return labels.some((_, at) => matchesLabels(rest, labels.slice(at))) || matchesLabels(rest, []);
  const [label, ...others] = labels;
  return label !== undefined && (first === '*' || first === label) && matchesLabels(rest, others);
}
