/**
 * Adds DNSSEC records to a response if the query has DO and the zone is signed: the signatures of RRsets, and the NSEC
 * records that prove that a name or type does not exist (RFC 4035 3.1). The image has all of them; nothing is signed
 * here. PACKET PATH: allocates nothing.
 */
import { countWith, innerPlace, SERVICE, serviceWord } from '../../steering/plan.ts';
import { MAX_POINTER } from '../../wire/limits.ts';
import { get16 } from '../../wire/octets.ts';
import { RCODE, TYPE } from '../../wire/types.ts';
import { findRrset } from '../../zones/image/find-node.ts';
import {
  apexOf,
  firstRrsetOf,
  type Image,
  nameAtOf,
  NODE,
  NODE_FLAG,
  nodeWord,
  pairOf,
  RECORD_HEAD_OCTETS,
  ROW_WORDS,
  RRSET,
  rrsetWord,
  wireAtOf,
  ZONE,
  zoneWord,
} from '../../zones/image/image.ts';
import {
  findSet,
  isCompact,
  isSigned,
  isSignedRrset,
  keyOfSet,
  MAX_SET_VIPS,
  NO_KEY,
} from '../../zones/image/signed-rows.ts';
import type { Answerer } from './answer-state.ts';
import { addOnlineNsec, addOnlineSignatures } from './compact.ts';
import { copyRrset, putPointer, recordsOf } from './copy-rrset.ts';
import { findRareSet } from './rare-sets.ts';

/**
 * Appends the signatures of an RRset that is already in the response. Returns their number; 0 if the RRset has none. If
 * they do not fit, sets TC and returns -1.
 */
export function copySignatures(a: Answerer, rrset: number, ownerAt: number): number {
  if (!isSignedRrset(a.image.words, rrset)) return 0;
  if (a.proofs.isExpanded) return addOnlineSignatures(a, a.search.zone, rrset, ownerAt);
  return copySigned(a, rrset, ownerAt);
}

/** Does the same with the signatures of the image. */
function copySigned(a: Answerer, rrset: number, ownerAt: number): number {
  if (copyRrset(a, rrset + 1, ownerAt, 0)) return recordsOf(a, rrset + 1);
  a.response.truncated = true;
  return -1;
}

/** Does the same for the additional section, but returns 0 without TC if they do not fit. */
export function extraSignatures(a: Answerer, rrset: number, ownerAt: number): number {
  return isSignedRrset(a.image.words, rrset) && copyRrset(a, rrset + 1, ownerAt, 0) ? recordsOf(a, rrset + 1) : 0;
}

/** Remembers that the current name does not exist and matched a wildcard (RFC 4035 3.1.3.3). */
export function noteExpansion(a: Answerer, zone: number, apexAt: number): void {
  const { proofs, image, search: target } = a;
  if (!isSigned(image, zone)) return;
  if (isCompact(image, zone)) {
    proofs.isExpanded = true;
    return;
  }
  proofs.nodes[proofs.count] = coverOf(a, zone, target.name, target.labelAt, target.labels);
  proofs.apexAt[proofs.count] = apexAt;
  proofs.count++;
}

/** Adds the proofs of all wildcards of the chain. */
export function addProofs(a: Answerer): void {
  const { proofs } = a;
  for (let i = 0; i < proofs.count; i++) addNsec(a, proofs.nodes[i] ?? 0, 0, proofs.apexAt[i] ?? 0);
  proofs.count = 0;
}

/**
 * Adds the proof of a negative answer whose SOA is at `soaAt`: `node` is the node without data of the query's type, -1
 * if neither the name nor a wildcard for it exists.
 */
