/**
 * Traffic policies of Route 53: each instance becomes the record sets that its document describes. A rule that another
 * rule refers to has its record sets at a name of its own, and the other rule has an alias of that name.
 */
import { nameKey, type Name } from '../../wire/name.ts';
import { typeNumber } from '../../wire/types.ts';
import { note, type ZoneDraft } from './draft.ts';
import { geoKey, proximityOf, type Policy, type RecordSet } from './route53-sets.ts';
import type { TrafficPolicies } from './route53-source.ts';
import { fieldsOf, labelOf, listOf, nameIn, numberOf, textOf, wholeName, type Fields } from './values.ts';

/** Rules may refer to rules. Route 53 allows fewer levels. */
const MAX_DEPTH = 16;

/**
 * Returns the record sets of all instances, in place of those that Route 53 made for them. An instance whose policy is
 * not in the files keeps those, with a note.
 */
export function withTrafficPolicies(
  draft: ZoneDraft,
  sets: readonly RecordSet[],
  policies: TrafficPolicies,
): readonly RecordSet[] {
  const taken: Taken = new Map(sets.map(({ owner }) => [nameKey(owner), new Set([ANY_TYPE])]));
  const made = new Map<string, readonly RecordSet[]>();
  for (const instance of policies.instances) {
    const owner = wholeName(textOf(instance['Name']) ?? '');
    const id = textOf(instance['Id']) ?? '';
    // The list has the instances of all hosted zones.
    if (!owner || !sets.some((set) => set.instance === id)) continue;
    const policy = textOf(instance['TrafficPolicyId']) ?? '';
    const version = textOf(instance['TrafficPolicyVersion']) ?? '';
    const document = policies.documentOf(policy, version);
    if (!document) continue;
    const tree = { draft, document, owner, ttlSeconds: numberOf(instance['TTL']), taken, rules: new Map() };
    const own = setsOf(tree);
    if (own.length > 0) made.set(id, own);
  }
  for (const { owner, instance } of sets) {
    if (instance === undefined || made.has(instance)) continue;
    const advice = 'its document is not in these files (list-traffic-policy-instances, list-traffic-policy-versions)';
    note(draft, 'changed', owner, `made by a traffic policy: only its present result is imported; ${advice}`);
  }
  const rest = sets.filter(({ instance }) => instance === undefined || !made.has(instance));
  return [...rest, ...[...made.values()].flat()];
}

/** The types of the record sets at each name, by `nameKey`. */
export type Taken = Map<string, Set<number>>;
/** The name is of the zone itself: no other record sets go there. */
export const ANY_TYPE = 0;

type Tree = {
  readonly draft: ZoneDraft;
  readonly document: Fields;
  /** The name of the instance. */
  readonly owner: Name;
  readonly ttlSeconds: number | undefined;
  readonly taken: Taken;
  /** The names of rules. */
  readonly rules: Map<string, Name>;
};

function setsOf(tree: Tree): readonly RecordSet[] {
  const { document, draft, owner } = tree;
  const type = typeNumber(textOf(document['RecordType']) ?? '');
  const start = textOf(document['StartRule']);
  const endpoint = textOf(document['StartEndpoint']);
  if (type === undefined) {
    note(draft, 'changed', owner, 'the document of its traffic policy has no known RecordType: its result is imported');
    return [];
  }
  if (endpoint !== undefined) {
    const set = setTo(tree, owner, type, { EndpointReference: endpoint }, { kind: 'simple' }, '');
    return set ? [set] : [];
  }
  return start === undefined ? [] : ruleSets(tree, type, start, owner, []);
}

/** The record sets of a rule at `owner`, and those of the rules below it. `above`: the rules that lead to this one. */
function ruleSets(tree: Tree, type: number, id: string, owner: Name, above: readonly string[]): readonly RecordSet[] {
  const { draft, document } = tree;
  const rule = fieldsOf(fieldsOf(document['Rules'])[id]);
  const written = textOf(rule['RuleType']) ?? '';
  if (above.includes(id) || above.length > MAX_DEPTH) {
    note(draft, 'dropped', owner, `the rule "${id}" of its traffic policy, which leads to itself`);
    return [];
  }
  const branches = branchesOf(rule, written);
  if (!branches) {
    const why = written === '' ? 'is not in the document' : `has the type ${written}, which has no equivalent`;
    note(draft, 'dropped', owner, `the rule "${id}" of its traffic policy ${why}`);
    return [];
  }
  const ids = new Set<string>();
  return branches.flatMap(({ fields, policy }): readonly RecordSet[] => {
    const to = textOf(fields['RuleReference']);
    const written = textOf(fields['EndpointReference']) ?? to ?? '';
    const set = unusedOf(written, ids);
    if (to === undefined) return [setTo(tree, owner, type, fields, policy, set) ?? []].flat();
    const known = tree.rules.get(to);
    const name = known ?? nameBelow(tree.owner, to, type, tree.taken);
    if (!name) {
      note(draft, 'dropped', owner, `the rule "${to}" of its traffic policy: a name for it would be too long`);
      return [];
    }
    tree.rules.set(to, name);
    const below = known ? [] : ruleSets(tree, type, to, name, [...above, id]);
    if (below.length === 0 && !known) return [];
    const base = baseOf(tree, owner, type, fields, policy, set);
    return [{ ...base, alias: name, ttlSeconds: undefined }, ...below];
  });
}

