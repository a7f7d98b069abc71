/**
 * Compact denial of existence (RFC 9824): an answering thread signs the denial of each name that does not exist, and
 * answers from wildcards as if the name existed. Each thread makes a bounded number of signatures per second; queries
 * beyond it are refused. PACKET PATH: allocates only when it signs.
 */
import type { OnlineSigner } from '../../dnssec/online-signer.ts';
import { nextBelow, nsecData, type SignedSet } from '../../dnssec/rrsig.ts';
import { HAS, vipRecords, SERVICE, serviceWord, vipWord } from '../../steering/plan.ts';
import { put16 } from '../../wire/octets.ts';
import { emptyResponse } from '../../wire/response.ts';
import { CLASS, EDE, RCODE, TYPE } from '../../wire/types.ts';
import { type DecodedSet, decodeRrset } from '../../zones/image/decode-rrset.ts';
import {
  apexOf,
  type Image,
  nameAtOf,
  NODE,
  nodeWord,
  RECORD_HEAD_OCTETS,
  RRSET,
  rrsetWord,
  wireAtOf,
} from '../../zones/image/image.ts';
import { COUNTER, count } from '../counters.ts';
import type { Answerer } from './answer-state.ts';
import { copyRecords } from './copy-rrset.ts';
import { findSigned, keepSigned, type Online, type OnlineCache } from './online-cache.ts';

/** P-256 signatures take some 4 % of a core. */
export const SIGNATURES_PER_SECOND = 1000;
const SECOND_MS = 1000;

/** The first word of a tag. Rows of RRsets are greater. */
const TAG = { NSEC: 1, VIPS: 2, RECORDS: 3 } as const;

const DENIED_TYPES: readonly number[] = [TYPE.RRSIG, TYPE.NSEC, TYPE.NXNAME];

/**
 * Adds the NSEC of the current name: it does not exist if `bitmapOf` is -1, else it has the types of that NSEC row,
 * which is a wildcard's. `isAnswer`: to the answer section.
 */
export function addOnlineNsec(
  a: Answerer,
  zone: number,
  bitmapOf: number,
  ttlSeconds: number,
  isAnswer: boolean,
): void {
  const { online, image, search, response, proofs } = a;
  if (!online) {
    refuseSigning(a);
    return;
  }
  const { cache } = online;
  startTag(cache, TAG.NSEC, bitmapOf);
  if (!findSigned(cache, zone, search)) {
    const signer = spend(a, online, zone);
    if (!signer) {
      refuseSigning(a);
      return;
    }
    const owner = ownerOf(a);
    const rdata = bitmapOf < 0 ? nsecData(nextBelow(owner), DENIED_TYPES) : nsecLike(image, bitmapOf, nextBelow(owner));
    const set = { owner, type: TYPE.NSEC, ttlSeconds, rdata: [rdata] };
    const signatures = signer.sign(set);
    keepSigned(cache, zone, search, wireOf(set, signatures, true), 1 + signatures.length);
  }
  if (!copyRecords(a, cache.wire, cache.at, cache.octets, proofs.nameAt)) response.truncated = true;
  else if (isAnswer) response.answers += cache.records;
  else response.authorities += cache.records;
}

/** The data of an NSEC row with another next name. */
function nsecLike({ words, bytes }: Image, row: number, next: Uint8Array): Uint8Array {
  const from = wireAtOf(words, row) + RECORD_HEAD_OCTETS;
  const end = wireAtOf(words, row) + rrsetWord(words, row, RRSET.WIRE_OCTETS);
  let at = from;
  while ((bytes[at] ?? 0) !== 0) at += (bytes[at] ?? 0) + 1;
  return Uint8Array.from([...next, ...bytes.subarray(at + 1, end)]);
}

/**
 * Adds the signatures of a wildcard's RRset for the current name, right after its records. Returns the number of
 * records, or -1 if they do not fit or the query was refused.
 */
export function addOnlineSignatures(a: Answerer, zone: number, rrset: number, nameAt: number): number {
  const { online, image, search } = a;
  if (!online) {
    refuseSigning(a);
    return -1;
  }
  startTag(online.cache, rrset, 0);
  if (!findSigned(online.cache, zone, search)) {
    const { ttlSeconds, data } = decode(image, zone, rrset);
    const type = rrsetWord(image.words, rrset, RRSET.TYPE);
    if (!signSet(a, online, zone, { owner: ownerOf(a), type, ttlSeconds, rdata: data })) return -1;
  }
  return addFound(a, online.cache, nameAt);
}

/**
 * Does the same for the first `size` VIPs of the decision, of a service at a wildcard. `has`: the HAS bit of the type;
 * `column`: that of the RRset in the VIP's row, unused for the other types.
 */
export function addOnlineSet(
  a: Answerer,
  zone: number,
  service: number,
  has: number,
  type: number,
  column: number,
  size: number,
  nameAt: number,
): number {
  const { online } = a;
  if (!online) {
    refuseSigning(a);
    return -1;
  }
  const isOther = has >= HAS.FIRST_OTHER;
  const kind = isOther ? TAG.RECORDS | ((31 - Math.clz32(has / HAS.FIRST_OTHER)) << 4) : TAG.VIPS | (column << 4);
  if (!findVips(a, online.cache, zone, kind | (service << 8), size)) {
    const rows = isOther ? otherRows(a, service, has, size) : vipRows(a, service, column, size);
    if (!signRows(a, online, zone, service, type, rows)) return -1;
  }
  return addFound(a, online.cache, nameAt);
}

