/**
 * `_explain.NAME TXT`: the trace of explain as a DNS answer (docs/commands.md#dig-txt-_explainname), for the networks
 * in `dns.explain_from`. Over UDP the response has TC, so that the client retries over a stream, where addresses cannot
 * be forged. There the control thread makes the trace: only it has locations, reasons and texts. For all other clients
 * and types, `_explain` is an ordinary label.
 */
import type { ExplainRequest } from '../../steering/trace.ts';
import { formatAddress, inPrefix, type Prefix } from '../../wire/address.ts';
import { TCP_OCTETS } from '../../wire/limits.ts';
import { formatName } from '../../wire/name.ts';
import { get8, put16 } from '../../wire/octets.ts';
import { createQuery, LOWER_CASE, parseQuery, PARSED, type Query } from '../../wire/query.ts';
import { createResponse, finishResponse, startResponse, type Response } from '../../wire/response.ts';
import { CLASS, TYPE } from '../../wire/types.ts';
import { createSearch, search } from '../../zones/image/find-node.ts';
import type { Image } from '../../zones/image/image.ts';
import { TRANSPORT, type Answer, type AnswerLong, type AskControl, type StreamClient } from '../contract.ts';
import { SPECIAL, specialsOf } from '../transfer/peer-request.ts';

/** The part of a publication for `_explain`: allowed networks, and the NSID. */
export type ExplainPayload = { readonly from: readonly Prefix[]; readonly nsid: Uint8Array };

/** The control thread's reply: lines of text, in order. */
export type ExplainReply = readonly string[];

/** `_explain` with its length in front. */
const LABEL = Uint8Array.of(8, ...Buffer.from('_explain'));
/** `_aaaa` after it selects AAAA. */
const AAAA_LABEL = Uint8Array.of(5, ...Buffer.from('_aaaa'));
const HEADER_OCTETS = 12;
/** One trace takes the control thread about 1 ms. This rate leaves it enough time for probes. */
const TRACES_PER_SECOND = 20;
const BUSY: ExplainReply = [`busy: at most ${TRACES_PER_SECOND} explanations per second; try again`];
const FAILED: ExplainReply = ["cannot explain this name; see the server's log for the reason"];

/** Whether the question's first label is `_explain`. PACKET PATH: reads one or two octets of other names. */
export function startsWithExplain(rx: Uint8Array, rxAt: number): boolean {
  if (rx[rxAt + HEADER_OCTETS] !== LABEL.length - 1) return false;
  for (let i = 1; i < LABEL.length; i++) {
    if (LOWER_CASE[get8(rx, rxAt + HEADER_OCTETS + i)] !== LABEL[i]) return false;
  }
  return true;
}

/**
 * Answers `_explain` over UDP: allowed clients get a truncated response, so that they retry over TCP. The answerer
 * returns 0 for queries that must get the normal answer.
 */
export function createExplainOverUdp(image: Image, payload: ExplainPayload): Answer {
  const response = createResponse();
  return ({ rx, rxAt, length, peer, peerAt, peerOctets, transport, tx, txAt }) => {
    if (transport !== TRANSPORT.UDP) return 0;
    const asked = readQuestion(image, payload, rx, rxAt, length, peer.subarray(peerAt, peerAt + peerOctets));
    if (!asked) return 0;
    const { query } = asked;
    startResponse(response, query, rx, rxAt, tx, txAt, false, payload.nsid);
    response.authoritative = true;
    response.truncated = true;
    return finishResponse(response, query, payload.nsid);
  };
}

/** Answers `_explain` on streams. `nowMs` is a monotonic clock. */
export function createExplains(
  image: Image,
  payload: ExplainPayload,
  ask: AskControl,
  nowMs: () => number = () => performance.now(),
): AnswerLong {
  const takes = createBucket(nowMs);
  return (client, rx, rxAt, length) => {
    if (!startsWithExplain(rx, rxAt)) return undefined;
    const { bytes, at, octets } = client.peer;
    const asked = readQuestion(image, payload, rx, rxAt, length, bytes.subarray(at, at + octets));
    return asked && tell(client, asked, payload, takes() ? ask(asked.request) : BUSY);
  };
}

/** A query to explain: a copy of the message, the parsed query, and the request for the control thread. */
type Asked = { readonly message: Uint8Array; readonly query: Query; readonly request: ExplainRequest };