export function addDenial(a: Answerer, zone: number, node: number, apexAt: number, soaAt: number): void {
  const { image, search: target } = a;
  const { words } = image;
  if (!isSigned(image, zone)) return;
  if (isCompact(image, zone)) {
    addCompactDenial(a, zone, node, apexAt, soaAt);
    return;
  }
  signSoa(a, zone, apexAt, soaAt);
  if (node < 0) {
    addNsec(a, coverOf(a, zone, target.name, target.labelAt, target.labels), 0, apexAt);
    addNsec(a, coverOfWildcard(a, zone), 0, apexAt);
  } else if (nodeWord(words, node, NODE.NSEC) !== 0) addNsec(a, node, deniedType(a, node), apexAt);
  // An empty non-terminal has no NSEC. The NSEC of the name before it proves that it has no data.
  else if (target.suffixAt === 0) addNsec(a, coverOf(a, zone, target.name, target.labelAt, target.labels), 0, apexAt);
  else addNsec(a, coverOfWildcard(a, zone), 0, apexAt);
  addProofs(a);
}

/** RFC 9824: the NSEC of the name itself. Only names that exist have one in the image. */
function addCompactDenial(a: Answerer, zone: number, node: number, apexAt: number, soaAt: number): void {
  const { image, response, query, proofs } = a;
  const ttlSeconds = response.view.getUint32(response.base + soaAt + 6);
  const isOnline = node < 0 || proofs.isExpanded;
  if (isOnline && query.type === TYPE.NSEC && response.authorities === 1) {
    // RFC 9824 3.1: the name has an NSEC. It is the answer, in place of the SOA.
    response.length = soaAt;
    response.authorities = 0;
    response.rcode = RCODE.NOERROR;
    addOnlineNsec(a, zone, node < 0 ? -1 : nsecRow(image, node, 0), ttlSeconds, true);
    return;
  }
  signSoa(a, zone, apexAt, soaAt);
  // RFC 9824 5.1: only a client that knows NXNAME gets NXDOMAIN.
  if (node < 0 && query.compactOk) response.compactOk = true;
  else if (node < 0) response.rcode = RCODE.NOERROR;
  if (isOnline) addOnlineNsec(a, zone, node < 0 ? -1 : nsecRow(image, node, deniedType(a, node)), ttlSeconds, false);
  else addNsec(a, node, deniedType(a, node), apexAt);
  addProofs(a);
}

/** The row of a node's NSEC. `without`: see `addNsec`. */
function nsecRow(image: Image, node: number, without: number): number {
  const usual = nodeWord(image.words, node, NODE.NSEC);
  return without === 0 ? node + usual : findRrset(image, node, pairOf(TYPE.NSEC, without));
}

/**
 * The type that a service lacks in this answer but has in others, so that its usual NSEC lists it; 0 if there is none.
 */
function deniedType({ image, query }: Answerer, node: number): number {
  const { words } = image;
  if (nodeWord(words, node, NODE.SERVICE) === -1) return 0;
  const { type } = query;
  if (type !== TYPE.CNAME && findRrset(image, node, pairOf(TYPE.NSEC, type)) >= 0) return type;
  return findRrset(image, node, pairOf(TYPE.NSEC, TYPE.CNAME)) >= 0 ? TYPE.CNAME : 0;
}

/** Adds the signatures of the SOA with the TTL of the SOA in this response (RFC 4034 3: both are equal). */
function signSoa(a: Answerer, zone: number, apexAt: number, soaAt: number): void {
  const { image, response } = a;
  const { tx, base } = response;
  const soa = findRrset(image, apexOf(image.words, zone), TYPE.SOA);
  const start = response.length;
  const signatures = isSignedRrset(image.words, soa) ? copySigned(a, soa, apexAt) : 0;
  if (signatures <= 0) return;
  response.authorities += signatures;
  const ttlAt = base + soaAt + 6;
  for (let at = base + start; at < base + response.length; at += RECORD_HEAD_OCTETS + get16(tx, at + 10)) {
    for (let i = 0; i < 4; i++) tx[at + 6 + i] = tx[ttlAt + i] ?? 0;
  }
}

