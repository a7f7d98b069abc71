/**
 * Zone transfers to allowed peers, over TCP and TLS: AXFR (RFC 5936), and IXFR (RFC 1995): the difference that the
 * control thread knows, or the whole zone.
 */
import type { AllowedPeer, TransferSettings } from '../../config/settings.ts';
import { TCP_OCTETS, UDP_OCTETS } from '../../wire/limits.ts';
import { get8, get16 } from '../../wire/octets.ts';
import { PARSED } from '../../wire/query.ts';
import { createSigner, tsigOctets } from '../../wire/tsig.ts';
import { CLASS, RCODE, TYPE } from '../../wire/types.ts';
import { HEAD, headWord, type Image, ZONE, zoneWord } from '../../zones/image/image.ts';
import { isCompact } from '../../zones/image/signed-rows.ts';
import { octetsOf, type ZoneDifference } from '../../zones/journal/zone-difference.ts';
import type { AnswerLong, AskControl, StreamClient } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import { createDefaultAnswers, type DefaultAnswers } from './default-answer.ts';
import { differenceMessages } from './difference-messages.ts';
import {
  allowedPeer,
  SPECIAL,
  specialsOf,
  optOctets,
  putOpt,
  readPeerRequest,
  responseHead,
  type PeerRequest,
} from './peer-request.ts';
import { soaMessage, zoneMessages, zoneOfApex, type MessageFrame, type ServedZone } from './zone-messages.ts';

/** The part of a publication for `transfer`. */
export type TransferPayload = {
  readonly settings: TransferSettings;
  /** Weights of the configuration, by slot. Weights that operators set at run time are not transferred. */
  readonly weights: Int32Array;
  /** Whether `updates` is configured. */
  readonly hasUpdates?: boolean;
};

/**
 * The question to the control thread for the difference between a serial and the zone now: a ZoneDifference, or none.
 */
export type AskedDifference = { readonly kind: 'difference'; readonly apex: Uint8Array; readonly serial: number };

/** Takes over allowed transfer requests. `Answer` refuses all others. */
export function createTransfers(
  image: Image,
  payload: TransferPayload,
  counters: Float64Array,
  nowSeconds: () => number,
  ask: AskControl = () => Promise.resolve(undefined),
): AnswerLong {
  const { settings, weights, hasUpdates } = payload;
  let defaults: DefaultAnswers | undefined;
  return (client, rx, rxAt, length) => {
    if ((specialsOf(rx, rxAt, length) & (SPECIAL.AXFR | SPECIAL.IXFR)) === 0) return undefined;
    const request = readPeerRequest(rx, rxAt, length, settings.keys, nowSeconds());
    const peer = peerOf(request, settings, client);
    if (!peer) return undefined;
    if (peer.steered === 'default') defaults ??= createDefaultAnswers(image, weights);
    const steered = peer.steered === 'omit' ? undefined : defaults;
    const asked = hasUpdates === true ? askedDifference(image, request) : undefined;
    if (!asked) return sendAll(client, transferOf(image, request, steered, nowSeconds), counters);
    const { zone, ...question } = asked;
    return ask(question).then((difference) => {
      const messages =
        difference && isSmaller(difference as ZoneDifference, image, zone)
          ? differenceMessages(difference as ZoneDifference, frameOf(request, nowSeconds), asked.apex.length)
          : transferOf(image, request, steered, nowSeconds);
      return sendAll(client, messages, counters);
    });
  };
}

/** The question about the difference that an IXFR asks for; undefined if the response has none. */
function askedDifference(
  image: Image,
  request: PeerRequest,
): (AskedDifference & { readonly zone: ServedZone }) | undefined {
  const wanted = readWanted(image, request);
  if (wanted.kind === 'error' || wanted.known === undefined) return undefined;
  const { zone, known } = wanted;
  if (isCurrent(known, image, zone)) return undefined;
  const { query } = request;
  return { kind: 'difference', apex: query.name.slice(0, query.nameOctets), serial: known, zone };
}

/** RFC 1995 2: whether the client has the serial of the zone, or a newer one by RFC 1982. */
function isCurrent(known: number, image: Image, { head }: ServedZone): boolean {
  return ((known - headWord(image.words, head, HEAD.SERIAL)) | 0) >= 0;
}

/** RFC 1995 5: a difference that is larger than the zone is of no use. */
function isSmaller(difference: ZoneDifference, image: Image, { zone }: ServedZone): boolean {
  return octetsOf(difference) <= zoneWord(image.words, zone, ZONE.OCTETS);
}

/** Whether an IXFR over UDP may get a difference, which only the control thread knows. */
export function wantsDifference(image: Image, request: PeerRequest): boolean {
  return askedDifference(image, request) !== undefined;
}

function peerOf(request: PeerRequest, settings: TransferSettings, { peer }: StreamClient): AllowedPeer | undefined {
  const { parsed, query, verdict } = request;
  if (parsed !== PARSED.QUERY || query.ednsVersion > 0 || query.class !== CLASS.IN) return undefined;
  return allowedPeer(settings, peer.bytes.subarray(peer.at, peer.at + peer.octets), verdict);
}

