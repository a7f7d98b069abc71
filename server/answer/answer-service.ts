/**
 * Steered names in the packet path: whose place counts, what steering decided, and its records. Allocates
 * nothing.
 */
import { isPrivateAddress } from '../../geo/private.ts';
import { RESULT } from '../../steering/decision.ts';
import { locate, steer } from '../../steering/chain.ts';
import { HAS, SERVICE, VIP } from '../../steering/plan.ts';
import { TYPE } from '../../wire/types.ts';
import { RECORD_HEAD_OCTETS } from '../../zones/image/image.ts';
import type { Answerer } from './answerer.ts';
import { sampleClient } from './client-samples.ts';
import { addAnswer, addNegative, continueAt, copyRrset, isLoop, MARK } from './sections.ts';

/** SPEC 4: the address in EDNS Client Subnet where there is one that is not private, else the resolver's. */
export function locateClient(a: Answerer, peer: Uint8Array, peerAt: number, peerOctets: 4 | 16): void {
  const { query, client } = a;
  const octets = query.subnetFamily === 1 ? 4 : 16;
  if (query.subnetBits > 0 && !isPrivateAddress(query.subnet, octets)) {
    for (let i = 0; i < octets; i++) client[i] = query.subnet[i] ?? 0;
    a.clientBits = octets * 8;
    a.clientIsSubnet = true;
    return;
  }
  for (let i = 0; i < peerOctets; i++) client[i] = peer[peerAt + i] ?? 0;
  a.clientBits = peerOctets * 8;
  a.clientIsSubnet = false;
}

/** The HAS bit that the query is about at this service; 0 when its records of other types are asked for. */
export function steeredBits({ image, query }: Answerer, service: number): number {
  const has = image.plan.services[service * SERVICE.WORDS + SERVICE.HAS] ?? 0;
  // A CNAME stands for every type.
  if ((has & HAS.CNAME) !== 0) return HAS.CNAME;
  if (query.type === TYPE.A) return has & HAS.A;
  if (query.type === TYPE.AAAA) return has & HAS.AAAA;
  // RFC 8482 4.1: for ANY, one RRset.
  if (query.type === TYPE.ANY) return (has & HAS.A) !== 0 ? HAS.A : HAS.AAAA;
  return 0;
}

/** Decides and writes the answer. Returns where the next name of a chain stands, -1 at the end. */
export function addSteered(
  a: Answerer,
  service: number,
  has: number,
  zone: number,
  nameAt: number,
  apexAt: number,
  link: number,
): number {
  const { steerer, response, client, sampler } = a;
  const { decision } = steerer;
  if (isLoop(a, service * MARK.COUNT + MARK.SERVICE, link)) return -1;
  if (sampler !== undefined && --sampler.left === 0) sampleClient(sampler, service, client, a.clientBits);
  const located = locate(steerer, service, client, a.clientBits);
  steer(steerer, service, has, located, client, a.clientBits);
  // A scope speaks of the subnet that was sent; where the resolver's address decided, none was used.
  if (a.clientIsSubnet && decision.scopeBits > response.scopeBits) response.scopeBits = decision.scopeBits;
  if (decision.result === RESULT.VIPS) return addVips(a, service, has, nameAt, apexAt, link);
  if (decision.result === RESULT.STATIC) return addStatic(a, service, has, zone, nameAt, apexAt, link);
  addNegative(a, zone, apexAt);
  return -1;
}

function addVips(a: Answerer, service: number, has: number, nameAt: number, apexAt: number, link: number): number {
  const { steerer, response, served, query } = a;
  const { plan, decision } = steerer;
  const firstSlot = plan.services[service * SERVICE.WORDS + SERVICE.FIRST_SLOT] ?? 0;
  const column = has === HAS.A ? VIP.RRSET_A : has === HAS.AAAA ? VIP.RRSET_AAAA : VIP.RRSET_CNAME;
  // RFC 2181 10.1: a name has one CNAME.
  const count = has === HAS.CNAME ? 1 : decision.count;
  const targetAt = response.length + RECORD_HEAD_OCTETS;
  for (let i = 0; i < count; i++) {
    const slot = firstSlot + (decision.candidates[i] ?? 0);
    const recordAt = response.base + response.length;
    if (!copyRrset(a, plan.vips[slot * VIP.WORDS + column] ?? 0, nameAt, apexAt)) {
      response.truncated = true;
      return -1;
    }
    putTtl(response.tx, recordAt + 6, decision.ttlSeconds);
    response.answers++;
    served[slot] = (served[slot] ?? 0) + 1;
  }
  if (has !== HAS.CNAME || query.type === TYPE.CNAME || query.type === TYPE.ANY) return -1;
  return continueAt(a, service * MARK.COUNT + MARK.SERVICE, targetAt, link);
}

/** Where the addresses of an answer of its own stand that the query wants; -1 where it wants none. */
export function staticColumn({ query }: Answerer, has: number): number {
  // Services of CNAMEs are asked for every type.
  if (has === HAS.CNAME && query.type !== TYPE.A && query.type !== TYPE.AAAA && query.type !== TYPE.ANY) return -1;
  return has === HAS.AAAA || query.type === TYPE.AAAA ? SERVICE.STATIC_AAAA : SERVICE.STATIC_A;
}

/** `when_all_down` with an answer of its own. */
function addStatic(
  a: Answerer,
  service: number,
  has: number,
  zone: number,
  nameAt: number,
  apexAt: number,
  link: number,
): number {
  const { services } = a.image.plan;
  const row = service * SERVICE.WORDS;
  const cname = services[row + SERVICE.STATIC_CNAME] ?? -1;
  if (cname >= 0) {
    const targetAt = a.response.length + RECORD_HEAD_OCTETS;
    if (!addAnswer(a, cname, nameAt, apexAt)) return -1;
    if (a.query.type === TYPE.CNAME || a.query.type === TYPE.ANY) return -1;
    return continueAt(a, service * MARK.COUNT + MARK.SERVICE, targetAt, link);
  }
  const column = staticColumn(a, has);
  const rrset = column < 0 ? -1 : (services[row + column] ?? -1);
  if (rrset >= 0) addAnswer(a, rrset, nameAt, apexAt);
  else addNegative(a, zone, apexAt);
  return -1;
}

function putTtl(tx: Uint8Array, at: number, seconds: number): void {
  tx[at] = seconds >>> 24;
  tx[at + 1] = seconds >>> 16;
  tx[at + 2] = seconds >>> 8;
  tx[at + 3] = seconds;
}
