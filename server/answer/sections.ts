/**
 * Writes RRsets into the sections of a response. PACKET PATH: allocates nothing. Positions are relative to the start of
 * the message.
 */
import { MAX_CHAIN_LINKS, MAX_NAME_OCTETS, MAX_POINTER } from '../../wire/limits.ts';
import { get16, put16 } from '../../wire/octets.ts';
import { LOWER_CASE } from '../../wire/query.ts';
import { CLASS, RCODE, TYPE } from '../../wire/types.ts';
import { findRrset, sumLabels } from '../../zones/image/find-node.ts';
import {
  extraOwnerAt,
  extraRrset,
  firstExtraOf,
  RECORD_HEAD_OCTETS,
  RRSET,
  rrsetWord,
  HEAD,
  headWord,
} from '../../zones/image/image.ts';
import type { Answerer } from './answer-state.ts';
import { copyRrset, putPointer, recordsOf, suffixAt } from './copy-rrset.ts';
import { addDenial, addNsec, addProofs, copySignatures, extraSignatures } from './signed.ts';

/** Adds an RRset to the answer section, and the addresses of the names in it to the additional section. */
export function addAnswer(a: Answerer, rrset: number, ownerAt: number, apexAt: number): boolean {
  const { response } = a;
  const start = response.length;
  if (!copyRrset(a, rrset, ownerAt, apexAt)) {
    response.truncated = true;
    return false;
  }
  response.answers += recordsOf(a, rrset);
  if (a.query.dnssecOk) {
    const signatures = copySignatures(a, rrset, ownerAt);
    if (signatures < 0) return false;
    response.answers += signatures;
  }
  if (rrsetWord(a.image.words, rrset, RRSET.EXTRA_COUNT) > 0) {
    // The authority section comes before the additional section.
    if (a.query.dnssecOk) addProofs(a);
    addExtras(a, rrset, start);
  }
  return true;
}

/**
 * Adds the SOA of NXDOMAIN or NODATA, with the TTL of RFC 2308 3, and in signed zones the proof. `zone` is the zone's
 * number; `node` is the node without data of the query's type, -1 for NXDOMAIN.
 */
export function addNegative(a: Answerer, zone: number, node: number, apexAt: number): void {
  const { response, image, query } = a;
  const { head } = a.search;
  const soa = headWord(image.words, head, HEAD.NEGATIVE_SOA);
  if (soa === 0) return;
  const start = response.length;
  if (!copyRrset(a, head + soa, apexAt, apexAt)) {
    response.truncated = true;
    return;
  }
  response.authorities++;
  if (query.dnssecOk) addDenial(a, zone, node, apexAt, start);
}

/** Adds a referral: NS, DS if the query has DO, and glue (RFC 1034 4.3.2 3b). */
export function addReferral(a: Answerer, node: number, cutAt: number, apexAt: number): void {
  const { image, response, query } = a;
  const ns = findRrset(image, node, TYPE.NS);
  if (ns < 0) return;
  const start = response.length;
  if (!copyRrset(a, ns, cutAt, apexAt)) {
    response.truncated = true;
    return;
  }
  response.authorities += recordsOf(a, ns);
  if (query.dnssecOk) {
    const ds = findRrset(image, node, TYPE.DS);
    if (ds < 0) addNsec(a, node, 0, apexAt);
    else if (!copyRrset(a, ds, cutAt, apexAt)) response.truncated = true;
    else response.authorities += recordsOf(a, ds) + Math.max(0, copySignatures(a, ds, cutAt));
    addProofs(a);
  }
  // RFC 9471 3.1: missing glue sets TC, like a missing answer.
  if (!addExtras(a, ns, start)) response.truncated = true;
}

/**
 * Adds the addresses of the names in the RRset at `start`. Returns false when one did not fit. Each owner is a pointer
 * to the name in the RRset's data.
 */
