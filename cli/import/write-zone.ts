/**
 * Writes a draft as short, readable zone YAML, with each note as a comment at its place. The records of a large zone
 * can be in a master file beside it.
 */
import { Document, Pair, Scalar, YAMLMap, type Node } from 'yaml';
import { formatName, nameKey, ROOT, type Name } from '../../wire/name.ts';
import { formatRdata } from '../../wire/rdata.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import type {
  AliasDraft,
  DraftValue,
  RegionDraft,
  Rrset,
  ServiceDraft,
  TemplateDraft,
  VipDraft,
  ZoneDraft,
} from './draft.ts';
import { noteLines, relativeName, relativeTarget, rrsetOf, withOwners } from './draft.ts';
import { rdataText } from './rdata-text.ts';
import { settleAliases } from './settle-aliases.ts';
import type { SharedDraft } from './share-parts.ts';
import { soaFields } from './soa.ts';
import { oneOrList } from './values.ts';

/** A map or list that is longer than this is split into several lines. */
const MAX_LINE = 100;

/** The first words of every file that an import writes. */
export const IMPORTED_FROM = 'Imported from';

/** Text that becomes octets at a time. */
const PIECE_CHARACTERS = 64 * 1024;

/** `records`: a master file that `yaml` includes. */
export type WrittenZone = { readonly yaml: string; readonly records: Buffer | undefined };

/**
 * The zone file's text. `included` is the path of a master file for the records, relative to the zone file; without it
 * they are in the zone file.
 */
export function writeZone(waiting: ZoneDraft, included?: string): WrittenZone {
  const draft = withOwners(waiting);
  settleAliases(draft);
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
  put('ttl', plain(shortestTtl(ttlSeconds)));
  const head = headOf(draft, ttlSeconds);
  put('nameservers', head.nameservers === undefined ? undefined : plain(head.nameservers));
  put('soa', head.soa === undefined ? undefined : plain(head.soa));
  put('regions', lines([...draft.regions].map(([name, region]) => [name, plain(withoutDefaults(region))])), true);
  put('checks', lines([...draft.checks].map(([name, check]) => [name, plain(check)])), true);
  put('maps', lines([...draft.maps].map(([name, body]) => [name, plain(body)])), true);
  put('templates', lines([...draft.templates].map(([name, body]) => [name, serviceOf(body, apex, NO_TTL)])), true);
  const comments = commentsByOwner(draft);
  const commented = new Set<string>();
  const commentsOn = (name: string): readonly string[] => {
    commented.add(name);
    return comments.get(name) ?? [];
  };
  const rows = ownRecords(draft, head.rrsets, commentsOn);
  const services = [...draft.services.values()].map((service): Line => {
    const name = relativeName(service.owner, apex);
    return [name, writtenService(service, apex, ttlSeconds), commentsOn(name)];
  });
  const records = included === undefined ? undefined : masterFile(rows, draft, ttlSeconds);
  if (included === undefined) {
    const aliases = new Map(draft.aliases);
    const listed = Array.from(rows, ([name, rrsets, notes, key]): Line => {
      const alias = aliases.get(key);
      aliases.delete(key);
      return [name, recordsOf(rrsets, apex, ttlSeconds, alias), notes];
    });
    put('records', lines([...listed, ...aliasLines(draft, aliases, commentsOn)]), true);
  } else {
    put('include', plain([included]), true);
    put('records', lines(aliasLines(draft, draft.aliases, commentsOn)), true);
  }
  put('services', lines(services, true), true);
  const rest = draft.notes.filter(({ owner }) => owner === undefined || !commented.has(owner));
  const { lines: noted, hidden } = noteLines(rest);
  document.commentBefore = [
    ` ${IMPORTED_FROM} ${draft.source}.`,
    ...noted.map(({ kind, text }) => ` ${kind}: ${text}`),
    ...(hidden > 0 ? [` and ${hidden} more: pharos import --json lists all`] : []),
  ]
    .map(oneLine)
    .join('\n');
  return { yaml: document.toString({ lineWidth: 0, flowCollectionPadding: true }), records };
}

type OwnRecords = readonly [name: string, rrsets: readonly Rrset[], comments: readonly string[], key: string];

/** The records of each owner without `leftOut`. Comments on an owner with a service are at its service. */
function* ownRecords(
  { owners, services, apex }: ZoneDraft,
  leftOut: readonly Rrset[],
  commentsOn: (name: string) => readonly string[],
): Generator<OwnRecords> {
  for (const [key, { owner, rrsets }] of owners) {
    const own = rrsets.filter((rrset) => !leftOut.includes(rrset));
    if (own.length === 0) continue;
    const name = relativeName(owner, apex);
    yield [name, own, services.has(key) ? [] : commentsOn(name), key];
  }
}

