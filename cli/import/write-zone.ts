/**
 * Writes a draft as short, readable zone YAML, with each note as a comment at its place.
 */
import { Document, Pair, Scalar, YAMLMap, type Node } from 'yaml';
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import type { OwnerDraft, DraftValue, Rrset, ServiceDraft, VipDraft, ZoneDraft } from './draft.ts';
import { relativeName, relativeTarget } from './draft.ts';
import { rdataText } from './rdata-text.ts';
import { soaFields } from './soa.ts';

/** A map or list that is longer than this is split into several lines. */
const MAX_LINE = 100;

/** The zone file's text. */
export function writeZone(draft: ZoneDraft): string {
  const { apex } = draft;
  const ttlSeconds = commonTtl(draft);
  const root = new YAMLMap();
  const document = new Document(root);
  const put = (key: string, value: Node | undefined, spaced = false): void => {
    if (!value) return;
    const name = new Scalar(escapeReferences(key));
    name.spaceBefore = spaced;
    root.add({ key: name, value });
  };
  put('zone', plain(formatName(apex)));
  put('ttl', plain(period(ttlSeconds)));
  const head = headOf(draft, ttlSeconds);
  put('nameservers', head.nameservers === undefined ? undefined : plain(head.nameservers));
  put('soa', head.soa === undefined ? undefined : plain(head.soa));
  put('regions', lines([...draft.regions].map(([name, region]) => [name, plain(region)])), true);
  put('checks', lines([...draft.checks].map(([name, check]) => [name, plain(check)])), true);
  const commented = new Set<string>();
  const records = [...draft.owners.values()].flatMap((owner): Line[] => {
    const rrsets = [...owner.rrsets.values()].filter((rrset) => !head.rrsets.includes(rrset));
    if (rrsets.length === 0) return [];
    const name = relativeName(owner.owner, apex);
    const comments = draft.services.has(nameKey(owner.owner)) ? [] : commentsOn(draft, name, commented);
    return [[name, recordsOf(rrsets, apex, ttlSeconds), comments]];
  });
  const services = [...draft.services.values()].map((service): Line => {
    const name = relativeName(service.owner, apex);
    return [name, serviceOf(service, ttlSeconds), commentsOn(draft, name, commented)];
  });
  put('records', lines(records), true);
  put('services', lines(services, true), true);
  const rest = draft.notes.filter(({ owner }) => owner === undefined || !commented.has(owner));
  document.commentBefore = [
    ` Imported from ${draft.source}.`,
    ...rest.map(({ kind, owner, message }) => ` ${kind}: ${owner === undefined ? '' : `${owner}: `}${message}`),
  ]
    .map(oneLine)
    .join('\n');
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

type Line = readonly [name: string, value: Node, comments?: readonly string[]];

function lines(entries: readonly Line[], spaced = false): YAMLMap | undefined {
  if (entries.length === 0) return undefined;
  const map = new YAMLMap();
  entries.forEach(([name, value, comments = []], index) => {
    const key = new Scalar(escapeReferences(name));
    if (comments.length > 0) key.commentBefore = comments.map((comment) => oneLine(` ${comment}`)).join('\n');
    key.spaceBefore = spaced && index > 0;
    // Not `add`, which compares the key with all keys before it. Owners are different.
    map.items.push(new Pair(key, value));
  });
  return map;
}

function commentsOn({ notes }: ZoneDraft, name: string, commented: Set<string>): string[] {
  commented.add(name);
  return notes.flatMap(({ kind, owner, message }) => (owner === name ? [`${kind}: ${message}`] : []));
}

/** A comment ends with its line, so control characters in the operator's text are replaced. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- YAML does not allow these characters
  return text.replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029\ufeff]+/g, ' ').trimEnd();
}

/** Escapes `${NAME}`, which would otherwise be read from the environment. */
function escapeReferences(text: string): string {
  return text.replaceAll('${', () => '$${');
}

/** Any value, on one line if it fits. */
function plain(value: DraftValue): Node {
  if (typeof value === 'string') return new Scalar(escapeReferences(value));
  if (typeof value !== 'object') return new Scalar(value);
  const node = new Document().createNode(Array.isArray(value) ? [] : {}) as YAMLMap;
  const entries = Array.isArray(value) ? [] : Object.entries(value as Readonly<Record<string, DraftValue>>);
  for (const [key, inner] of entries) node.add({ key: new Scalar(escapeReferences(key)), value: plain(inner) });
  if (Array.isArray(value)) for (const inner of value as readonly DraftValue[]) node.add(plain(inner) as never);
  node.flow = JSON.stringify(value).length <= MAX_LINE;
  return node;
}

/** A TTL in the largest whole unit: `300`, `5m`, `1h`. */
function period(seconds: number): number | string {
  for (const [unit, length] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
  ] as const) {
    if (seconds >= 2 * length || seconds === 86_400 || seconds === 3600) {
      if (seconds % length === 0) return `${seconds / length}${unit}`;
    }
  }
  return seconds;
}

