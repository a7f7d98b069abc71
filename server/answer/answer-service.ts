/**
 * Answers for steered names: locates the client, lets steering decide, and writes the records. PACKET PATH: allocates
 * nothing.
 */
import { saysWhere } from '../../geo/private.ts';
import { dependsOnClient, locate, steer } from '../../steering/chain.ts';
import { candidateAt, RESULT } from '../../steering/decision.ts';
import {
  firstRecord,
  HAS,
  innerPlace,
  OTHER,
  OTHERS,
  otherBit,
  otherRow,
  otherWord,
  SERVICE,
  serviceWord,
  staticRrset,
  VIP,
  vipWord,
} from '../../steering/plan.ts';
import { get16 } from '../../wire/octets.ts';
import { TYPE } from '../../wire/types.ts';
import { anyRrset, innerAnswersFrom } from '../../zones/image/find-node.ts';
import { RECORD_HEAD_OCTETS, RRSET, rrsetWord, wireAtOf } from '../../zones/image/image.ts';
import { findSet, isSigned, STATIC_KEY } from '../../zones/image/signed-rows.ts';
import type { Packet } from '../contract.ts';
import type { Answerer } from './answer-state.ts';
import { sampleClient } from './client-samples.ts';
import { addOnlineSet, addOnlineSignatures } from './compact.ts';
import { copyRecords, copyRrset, recordsOf } from './copy-rrset.ts';
import { addAnswer, addNegative, continueAt, isLoop, MARK } from './sections.ts';
import { RARE, signedSet } from './signed.ts';

/**
 * Sets the client address that steering uses (docs/steering.md#whose-place-counts): the EDNS client subnet where it is
 * public or `geo.networks` covers it, else the resolver's address. `isSubnetSetAside`: the query has a subnet that is
 * not used. A subnet of 0 bits is an opt-out (RFC 7871 7.1.2), so it does not count as one.
 */
export function locateClient(a: Answerer, { peer, peerAt, peerOctets }: Readonly<Packet>): void {
  const { query, client } = a;
  const hasSubnet = query.subnetBits > 0;
  const octets = query.subnetFamily === 1 ? 4 : 16;
  a.clientIsSubnet = hasSubnet && saysWhere(a.image.ownNetworks, query.subnet, octets, query.subnetBits);
  a.isSubnetSetAside = hasSubnet && !a.clientIsSubnet;
  if (a.clientIsSubnet) {
    for (let i = 0; i < octets; i++) client[i] = query.subnet[i] ?? 0;
    a.clientBits = octets * 8;
    return;
  }
  for (let i = 0; i < peerOctets; i++) client[i] = peer[peerAt + i] ?? 0;
  a.clientBits = peerOctets * 8;
}

/** The HAS bit of this service that the query asks for; 0 for types that are not steered. */
export function steeredBits({ image, query }: Answerer, service: number): number {
  const has = serviceWord(image.plan.services, service, SERVICE.HAS);
  // A CNAME answers queries of every type.
  if ((has & HAS.CNAME) !== 0) return HAS.CNAME;
  if (query.type === TYPE.A) return has & HAS.A;
  if (query.type === TYPE.AAAA) return has & HAS.AAAA;
  if ((query.type === TYPE.HTTPS || query.type === TYPE.SVCB) && (has & HAS.SVCB) !== 0) return HAS.SVCB;
  if (query.type === TYPE.ANY) return firstBit(has);
  return has >= HAS.FIRST_OTHER ? otherBit(image.plan, service, query.type) : 0;
}

/** RFC 8482 4.1: ANY gets one RRset. */
function firstBit(has: number): number {
  if ((has & HAS.A) !== 0) return HAS.A;
  if ((has & HAS.AAAA) !== 0) return HAS.AAAA;
  return has & OTHERS & -(has & OTHERS);
}

/**
 * Decides and writes the answer for the service at `node`. Returns the position of the chain's next name, -1 at the
 * end.
 */