function addExtras(a: Answerer, rrset: number, start: number): boolean {
  const { image, response } = a;
  const { words } = image;
  const first = firstExtraOf(words, rrset);
  const end = first + rrsetWord(words, rrset, RRSET.EXTRA_COUNT);
  let isWhole = true;
  for (let extra = first; extra < end; extra++) {
    const rrsetOfExtra = extraRrset(words, extra);
    const ownerAt = suffixAt(a, start + extraOwnerAt(words, extra), 0);
    // Continue: a later RRset may be smaller and fit.
    if (ownerAt > MAX_POINTER || !copyRrset(a, rrsetOfExtra, ownerAt, 0)) isWhole = false;
    else {
      response.additionals += recordsOf(a, rrsetOfExtra);
      // RFC 4035 3.1.1: signatures that do not fit here are left out, without TC.
      if (a.query.dnssecOk) response.additionals += extraSignatures(a, rrsetOfExtra, ownerAt);
    }
  }
  return isWhole;
}

/** Adds a CNAME to the answer and follows it. Returns the position of its target, -1 when the chain ends here. */
export function followLink(
  a: Answerer,
  node: number,
  rrset: number,
  nameAt: number,
  apexAt: number,
  link: number,
): number {
  const mark = node * MARK.COUNT + MARK.CNAME;
  for (let i = 0; i < link; i++) {
    // Different names can match one wildcard (RFC 4592 4.1): only the same name is a loop.
    if (a.visited[i] === mark && isSameName(a, a.visitedAt[i] ?? 0, nameAt)) return -1;
  }
  a.visitedAt[link] = nameAt;
  const targetAt = a.response.length + RECORD_HEAD_OCTETS;
  if (!addAnswer(a, rrset, nameAt, apexAt)) return -1;
  return continueAt(a, mark, targetAt, link);
}

/** Whether the names at two positions are the same (RFC 4343). */
function isSameName({ response }: Answerer, first: number, second: number): boolean {
  const { tx, base } = response;
  let at = base + first;
  let other = base + second;
  for (;;) {
    while ((tx[at] ?? 0) >= 0xc0) at = base + (((tx[at] ?? 0) & 0x3f) << 8) + (tx[at + 1] ?? 0);
    while ((tx[other] ?? 0) >= 0xc0) other = base + (((tx[other] ?? 0) & 0x3f) << 8) + (tx[other + 1] ?? 0);
    const length = tx[at] ?? 0;
    // Length octets are below 64, so case folding does not change them.
    for (let i = 0; i <= length; i++) {
      if (LOWER_CASE[tx[at + i] ?? 0] !== LOWER_CASE[tx[other + i] ?? 0]) return false;
    }
    if (length === 0) return true;
    at += length + 1;
    other += length + 1;
  }
}

/** Marks for the links of a chain: the number of a node or service, times COUNT, plus the kind. */
export const MARK = { CNAME: 0, DNAME: 1, SERVICE: 2, COUNT: 4 } as const;

/** Whether the chain has visited this mark before, so that its records are in the answer already. */
export function isLoop({ visited }: Answerer, mark: number, link: number): boolean {
  for (let i = 0; i < link; i++) if (visited[i] === mark) return true;
  return false;
}

/** Reads the next name of the chain from the message. Returns its position, -1 when the chain is too long. */
export function continueAt(a: Answerer, mark: number, targetAt: number, link: number): number {
  a.visited[link] = mark;
  if (link === MAX_CHAIN_LINKS) return -1;
  const { search: target, response } = a;
  const { tx, base } = response;
  let octets = 0;
  let labels = 0;
  let at = base + targetAt;
  for (;;) {
    const length = tx[at] ?? 0;
    if (length >= 0xc0) {
      at = base + (((length & 0x3f) << 8) | (tx[at + 1] ?? 0));
      continue;
    }
    target.name[octets] = length;
    target.labelAt[labels] = octets++;
    if (length === 0) break;
    labels++;
    for (let i = 1; i <= length; i++) target.name[octets++] = LOWER_CASE[tx[at + i] ?? 0] ?? 0;
    at += length + 1;
  }
  target.nameOctets = octets;
  target.labels = labels;
  sumLabels(target);
  return suffixAt(a, targetAt, 0);
}

