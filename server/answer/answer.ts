/**
 * The life of a query, top to bottom. PACKET PATH: allocates nothing.
 */
import { isAmong } from '../../wire/address.ts';
import { MAX_CHAIN_LINKS } from '../../wire/limits.ts';
import { ASKS, PARSED, parseQuery } from '../../wire/query.ts';
import { finishResponse, startResponse } from '../../wire/response.ts';
import { CLASS, EDE, RCODE, TYPE } from '../../wire/types.ts';
import { answersFrom, anyRrset, findRrset, search, searchParent, serviceOf } from '../../zones/image/find-node.ts';
import { NODE, NODE_FLAG, RRSET, ZONE, nodeWord, zoneWord, rrsetWord } from '../../zones/image/image.ts';
import { isSigned } from '../../zones/image/signed-rows.ts';
import { TRANSPORT, type Packet } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import { countType } from '../query-types.ts';
import { locateClient, steeredBits, addSteered } from './answer-service.ts';
import type { Answerer } from './answer-state.ts';
import { answerChaos } from './chaos.ts';
import { suffixAt } from './copy-rrset.ts';
import { cookieAloneRcode, giveOptions } from './give-options.ts';
import { beginProofs } from './proofs.ts';
import { limitResponse } from './rrl.ts';
import { addAnswer, addNegative, addReferral, followDname, followLink, isLoop, MARK } from './sections.ts';
import { addProofs, anySignatures, noteExpansion } from './signed.ts';

/** See `Answer` in contract.ts. */
export function answer(a: Answerer, packet: Readonly<Packet>): number {
  const { query, response } = a;
  const { rx, rxAt, length, transport } = packet;
  const isOverUdp = transport === TRANSPORT.UDP;
  const parsed = parseQuery(query, rx, rxAt, length);
  if (parsed === PARSED.DROP) return 0;
  if (parsed === PARSED.QUERY) countType(a.counters, query.type);
  response.gives = 0;
  const hasProof = query.asks !== 0 && giveOptions(a, packet);
  startResponse(response, query, rx, rxAt, packet.tx, packet.txAt, !isOverUdp, a.nsid);
  if (parsed === PARSED.NOTIMP) response.rcode = RCODE.NOTIMP;
  else if (parsed === PARSED.FORMERR || (!isOverUdp && (query.asks & ASKS.KEEPALIVE_WITH_VALUE) !== 0))
    response.rcode = RCODE.FORMERR;
  else if (parsed === PARSED.COOKIE_ALONE) response.rcode = cookieAloneRcode(a, hasProof);
  else if (query.ednsVersion > 0) response.rcode = RCODE.BADVERS;
  else if (query.type === TYPE.NXNAME || query.type === TYPE.OPT || query.type === TYPE.TSIG) {
    // RFC 9824 3.5: NXNAME, OPT and TSIG are not valid as query types.
    response.rcode = RCODE.FORMERR;
    response.error = EDE.INVALID_QUERY_TYPE;
  } else if (query.class === CLASS.CH) answerChaos(a);
  else if (query.class !== CLASS.IN || query.type === TYPE.AXFR || query.type === TYPE.IXFR)
    refuse(a, EDE.NOT_SUPPORTED);
  else {
    locateClient(a, packet);
    if (a.listing !== undefined)
      a.listing.isOpen = isAmong(a.listing.peers, packet.peer, packet.peerAt, packet.peerOctets);
    if (query.dnssecOk) beginProofs(a.proofs);
    resolve(a);
    if (query.dnssecOk) addProofs(a);
  }
  // A stream or a valid cookie proves the client's address. All other addresses may be forged.
  if (a.limiter !== undefined && isOverUdp && !hasProof && limitResponse(a, a.limiter, packet)) return 0;
  if (response.rcode > 15) count(a.counters, COUNTER.RCODE_EXTENDED);
  return finishResponse(response, query, a.nsid);
}

/** Answers for the name, then follows the CNAMEs and DNAMEs (RFC 1034 4.3.2). */
function resolve(a: Answerer): void {
  const { image, search: target, query } = a;
  target.nameOctets = query.nameOctets;
  target.labels = query.labels;
  target.nameSum = query.nameSum;
  // Position of the name in the message: 12 for the question, later in the data of a CNAME.
  let nameAt = 12;
  for (let link = 0; link <= MAX_CHAIN_LINKS; link++) {
    let place = search(image, target);
    if (target.node < 0) {
      // The name is outside all zones: refuse the question, or leave the rest of a chain to the resolver.
      if (link === 0) refuse(a, EDE.NOT_AUTHORITATIVE);
      return;
    }
    // DS belongs to the parent zone, even if the child zone is served here too.
    if (query.type === TYPE.DS && target.suffixAt === 0) place = searchParent(image, target, place);
    if (link === 0) count(a.zoneQueries, place);
    nameAt = answerFrom(a, nameAt, link);
    if (nameAt < 0) return;
  }
}