export function addSteered(
  a: Answerer,
  service: number,
  has: number,
  node: number,
  zone: number,
  nameAt: number,
  apexAt: number,
  link: number,
): number {
  const { steerer, client, sampler, query } = a;
  const { decision } = steerer;
  if (isLoop(a, service * MARK.COUNT + MARK.SERVICE, link)) return -1;
  if (sampler !== undefined && --sampler.left === 0) sampleClient(sampler, service, client, a.clientBits);
  decide(a, service, has);
  let scopeBits = scopeOf(a, service, has);
  if (query.type === TYPE.ANY && decision.result === RESULT.EMPTY) scopeBits = decideNext(a, service, has, scopeBits);
  let nextAt = -1;
  const { answers } = a.response;
  if (decision.depth > 0) a.answersFrom = innerAnswersFrom(a.image, a.search, node, zone, decision.service);
  if (decision.result === RESULT.VIPS) {
    if (decision.has < HAS.FIRST_OTHER) nextAt = addVips(a, service, node, zone, nameAt, apexAt, link);
    else addRecords(a, service, node, zone, nameAt, apexAt);
    for (let i = 0; i < decision.depth; i++) countServed(a, decision.way[i] ?? 0);
  } else if (decision.result === RESULT.STATIC) nextAt = addStatic(a, service, node, zone, nameAt, apexAt, link);
  else addStaticRecords(a, node, zone, nameAt, apexAt);
  // RFC 7871 7.4: a negative answer has scope 0. It does not change the scope of earlier links of the chain.
  if (a.response.answers > answers && scopeBits > a.response.scopeBits) a.response.scopeBits = scopeBits;
  return nextAt;
}

/**
 * RFC 8482 4.1: ANY gets one existing RRset. Where the first type has no answer, tries the others, then static records.
 * Returns the scope of all decisions.
 */
function decideNext(a: Answerer, service: number, first: number, scopeBits: number): number {
  const { decision, plan } = a.steerer;
  let left = serviceWord(plan.services, service, SERVICE.HAS) & (HAS.AAAA | OTHERS);
  let bits = scopeBits;
  for (; left !== 0 && decision.result === RESULT.EMPTY; left &= left - 1) {
    const has = left & -left;
    if (has === first) continue;
    decide(a, service, has);
    bits = Math.max(bits, scopeOf(a, service, has));
  }
  return bits;
}

function decide(a: Answerer, service: number, has: number): void {
  const { steerer, client, clientBits } = a;
  steer(steerer, service, has, locate(steerer, service, has, client, clientBits), client, clientBits);
}

/**
 * The scope of the last decision (RFC 7871 7.2.1), in bits of the subnet that was sent. If that subnet is not used, the
 * scope is the length of the subnet, or 0 if all clients get the same answer.
 */
function scopeOf(a: Answerer, service: number, has: number): number {
  const { steerer, query } = a;
  const { scopeBits } = steerer.decision;
  if (a.clientIsSubnet) return scopeBits;
  if (!a.isSubnetSetAside) return 0;
  return scopeBits > 0 || dependsOnClient(steerer.plan, service, has) ? query.subnetBits : 0;
}

function countServed({ served }: Answerer, slot: number): void {
  served[slot] = (served[slot] ?? 0) + 1;
}

/** Answers for a service that has no answer for this client: static records for ANY, else a negative answer. */
function addStaticRecords(a: Answerer, node: number, zone: number, nameAt: number, apexAt: number): void {
  const rrset = a.query.type === TYPE.ANY ? anyRrset(a.image, node) : -1;
  if (rrset >= 0) addAnswer(a, rrset, nameAt, apexAt);
  else addNegative(a, zone, node, apexAt);
}

/** Adds the records of the chosen VIPs. `root`: the service at the name, which may have chosen another one. */
function addVips(
  a: Answerer,
  root: number,
  node: number,
  zone: number,
  nameAt: number,
  apexAt: number,
  link: number,
): number {
  const { steerer, response, query } = a;
  const { plan, decision } = steerer;
  const { service, has } = decision;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const column = columnOf(has, query.type);
  // RFC 2181 10.1: a name has at most one CNAME.
  let count = has === HAS.CNAME ? 1 : decision.count;
  let signatures = -1;
  const type = has === HAS.A ? TYPE.A : has === HAS.AAAA ? TYPE.AAAA : has === HAS.SVCB ? query.type : TYPE.CNAME;
  const { isExpanded } = a.proofs;
  if (query.dnssecOk && !isExpanded && isSigned(a.image, zone)) {
    signatures = signedSet(a, node, root, type, count);
    count = a.proofs.setSize;
  }
  const targetAt = response.length + RECORD_HEAD_OCTETS;
  for (let i = 0; i < count; i++) {
    const slot = firstSlot + candidateAt(decision.candidates, i);
    const recordAt = response.base + response.length;
    if (!copyRrset(a, a.answersFrom + vipWord(plan.vips, slot, column), nameAt, apexAt)) {
      response.truncated = true;
      return -1;
    }
    putTtl(response.tx, recordAt + 6, decision.ttlSeconds);
    response.answers++;
    countServed(a, slot);
  }
  if (signatures !== -1 && !addSetSignatures(a, signatures, nameAt, decision.ttlSeconds)) return -1;
  if (isExpanded && !signExpanded(a, service, has, type, column, count, zone, nameAt)) return -1;
  if (has !== HAS.CNAME || query.type === TYPE.CNAME || query.type === TYPE.ANY) return -1;
  return continueAt(a, root * MARK.COUNT + MARK.SERVICE, targetAt, link);
}

