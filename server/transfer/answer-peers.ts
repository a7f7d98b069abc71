/**
 * Wraps `answer` when `transfer` is configured. Handles signed queries, whose responses are signed too (RFC 8945), and
 * IXFR over UDP (RFC 1995 2). All other queries are passed on after one check.
 */
import { TCP_OCTETS, UDP_OCTETS, UDP_OCTETS_WITHOUT_EDNS } from '../../wire/limits.ts';
import { get16, put16 } from '../../wire/octets.ts';
import { PARSED } from '../../wire/query.ts';
import { appendTsigError, createSigner, tsigErrorOctets, TSIG_RCODE, type Verdict } from '../../wire/tsig.ts';
import { CLASS, OPCODE, RCODE, TYPE } from '../../wire/types.ts';
import type { Image } from '../../zones/image/image.ts';
import { DEFERRED, packetOf, TRANSPORT, type Answer, type Packet } from '../contract.ts';
import {
  SPECIAL,
  specialsOf,
  allowedPeer,
  optOctets,
  putOpt,
  readPeerRequest,
  responseHead,
  type PeerRequest,
} from './peer-request.ts';
import { ixfrOverUdp, wantsDifference, type TransferPayload } from './transfer.ts';

/** The verdict of the rate limit on a response to an unverified address. `cut`: send the shortest possible response. */
export type Limited = 'send' | 'drop' | 'cut';
export type LimitUnverified = (isError: boolean, packet: Readonly<Packet>) => Limited;

/** Wraps `answer`. PACKET PATH for unsigned queries other than IXFR: allocates nothing. */
export function answerPeers(
  answer: Answer,
  image: Image,
  { settings, hasUpdates }: TransferPayload,
  nowSeconds: () => number,
  limit: LimitUnverified,
): Answer {
  return (packet) => {
    const { rx, rxAt, length, transport, tx, txAt } = packet;
    const specials = specialsOf(rx, rxAt, length);
    const isOverUdp = transport === TRANSPORT.UDP;
    const isUpdate = hasUpdates === true && isUpdateMessage(rx, rxAt);
    if (!isUpdate && (specials & (isOverUdp ? SPECIAL.SIGNED | SPECIAL.IXFR : SPECIAL.SIGNED)) === 0) {
      return answer(packet);
    }
    const request = readPeerRequest(rx, rxAt, length, settings.keys, nowSeconds());
    const most = isOverUdp ? udpLimit(request) : TCP_OCTETS;
    const respond = (message: Uint8Array): number => {
      tx.set(message, txAt);
      return message.length;
    };
    const { verdict } = request;
    // Over UDP an address may be forged, and only a valid signature proves it.
    const limited = (isError: boolean): Limited =>
      isOverUdp && verdict?.kind !== 'valid' ? limit(isError, packet) : 'send';
    if (verdict && verdict.kind !== 'valid') {
      const allowed = limited(true);
      if (allowed === 'drop') return 0;
      const whole = allowed === 'send' ? rejection(request, nowSeconds()) : undefined;
      return respond(whole && fits(whole, verdict, length, isOverUdp, most) ? whole : cutRejection(request));
    }
    if (isUpdate) {
      if (verdict?.kind === 'valid') return DEFERRED;
      // RFC 3007 2: an update is signed.
      if (limited(true) !== 'send') return 0;
      return respond(responseHead(request, RCODE.REFUSED, false));
    }
    const peer = packet.peer.subarray(packet.peerAt, packet.peerAt + packet.peerOctets);
    if (isOverUdp && isAllowedIxfr(request) && allowedPeer(settings, peer, verdict)) {
      if (limited(false) !== 'send') return 0;
      if (hasUpdates === true && wantsDifference(image, request)) return DEFERRED;
      const message = ixfrOverUdp(image, request, nowSeconds, { most });
      if (message.length <= most) return respond(message);
    }
    return answerSigned(
      request,
      most,
      nowSeconds,
      (message, out) => answer(packetOf(message, peer, transport, out)),
      tx.subarray(txAt),
    );
  };
}

