/**
 * The life of a query, top to bottom. PACKET PATH: allocates nothing.
 */
import { MAX_CHAIN_LINKS } from '../../wire/limits.ts';
import { ASKS, PARSED, parseQuery } from '../../wire/query.ts';
import { finishResponse, startResponse } from '../../wire/response.ts';
import { CLASS, EDE, RCODE, TYPE } from '../../wire/types.ts';
import { NODE, NODE_FLAG, RRSET, ZONE, nodeWord, zoneWord, rrsetWord } from '../../zones/image/image.ts';
import { anyRrset, findRrset, search } from '../../zones/image/find-node.ts';
import type { Answerer } from './answer-state.ts';
import { answerChaos } from './chaos.ts';
import { COUNTER, count } from '../counters.ts';
import { TRANSPORT, type Packet } from '../contract.ts';
import { cookieAloneRcode, giveOptions } from './give-options.ts';
import { limitResponse } from './rrl.ts';
import { addAnswer, addNegative, addReferral, followDname, followLink, isLoop, MARK, suffixAt } from './sections.ts';
import { locateClient, steeredBits, addSteered } from './answer-service.ts';

/** See `Answer` in contract.ts. */
export function answer(a: Answerer, packet: Readonly<Packet>): number {
  const { query, response } = a;
  const { rx, rxAt, length, transport } = packet;
  const isOverUdp = transport === TRANSPORT.UDP;
  const parsed = parseQuery(query, rx, rxAt, length);
  if (parsed === PARSED.DROP) return 0;
  response.gives = 0;
  const hasProof = query.asks !== 0 && giveOptions(a, packet);
  startResponse(response, query, rx, rxAt, packet.tx, packet.txAt, !isOverUdp, a.nsid);
  if (parsed === PARSED.NOTIMP) response.rcode = RCODE.NOTIMP;
  else if (parsed === PARSED.FORMERR || (!isOverUdp && (query.asks & ASKS.KEEPALIVE_WITH_VALUE) !== 0))
    response.rcode = RCODE.FORMERR;
  else if (parsed === PARSED.COOKIE_ALONE) response.rcode = cookieAloneRcode(a, hasProof);
  else if (query.ednsVersion > 0) response.rcode = RCODE.BADVERS;
  else if (query.type === TYPE.NXNAME || query.type === TYPE.OPT || query.type === TYPE.TSIG) {
    // RFC 9824 3.5: types of messages and of NSEC bitmaps cannot be asked for.
    response.rcode = RCODE.FORMERR;
    response.error = EDE.INVALID_QUERY_TYPE;
  } else if (query.class === CLASS.CH) answerChaos(a);
  else if (query.class !== CLASS.IN || query.type === TYPE.AXFR || query.type === TYPE.IXFR)
    refuse(a, EDE.NOT_SUPPORTED);
  else {
    locateClient(a, packet);
    resolve(a);
  }
  // Who came by a stream or has a valid cookie is there; other addresses may be forged.
  if (a.limiter !== undefined && isOverUdp && !hasProof && limitResponse(a, a.limiter, packet)) return 0;
  if (response.rcode > 15) count(a.counters, COUNTER.RCODE_EXTENDED);
  return finishResponse(response, query, a.nsid);
}

/** From the name to the sections, and on to where a CNAME or DNAME leads (RFC 1034 4.3.2). */
function resolve(a: Answerer): void {
  const { image, search: target, query } = a;
  target.nameOctets = query.nameOctets;
  target.labels = query.labels;
  target.nameSum = query.nameSum;
  // Where the name stands in the message: the question's at 12, later ones in a CNAME's data.
  let nameAt = 12;
  for (let link = 0; link <= MAX_CHAIN_LINKS; link++) {
    search(image, target);
    if (target.node < 0) {
      // Out of our zones: at the start there is nothing to say, later the client goes on by itself.
      if (link === 0) refuse(a, EDE.NOT_AUTHORITATIVE);
      return;
    }
    nameAt = answerFrom(a, nameAt, link);
    if (nameAt < 0) return;
  }
}

/** Answers for the name in `a.search`. Returns where the next name of a chain stands, -1 at the end. */
function answerFrom(a: Answerer, nameAt: number, link: number): number {
  const { image, search: target, query, response } = a;
  const { nodes, zones } = image;
  const exact = target.suffixAt === 0;
  let node = target.node;
  // RFC 4035 3.1.4.1: DS belongs to the parent, also where the child's zone is served here.
  if (exact && query.type === TYPE.DS && nodeWord(nodes, node, NODE.PARENT_CUT) >= 0) {
    node = nodeWord(nodes, node, NODE.PARENT_CUT);
  }
  const zone = nodeWord(nodes, node, NODE.ZONE);
  const apexAt = suffixAt(a, nameAt, target.nameOctets - zoneWord(zones, zone, ZONE.APEX_OCTETS));
  let flags = nodeWord(nodes, node, NODE.NAME_AND_FLAGS);
  if ((flags & NODE_FLAG.CUT) !== 0 && !(exact && query.type === TYPE.DS)) {
    addReferral(a, node, suffixAt(a, nameAt, target.suffixAt), apexAt);
    return -1;
  }
  // RFC 1034 4.3.1: AA is for the name that was asked.
  if (link === 0) response.authoritative = true;
  if (!exact) {
    if ((flags & NODE_FLAG.DNAME) !== 0) return followDname(a, node, nameAt, apexAt, link);
    node = nodeWord(nodes, node, NODE.WILDCARD);
    if (node < 0) {
      response.rcode = RCODE.NXDOMAIN; // RFC 6604 3: also at the end of a chain
      addNegative(a, zone, apexAt);
      return -1;
    }
    flags = nodeWord(nodes, node, NODE.NAME_AND_FLAGS);
  }
  const service = nodeWord(nodes, node, NODE.SERVICE);
  const steered = service < 0 ? 0 : steeredBits(a, service);
  if (steered !== 0) return addSteered(a, service, steered, node, zone, nameAt, apexAt, link);
  if ((flags & NODE_FLAG.CNAME) !== 0 && query.type !== TYPE.CNAME && query.type !== TYPE.ANY) {
    return followLink(a, node, findRrset(image, node, TYPE.CNAME), nameAt, apexAt, link);
  }
  const rrset = query.type === TYPE.ANY ? anyRrset(image, node) : findRrset(image, node, query.type);
  if (rrset < 0) addNegative(a, zone, apexAt);
  // RFC 2181 5: a DNAME that led to its own owner is in the answer already.
  else if (
    link === 0 ||
    rrsetWord(image.rrsets, rrset, RRSET.TYPE) !== TYPE.DNAME ||
    !isLoop(a, node * MARK.COUNT + MARK.DNAME, link)
  )
    addAnswer(a, rrset, nameAt, apexAt);
  return -1;
}

function refuse({ response }: Answerer, error: number): void {
  response.rcode = RCODE.REFUSED;
  response.error = error;
}