/** Adds the records of another type of the chosen VIPs, each once (RFC 2181 5). */
function addRecords(a: Answerer, root: number, node: number, zone: number, nameAt: number, apexAt: number): void {
  const { image, steerer, response, query, proofs } = a;
  const { plan, decision } = steerer;
  const { others } = plan;
  const { candidates, service, has } = decision;
  const row = otherRow(plan, service, has);
  const mayRepeat = otherWord(others, row + OTHER.SHARES) !== 0;
  let { count } = decision;
  let signatures = -1;
  if (query.dnssecOk && !proofs.isExpanded && isSigned(image, zone)) {
    signatures = signedSet(a, node, root, otherWord(others, row + OTHER.TYPE), count);
    count = proofs.setSize;
  }
  for (let i = 0; i < count; i++) {
    const vip = candidateAt(candidates, i);
    const end = firstRecord(others, row, vip + 1);
    for (let at = firstRecord(others, row, vip); at < end; at++) {
      if (mayRepeat && isAmongEarlier(others, row, candidates, i, otherWord(others, at))) continue;
      const recordAt = response.base + response.length;
      if (!copyRrset(a, a.answersFrom + otherWord(others, at), nameAt, apexAt)) {
        response.truncated = true;
        return;
      }
      putTtl(response.tx, recordAt + 6, decision.ttlSeconds);
      response.answers++;
    }
  }
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  for (let i = 0; i < count; i++) countServed(a, firstSlot + candidateAt(candidates, i));
  if (signatures !== -1) addSetSignatures(a, signatures, nameAt, decision.ttlSeconds);
  if (proofs.isExpanded) signExpanded(a, service, has, otherWord(others, row + OTHER.TYPE), 0, count, zone, nameAt);
}

/** Whether a record is one of those of the first `count` candidates. */
function isAmongEarlier(
  others: Int32Array,
  row: number,
  candidates: Int32Array,
  count: number,
  rrset: number,
): boolean {
  for (let i = 0; i < count; i++) {
    const vip = candidateAt(candidates, i);
    const end = firstRecord(others, row, vip + 1);
    for (let at = firstRecord(others, row, vip); at < end; at++) if (otherWord(others, at) === rrset) return true;
  }
  return false;
}

/** The column of a VIP's RRset for a HAS bit and the type of the query. */
function columnOf(has: number, type: number): number {
  if (has === HAS.A) return VIP.RRSET_A;
  if (has === HAS.AAAA) return VIP.RRSET_AAAA;
  if (has === HAS.CNAME) return VIP.RRSET_CNAME;
  return type === TYPE.HTTPS ? VIP.RRSET_HTTPS : VIP.RRSET_SVCB;
}

/**
 * Adds the signatures of a set of a service, with the TTL of its records. `row` may be RARE. Returns false when they do
 * not fit.
 */
function addSetSignatures(a: Answerer, row: number, nameAt: number, ttlSeconds: number): boolean {
  const { response, rareSets } = a;
  const start = response.base + response.length;
  if (
    row === RARE && rareSets
      ? !copyRecords(a, rareSets.wire, 0, rareSets.octets, nameAt)
      : !copyRrset(a, row, nameAt, 0)
  ) {
    response.truncated = true;
    return false;
  }
  putTtls(a, start, ttlSeconds);
  response.answers += row === RARE && rareSets ? rareSets.records : recordsOf(a, row);
  return true;
}

/** Signs the answer of a service at a wildcard for the name of the query. Returns false if the answer ends here. */
function signExpanded(
  a: Answerer,
  service: number,
  has: number,
  type: number,
  column: number,
  size: number,
  zone: number,
  nameAt: number,
): boolean {
  const { response, steerer } = a;
  const start = response.base + response.length;
  const signatures = addOnlineSet(a, zone, service, has, type, column, size, nameAt);
  if (signatures < 0) return false;
  response.answers += signatures;
  putTtls(a, start, steerer.decision.ttlSeconds);
  return true;
}