/** Whether a message is a dynamic update. PACKET PATH: allocates nothing. */
export function isUpdateMessage(rx: Uint8Array, at: number): boolean {
  return (((rx[at + 2] ?? 0) >> 3) & 31) === OPCODE.UPDATE;
}

function isAllowedIxfr({ parsed, query }: PeerRequest): boolean {
  return parsed === PARSED.QUERY && query.ednsVersion === 0 && query.class === CLASS.IN && query.type === TYPE.IXFR;
}

/** The most octets of a response over UDP. */
export function udpLimit({ query }: PeerRequest): number {
  if (!query.hasEdns) return UDP_OCTETS_WITHOUT_EDNS;
  return Math.min(Math.max(query.udpOctets, UDP_OCTETS_WITHOUT_EDNS), UDP_OCTETS);
}

/** Answers the query without its signature, and signs the response. */
function answerSigned(
  request: PeerRequest,
  limit: number,
  nowSeconds: () => number,
  answer: (message: Uint8Array, out: Uint8Array) => number,
  out: Uint8Array,
): number {
  const { message, signature, verdict } = request;
  if (!signature || verdict?.kind !== 'valid') return answer(message, out);
  const bare = message.slice(0, signature.at);
  put16(bare, 10, get16(bare, 10) - 1);
  const written = answer(bare, out);
  if (written === 0) return 0;
  const signed = new Uint8Array(written + SIGNATURE_ROOM);
  signed.set(out.subarray(0, written));
  const signer = createSigner(verdict.key, nowSeconds, signature.mac);
  let length = signer.sign(signed, written);
  if (length > limit) {
    // RFC 8945 5.3: only question and signature, with TC and NOERROR. OPT remains (RFC 6891 7).
    const head = responseHead(request, RCODE.NOERROR, (get16(signed, 2) & 0x0400) !== 0);
    signed.set(head);
    put16(signed, 2, get16(signed, 2) | 0x0200);
    const withOpt = putOpt(request, signed, head.length, UDP_OCTETS);
    length = createSigner(verdict.key, nowSeconds, signature.mac).sign(signed, withOpt);
  }
  out.set(signed.subarray(0, length));
  return length;
}

/** More than the longest signature: two names, 64 octets of MAC, and the fixed fields. */
const SIGNATURE_ROOM = 1024;

/**
 * Whether a rejection may be sent completely. An unsigned one must not be longer than the request, so that a forged
 * address causes no amplification. It can be longer, because its TSIG names are not compressed.
 */
function fits(
  { length }: Uint8Array,
  verdict: Verdict,
  requestOctets: number,
  isOverUdp: boolean,
  limit: number,
): boolean {
  if (!isOverUdp) return true;
  const isSigned = verdict.kind === 'error' && verdict.key !== undefined;
  return length <= limit && (isSigned || length <= requestOctets);
}

/** A rejection without TSIG. TC makes the client retry over TCP, where the complete rejection fits. */
function cutRejection(request: PeerRequest): Uint8Array {
  const { verdict } = request;
  const head = responseHead(request, verdict?.kind === 'error' ? TSIG_RCODE : RCODE.FORMERR, false);
  const message = new Uint8Array(head.length + optOctets(request));
  message.set(head);
  put16(message, 2, get16(message, 2) | 0x0200);
  putOpt(request, message, head.length, UDP_OCTETS);
  return message;
}

/** The response to a request with an invalid signature (RFC 8945 5.2, 5.3.2). */
function rejection(request: PeerRequest, nowSeconds: number): Uint8Array {
  const { verdict, signature } = request;
  const isMalformed = verdict?.kind !== 'error' || !signature;
  const head = responseHead(request, isMalformed ? RCODE.FORMERR : TSIG_RCODE, false);
  const room = optOctets(request) + (signature ? tsigErrorOctets(signature) : 0);
  const message = new Uint8Array(head.length + room);
  message.set(head);
  const length = putOpt(request, message, head.length, UDP_OCTETS);
  if (isMalformed) return message.subarray(0, length);
  return message.subarray(0, appendTsigError(message, length, signature, verdict.error, verdict.key, nowSeconds));
}