/** Aliases of owners that have no line for other records. */
function aliasLines(
  { apex }: ZoneDraft,
  aliases: ReadonlyMap<string, AliasDraft>,
  commentsOn: (name: string) => readonly string[],
): Line[] {
  return [...aliases.values()].map(({ owner, target, ttlSeconds }): Line => {
    const name = relativeName(owner, apex);
    return [name, plain({ ttl: shortestTtl(ttlSeconds), ALIAS: relativeTarget(target, apex) }), commentsOn(name)];
  });
}

/** The records as an RFC 1035 master file, with each note as a comment above its owner. */
function masterFile(rows: Iterable<OwnRecords>, { apex, source }: ZoneDraft, zoneTtl: number): Buffer {
  const origin = apex.length === 1 ? '.' : `${formatName(apex)}.`;
  const pieces: Buffer[] = [];
  let text = `${oneLine(`; Imported from ${source}.`)}\n$ORIGIN ${origin}\n$TTL ${zoneTtl}\n`;
  for (const [name, rrsets, comments] of rows) {
    const lines = comments.map((comment) => oneLine(`; ${comment}`));
    for (const { type, ttlSeconds, rdata } of rrsets) {
      const start = `${name}\t${ttlSeconds === zoneTtl ? '' : `${ttlSeconds}\t`}${typeText(type)}\t`;
      for (const each of rdata) lines.push(start + formatRdata(type, each));
    }
    text += `${lines.join('\n')}\n`;
    // Joined pieces of text need much memory until they are octets.
    if (text.length > PIECE_CHARACTERS) {
      pieces.push(Buffer.from(text));
      text = '';
    }
  }
  return Buffer.concat([...pieces, Buffer.from(text)]);
}

/** A threshold of 0 % is that of a region that states none. */
function withoutDefaults({ at, min_healthy: share }: RegionDraft): RegionDraft {
  return {
    ...(at === undefined ? {} : { at }),
    ...(share === undefined || share === '0%' ? {} : { min_healthy: share }),
  };
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

function commentsByOwner({ notes }: ZoneDraft): ReadonlyMap<string, readonly string[]> {
  const comments = new Map<string, string[]>();
  for (const { kind, owner, message } of notes) {
    if (owner === undefined) continue;
    const known = comments.get(owner);
    if (known) known.push(`${kind}: ${message}`);
    else comments.set(owner, [`${kind}: ${message}`]);
  }
  return comments;
}

/** A comment ends with its line, so control characters in the operator's text are replaced. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- YAML does not allow these characters
  return text.replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029\ufeff]+/g, ' ').trimEnd();
}

/** Escapes `${NAME}`, which would otherwise be read from the environment. */
export function escapeReferences(text: string): string {
  return text.replaceAll('${', () => '$${');
}

/** Any value, on one line if it fits. */
export function plain(value: DraftValue): Node {
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
export function shortestTtl(seconds: number): number | string {
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
  for (const { rrsets } of owners.values()) for (const { ttlSeconds } of rrsets) count(ttlSeconds);
  for (const { ttl } of services.values()) if (typeof ttl === 'number') count(ttl);
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best), [300, 0])[0];
}

type Head = { readonly nameservers?: DraftValue; readonly soa?: DraftValue; readonly rrsets: readonly Rrset[] };