function vipRows(a: Answerer, service: number, column: number, size: number): number[] {
  const { plan } = a.image;
  const first = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  return chosen(a, size).map((vip) => vipWord(plan.vips, first + vip, column));
}

/** Equal records of several VIPs are one row. */
function otherRows(a: Answerer, service: number, has: number, size: number): number[] {
  return [...new Set(chosen(a, size).flatMap((vip) => [...vipRecords(a.image.plan, service, has, vip)]))];
}

/** Finds the signatures of the first `size` VIPs of the decision in the cache. */
function findVips(
  { steerer, search }: Answerer,
  cache: OnlineCache,
  zone: number,
  kind: number,
  size: number,
): boolean {
  const { candidates } = steerer.decision;
  startTag(cache, kind, 0);
  for (let i = 0; i < size; i++) {
    const vip = candidates[i] ?? 0;
    cache.tag[1 + (vip >> 5)] = (cache.tag[1 + (vip >> 5)] ?? 0) | (1 << (vip & 31));
  }
  return findSigned(cache, zone, search);
}

function chosen({ steerer }: Answerer, size: number): number[] {
  return [...steerer.decision.candidates.subarray(0, size)];
}

/** Signs RRsets of the zone as one. Returns false if the query was refused. */
function signRows(
  a: Answerer,
  online: Online,
  zone: number,
  service: number,
  type: number,
  rows: readonly number[],
): boolean {
  const rdata = rows.flatMap((row) => decode(a.image, zone, a.answersFrom + row).data);
  const ttlSeconds = serviceWord(a.image.plan.services, service, SERVICE.TTL_SIGNED);
  return signSet(a, online, zone, { owner: ownerOf(a), type, ttlSeconds, rdata });
}

function startTag({ tag }: OnlineCache, kind: number, detail: number): void {
  tag.fill(0);
  tag[0] = kind;
  tag[1] = detail;
}

function ownerOf({ search }: Answerer): Uint8Array {
  return search.name.slice(0, search.nameOctets);
}

function addFound(a: Answerer, { wire, at, octets, records }: OnlineCache, nameAt: number): number {
  if (copyRecords(a, wire, at, octets, nameAt)) return records;
  a.response.truncated = true;
  return -1;
}

/** Returns false if the query was refused. */
function signSet(a: Answerer, online: Online, zone: number, set: SignedSet): boolean {
  const signer = spend(a, online, zone);
  if (!signer) return refuseSigning(a);
  const signatures = signer.sign(set);
  keepSigned(online.cache, zone, a.search, wireOf(set, signatures, false), signatures.length);
  return true;
}

/** The signer, if its signatures are within the budget. */
function spend({ clock, counters }: Answerer, online: Online, zone: number): OnlineSigner | undefined {
  const signer = online.signers.get(zone);
  if (!signer) return undefined;
  const now = clock.ms();
  if (((now - online.sinceMs) | 0) >= SECOND_MS) {
    online.sinceMs = now;
    online.left = SIGNATURES_PER_SECOND;
  }
  if (online.left < signer.cost) return undefined;
  online.left -= signer.cost;
  count(counters, COUNTER.SIGNED_ONLINE, signer.cost);
  return signer;
}

/** Removes all records from the response. Returns false. */
function refuseSigning({ response, query, proofs, counters }: Answerer): false {
  emptyResponse(response, query);
  proofs.count = 0;
  response.authoritative = false;
  response.truncated = false;
  response.rcode = RCODE.REFUSED;
  response.error = EDE.NOT_READY;
  count(counters, COUNTER.SIGNING_REFUSED);
  return false;
}

/** The RRset, if it is wanted, and its signatures; `copyRecords` writes the owner. */
function wireOf(
  { type, ttlSeconds, rdata }: SignedSet,
  signatures: readonly Uint8Array[],
  withRecords: boolean,
): Uint8Array {
  const records = [...(withRecords ? rdata.map((data) => ({ type, data })) : []), ...signatures.map((data) => ({ type: TYPE.RRSIG, data }))]; // prettier-ignore
  const out = new Uint8Array(records.reduce((sum, { data }) => sum + RECORD_HEAD_OCTETS + data.length, 0));
  let at = 0;
  for (const { type: own, data } of records) {
    put16(out, at + 2, own);
    put16(out, at + 4, CLASS.IN);
    put16(out, at + 6, ttlSeconds >>> 16);
    put16(out, at + 8, ttlSeconds & 0xffff);
    put16(out, at + 10, data.length);
    out.set(data, at + RECORD_HEAD_OCTETS);
    at += RECORD_HEAD_OCTETS + data.length;
  }
  return out;
}

/** An RRset of the image, with whole names. */
function decode(image: Image, zone: number, rrset: number): DecodedSet {
  const { words, bytes } = image;
  const apexNode = apexOf(words, zone);
  const at = nameAtOf(words, apexNode);
  const apex = bytes.subarray(at, at + (nodeWord(words, apexNode, NODE.NAME_AND_FLAGS) & 0xff));
  return decodeRrset(image, apex, rrset);
}
