/**
 * Route 53: the JSON of `aws route53 list-resource-record-sets`, with that of health checks, CIDR collections and
 * traffic policies. Record sets that share a name and have a routing policy become a service; the latencies that they
 * refer to are not in these files.
 */
import type { Report } from '../../config/diagnostics.ts';
import { MAX_INNER_DEPTH } from '../../wire/limits.ts';
import { formatName, isWithin, nameKey, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { addAlias, createDraft, note, OUT_OF_ZONE, type ZoneDraft } from './draft.ts';
import { answeredTypes, answersNames, createNestingJudge } from './inner-drafts.ts';
import { ALIAS_TTL_SECONDS, aliasMessage } from './route53-alias.ts';
import { readHealthChecks } from './route53-checks.ts';
import { ANY_TYPE, nameBelow, withTrafficPolicies, type Taken } from './route53-policies.ts';
import { addRoute53Service, isName, type Beside } from './route53-service.ts';
import { readSet, type RecordSet } from './route53-sets.ts';
import { readFiles } from './route53-source.ts';
import { addText, fieldsOf, wholeName } from './values.ts';

/** Used for aliases: Route 53 states a TTL in every other record set. */
const DEFAULT_TTL_SECONDS = 300;

/**
 * Returns the zone. Its apex is `apex`, or the owner of the SOA. `path` is a file, or a folder of several.
 * `replacesNameServers`: the caller replaces those of Route 53.
 */
export function fromRoute53(
  path: string,
  apex: Name | undefined,
  report: Report,
  replacesNameServers: boolean,
): ZoneDraft | undefined {
  const source = readFiles(path, report);
  if (!source) return undefined;
  const found = apex ?? soaOwner(source.sets);
  if (!found) {
    const hint = 'state it: --zone example.com';
    report.error('PH502', 'the file does not state the name of the zone: it has no SOA', { file: path }, hint);
    return undefined;
  }
  const draft = createDraft(found, `Route 53, ${path}`);
  if (source.isTruncated) {
    note(draft, 'dropped', undefined, 'the records after the end of the list, which is truncated (IsTruncated)');
  }
  const listed = source.sets.flatMap((value) => readSet(value, draft) ?? []);
  const sets = withTrafficPolicies(draft, listed, source.policies);
  addSets(draft, sets, { checks: readHealthChecks(source.checks), networksOf: source.networksOf });
  const servers = sets.find(({ owner, type }) => type === TYPE.NS && nameKey(owner) === nameKey(found));
  if (!replacesNameServers && servers?.values.some((value) => value.includes('awsdns'))) {
    const advice = 'replace them by yours, or import with --nameserver';
    note(draft, 'changed', found, `the name servers are those of Route 53: ${advice}`);
  }
  return draft;
}

function soaOwner(list: readonly unknown[]): Name | undefined {
  const soa = list.map(fieldsOf).find((fields) => fields['Type'] === 'SOA');
  const name = soa?.['Name'];
  return typeof name === 'string' ? wholeName(name) : undefined;
}

function addSets(draft: ZoneDraft, sets: readonly RecordSet[], beside: Beside): void {
  const byOwner = new Map<string, RecordSet[]>();
  for (const set of sets) {
    if (!isWithin(set.owner, draft.apex)) {
      note(draft, 'dropped', set.owner, `${typeText(set.type)} ${OUT_OF_ZONE}`);
      continue;
    }
    const key = nameKey(set.owner);
    byOwner.set(key, [...(byOwner.get(key) ?? []), set]);
  }
  const taken: Taken = new Map([...byOwner.keys()].map((key) => [key, new Set([ANY_TYPE])]));
  const trees: Trees = { draft, byOwner, taken, beside, added: new Set(), way: [] };
  for (const key of byOwner.keys()) addTree(trees, key);
}

/**
 * `added`: the names whose record sets were added. `way`: those that are being added, each of which leads to the next.
 */
type Trees = {
  readonly draft: ZoneDraft;
  readonly byOwner: ReadonlyMap<string, readonly RecordSet[]>;
  readonly taken: Taken;
  readonly beside: Beside;
  readonly added: Set<string>;
  readonly way: string[];
};

/** A longer chain of names is not followed to its end. */
const MAX_WAY = 4 * MAX_INNER_DEPTH;

/** Adds the record sets of a name, after those of the names in this zone that its aliases with a policy lead to. */
function addTree(trees: Trees, key: string): void {
  const { draft, byOwner, taken, beside, added, way } = trees;
  const sets = byOwner.get(key);
  if (!sets || added.has(key) || way.length > MAX_WAY) return;
  added.add(key);
  way.push(key);
  const followed = sets.flatMap((set) => followAlias(set, trees) ?? []);
  way.pop();
  addOwner(draft, withinLimits(draft, followed), taken, beside);
}

/**
 * Replaces an alias of records in this zone by their values. One with a policy that leads to a service gets this
 * service. Other aliases stay aliases. Returns undefined and adds a note for one that leads back to its own name.
 */
function followAlias(set: RecordSet, trees: Trees): RecordSet | undefined {
  const { draft, byOwner, way } = trees;
  let target = set;
  // An alias may point at another alias. The limit ends circles.
  for (let hops = 0; target.alias && hops < 8; hops++) {
    const key = nameKey(target.alias);
    if (set.policy.kind !== 'simple' && isAnswer(set.type)) {
      if (way.includes(key)) {
        const message = `the ${typeText(set.type)} set "${set.id}": its alias of ${formatName(target.alias)} leads back to itself`;
        note(draft, 'dropped', set.owner, message);
        return undefined;
      }
      addTree(trees, key);
      const service = serviceAt(draft, target.alias, set.type);
      if (service) return { ...set, service };
    }
    const next = byOwner.get(key)?.filter(({ type }) => type === set.type) ?? [];
    const [only] = next;
    if (!only || next.length > 1 || only.policy.kind !== 'simple') return set;
    target = only;
  }
  if (target === set || target.alias) return set;
  const message = `the alias of ${formatName(target.owner)} becomes a copy of its present ${typeText(set.type)} records`;
  note(draft, 'changed', set.owner, message);
  const { values, ttlSeconds } = target;
  const healthCheck = set.healthCheck ?? (set.evaluatesTarget ? target.healthCheck : undefined);
  return { ...set, alias: undefined, values, ttlSeconds, healthCheck };
}

/** The service of the draft at a name, if its answers have this type, or are CNAMEs. */
function serviceAt(draft: ZoneDraft, name: Name, type: number): RecordSet['service'] {
  const service = draft.services.get(nameKey(name));
  if (!service) return undefined;
  const isOfNames = answersNames(draft, service);
  if (!isOfNames && !answeredTypes(draft, service).has(type)) return undefined;
  return { name: service.owner, answersNames: isOfNames };
}

/** Leaves an alias as it is, with a note, where a VIP cannot be the service that it leads to. */
function withinLimits(draft: ZoneDraft, sets: readonly RecordSet[]): readonly RecordSet[] {
  const ownVips = sets.reduce((sum, { values, service }) => sum + (service ? 0 : values.length), 0);
  const excessOf = createNestingJudge(draft, ownVips);
  const kind = sets.find(({ service }) => service)?.policy.kind;
  // Sets of other types with the same kind of policy become records of VIPs.
  const statics = new Set(sets.flatMap(({ type, policy }) => (isAnswer(type) || policy.kind === kind ? [] : type)));
  const judged = new Map<string, string | undefined>();
  return sets.map((set) => {
    const service = set.service && draft.services.get(nameKey(set.service.name));
    if (!service) return set;
    // Sets of A and AAAA become one VIP.
    const key = JSON.stringify([nameKey(service.owner), set.policy]);
    if (!judged.has(key)) {
      const both = [...answeredTypes(draft, service)].find((type) => statics.has(type));
      const why = both === undefined ? excessOf(service) : `both names have ${typeText(both)} records`;
      judged.set(key, why);
    }
    const why = judged.get(key);
    if (why === undefined) return set;
    const message = `the alias of ${formatName(service.owner)} ("${set.id}") does not become a VIP that is a service: ${why}`;
    note(draft, 'changed', set.owner, message);
    return { ...set, service: undefined };
  });
}

/** Adds the record sets of one name. */
function addOwner(draft: ZoneDraft, sets: readonly RecordSet[], taken: Taken, beside: Beside): void {
  const [first] = sets;
  if (!first) return;
  const isApex = nameKey(first.owner) === nameKey(draft.apex);
  const steered = sets.filter(({ policy, type }) => policy.kind !== 'simple' && isAnswer(type));
  const rest = sets.filter((set) => !steered.includes(set));
  const joined = joinable(rest, steered);
  const others = rest.filter((set) => !isAnswer(set.type) && !joined.includes(set));
  const addresses = rest.filter(({ type }) => isAnswer(type));
  const hasOthers = isApex || others.length + joined.length > 0;
  const canBeNames = addresses.length === 0 && !hasOthers;
  const isOnlyNames = steered.length > 0 && addresses.length === 0 && steered.every(isName);
  if (isOnlyNames && !canBeNames && joined.length === 0) {
    keepAlias(draft, steered);
  } else if (steered.length > 0) {
    const alike = canBeNames ? allNames(draft, steered, taken) : steered;
    addRoute53Service(draft, [...alike, ...joined], addresses, hasOthers, beside);
  } else {
    if (joined.length > 0) addRoute53Service(draft, joined, [], hasOthers, beside);
    addSimple(draft, addresses, hasOthers);
  }
  for (const set of keepOne(draft, others)) addStatic(draft, set, isApex);
}

/**
 * Of sets with addresses beside sets with names, gives the addresses names of their own: a service has either addresses
 * or names.
 */
function allNames(draft: ZoneDraft, sets: readonly RecordSet[], taken: Taken): readonly RecordSet[] {
  if (sets.every(isName) || !sets.some(isName)) return sets;
  return sets.map((set) => {
    const { owner, type, id, ttlSeconds, values, alias } = set;
    if (isName(set)) return set;
    // The name of its service is the target of the CNAME.
    if (alias) return { ...set, service: undefined };
    const name = nameBelow(owner, id, type, taken);
    if (!name) return set;
    for (const value of values) addText(draft, name, type, ttlSeconds ?? DEFAULT_TTL_SECONDS, value);
    const message = `the addresses of the set "${id}" are now at ${formatName(name)}: a service has either addresses or names`;
    note(draft, 'changed', owner, message);
    return { ...set, alias: name, values: [] };
  });
}

/**
 * The sets of other types that can be in one service with the steered addresses: those with the same kind of policy.
 */
function joinable(sets: readonly RecordSet[], steered: readonly RecordSet[]): readonly RecordSet[] {
  const able = sets.filter(({ type, policy, alias }) => !isAnswer(type) && policy.kind !== 'simple' && !alias && !OF_ZONE.has(type)); // prettier-ignore
  const kind = (steered[0] ?? able[0])?.policy.kind;
  return able.filter(({ policy }) => policy.kind === kind);
}

/** Types that are not steered. */
const OF_ZONE: ReadonlySet<number> = new Set([TYPE.SOA, TYPE.NS, TYPE.DS]);

/** The types of addresses and names. */
function isAnswer(type: number): boolean {
  return type === TYPE.A || type === TYPE.AAAA || type === TYPE.CNAME;
}

/**
 * Where a CNAME is not allowed, such as at the apex, an ALIAS of the name that most clients get takes the place of sets
 * that choose among names.
 */
function keepAlias(draft: ZoneDraft, sets: readonly RecordSet[]): void {
  const targetOf = ({ alias, values }: RecordSet): Name | undefined => alias ?? wholeName(values[0] ?? '');
  const targets = new Map<string, Name>();
  for (const set of sets.toSorted((one, other) => rankOf(other) - rankOf(one))) {
    const target = targetOf(set);
    if (target) targets.set(nameKey(target), targets.get(nameKey(target)) ?? target);
  }
  const [main, ...others] = targets.values();
  const [first] = sets;
  if (!main || !first) return;
  const { owner, policy, id } = first;
  const lost = others.map((name) => formatName(name)).join(', ');
  const ttl = Math.min(...sets.map(({ ttlSeconds }) => ttlSeconds ?? ALIAS_TTL_SECONDS));
  addAlias(draft, owner, ttl, main);
  if (others.length > 0) {
    const message = `its sets (${policy.kind}) choose among names, and a CNAME is not allowed here: it becomes an ALIAS of ${formatName(main)} for all clients, without ${lost}; for all of them, give a service their addresses`;
    note(draft, 'changed', owner, message);
  } else
    note(
      draft,
      'changed',
      owner,
      `its sets (${policy.kind}, such as "${id}") all lead to ${formatName(main)}: an ALIAS of it`,
    );
}

/** Of the record sets of a type that do not fit the service of their name, keeps the one that most clients get. */
function keepOne(draft: ZoneDraft, sets: readonly RecordSet[]): RecordSet[] {
  return [...new Set(sets.map(({ type }) => type))].flatMap((type) => {
    const [kept, ...dropped] = sets.filter((set) => set.type === type).sort((a, b) => rankOf(b) - rankOf(a));
    for (const { owner, id, policy } of dropped) {
      const message = `the ${typeText(type)} set "${id}" (${policy.kind}) beside sets with another policy; "${kept?.id ?? ''}" is kept`;
      note(draft, 'dropped', owner, message);
    }
    return kept ?? [];
  });
}

/** The largest rank has the set that most clients get. */
function rankOf({ policy }: RecordSet): number {
  if (policy.kind === 'weighted') return policy.weight;
  const isFirst =
    policy.kind === 'failover' ? policy.primary : policy.kind === 'geolocation' && policy.key === 'default';
  return isFirst ? 1 : 0;
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
  if (aliases.length === sets.length && targets.size === 1 && first?.alias) {
    const types = aliases.map(({ type }) => typeText(type)).join(' and ');
    const both = types.includes(' and ') ? '' : '; it answers for A and AAAA';
    note(draft, 'changed', first.owner, `the ${types} alias of ${formatName(first.alias)} becomes an ALIAS, which the server resolves${both}`); // prettier-ignore
    addAlias(draft, first.owner, ALIAS_TTL_SECONDS, first.alias);
    return;
  }
  for (const { owner, type, alias, values, ttlSeconds } of sets) {
    if (alias) note(draft, 'dropped', owner, aliasMessage(type, alias));
    else for (const value of values) addText(draft, owner, type, ttlSeconds ?? DEFAULT_TTL_SECONDS, value);
  }
}
