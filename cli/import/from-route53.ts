/**
 * Route 53: the JSON of `aws route53 list-resource-record-sets`. Record sets that share a name and have a routing
 * policy become a service; the health checks and latencies that they refer to are not in that file.
 */
import type { Place, Report } from '../../config/diagnostics.ts';
import { formatName, isWithin, nameKey, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { createDraft, note, OUT_OF_ZONE, type ZoneDraft } from './draft.ts';
import { ALIAS_TTL_SECONDS, aliasMessage } from './route53-alias.ts';
import { addRoute53Service } from './route53-service.ts';
import { readSet, type RecordSet } from './route53-sets.ts';
import { addText, fieldsOf, readSource, wholeName } from './values.ts';

/** Used for aliases: Route 53 states a TTL in every other record set. */
const DEFAULT_TTL_SECONDS = 300;

/** The position in the parser's message; the file if the message has none. */
function placeInJson(file: string, text: string, error: unknown): Place {
  const offset = error instanceof SyntaxError ? /position (\d+)/.exec(error.message)?.[1] : undefined;
  if (offset === undefined) return { file };
  const before = text.slice(0, Number(offset)).split('\n');
  return { file, line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

/** Returns the zone. Its apex is `apex`, or the owner of the SOA. */
export function fromRoute53(path: string, apex: Name | undefined, report: Report): ZoneDraft | undefined {
  const text = readSource(path, report);
  if (text === undefined) return undefined;
  const place = { file: path };
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    const where = placeInJson(path, text, error);
    report.error('PH501', `${path} is not JSON`, where, 'save the output of aws with --output json');
    return undefined;
  }
  const list = Array.isArray(document) ? document : fieldsOf(document)['ResourceRecordSets'];
  if (!Array.isArray(list)) {
    const hint = 'aws route53 list-resource-record-sets --hosted-zone-id Z1 --output json > records.json';
    report.error('PH501', `${path} has no list ResourceRecordSets`, place, hint);
    return undefined;
  }
  const found = apex ?? soaOwner(list);
  if (!found) {
    const hint = 'state it: --zone example.com';
    report.error('PH502', 'the file does not state the name of the zone: it has no SOA', place, hint);
    return undefined;
  }
  const draft = createDraft(found, `Route 53, ${path}`);
  if (fieldsOf(document)['IsTruncated'] === true) {
    note(draft, 'dropped', undefined, 'the records after the end of the list, which is truncated (IsTruncated)');
  }
  const sets = (list as readonly unknown[]).flatMap((value) => readSet(value, draft) ?? []);
  addSets(draft, sets);
  return draft;
}

function soaOwner(list: readonly unknown[]): Name | undefined {
  const soa = list.map(fieldsOf).find((fields) => fields['Type'] === 'SOA');
  const name = soa?.['Name'];
  return typeof name === 'string' ? wholeName(name) : undefined;
}

function addSets(draft: ZoneDraft, sets: readonly RecordSet[]): void {
  const byOwner = new Map<string, RecordSet[]>();
  for (const set of sets) {
    if (!isWithin(set.owner, draft.apex)) {
      note(draft, 'dropped', set.owner, `${typeText(set.type)} ${OUT_OF_ZONE}`);
      continue;
    }
    const key = nameKey(set.owner);
    byOwner.set(key, [...(byOwner.get(key) ?? []), set]);
  }
  for (const ofOwner of byOwner.values())
    addOwner(
      draft,
      ofOwner.map((set) => followAlias(set, byOwner, draft)),
    );
}

/** Replaces an alias of records in this zone by their values. Other aliases stay aliases. */
function followAlias(set: RecordSet, byOwner: ReadonlyMap<string, readonly RecordSet[]>, draft: ZoneDraft): RecordSet {
  let target = set;
  // An alias may point at another alias. The limit ends circles.
  for (let hops = 0; target.alias && hops < 8; hops++) {
    const next = byOwner.get(nameKey(target.alias))?.filter(({ type }) => type === set.type) ?? [];
    const [only] = next;
    if (!only || next.length > 1 || only.policy.kind !== 'simple') return set;
    target = only;
  }
  if (target === set || target.alias) return set;
  const message = `the alias of ${formatName(target.owner)} becomes a copy of its present ${typeText(set.type)} records`;
  note(draft, 'changed', set.owner, message);
  return { ...set, alias: undefined, values: target.values, ttlSeconds: target.ttlSeconds };
}

/** Adds the record sets of one name. */
function addOwner(draft: ZoneDraft, sets: readonly RecordSet[]): void {
  const [first] = sets;
  if (!first) return;
  const isApex = nameKey(first.owner) === nameKey(draft.apex);
  const steered = sets.filter(({ policy, type }) => policy.kind !== 'simple' && isAnswer(type));
  const rest = sets.filter((set) => !steered.includes(set));
  const others = rest.filter(({ type }) => !isAnswer(type));
  const addresses = rest.filter(({ type }) => isAnswer(type));
  if (steered.length > 0) addRoute53Service(draft, steered, addresses, isApex || others.length > 0);
  else addSimple(draft, addresses, isApex || others.length > 0);
  for (const set of keepOne(draft, others)) addStatic(draft, set, isApex);
}

/** The types that Pharos steers. */
function isAnswer(type: number): boolean {
  return type === TYPE.A || type === TYPE.AAAA || type === TYPE.CNAME;
}

/** Of the record sets of an unsteered type with a routing policy, keeps the one that most clients get. */
function keepOne(draft: ZoneDraft, sets: readonly RecordSet[]): RecordSet[] {
  const rank = ({ policy }: RecordSet): number => {
    if (policy.kind === 'weighted') return policy.weight;
    return (policy.kind === 'failover' && policy.primary) || (policy.kind === 'geolocation' && policy.key === 'default')
      ? 1
      : 0;
  };
  return [...new Set(sets.map(({ type }) => type))].flatMap((type) => {
    const [kept, ...dropped] = sets.filter((set) => set.type === type).sort((a, b) => rank(b) - rank(a));
    for (const { owner, id, policy } of dropped) {
      const message = `the ${typeText(type)} set "${id}" (${policy.kind}): only A, AAAA and CNAME are steered; "${kept?.id ?? ''}" is kept`;
      note(draft, 'dropped', owner, message);
    }
    return kept ?? [];
  });
}

function addStatic(draft: ZoneDraft, { owner, type, ttlSeconds, values, alias }: RecordSet, isApex: boolean): void {
  if (alias) {
    note(draft, 'dropped', owner, `${typeText(type)} alias of ${formatName(alias)}: write its records`);
    return;
  }
  if (isApex && type === TYPE.SOA) {
    note(draft, 'dropped', owner, `the SOA of Route 53 (${values.join()}): the zone gets a new one`);
    return;
  }
  if (isApex && type === TYPE.NS && values.some((value) => value.includes('awsdns'))) {
    note(
      draft,
      'changed',
      owner,
      'the name servers are those of Route 53: replace them by yours, or import with --nameserver',
    );
  }
  for (const value of values) addText(draft, owner, type, ttlSeconds ?? DEFAULT_TTL_SECONDS, value);
}

/**
 * Adds addresses and CNAME without a policy. An alias to a name outside becomes a CNAME if its owner has no other
 * records.
 */
function addSimple(draft: ZoneDraft, sets: readonly RecordSet[], hasOthers: boolean): void {
  const aliases = sets.filter(({ alias }) => alias);
  const targets = new Set(aliases.map(({ alias }) => (alias ? nameKey(alias) : '')));
  const canBeCname = aliases.length === sets.length && targets.size === 1 && !hasOthers;
  const [first] = aliases;
  if (canBeCname && first?.alias) {
    const target = `${formatName(first.alias)}.`;
    const types = aliases.map(({ type }) => typeText(type)).join(' and ');
    note(draft, 'changed', first.owner, `the ${types} alias of ${target} becomes a CNAME, which resolvers follow`);
    addText(draft, first.owner, TYPE.CNAME, ALIAS_TTL_SECONDS, target);
    return;
  }
  for (const { owner, type, alias, values, ttlSeconds } of sets) {
    if (alias) note(draft, 'dropped', owner, aliasMessage(type, alias));
    else for (const value of values) addText(draft, owner, type, ttlSeconds ?? DEFAULT_TTL_SECONDS, value);
  }
}