/** Answers for the name in `a.search`. Returns the position of the chain's next name, -1 at the end. */
function answerFrom(a: Answerer, nameAt: number, link: number): number {
  const { image, search: target, query, response, proofs } = a;
  const { words } = image;
  proofs.nameAt = nameAt;
  proofs.isExpanded = false;
  const exact = target.suffixAt === 0;
  const { zone } = target;
  if (a.listing !== undefined && zone === a.listing.zone && !a.listing.isOpen) {
    if (link === 0) refuse(a, EDE.PROHIBITED);
    return -1;
  }
  let { node } = target;
  const apexAt = suffixAt(a, nameAt, target.nameOctets - zoneWord(words, zone, ZONE.APEX_OCTETS));
  let flags = nodeWord(words, node, NODE.NAME_AND_FLAGS);
  if ((flags & NODE_FLAG.CUT) !== 0 && !(exact && query.type === TYPE.DS)) {
    addReferral(a, node, suffixAt(a, nameAt, target.suffixAt), apexAt);
    return -1;
  }
  // RFC 1034 4.3.1: AA describes the first name, the one in the question.
  if (link === 0) response.authoritative = true;
  if (!exact) {
    if ((flags & NODE_FLAG.DNAME) !== 0) return followDname(a, node, nameAt, apexAt, link);
    const wildcard = nodeWord(words, node, NODE.WILDCARD);
    if (wildcard === 0) {
      response.rcode = RCODE.NXDOMAIN; // RFC 6604 3: also at the end of a chain
      addNegative(a, zone, -1, apexAt);
      return -1;
    }
    node += wildcard;
    if (query.dnssecOk) noteExpansion(a, zone, apexAt);
    flags = nodeWord(words, node, NODE.NAME_AND_FLAGS);
  }
  // Every name of a signed zone has these types, even if it has a CNAME (RFC 4035 2.5) or a service.
  if ((query.type === TYPE.RRSIG || query.type === TYPE.NSEC) && isSigned(image, zone)) {
    const proof = query.type === TYPE.NSEC ? findRrset(image, node, TYPE.NSEC) : anySignatures(image, node);
    // Such a name has an NSEC of its own, which is signed when it is asked for.
    if (proof < 0 || (a.proofs.isExpanded && query.type === TYPE.NSEC)) addNegative(a, zone, node, apexAt);
    else addAnswer(a, proof, nameAt, apexAt);
    return -1;
  }
  const own = nodeWord(words, node, NODE.SERVICE);
  if (own !== -1) {
    const service = own < 0 ? serviceOf(image, target, node) : target.firstService + own;
    a.answersFrom = own < 0 ? answersFrom(image, target, node, zone) : zone;
    const steered = steeredBits(a, service);
    if (steered !== 0) return addSteered(a, service, steered, node, zone, nameAt, apexAt, link);
  }
  if ((flags & NODE_FLAG.CNAME) !== 0 && query.type !== TYPE.CNAME && query.type !== TYPE.ANY) {
    return followLink(a, node, findRrset(image, node, TYPE.CNAME), nameAt, apexAt, link);
  }
  const rrset = query.type === TYPE.ANY ? anyRrset(image, node) : findRrset(image, node, query.type);
  if (rrset < 0 && (flags & NODE_FLAG.UNRESOLVED) !== 0 && isAddress(query.type)) fail(a);
  else if (rrset < 0) addNegative(a, zone, node, apexAt);
  // RFC 2181 5: no duplicate records. A DNAME that led to its own owner is in the answer already.
  else if (
    link === 0 ||
    rrsetWord(words, rrset, RRSET.TYPE) !== TYPE.DNAME ||
    !isLoop(a, node * MARK.COUNT + MARK.DNAME, link)
  )
    addAnswer(a, rrset, nameAt, apexAt);
  return -1;
}

function isAddress(type: number): boolean {
  return type === TYPE.A || type === TYPE.AAAA;
}

/** The addresses of an ALIAS are not known yet: NODATA would be cached. */
function fail({ response }: Answerer): void {
  response.rcode = RCODE.SERVFAIL;
  response.error = EDE.NOT_READY;
}

function refuse({ response }: Answerer, error: number): void {
  response.rcode = RCODE.REFUSED;
  response.error = error;
}
