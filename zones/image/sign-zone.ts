/**
 * The rows that a signed zone has beside its records: signatures, the chain of NSEC records (RFC 4034 4), and for
 * services the signatures of the sets that an answer can have and the NSEC records that deny a type without data.
 */
import { DENIAL_TYPES, nextBelow, nextBeside, nsecData } from '../../dnssec/rrsig.ts';
import type { ZoneSigner } from '../../dnssec/zone-signer.ts';
import { ttlBounds } from '../../steering/steps.ts';
import { parseAddress } from '../../wire/address.ts';
import { canonical, compareCanonical, type Name } from '../../wire/name.ts';
import { TYPE } from '../../wire/types.ts';
import { hasData, innerServices, otherTypes, rdataOfType, type ServiceModel } from '../read/model.ts';
import type { NameTable } from '../read/name-table.ts';
import { type RecordStore, findSoaRow, negativeTtl } from '../read/record-store.ts';
import { encodeRrset, type RrsetTables } from './encode-rrset.ts';
import { NODE, NODE_FLAG, nodeWord, pairOf, ROW_WORDS, RRSET, SIGNED } from './image.ts';
import { flagsOf, nameOf, type NodeTable } from './node-table.ts';
import { keyOfSet, MAX_SET_VIPS, setPair, STATIC_KEY } from './signed-rows.ts';

/** An RRset of the image with what signing needs. */
export type EncodedSet = {
  readonly rrset: number;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly rdata: readonly Uint8Array[];
};

type Unsigned = {
  readonly building: NodeTable & RrsetTables & { chain: readonly number[] };
  readonly store: RecordStore;
  readonly owners: NameTable;
  readonly apex: Name;
  /** By owner: nodes that are not in the chain, because they are below a cut. */
  readonly occludedNode: ReadonlyMap<string, number>;
};

export type ZoneSigning = Unsigned & {
  readonly signer: ZoneSigner;
  readonly serviceOf: ReadonlyMap<number, ServiceModel>;
  /** The next node of the chain; the last node leads to the apex. */
  readonly nextOf: ReadonlyMap<number, number>;
  /** RFC 9077 3: the lesser of the SOA's TTL and MINIMUM. */
  readonly nsecTtlSeconds: number;
};

/** The most signed sets per name and type. */
const MAX_SETS = 64;

/** Arranges the chain of the zone. All nodes must exist. */
export function createSigning(
  unsigned: Unsigned,
  signer: ZoneSigner,
  services: readonly ServiceModel[],
  foreign: readonly ServiceModel[],
): ZoneSigning {
  const { building, store, owners, occludedNode } = unsigned;
  const occluded = new Set(occludedNode.values());
  const serviceOf = new Map<number, ServiceModel>();
  const named: { readonly node: number; readonly name: Name }[] = [];
  for (let node = 0; node * ROW_WORDS < building.nodes.length; node++) {
    const number = nodeWord(building.nodes.array, node, NODE.SERVICE);
    const service = number < -1 ? foreign[-2 - number] : services[number];
    if (service) serviceOf.set(node, service);
    // Empty non-terminals have no NSEC in a chain (RFC 4034 4.1.1), but one of their own in compact denial (RFC 9824
    // 3.2).
    const hasData = service !== undefined || node < owners.count || signer.denial === 'compact';
    if (hasData && !occluded.has(node)) named.push({ node, name: canonical(nameOf(building, node)) });
  }
  named.sort((a, b) => compareCanonical(a.name, b.name));
  building.chain = named.map(({ node }) => node);
  const nextOf = new Map(building.chain.map((node, index, all) => [node, all[index + 1] ?? all[0] ?? 0]));
  return { ...unsigned, signer, serviceOf, nextOf, nsecTtlSeconds: negativeTtl(store, findSoaRow(store)) };
}

/** Adds the signatures of an RRset in the row after it, if the zone is authoritative for it (RFC 4035 2.2). */
export function signRrset(signing: ZoneSigning, node: number, set: EncodedSet): void {
  const { building } = signing;
  if ((flagsOf(building, node) & NODE_FLAG.CUT) !== 0 && set.type !== TYPE.DS) return;
  const at = set.rrset * ROW_WORDS + RRSET.COUNT;
  building.rrsets.array[at] = (building.rrsets.array[at] ?? 0) | SIGNED;
  addSignatures(signing, node, set, 0);
}