type Branch = { readonly fields: Fields; readonly policy: Policy };

/** The branches of a rule, with the policy of their record sets. Undefined for an unknown type. */
function branchesOf(rule: Fields, type: string): readonly Branch[] | undefined {
  const each = (key: string, policyOf: (fields: Fields) => Policy): readonly Branch[] =>
    listOf(rule[key]).map((branch) => ({ fields: fieldsOf(branch), policy: policyOf(fieldsOf(branch)) }));
  switch (type) {
    case 'failover':
      return (['Primary', 'Secondary'] as const).flatMap((key): Branch[] =>
        rule[key] === undefined
          ? []
          : [{ fields: fieldsOf(rule[key]), policy: { kind: 'failover', primary: key === 'Primary' } }],
      );
    case 'geo':
      return each('Locations', (fields) => ({ kind: 'geolocation', key: locationKey(fields) }));
    case 'latency':
      return each('Regions', (fields) => ({ kind: 'latency', region: textOf(fields['Region']) ?? '' }));
    case 'geoproximity':
      // Both spellings are in use.
      return [
        ...each('GeoproximityLocations', (fields) => nearPolicy(fields)),
        ...each('GeoProximityLocations', (fields) => nearPolicy(fields)),
      ];
    case 'multivalue':
      return each('Items', () => ({ kind: 'multivalue' }));
    case 'weighted':
      return each('Items', (fields) => ({ kind: 'weighted', weight: numberOf(fields['Weight']) ?? 0 }));
    default:
      return undefined;
  }
}

function locationKey(fields: Fields): string {
  if (textOf(fields['IsDefault']) === 'true') return 'default';
  return geoKey({
    ContinentCode: fields['Continent'],
    CountryCode: fields['Country'],
    SubdivisionCode: fields['Subdivision'],
  });
}

/** In a document the region has the prefix `aws:route53:`, and coordinates are fields of the location itself. */
function nearPolicy(fields: Fields): Policy {
  return proximityOf({
    AWSRegion: textOf(fields['Region'])?.replace(/^aws:route53:/, ''),
    LocalZoneGroup: textOf(fields['LocalZoneGroup'])?.replace(/^aws:route53:/, ''),
    Coordinates: { Latitude: fields['Latitude'], Longitude: fields['Longitude'] },
    Bias: fields['Bias'],
  });
}

function baseOf(tree: Tree, owner: Name, type: number, fields: Fields, policy: Policy, id: string): RecordSet {
  return {
    owner,
    type,
    ttlSeconds: tree.ttlSeconds,
    values: [],
    alias: undefined,
    id,
    policy,
    healthCheck: textOf(fields['HealthCheck']),
    evaluatesTarget: textOf(fields['EvaluateTargetHealth']) === 'true',
    instance: undefined,
  };
}

/** A record set of an endpoint. Returns undefined and adds a note if the document has no such endpoint. */
function setTo(
  tree: Tree,
  owner: Name,
  type: number,
  fields: Fields,
  policy: Policy,
  id: string,
): RecordSet | undefined {
  const name = textOf(fields['EndpointReference']) ?? '';
  const endpoint = fieldsOf(fieldsOf(tree.document['Endpoints'])[name]);
  const value = textOf(endpoint['Value']);
  if (value === undefined) {
    note(tree.draft, 'dropped', owner, `the endpoint "${name}", which is not in the document of the policy`);
    return undefined;
  }
  const base = baseOf(tree, owner, type, fields, policy, id);
  const kind = textOf(endpoint['Type']) ?? 'value';
  if (kind === 'value') return { ...base, values: [value] };
  const alias = wholeName(kind === 's3-website' ? websiteName(value, textOf(endpoint['Region']) ?? '') : value);
  if (!alias) {
    note(tree.draft, 'dropped', owner, `the endpoint "${name}": ${value} is not a domain name`);
    return undefined;
  }
  return { ...base, alias, ttlSeconds: undefined };
}

/** Older regions have a dash in the names of S3 websites. */
const DASH_REGIONS: ReadonlySet<string> = new Set([
  ...['us-east-1', 'us-west-1', 'us-west-2', 'us-gov-west-1', 'eu-west-1', 'sa-east-1'],
  ...['ap-southeast-1', 'ap-southeast-2', 'ap-northeast-1'],
]);

function websiteName(bucket: string, region: string): string {
  return `${bucket}.s3-website${DASH_REGIONS.has(region) ? '-' : '.'}${region}.amazonaws.com`;
}

/** A name below `owner` without record sets of the type. It then has some. */
export function nameBelow(owner: Name, id: string, type: number, taken: Taken): Name | undefined {
  const label = labelOf(id);
  for (let at = 1; ; at++) {
    const name = nameIn(at === 1 ? label : `${label}-${at}`, owner);
    if (!name) return undefined;
    const types = taken.get(nameKey(name)) ?? new Set();
    if (types.has(type) || types.has(ANY_TYPE)) continue;
    taken.set(nameKey(name), types.add(type));
    return name;
  }
}

/** The identifier, with a number behind it if another branch of the rule has it. */
function unusedOf(id: string, ids: Set<string>): string {
  let name = id;
  for (let at = 2; ids.has(name); at++) name = `${id}-${at}`;
  ids.add(name);
  return name;
}