/** Sets the TTL of the records from `start` to the end. */
function putTtls({ response: { tx, base, length } }: Answerer, start: number, ttlSeconds: number): void {
  for (let at = start; at < base + length; at += RECORD_HEAD_OCTETS + get16(tx, at + 10))
    putTtl(tx, at + 6, ttlSeconds);
}

/** Adds the signatures of a static answer. Returns false when they do not fit. */
function signStatic(a: Answerer, root: number, node: number, zone: number, rrset: number, nameAt: number): boolean {
  const { image, query, response, proofs } = a;
  if (!query.dnssecOk || !isSigned(image, zone)) return true;
  if (proofs.isExpanded) {
    const signatures = addOnlineSignatures(a, zone, rrset, nameAt);
    response.answers += Math.max(0, signatures);
    return signatures >= 0;
  }
  const type = rrsetWord(image.words, rrset, RRSET.TYPE);
  const row = findSet(image, node, type, STATIC_KEY, innerPlace(image.plan, root, a.steerer.decision.service));
  if (row < 0) return true;
  if (copyRrset(a, row, nameAt, 0)) {
    response.answers += recordsOf(a, row);
    return true;
  }
  response.truncated = true;
  return false;
}

/**
 * The RRset of the static answer (`when_all_down`) for the query's type, in rows from the zone's row; -1 where there is
 * none for that type. A CNAME of the static answer, which answers queries of every type, does not count.
 */
export function staticFor({ query, image }: Answerer, service: number, has: number): number {
  // A service of CNAMEs gets queries of every type.
  if (has === HAS.CNAME && query.type !== TYPE.A && query.type !== TYPE.AAAA && query.type !== TYPE.ANY) return -1;
  return staticRrset(image.plan, service, has === HAS.CNAME && query.type === TYPE.AAAA ? HAS.AAAA : has);
}

/** Writes the static answer of `when_all_down`. `root`: the service at the name, which may have chosen another one. */
function addStatic(
  a: Answerer,
  root: number,
  node: number,
  zone: number,
  nameAt: number,
  apexAt: number,
  link: number,
): number {
  const { services } = a.image.plan;
  const { service, has } = a.steerer.decision;
  const cname = serviceWord(services, service, SERVICE.STATIC_CNAME);
  if (cname >= 0) {
    const targetAt = a.response.length + RECORD_HEAD_OCTETS;
    if (!addStaticRrset(a, root, node, zone, cname, nameAt, apexAt)) return -1;
    if (a.query.type === TYPE.CNAME || a.query.type === TYPE.ANY) return -1;
    return continueAt(a, root * MARK.COUNT + MARK.SERVICE, targetAt, link);
  }
  let rrset = staticFor(a, service, has);
  if (rrset < 0 && a.query.type === TYPE.ANY) rrset = anyStatic(a, service);
  if (rrset >= 0) addStaticRrset(a, root, node, zone, rrset, nameAt, apexAt);
  else addStaticRecords(a, node, zone, nameAt, apexAt);
  return -1;
}

/** Adds an RRset of the static answer with its signatures. Returns false when they do not fit. */
function addStaticRrset(
  a: Answerer,
  root: number,
  node: number,
  zone: number,
  column: number,
  nameAt: number,
  apexAt: number,
): boolean {
  const { response, steerer } = a;
  const { decision } = steerer;
  const rrset = a.answersFrom + column;
  const start = response.base + response.length;
  if (!addAnswer(a, rrset, nameAt, apexAt)) return false;
  const isWhole = signStatic(a, root, node, zone, rrset, nameAt);
  // Its TTL is that of its service. The services that led there may have shorter ones.
  if (decision.depth > 0 && decision.ttlSeconds < a.image.bytesView.getUint32(wireAtOf(a.image.words, rrset) + 6))
    putTtls(a, start, decision.ttlSeconds);
  return isWhole;
}

/** An RRset of the static answer, of any type; -1 if it has only a CNAME. */
function anyStatic({ image: { plan } }: Answerer, service: number): number {
  let rrset = staticRrset(plan, service, HAS.A);
  if (rrset < 0) rrset = staticRrset(plan, service, HAS.AAAA);
  for (
    let left = serviceWord(plan.services, service, SERVICE.HAS) & OTHERS;
    rrset < 0 && left !== 0;
    left &= left - 1
  ) {
    rrset = staticRrset(plan, service, left & -left);
  }
  return rrset;
}

function putTtl(tx: Uint8Array, at: number, seconds: number): void {
  tx[at] = seconds >>> 24;
  tx[at + 1] = seconds >>> 16;
  tx[at + 2] = seconds >>> 8;
  tx[at + 3] = seconds;
}