/**
 * Adds a node's NSEC with its signatures to the authority section, once. `without`: the type that the NSEC must not
 * list; 0 for the usual NSEC.
 */
export function addNsec(a: Answerer, node: number, without: number, apexAt: number): void {
  const { image, proofs, response } = a;
  const { words } = image;
  if (nodeWord(words, node, NODE.NSEC) === 0) return;
  const nsec = nsecRow(image, node, without);
  // Two NSECs of one node would form an RRset without a signature. Each of them covers the names after the node.
  for (let i = 0; i < proofs.added; i++) if (proofs.addedNodes[i] === node) return;
  proofs.addedNodes[proofs.added++] = node;
  const start = response.length;
  if (copyOwned(a, node, nsec, start, apexAt) && copyOwned(a, node, nsec + 1, start, apexAt)) {
    response.authorities += recordsOf(a, nsec) + recordsOf(a, nsec + 1);
    return;
  }
  response.length = start;
  response.truncated = true;
}

/**
 * Appends an RRset whose owner is the name of the node. The question need not contain that name. All records but the
 * first point to the owner at `ownerAt`. Returns false when it does not fit.
 */
function copyOwned(a: Answerer, node: number, rrset: number, ownerAt: number, apexAt: number): boolean {
  const { image, response } = a;
  const { words, bytes } = image;
  const { tx, base } = response;
  const ownPrefix = prefixOctets(a, node, apexAt);
  const from = wireAtOf(words, rrset);
  const end = from + rrsetWord(words, rrset, RRSET.WIRE_OCTETS);
  for (let record = from; record < end;) {
    const octets = RECORD_HEAD_OCTETS + get16(bytes, record + 10);
    const isNamed = ownPrefix === 0 || response.length === ownerAt || ownerAt > MAX_POINTER;
    const prefix = isNamed ? ownPrefix : 0;
    if (response.length + prefix + octets > response.limit) return false;
    let to = base + response.length;
    const nameAt = nameAtOf(words, node);
    for (let i = 0; i < prefix; i++) tx[to++] = bytes[nameAt + i] ?? 0;
    putPointer(tx, to, isNamed ? apexAt : ownerAt);
    for (let i = 2; i < octets; i++) tx[to + i] = bytes[record + i] ?? 0;
    response.length += prefix + octets;
    record += octets;
  }
  return true;
}

/** Number of octets in a node's name before the apex. */
function prefixOctets({ image, response }: Answerer, node: number, apexAt: number): number {
  const octets = nodeWord(image.words, node, NODE.NAME_AND_FLAGS) & 0xff;
  const { tx, base } = response;
  let apex = 1;
  for (let at = base + apexAt; (tx[at] ?? 0) !== 0; at += (tx[at] ?? 0) + 1) {
    if ((tx[at] ?? 0) >= 0xc0) at = base + (((tx[at] ?? 0) & 0x3f) << 8) + (tx[at + 1] ?? 0);
    apex += (tx[at] ?? 0) + 1;
  }
  return octets - apex;
}

/** The node whose NSEC covers `*` below the closest encloser of the current name. */
function coverOfWildcard(a: Answerer, zone: number): number {
  const { proofs, search: target } = a;
  const { wildcard, wildcardLabels } = proofs;
  wildcard[0] = 1;
  wildcard[1] = 0x2a;
  for (let at = target.suffixAt; at < target.nameOctets; at++)
    wildcard[at - target.suffixAt + 2] = target.name[at] ?? 0;
  return coverOf(a, zone, wildcard, wildcardLabels, labelsOf(wildcard, 0, wildcardLabels));
}