/** `nameservers` and `soa`, if they express the NS and SOA of the apex completely; these RRsets are then left out. */
function headOf({ apex, owners }: ZoneDraft, ttlSeconds: number): Head {
  const atApex = owners.get(nameKey(apex));
  const ns = atApex && rrsetOf(atApex, TYPE.NS);
  const soa = atApex && rrsetOf(atApex, TYPE.SOA);
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

function recordsOf(rrsets: readonly Rrset[], apex: Name, zoneTtl: number, alias: AliasDraft | undefined): Node {
  const ttls = new Set(rrsets.map(({ ttlSeconds }) => ttlSeconds));
  const [only = zoneTtl] = ttls;
  const own = alias && [['ALIAS', relativeTarget(alias.target, apex)] as const];
  const ttl: DraftValue | undefined = alias
    ? Object.fromEntries([
        ...rrsets.flatMap(({ type, ttlSeconds }) =>
          ttlSeconds === zoneTtl ? [] : [[typeText(type), shortestTtl(ttlSeconds)] as const],
        ),
        ['ALIAS', shortestTtl(alias.ttlSeconds)] as const,
      ])
    : ttls.size > 1
      ? Object.fromEntries(
          rrsets.flatMap(({ type, ttlSeconds }) =>
            ttlSeconds === zoneTtl ? [] : [[typeText(type), shortestTtl(ttlSeconds)]],
          ),
        )
      : only === zoneTtl
        ? undefined
        : shortestTtl(only);
  return plain({
    ...(ttl === undefined ? {} : { ttl }),
    ...Object.fromEntries([...(own ?? []), ...typesOf(rrsets, apex)]),
  });
}

/** Types with their values: one, or a list. */
function typesOf(rrsets: readonly Pick<Rrset, 'type' | 'rdata'>[], apex: Name): [string, DraftValue][] {
  return rrsets.map(({ type, rdata }) => [typeText(type), oneOrList(rdata.map((each) => rdataText(type, each, apex)))]);
}

/** The text of a pharos.yaml with what zones share. `zones`: their folder, relative to it. */
export function writeSettings(
  { regions, checks, maps, templates }: SharedDraft,
  zones: string,
  source: string,
): string {
  const root = new YAMLMap();
  const document = new Document(root);
  const put = (key: string, value: Node | undefined): void => {
    if (!value) return;
    const name = new Scalar(key);
    name.spaceBefore = true;
    root.add({ key: name, value });
  };
  put('zones', plain([zones]));
  put('regions', lines([...regions].map(([name, region]) => [name, plain(withoutDefaults(region))])));
  put('checks', lines([...checks].map(([name, check]) => [name, plain(check)])));
  put('maps', lines([...maps].map(([name, body]) => [name, plain(body)])));
  put('templates', lines([...templates].map(([name, body]) => [name, serviceOf(body, ROOT, NO_TTL)])));
  document.commentBefore = oneLine(` ${IMPORTED_FROM} ${source}.`);
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** For templates, which may be used in zones with any TTL. */
const NO_TTL = -1;

/** A service, or the template that it is. */
function writtenService(service: ServiceDraft, apex: Name, zoneTtl: number): Node {
  const { template, ttl } = service;
  if (!template) return serviceOf(service, apex, zoneTtl);
  if (template.hasTtl) return plain(`$${template.name}`);
  return plain({ use: `$${template.name}`, ttl: typeof ttl === 'number' ? shortestTtl(ttl) : { ...ttl } });
}

function serviceOf(service: TemplateDraft, apex: Name, zoneTtl: number): YAMLMap {
  const { ttl, check, vips, steer, answers, whenAllDown, partial } = service;
  const map = new YAMLMap();
  const put = (key: string, value: Node): void => {
    map.add({ key: new Scalar(key), value });
  };
  if (typeof ttl !== 'number') put('ttl', plain({ min: ttl.min, max: ttl.max }));
  else if (ttl !== zoneTtl) put('ttl', plain(shortestTtl(ttl)));
  if (check !== undefined) put('check', plain(check));
  put('vips', vipsOf(vips, apex));
  if (steer.length > 0) put('steer', plain(steer));
  if (answers !== undefined) put('answers', plain(answers));
  if (whenAllDown !== undefined) put('when_all_down', plain(whenAllDown));
  if (partial !== undefined) put('partial', plain(partial));
  return map;
}

/** In the usual order of zone files. */
const FIRST_VIP_KEYS = ['region', 'service', 'A', 'AAAA', 'CNAME'] as const;
const LAST_VIP_KEYS = ['weight', 'probe', 'check'] as const;

function vipsOf(vips: readonly VipDraft[], apex: Name): YAMLMap {
  const map = new YAMLMap();
  for (const vip of vips) {
    const key = new Scalar(escapeReferences(vip.name));
    if (vip.comment !== undefined) key.commentBefore = oneLine(` ${vip.comment}`);
    const own = (keys: readonly (typeof FIRST_VIP_KEYS | typeof LAST_VIP_KEYS)[number][]): [string, DraftValue][] =>
      keys.flatMap((field): [string, DraftValue][] => (vip[field] === undefined ? [] : [[field, vip[field]]]));
    const fields = [...own(FIRST_VIP_KEYS), ...typesOf(vip.rrsets ?? [], apex), ...own(LAST_VIP_KEYS)];
    map.add({ key, value: plain(Object.fromEntries(fields)) });
  }
  return map;
}