/** Adds the DNAME and the CNAME that is synthesized from it (RFC 6672 3.1). Returns the same as `followLink`. */
export function followDname(a: Answerer, node: number, nameAt: number, apexAt: number, link: number): number {
  const { image, search: target, response, query } = a;
  const dname = findRrset(image, node, TYPE.DNAME);
  const mark = node * MARK.COUNT + MARK.DNAME;
  const { tx, base } = response;
  const prefixOctets = target.suffixAt;
  let dataAt = response.length + RECORD_HEAD_OCTETS;
  // A chain may use one DNAME several times. With another name that is not a loop; the DNAME is not added again.
  for (let i = 0; i < link; i++) {
    if (a.visited[i] !== mark) continue;
    const cnameAt = a.visitedAt[i] ?? 0;
    if (hasPrefix(a, cnameAt, prefixOctets)) return -1;
    dataAt = suffixAt(a, cnameAt, get16(tx, base + cnameAt - 2) - 2);
  }
  const isNew = dataAt > response.length;
  if (isNew && !addAnswer(a, dname, suffixAt(a, nameAt, target.suffixAt), apexAt)) return -1;
  const dataOctets = nameOctets(tx, base, dataAt);
  // RFC 6672 2.2: a synthesized name that is too long gives YXDOMAIN.
  if (prefixOctets + dataOctets > MAX_NAME_OCTETS) {
    response.rcode = RCODE.YXDOMAIN;
    return -1;
  }
  // The data is the prefix, then a pointer of two octets to the DNAME's target.
  const octets = RECORD_HEAD_OCTETS + prefixOctets + 2;
  if (response.length + octets > response.limit) {
    response.truncated = true;
    return -1;
  }
  const to = base + response.length;
  putPointer(tx, to, nameAt);
  put16(tx, to + 2, TYPE.CNAME);
  put16(tx, to + 4, CLASS.IN);
  for (let i = 6; i < 10; i++) tx[to + i] = tx[base + dataAt - RECORD_HEAD_OCTETS + i] ?? 0; // the DNAME's TTL
  put16(tx, to + 10, prefixOctets + 2);
  for (let i = 0; i < prefixOctets; i++) tx[to + RECORD_HEAD_OCTETS + i] = target.name[i] ?? 0;
  putPointer(tx, to + RECORD_HEAD_OCTETS + prefixOctets, dataAt);
  const targetAt = response.length + RECORD_HEAD_OCTETS;
  response.length += octets;
  response.answers++;
  // A query for CNAME ends here. ANY follows the CNAME (RFC 6672 3.2).
  if (query.type === TYPE.CNAME) return -1;
  a.visitedAt[link] = targetAt;
  return continueAt(a, mark, targetAt, link);
}

/** Whether the data of the synthesized CNAME at `cnameAt` starts with the first `octets` octets of the current name. */
function hasPrefix({ search: target, response }: Answerer, cnameAt: number, octets: number): boolean {
  const { tx, base } = response;
  if (get16(tx, base + cnameAt - 2) - 2 !== octets) return false;
  for (let i = 0; i < octets; i++) if (tx[base + cnameAt + i] !== target.name[i]) return false;
  return true;
}

/** Length in octets of the uncompressed name at `position`. */
function nameOctets(tx: Uint8Array, base: number, position: number): number {
  let octets = 1;
  for (let at = base + position; (tx[at] ?? 0) !== 0;) {
    const length = tx[at] ?? 0;
    if (length >= 0xc0) {
      at = base + (((length & 0x3f) << 8) | (tx[at + 1] ?? 0));
    } else {
      octets += length + 1;
      at += length + 1;
    }
  }
  return octets;
}