/**
 * Adds a row of signatures. `key` identifies the set of a service, and `place` the service, if that of the node leads
 * to others (`findSet`).
 */
function addSignatures(
  signing: ZoneSigning,
  node: number,
  set: Omit<EncodedSet, 'rrset'>,
  key: number,
  place = 0,
): void {
  const { building, signer, apex } = signing;
  const { type, ttlSeconds, rdata } = set;
  const signatures = signer.draft({ owner: canonical(nameOf(building, node)), type, ttlSeconds, rdata });
  const dataAt: number[] = [];
  const wireAt = building.bytes.length;
  const row = encodeRrset(building, TYPE.RRSIG, ttlSeconds, signatures, apex, dataAt);
  if (row === undefined) throw new RangeError('the signatures do not fit a DNS message');
  signer.place(dataAt, wireAt);
  building.rrsets.array[row * ROW_WORDS + RRSET.TYPE] = setPair(type, place);
  building.rrsets.array[row * ROW_WORDS + RRSET.SET_KEY] = key;
}

/** Adds the DNSSEC rows of a node beside its records, whose types are `types`. */
export function signNode(signing: ZoneSigning, node: number, types: readonly number[]): void {
  const { building, signer } = signing;
  const own = new Set(types);
  const isApex = (flagsOf(building, node) & NODE_FLAG.APEX) !== 0;
  for (const { type, ttlSeconds, rdata } of isApex ? signer.apexSets : []) {
    own.add(type);
    addSigned(signing, node, { type, ttlSeconds, rdata });
  }
  const service = signing.serviceOf.get(node);
  const steered = service ? [...steeredTypes(service)] : [];
  for (const type of steered) own.add(type);
  const nsec = addNsec(signing, node, own);
  building.nodes.array[node * ROW_WORDS + NODE.NSEC] = nsec + 1;
  for (const type of steered) {
    own.delete(type);
    const row = addNsec(signing, node, own);
    building.rrsets.array[row * ROW_WORDS + RRSET.TYPE] = pairOf(TYPE.NSEC, type);
    own.add(type);
  }
  const services = service ? [service, ...innerServices(service)] : [];
  for (const [place, each] of services.entries()) signService(signing, node, each, place);
}

/** Adds an RRset and its signatures. Returns its number. */
function addSigned(signing: ZoneSigning, node: number, set: Omit<EncodedSet, 'rrset'>): number {
  const { building, apex } = signing;
  const rrset = encodeRrset(building, set.type, set.ttlSeconds, set.rdata, apex);
  if (rrset === undefined) throw new RangeError('the keys do not fit a DNS message');
  signRrset(signing, node, { ...set, rrset });
  return rrset;
}

/** Adds an NSEC, also at a cut, where the zone is authoritative for it. Returns its number. */
function addNsec(signing: ZoneSigning, node: number, types: ReadonlySet<number>): number {
  const { building, apex, signer, nextOf, nsecTtlSeconds } = signing;
  const sorted = [...new Set([...types, ...DENIAL_TYPES])].sort((a, b) => a - b);
  const own = canonical(nameOf(building, node));
  const isCut = (flagsOf(building, node) & NODE_FLAG.CUT) !== 0;
  const next = signer.denial === 'nsec' ? canonical(nameOf(building, nextOf.get(node) ?? 0)) : isCut ? nextBeside(own) : nextBelow(own); // prettier-ignore
  const rdata = [nsecData(next, sorted)];
  const set = { type: TYPE.NSEC, ttlSeconds: nsecTtlSeconds, rdata };
  const rrset = encodeRrset(building, set.type, set.ttlSeconds, rdata, apex);
  if (rrset === undefined) throw new RangeError('an NSEC does not fit a DNS message');
  building.rrsets.array[rrset * ROW_WORDS + RRSET.COUNT] = 1 | SIGNED;
  addSignatures(signing, node, set, 0);
  return rrset;
}

