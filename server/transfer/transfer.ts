/**
 * Zone transfers to allowed peers, over TCP and TLS: AXFR (RFC 5936), and IXFR in the form of AXFR (RFC 1995 4).
 */
import type { TransferSettings } from '../../config/settings.ts';
import { TCP_OCTETS, UDP_OCTETS } from '../../wire/limits.ts';
import { get8, get16 } from '../../wire/octets.ts';
import { PARSED } from '../../wire/query.ts';
import { createSigner, tsigOctets } from '../../wire/tsig.ts';
import { CLASS, RCODE, TYPE } from '../../wire/types.ts';
import { ZONE, type Image, zoneWord } from '../../zones/image/image.ts';
import type { AnswerLong, StreamClient } from '../contract.ts';
import { COUNTER, count } from '../counters.ts';
import { createDefaultAnswers, type DefaultAnswers } from './default-answer.ts';
import {
  SPECIAL,
  specialsOf,
  mayTransfer,
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
};

/** Takes over allowed transfer requests. `Answer` refuses all others. */
export function createTransfers(
  image: Image,
  payload: TransferPayload,
  counters: Float64Array,
  nowSeconds: () => number,
): AnswerLong {
  const { settings, weights } = payload;
  let defaults: DefaultAnswers | undefined;
  return (client, rx, rxAt, length) => {
    if ((specialsOf(rx, rxAt, length) & (SPECIAL.AXFR | SPECIAL.IXFR)) === 0) return undefined;
    const request = readPeerRequest(rx, rxAt, length, settings.keys, nowSeconds());
    if (!isAllowed(request, settings, client)) return undefined;
    defaults ??= createDefaultAnswers(image, weights);
    return sendAll(client, transferOf(image, request, defaults, nowSeconds), counters);
  };
}

function isAllowed(request: PeerRequest, settings: TransferSettings, { peer }: StreamClient): boolean {
  const { parsed, query, verdict } = request;
  if (parsed !== PARSED.QUERY || query.ednsVersion > 0 || query.class !== CLASS.IN) return false;
  return mayTransfer(settings, peer.bytes.subarray(peer.at, peer.at + peer.octets), verdict);
}

/** The messages of the response to an allowed request. */
function transferOf(
  image: Image,
  request: PeerRequest,
  defaults: DefaultAnswers,
  nowSeconds: () => number,
): Iterable<Uint8Array> {
  const wanted = readWanted(image, request);
  if (wanted.kind === 'error') return [errorMessage(request, wanted.rcode, nowSeconds)];
  const { zone, known } = wanted;
  const frame = frameOf(request, nowSeconds);
  const serial = zoneWord(image.words, zone.zone, ZONE.SERIAL);
  // RFC 1995 2: a client with this serial, or a newer one by RFC 1982, gets only the SOA.
  if (known !== undefined && ((known - serial) | 0) >= 0) return [soaMessage(image, zone, frame)];
  return zoneMessages(image, zone, defaults, frame);
}

/** RFC 1995 2: the response to an allowed IXFR over UDP: only the SOA, or an error. */
export function ixfrOverUdp(image: Image, request: PeerRequest, nowSeconds: () => number): Uint8Array {
  const wanted = readWanted(image, request);
  if (wanted.kind === 'error') return errorMessage(request, wanted.rcode, nowSeconds);
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
  if (query.type === TYPE.AXFR) return { kind: 'zone', zone, known: undefined };
  const known = knownSerial(request);
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
function knownSerial({ message, query }: PeerRequest): number | undefined {
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