/** The TTL of most RRsets, which becomes the zone's default. */
function commonTtl({ owners, services }: ZoneDraft): number {
  const counts = new Map<number, number>();
  const count = (ttl: number): void => void counts.set(ttl, (counts.get(ttl) ?? 0) + 1);
  for (const { rrsets } of owners.values()) for (const { ttlSeconds } of rrsets.values()) count(ttlSeconds);
  for (const { ttl } of services.values()) if (typeof ttl === 'number') count(ttl);
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best), [300, 0])[0];
}

type Head = { readonly nameservers?: DraftValue; readonly soa?: DraftValue; readonly rrsets: readonly Rrset[] };

/** `nameservers` and `soa`, if they express the NS and SOA of the apex completely; these RRsets are then left out. */
function headOf({ apex, owners }: ZoneDraft, ttlSeconds: number): Head {
  const atApex = owners.get(nameKey(apex))?.rrsets;
  const ns = atApex?.get(TYPE.NS);
  const soa = atApex?.get(TYPE.SOA);
  if (ns?.ttlSeconds !== ttlSeconds) return { rrsets: [] };
  const fields = soa?.ttlSeconds === ttlSeconds && soa.rdata.length === 1 ? soaFields(soa.rdata[0], apex) : undefined;
  const first = fields && ns.rdata.findIndex((name) => Buffer.compare(name, fields.mname) === 0);
  // With `soa` the MNAME is the first name server. A hidden primary is not in the NS set, so it needs a record.
  const canSay = fields !== undefined && first !== undefined && first >= 0;
  const primary = canSay ? ns.rdata[first] : undefined;
  const servers = primary ? [primary, ...ns.rdata.filter((name) => name !== primary)] : ns.rdata;
  return {
    nameservers: servers.map((name) => relativeTarget(name, apex)),
    ...(canSay ? { soa: fields.plain } : {}),
    rrsets: canSay && soa ? [ns, soa] : [ns],
  };
}

function recordsOf(rrsets: readonly Rrset[], apex: Name, zoneTtl: number): Node {
  const ttls = new Set(rrsets.map(({ ttlSeconds }) => ttlSeconds));
  const [only = zoneTtl] = ttls;
  const ttl: DraftValue | undefined =
    ttls.size > 1
      ? Object.fromEntries(
          rrsets.flatMap(({ type, ttlSeconds }) =>
            ttlSeconds === zoneTtl ? [] : [[typeText(type), period(ttlSeconds)]],
          ),
        )
      : only === zoneTtl
        ? undefined
        : period(only);
  const values = rrsets.map(({ type, rdata }): [string, DraftValue] => {
    const texts = rdata.map((each) => rdataText(type, each, apex));
    const [single] = texts;
    return [typeText(type), texts.length === 1 && single !== undefined ? single : texts];
  });
  return plain({ ...(ttl === undefined ? {} : { ttl }), ...Object.fromEntries(values) });
}

function serviceOf(service: ServiceDraft, zoneTtl: number): YAMLMap {
  const { ttl, check, vips, steer, answers, whenAllDown } = service;
  const map = new YAMLMap();
  const put = (key: string, value: Node): void => {
    map.add({ key: new Scalar(key), value });
  };
  if (typeof ttl !== 'number') put('ttl', plain({ min: ttl.min, max: ttl.max }));
  else if (ttl !== zoneTtl) put('ttl', plain(period(ttl)));
  if (check !== undefined) put('check', plain(check));
  put('vips', vipsOf(vips));
  if (steer.length > 0) put('steer', plain(steer));
  if (answers !== undefined) put('answers', plain(answers));
  if (whenAllDown !== undefined) put('when_all_down', plain(whenAllDown));
  return map;
}

/** In the usual order of zone files. */
const VIP_KEYS = ['region', 'A', 'AAAA', 'CNAME', 'weight'] as const;

function vipsOf(vips: readonly VipDraft[]): YAMLMap {
  const map = new YAMLMap();
  for (const vip of vips) {
    const key = new Scalar(escapeReferences(vip.name));
    if (vip.comment !== undefined) key.commentBefore = oneLine(` ${vip.comment}`);
    const fields = VIP_KEYS.flatMap((field) => (vip[field] === undefined ? [] : [[field, vip[field]] as const]));
    map.add({ key, value: plain(Object.fromEntries(fields)) });
  }
  return map;
}

/** The number of records, for the summary. */
export function countRecords({ owners }: ZoneDraft): number {
  const count = ({ rrsets }: OwnerDraft): number =>
    [...rrsets.values()].reduce((sum, { rdata }) => sum + rdata.length, 0);
  return [...owners.values()].reduce((sum, owner) => sum + count(owner), 0);
}
