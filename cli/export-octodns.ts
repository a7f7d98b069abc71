/**
 * `pharos export ZONE --format octodns`: a zone as YAML of octoDNS's YamlProvider, with steered names as dynamic
 * records.
 */
import { Document, Pair, Scalar, YAMLMap, YAMLSeq, type Node } from 'yaml';
import { plainText } from '../config/plain-text.ts';
import { formatName, nameKey, type Name } from '../wire/name.ts';
import { TYPE, typeText } from '../wire/types.ts';
import type { ZoneModel } from '../zones/read/model.ts';
import { ownerOf, rdataOf, recordTtl, recordType } from '../zones/read/record-store.ts';
import { relativeName } from './import/draft.ts';
import { octodnsRecords, type OctodnsNote } from './octodns-dynamic.ts';
import { octodnsValue, type OctodnsYaml } from './octodns-record.ts';

/** `notes`: what octoDNS cannot express. */
type OctodnsFile = { readonly text: string; readonly records: number; readonly notes: readonly string[] };

/** The zone as a file for octoDNS. */
export function octodnsFile(zone: ZoneModel, version: string): OctodnsFile {
  const notes: string[] = [];
  const byName = new Map<string, { readonly [key: string]: OctodnsYaml }[]>();
  const add = (owner: Name, record: { readonly [key: string]: OctodnsYaml }): void => {
    const name = nameOf(owner, zone.apex);
    byName.set(name, [...(byName.get(name) ?? []), record]);
  };
  const noteAt =
    (owner: Name): OctodnsNote =>
    (message) => {
      const line = `${relativeName(owner, zone.apex)}: ${message}`;
      if (!notes.includes(line)) notes.push(line);
    };
  for (const { owner, type, ttlSeconds, rdata } of staticSets(zone)) {
    if (type === TYPE.SOA) {
      notes.push('@: the SOA: octoDNS leaves it to its providers');
      continue;
    }
    const values = rdata.map((each) => octodnsValue(type, each));
    if (values.some((value) => value === undefined))
      noteAt(owner)(`${typeText(type)}: a value that octoDNS cannot have`);
    const known = values.flatMap((value) => value ?? []);
    if (known.length === 0) continue;
    // octoDNS refuses other names for these types, unless it is told to be lenient.
    const isOdd = ['SRV', 'URI'].includes(typeText(type)) && !/^(\*|_[^.]+)\.[^.]+/.test(nameOf(owner, zone.apex));
    add(owner, { ...recordOf(typeText(type), ttlSeconds, known), ...(isOdd ? LENIENT : {}) });
  }
  for (const { owner, target, ttlSeconds } of zone.aliases ?? []) {
    const isApex = nameKey(owner) === nameKey(zone.apex);
    add(owner, {
      ...recordOf('ALIAS', ttlSeconds ?? DEFAULT_TTL_SECONDS, [`${formatName(target)}.`]),
      // octoDNS has ALIAS at the apex only, unless it is told to be lenient.
      ...(isApex ? {} : LENIENT),
    });
  }
  for (const service of zone.services) {
    for (const record of octodnsRecords(service, zone.regions, noteAt(service.owner))) add(service.owner, record);
  }
  const content = mapOf(
    [...byName].map(([name, records]): readonly [string, OctodnsYaml] => {
      const own = records.toSorted((a, b) => natural(JSON.stringify(a['type']), JSON.stringify(b['type'])));
      const [only] = own;
      return [name, own.length === 1 && only ? only : own];
    }),
  );
  // PyYAML reads YAML 1.1, in which `no` and `1:20` are not texts.
  const document = new Document(content, { version: '1.1' });
  const head = [
    ` ${formatName(zone.apex)}. exported by Pharos ${version}`,
    ...notes.map((each) => ` ${plainText(each)}`),
  ];
  document.commentBefore = head.join('\n');
  const text = `---\n${document.toString({ lineWidth: 0, directives: false })}`;
  return { text, records: [...byName.values()].flat().length, notes };
}

const LENIENT = { octodns: { lenient: true } } as const;

/** The TTL of octoDNS's YamlProvider. */
const DEFAULT_TTL_SECONDS = 3600;

function recordOf(type: string, ttl: number, values: readonly OctodnsYaml[]): { readonly [key: string]: OctodnsYaml } {
  const [only] = values;
  return { ttl, type, ...(values.length === 1 && only !== undefined ? { value: only } : { values }) };
}

/** As octoDNS writes names: relative to the zone, the apex as ''. */
function nameOf(owner: Name, apex: Name): string {
  const name = relativeName(owner, apex);
  return name === '@' ? '' : name;
}

type StaticSet = {
  readonly owner: Name;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly rdata: Uint8Array[];
};

/** The static records without the addresses that aliases have brought in. */
function staticSets({ records, aliases = [] }: ZoneModel): readonly StaticSet[] {
  const aliased = new Set(aliases.map(({ owner }) => nameKey(owner)));
  const sets = new Map<string, StaticSet>();
  for (let row = 0; row < records.count; row++) {
    const type = recordType(records, row);
    const owner = ownerOf(records, row).slice();
    if ((type === TYPE.A || type === TYPE.AAAA) && aliased.has(nameKey(owner))) continue;
    const key = `${type} ${nameKey(owner)}`;
    const set = sets.get(key) ?? { owner, type, ttlSeconds: recordTtl(records, row), rdata: [] };
    set.rdata.push(rdataOf(records, row).slice());
    sets.set(key, set);
  }
  return [...sets.values()];
}

/**
 * The order of keys that octoDNS requires, that of the Python package natsort: digits by their value, other characters
 * by their code.
 */
function natural(a: string, b: string): number {
  const [one, other] = [partsOf(a), partsOf(b)];
  for (const [at, part] of one.entries()) {
    const beside = other[at];
    if (beside === undefined) return 1;
    const difference = typeof part === 'number' && typeof beside === 'number' ? part - beside : Number(part > beside) - Number(part < beside); // prettier-ignore
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}

/** Text and numbers in turn, text first: `ns10` to `ns`, 10. */
function partsOf(text: string): readonly (string | number)[] {
  const parts = text.split(/(\d+)/).map((part, at) => (at % 2 === 1 ? Number(part) : part));
  return parts.length > 1 && parts.at(-1) === '' ? parts.slice(0, -1) : parts;
}

/** In this order. Objects have keys such as `10` before all others. */
function sorted(value: OctodnsYaml): Node {
  if (Array.isArray(value)) {
    const list = new YAMLSeq();
    list.items = (value as readonly OctodnsYaml[]).map(sorted);
    return list;
  }
  if (typeof value !== 'object') return new Scalar(value);
  return mapOf(Object.entries(value as { readonly [key: string]: OctodnsYaml }));
}

function mapOf(entries: readonly (readonly [string, OctodnsYaml])[]): YAMLMap {
  const map = new YAMLMap();
  map.items = entries
    .toSorted(([a], [b]) => natural(a, b))
    .map(([key, value]) => new Pair(new Scalar(key), sorted(value)));
  return map;
}
