/**
 * Answers for steered names: locates the client, lets steering decide, and writes the records. PACKET PATH: allocates
 * nothing.
 */
import { saysWhere } from '../../geo/private.ts';
import { dependsOnClient, locate, steer } from '../../steering/chain.ts';
import { candidateAt, RESULT } from '../../steering/decision.ts';
import { HAS, SERVICE, VIP, serviceWord, vipWord } from '../../steering/plan.ts';
import { get16 } from '../../wire/octets.ts';
import { TYPE } from '../../wire/types.ts';
import { anyRrset } from '../../zones/image/find-node.ts';
import { RECORD_HEAD_OCTETS, RRSET, rrsetWord } from '../../zones/image/image.ts';
import { findSet, isSigned, STATIC_KEY } from '../../zones/image/signed-rows.ts';
import type { Packet } from '../contract.ts';
import type { Answerer } from './answer-state.ts';
import { sampleClient } from './client-samples.ts';
import { copyRrset, recordsOf } from './copy-rrset.ts';
import { addAnswer, addNegative, continueAt, isLoop, MARK } from './sections.ts';
import { signedSet } from './signed.ts';

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
  // RFC 8482 4.1: ANY gets one RRset.
  if (query.type === TYPE.ANY) return (has & HAS.A) !== 0 ? HAS.A : HAS.AAAA;
  return 0;
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
  const { image, steerer, client, sampler, query } = a;
  const { decision } = steerer;
  if (isLoop(a, service * MARK.COUNT + MARK.SERVICE, link)) return -1;
  if (sampler !== undefined && --sampler.left === 0) sampleClient(sampler, service, client, a.clientBits);
  decide(a, service, has);
  let scopeBits = scopeOf(a, service, has);
  // RFC 8482 4.1: ANY gets one existing RRset. Where A has no answer, try AAAA, then static records.
  if (query.type === TYPE.ANY && decision.result === RESULT.EMPTY) {
    const other = serviceWord(image.plan.services, service, SERVICE.HAS) & HAS.AAAA;
    if (has === HAS.A && other !== 0) {
      decide(a, service, other);
      scopeBits = Math.max(scopeBits, scopeOf(a, service, other));
    }
  }
  let nextAt = -1;
  const { answers } = a.response;
  if (decision.result === RESULT.VIPS) nextAt = addVips(a, service, a.has, node, zone, nameAt, apexAt, link);
  else if (decision.result === RESULT.STATIC) nextAt = addStatic(a, service, a.has, node, zone, nameAt, apexAt, link);
  else addStaticRecords(a, node, zone, nameAt, apexAt);
  // RFC 7871 7.4: a negative answer has scope 0. It does not change the scope of earlier links of the chain.
  if (a.response.answers > answers && scopeBits > a.response.scopeBits) a.response.scopeBits = scopeBits;
  return nextAt;
}