/** Returns undefined for queries that must get the normal answer. */
function readQuestion(
  image: Image,
  { from }: ExplainPayload,
  rx: Uint8Array,
  rxAt: number,
  length: number,
  peer: Uint8Array,
): Asked | undefined {
  if (!from.some((prefix) => inPrefix(peer, prefix))) return undefined;
  // `slice` of a Buffer does not copy.
  const message = Uint8Array.from(rx.subarray(rxAt, rxAt + length));
  const query = createQuery();
  if (parseQuery(query, message, 0, length) !== PARSED.QUERY) return undefined;
  if (query.class !== CLASS.IN || query.type !== TYPE.TXT || query.ednsVersion > 0) return undefined;
  // The response to a signed query must be signed: answer-peers.ts does that.
  if ((specialsOf(message, 0, length) & SPECIAL.SIGNED) !== 0) return undefined;
  const asksAaaa = AAAA_LABEL.every((octet, i) => query.name[LABEL.length + i] === octet);
  const name = query.name.slice(LABEL.length + (asksAaaa ? AAAA_LABEL.length : 0), query.nameOctets);
  const target = createSearch(name);
  search(image, target);
  if (target.node < 0) return undefined;
  const address = formatAddress(query.subnet, 0, query.subnetFamily === 1 ? 4 : 16);
  const client = query.subnetBits === 0 ? undefined : `${address}/${query.subnetBits}`;
  const request = {
    name: formatName(name),
    type: asksAaaa ? 'AAAA' : 'A',
    resolver: formatAddress(peer),
    ...(client === undefined ? {} : { client }),
  };
  return { message, query, request };
}

async function tell(
  client: StreamClient,
  { message, query }: Asked,
  { nsid }: ExplainPayload,
  reply: unknown,
): Promise<void> {
  const lines = ((await reply) as ExplainReply | undefined) ?? FAILED;
  const response = createResponse();
  const tx = new Uint8Array(TCP_OCTETS);
  startResponse(response, query, message, 0, tx, 0, true, nsid);
  response.authoritative = true;
  // RFC 7871 7.2.1: the trace is valid for this client only.
  response.scopeBits = query.subnetBits;
  addLines(response, lines);
  await client.send(tx.subarray(0, finishResponse(response, query, nsid)));
}

/**
 * Writes one TXT record with TTL 0 per line. An RRset has no order (RFC 2181 5), so each line starts with its number
 * and `sort` restores the order. The last record says how many lines did not fit.
 */
function addLines(response: Response, lines: ExplainReply): void {
  const digits = String(lines.length).length;
  for (const [index, line] of lines.entries()) {
    const number = String(index + 1).padStart(digits, '0');
    const isLast = index === lines.length - 1;
    if (addText(response, `${number} ${line}`, isLast ? 0 : REST_OCTETS)) continue;
    addText(response, `${number} ${lines.length - index} more lines: run pharos explain --api to see them`, 0);
    return;
  }
}

/** Octets reserved for the line that says how many lines did not fit. */
const REST_OCTETS = 128;
/** Octets before the data: a pointer to the question's name, type, class, TTL, RDLENGTH. */
const RECORD_HEAD_OCTETS = 12;
/** RFC 1035 3.3: a character-string. */
const MAX_STRING_OCTETS = 255;

/** Returns false and writes nothing when fewer than `reserve` octets would remain. */
function addText(response: Response, line: string, reserve: number): boolean {
  const text = Buffer.from(line);
  const strings = Math.max(1, Math.ceil(text.length / MAX_STRING_OCTETS));
  const dataOctets = text.length + strings;
  const { tx, base } = response;
  if (response.length + RECORD_HEAD_OCTETS + dataOctets + reserve > response.limit) return false;
  let at = base + response.length;
  put16(tx, at, 0xc000 | HEADER_OCTETS);
  put16(tx, at + 2, TYPE.TXT);
  put16(tx, at + 4, CLASS.IN);
  put16(tx, at + 6, 0);
  put16(tx, at + 8, 0);
  put16(tx, at + 10, dataOctets);
  at += RECORD_HEAD_OCTETS;
  for (let from = 0; from < text.length; from += MAX_STRING_OCTETS) {
    const string = text.subarray(from, from + MAX_STRING_OCTETS);
    tx[at++] = string.length;
    tx.set(string, at);
    at += string.length;
  }
  response.length = at - base;
  response.answers++;
  return true;
}

/** A token bucket that holds the tokens of one second. The function takes a token; false when none is left. */
function createBucket(nowMs: () => number): () => boolean {
  let tokens = TRACES_PER_SECOND;
  let last = nowMs();
  return () => {
    const now = nowMs();
    tokens = Math.min(TRACES_PER_SECOND, tokens + ((now - last) * TRACES_PER_SECOND) / 1000);
    last = now;
    if (tokens < 1) return false;
    tokens--;
    return true;
  };
}