/** The types of which the service can have data, without the CNAME of `when_all_down` beside addresses. */
function steeredTypes(service: ServiceModel): ReadonlySet<number> {
  const { vips, whenAllDown: down } = service;
  if (vips.some((vip) => hasData(vip, 'cname'))) return new Set([TYPE.CNAME]);
  const fallback = down.kind === 'static' ? down : { a: [], aaaa: [] };
  return new Set([
    ...(vips.some(({ a }) => a) || fallback.a.length > 0 ? [TYPE.A] : []),
    ...(vips.some(({ aaaa }) => aaaa) || fallback.aaaa.length > 0 ? [TYPE.AAAA] : []),
    ...(vips.some(({ svcb }) => svcb) ? [TYPE.HTTPS, TYPE.SVCB] : []),
    ...otherTypes(service),
    ...vips.flatMap(({ inner }) => (inner ? [...steeredTypes(inner)] : [])),
  ]);
}

/** Signs the sets of VIPs that a service's answers can contain. `place`: see `addSignatures`. */
function signService(signing: ZoneSigning, node: number, service: ServiceModel, place: number): void {
  const { vips, answers, ttl, steps, whenAllDown: down } = service;
  const one = (data: Uint8Array | undefined): readonly Uint8Array[] => (data ? [data] : []);
  const kinds = [
    { type: TYPE.A, most: answers, data: vips.map(({ a }) => one(a)) },
    { type: TYPE.AAAA, most: answers, data: vips.map(({ aaaa }) => one(aaaa)) },
    { type: TYPE.CNAME, most: 1, data: vips.map(({ cname }) => one(cname)) },
    ...[TYPE.HTTPS, TYPE.SVCB].map((type) => ({ type, most: answers, data: vips.map(({ svcb }) => one(svcb)) })),
    ...otherTypes(service).map((type) => ({ type, most: answers, data: vips.map((vip) => rdataOfType(vip, type)) })),
  ];
  for (const { type, most, data } of kinds) {
    const all = data.filter(({ length }) => length > 0).length;
    for (const members of setsOf(data, most)) {
      const rdata = members.flatMap((vip) => data[vip] ?? []);
      addSignatures(
        signing,
        node,
        { type, ttlSeconds: ttlBounds(ttl, steps).most, rdata },
        keyOfSet(Int32Array.from(members), members.length, all),
        place,
      );
    }
  }
  if (down.kind !== 'static') return;
  const octets = (texts: readonly string[]): Uint8Array[] => texts.flatMap((text) => parseAddress(text) ?? []);
  const fallbacks = [
    { type: TYPE.A, rdata: octets(down.a) },
    { type: TYPE.AAAA, rdata: octets(down.aaaa) },
    { type: TYPE.CNAME, rdata: one(down.cname) },
    ...(down.rrsets ?? []),
  ];
  for (const { type, rdata } of fallbacks) {
    if (rdata.length > 0) addSignatures(signing, node, { type, ttlSeconds: ttl.minSeconds, rdata }, STATIC_KEY, place); // prettier-ignore
  }
}

/**
 * The sets to sign, each as numbers of VIPs: every VIP alone; all VIPs, for zone transfers; then the sets of at most
 * `most` VIPs. If these are too many, only the largest are signed: they are the answers while all VIPs, or all but a
 * few, are up.
 */
function setsOf(data: readonly (readonly Uint8Array[])[], most: number): readonly (readonly number[])[] {
  const vips = data.flatMap(({ length }, vip) => (length > 0 ? [vip] : []));
  const sets: number[][] = vips.map((vip) => [vip]);
  const inSets = vips.filter((vip) => vip < MAX_SET_VIPS);
  if (vips.length > 1 && (vips.length > most || vips.length > inSets.length)) sets.push(vips);
  for (let size = Math.min(most, inSets.length); size > 1; size--) {
    for (const set of combinations(inSets, size)) {
      if (sets.length >= Math.max(MAX_SETS, vips.length + 1)) return sets;
      sets.push(set);
    }
  }
  return sets;
}

function* combinations(items: readonly number[], size: number, from = 0): Generator<number[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let at = from; at <= items.length - size; at++) {
    for (const rest of combinations(items, size - 1, at + 1)) yield [items[at] ?? 0, ...rest];
  }
}