/** The messages of the response to an allowed request. Without `defaults` they have no steered records. */
function transferOf(
  image: Image,
  request: PeerRequest,
  defaults: DefaultAnswers | undefined,
  nowSeconds: () => number,
): Iterable<Uint8Array> {
  const wanted = readWanted(image, request);
  if (wanted.kind === 'error') return [errorMessage(request, wanted.rcode, nowSeconds)];
  const { zone, known } = wanted;
  const frame = frameOf(request, nowSeconds);
  if (known !== undefined && isCurrent(known, image, zone)) return [soaMessage(image, zone, frame)];
  return zoneMessages(image, zone, defaults, frame);
}

/**
 * RFC 1995 2: the response to an allowed IXFR over UDP: the difference if it fits into `most` octets, else only the
 * SOA; or an error.
 */
export function ixfrOverUdp(
  image: Image,
  request: PeerRequest,
  nowSeconds: () => number,
  { difference, most }: { readonly difference?: ZoneDifference | undefined; readonly most: number },
): Uint8Array {
  const wanted = readWanted(image, request);
  if (wanted.kind === 'error') return errorMessage(request, wanted.rcode, nowSeconds);
  if (difference && octetsOf(difference) <= 2 * most) {
    const { query } = request;
    const frame = frameOf(request, nowSeconds);
    const limit = frame.limit - TCP_OCTETS + most;
    try {
      const [message, more] = differenceMessages(difference, { ...frame, limit }, query.nameOctets);
      if (message && !more) return message;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return soaMessage(image, wanted.zone, frameOf(request, nowSeconds));
}

/** `known` is the client's serial from an IXFR; undefined for an AXFR. */
type Wanted =
  | { readonly kind: 'zone'; readonly zone: ServedZone; readonly known: number | undefined }
  | { readonly kind: 'error'; readonly rcode: number };

function readWanted(image: Image, request: PeerRequest): Wanted {
  const { query } = request;
  const zone = zoneOfApex(image, query.name.slice(0, query.nameOctets));
  // RFC 5936 2.2.1: NOTAUTH for a name that is not a zone of this server.
  if (zone === undefined) return { kind: 'error', rcode: RCODE.NOTAUTH };
  // Most denials of the zone are made by answering threads, so a secondary would not have them.
  if (isCompact(image, zone.zone)) return { kind: 'error', rcode: RCODE.REFUSED };
  if (query.type === TYPE.AXFR) return { kind: 'zone', zone, known: undefined };
  const known = serialInIxfr(request);
  return known === undefined ? { kind: 'error', rcode: RCODE.FORMERR } : { kind: 'zone', zone, known };
}

/** Header, question, OPT and signature for all messages of one response. */
function frameOf(request: PeerRequest, nowSeconds: () => number): MessageFrame {
  const { signature, verdict } = request;
  const key = verdict?.kind === 'valid' ? verdict.key : undefined;
  const signer = key && createSigner(key, nowSeconds, signature?.mac);
  return {
    head: responseHead(request, RCODE.NOERROR, true),
    limit: TCP_OCTETS - optOctets(request) - (key ? tsigOctets(key) : 0),
    seal: (message, length) => {
      const withOpt = putOpt(request, message, length, UDP_OCTETS);
      return signer ? signer.sign(message, withOpt) : withOpt;
    },
  };
}

function errorMessage(request: PeerRequest, rcode: number, nowSeconds: () => number): Uint8Array {
  const frame = frameOf(request, nowSeconds);
  const message = new Uint8Array(TCP_OCTETS);
  message.set(responseHead(request, rcode, false));
  return message.slice(0, frame.seal(message, frame.head.length));
}

/** RFC 1995 3: the serial of the SOA in the authority section of an IXFR; undefined when there is no SOA. */
export function serialInIxfr({ message, query }: PeerRequest): number | undefined {
  if (get16(message, 6) !== 0 || get16(message, 8) !== 1) return undefined;
  let at = query.questionEnd;
  // The owner: labels, or a pointer to the question.
  while (at < message.length && get8(message, at) !== 0 && get8(message, at) < 0xc0) at += get8(message, at) + 1;
  at += get8(message, at) === 0 ? 1 : 2;
  const end = at + 10 + get16(message, at + 8);
  if (get16(message, at) !== TYPE.SOA || get16(message, at + 8) < 22 || end > message.length) return undefined;
  return ((get16(message, end - 20) << 16) | get16(message, end - 18)) >>> 0;
}

async function sendAll(client: StreamClient, messages: Iterable<Uint8Array>, counters: Float64Array): Promise<void> {
  for (const message of messages) {
    if (!(await client.send(message))) {
      count(counters, COUNTER.TRANSFERS_CUT);
      return;
    }
    // Waits for one turn of the event loop that reads sockets: other queries of this client are answered in between.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
  count(counters, COUNTER.TRANSFERS_DONE);
}