function decide(a: Answerer, service: number, has: number): void {
  const { steerer, client, clientBits } = a;
  a.has = has;
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

/** Answers for a service that has no answer for this client: static records for ANY, else a negative answer. */
function addStaticRecords(a: Answerer, node: number, zone: number, nameAt: number, apexAt: number): void {
  const rrset = a.query.type === TYPE.ANY ? anyRrset(a.image, node) : -1;
  if (rrset >= 0) addAnswer(a, rrset, nameAt, apexAt);
  else addNegative(a, zone, node, apexAt);
}

function addVips(
  a: Answerer,
  service: number,
  has: number,
  node: number,
  zone: number,
  nameAt: number,
  apexAt: number,
  link: number,
): number {
  const { steerer, response, served, query } = a;
  const { plan, decision } = steerer;
  const firstSlot = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const column = has === HAS.A ? VIP.RRSET_A : has === HAS.AAAA ? VIP.RRSET_AAAA : VIP.RRSET_CNAME;
  // RFC 2181 10.1: a name has at most one CNAME.
  let count = has === HAS.CNAME ? 1 : decision.count;
  let signatures = -1;
  if (query.dnssecOk && isSigned(a.image, zone)) {
    const type = has === HAS.A ? TYPE.A : has === HAS.AAAA ? TYPE.AAAA : TYPE.CNAME;
    signatures = signedSet(a, node, type, decision.candidates, count);
    count = a.proofs.setSize;
  }
  const targetAt = response.length + RECORD_HEAD_OCTETS;
  for (let i = 0; i < count; i++) {
    const slot = firstSlot + candidateAt(decision.candidates, i);
    const recordAt = response.base + response.length;
    if (!copyRrset(a, zone + vipWord(plan.vips, slot, column), nameAt, apexAt)) {
      response.truncated = true;
      return -1;
    }
    putTtl(response.tx, recordAt + 6, decision.ttlSeconds);
    response.answers++;
    served[slot] = (served[slot] ?? 0) + 1;
  }
  if (signatures >= 0 && !addSetSignatures(a, signatures, nameAt, decision.ttlSeconds)) return -1;
  if (has !== HAS.CNAME || query.type === TYPE.CNAME || query.type === TYPE.ANY) return -1;
  return continueAt(a, service * MARK.COUNT + MARK.SERVICE, targetAt, link);
}

/** Adds the signatures of a set of a service, with the TTL of its records. Returns false when they do not fit. */
function addSetSignatures(a: Answerer, row: number, nameAt: number, ttlSeconds: number): boolean {
  const { response } = a;
  const { tx, base } = response;
  const start = base + response.length;
  if (!copyRrset(a, row, nameAt, 0)) {
    response.truncated = true;
    return false;
  }
  for (let at = start; at < base + response.length; at += RECORD_HEAD_OCTETS + get16(tx, at + 10)) {
    putTtl(tx, at + 6, ttlSeconds);
  }
  response.answers += recordsOf(a, row);
  return true;
}

/** Adds the signatures of a static answer. Returns false when they do not fit. */
function signStatic(a: Answerer, node: number, zone: number, type: number, nameAt: number): boolean {
  const { image, query, response } = a;
  if (!query.dnssecOk || !isSigned(image, zone)) return true;
  const row = findSet(image, node, type, STATIC_KEY);
  if (row < 0) return true;
  if (copyRrset(a, row, nameAt, 0)) {
    response.answers += recordsOf(a, row);
    return true;
  }
  response.truncated = true;
  return false;
}

/** Column of the static answer (`when_all_down`) for the query's type; -1 where there is none for that type. */
export function staticColumn({ query }: Answerer, has: number): number {
  // A service of CNAMEs gets queries of every type.
  if (has === HAS.CNAME && query.type !== TYPE.A && query.type !== TYPE.AAAA && query.type !== TYPE.ANY) return -1;
  return has === HAS.AAAA || query.type === TYPE.AAAA ? SERVICE.STATIC_AAAA : SERVICE.STATIC_A;
}

/** Writes the static answer of `when_all_down`. */
function addStatic(
  a: Answerer,
  service: number,
  has: number,
  node: number,
  zone: number,
  nameAt: number,
  apexAt: number,
  link: number,
): number {
  const { services } = a.image.plan;
  const cname = serviceWord(services, service, SERVICE.STATIC_CNAME);
  if (cname >= 0) {
    const targetAt = a.response.length + RECORD_HEAD_OCTETS;
    if (!addAnswer(a, zone + cname, nameAt, apexAt) || !signStatic(a, node, zone, TYPE.CNAME, nameAt)) return -1;
    if (a.query.type === TYPE.CNAME || a.query.type === TYPE.ANY) return -1;
    return continueAt(a, service * MARK.COUNT + MARK.SERVICE, targetAt, link);
  }
  const column = staticColumn(a, has);
  let rrset = column < 0 ? -1 : serviceWord(services, service, column);
  if (rrset < 0 && a.query.type === TYPE.ANY) {
    rrset = serviceWord(services, service, column === SERVICE.STATIC_A ? SERVICE.STATIC_AAAA : SERVICE.STATIC_A);
  }
  if (rrset >= 0) {
    const type = rrsetWord(a.image.words, zone + rrset, RRSET.TYPE);
    if (addAnswer(a, zone + rrset, nameAt, apexAt)) signStatic(a, node, zone, type, nameAt);
  } else addStaticRecords(a, node, zone, nameAt, apexAt);
  return -1;
}

function putTtl(tx: Uint8Array, at: number, seconds: number): void {
  tx[at] = seconds >>> 24;
  tx[at + 1] = seconds >>> 16;
  tx[at + 2] = seconds >>> 8;
  tx[at + 3] = seconds;
}