/** The last node of the NSEC chain that does not sort after a name (RFC 4034 6.1). Its NSEC covers the name. */
function coverOf(
  { image, proofs }: Answerer,
  zone: number,
  name: Uint8Array,
  labelAt: Uint8Array,
  labels: number,
): number {
  const { words, bytes } = image;
  const chain = zone * ROW_WORDS + zoneWord(words, zone, ZONE.CHAIN_AT);
  // The apex is the first node: it does not sort after any name of the zone.
  let low = 0;
  let high = zoneWord(words, zone, ZONE.CHAIN_COUNT);
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    const node = zone + (words[chain + middle] ?? 0);
    const nameAt = nameAtOf(words, node);
    const nodeLabels = labelsOf(bytes, nameAt, proofs.nodeLabels);
    if (isAfter(bytes, nameAt, proofs.nodeLabels, nodeLabels, name, labelAt, labels)) high = middle;
    else low = middle;
  }
  return zone + (words[chain + low] ?? 0);
}

/** Writes the offsets of a name's labels, and returns their number. */
function labelsOf(bytes: Uint8Array, nameAt: number, labelAt: Uint8Array): number {
  let labels = 0;
  for (let at = 0; (bytes[nameAt + at] ?? 0) !== 0; at += (bytes[nameAt + at] ?? 0) + 1) labelAt[labels++] = at;
  return labels;
}

/** Whether the name at `bytes[at]` sorts after `other` in canonical order. Both are in canonical form. */
function isAfter(
  bytes: Uint8Array,
  at: number,
  labelAt: Uint8Array,
  labels: number,
  other: Uint8Array,
  otherLabelAt: Uint8Array,
  otherLabels: number,
): boolean {
  for (let i = 1; i <= labels && i <= otherLabels; i++) {
    const label = at + (labelAt[labels - i] ?? 0);
    const otherLabel = otherLabelAt[otherLabels - i] ?? 0;
    const octets = bytes[label] ?? 0;
    const otherOctets = other[otherLabel] ?? 0;
    for (let j = 1; j <= octets && j <= otherOctets; j++) {
      const difference = (bytes[label + j] ?? 0) - (other[otherLabel + j] ?? 0);
      if (difference !== 0) return difference > 0;
    }
    if (octets !== otherOctets) return octets > otherOctets;
  }
  return labels > otherLabels;
}

/** Instead of a row: the signatures are in `rareSets.wire`. */
export const RARE = -2;

/**
 * The row with the signatures of a steered answer that has the first `most` of the candidates, or RARE; or with fewer
 * of them if there are no signatures for that many: each VIP alone has signatures. Sets `proofs.setSize` to the number
 * of VIPs. Returns -1 if nothing is signed. `root`: the service of the node, which may have chosen another one.
 */
export function signedSet(a: Answerer, node: number, root: number, type: number, most: number): number {
  const { image, proofs, rareSets, steerer } = a;
  const { candidates, service, has } = steerer.decision;
  const { plan } = image;
  const place = service === root ? 0 : innerPlace(plan, root, service);
  const hasLater = serviceWord(plan.services, service, SERVICE.VIP_COUNT) > MAX_SET_VIPS;
  const all = hasLater ? countWith(plan, service, has) : 0;
  // Such sets are signed with the name of the service.
  const isAlias = (nodeWord(image.words, node, NODE.NAME_AND_FLAGS) & NODE_FLAG.ALIAS) !== 0;
  for (let size = most; size > 0; size--) {
    const key = keyOfSet(candidates, size, all);
    const row = key === NO_KEY ? -1 : findSet(image, node, type, key, place);
    proofs.setSize = size;
    if (row >= 0) return row;
    if (
      size === most &&
      rareSets !== undefined &&
      !isAlias &&
      findRareSet(rareSets, root, service, type, candidates, size)
    )
      return RARE;
  }
  proofs.setSize = most;
  return -1;
}

/** One RRset of signatures of a node, for queries of the type RRSIG. -1 if it has none. */
export function anySignatures({ words }: Image, node: number): number {
  const first = firstRrsetOf(node);
  const end = first + nodeWord(words, node, NODE.RRSET_COUNT);
  for (let row = first; row < end; row++) {
    if (isSignedRrset(words, row)) return row + 1;
  }
  return -1;
}
