/**
 * `log.queries` and `log.dnstap`: reads the samples of the answering threads (server/answer/query-samples.ts), logs one
 * line for each, and sends them to the collector of dnstap.
 */
import { hostname } from 'node:os';
import type { Settings } from '../../config/settings.ts';
import {
  createQueryRing,
  takeSamples,
  type QueryLogPayload,
  type QuerySample,
} from '../../server/answer/query-samples.ts';
import { TRANSPORT } from '../../server/contract.ts';
import { formatAddress, formatPrefix } from '../../wire/address.ts';
import { HEADER_OCTETS } from '../../wire/limits.ts';
import { decodeResponse } from '../../wire/message.ts';
import { formatName } from '../../wire/name.ts';
import { createQuery, PARSED, parseQuery } from '../../wire/query.ts';
import { RCODE, typeText } from '../../wire/types.ts';
import { dnstapOf, type DnstapSource } from './dnstap-message.ts';
import type { DnstapSocket } from './dnstap-socket.ts';

/** The part of a pino logger that is used. */
export type QueryLogger = { info(fields: object, message: string): void };

export type QueryLog = {
  /** The input of the threads; undefined while `log.queries` is 0. */
  payload(settings: Settings): QueryLogPayload | undefined;
  /** Writes the remaining samples, and stops. */
  stop(): void;
};

/** One line of the log (docs/configuration.md). */
export type QueryLine = {
  /** The time of the answer; the line is written up to LOOK_MS later. */
  readonly at: string;
  /** Null if the question could not be read. */
  readonly name: string | null;
  readonly type: string | null;
  readonly client: string;
  /** EDNS Client Subnet; null without one. */
  readonly subnet: string | null;
  readonly transport: 'udp' | 'tcp' | 'tls';
  /** Null without a response. */
  readonly rcode: string | null;
  /** Records of the answer section: type and data. Null if the response was too long to be kept. */
  readonly answer: readonly string[] | null;
  readonly truncated: boolean;
};

const LOOK_MS = 100;
const TRANSPORT_NAMES = { [TRANSPORT.UDP]: 'udp', [TRANSPORT.TCP]: 'tcp', [TRANSPORT.TLS]: 'tls' } as const;

/**
 * `threads`: all that answer. Allocates nothing until queries are logged. `version` is that of Pharos, for dnstap.
 */
export function createQueryLog(
  threads: number,
  log: QueryLogger,
  { dnstap, version }: { readonly dnstap?: DnstapSocket; readonly version?: string } = {},
): QueryLog {
  /** Of all queries: those that are sampled, and the shares of them for the log and for dnstap. */
  let shares = { sampled: 0, log: 0, dnstap: 0 };
  let source: DnstapSource = { identity: Buffer.alloc(0), version: Buffer.from(`pharos ${version ?? ''}`) };
  let rings: readonly SharedArrayBuffer[] | undefined;
  let timer: NodeJS.Timeout | undefined;
  const take = (): void => {
    for (const ring of rings ?? []) {
      for (const sample of takeSamples(ring)) {
        const chance = Math.random() * shares.sampled;
        if (chance < shares.log) log.info(lineOf(sample), 'query');
        if (chance < shares.dnstap) dnstap?.send(dnstapOf(sample, source));
      }
    }
  };
  return {
    payload({ log: settings, dns: { nsid } }) {
      const share = Math.max(settings.queries, settings.dnstap?.share ?? 0);
      dnstap?.use(settings.dnstap?.socket);
      source = { ...source, identity: Buffer.from(nsid ?? hostname()) };
      // The last samples are of the shares before.
      if (share > 0) shares = { sampled: share, log: settings.queries, dnstap: settings.dnstap?.share ?? 0 };
      if (share === 0) return undefined;
      rings ??= Array.from({ length: threads }, createQueryRing);
      timer ??= setInterval(take, LOOK_MS).unref();
      return { share, rings };
    },
    stop() {
      clearInterval(timer);
      take();
      dnstap?.stop();
    },
  };
}

/** The log line of a sample. */
export function lineOf(sample: QuerySample): QueryLine {
  const query = createQuery();
  const parsed = parseQuery(query, sample.query, 0, sample.query.length);
  // A sample may be cut, and then is not a valid message, but its question is complete.
  const hasQuestion = parsed !== PARSED.DROP && query.questionEnd > HEADER_OCTETS;
  const isV4 = query.subnetFamily === 1;
  const subnet = { bytes: query.subnet.slice(0, isV4 ? 4 : 16), bits: query.subnetBits };
  const { response, responseOctets } = sample;
  return {
    at: new Date(sample.timeMs).toISOString(),
    name: hasQuestion ? formatName(query.name.slice(0, query.nameOctets)) : null,
    type: hasQuestion ? typeText(query.type) : null,
    client: formatAddress(sample.client),
    subnet: query.hasSubnet && query.subnetFamily > 0 ? formatPrefix(subnet) : null,
    transport: TRANSPORT_NAMES[sample.transport as keyof typeof TRANSPORT_NAMES],
    rcode: responseOctets === 0 ? null : rcodeOf(response, query.ednsVersion),
    answer: responseOctets > response.length ? null : answerOf(response),
    truncated: ((response[2] ?? 0) & 0x02) !== 0,
  };
}

function rcodeOf(response: Uint8Array, ednsVersion: number): string {
  const low = (response[3] ?? 0) & 15;
  // RFC 6891 6.1.3: the upper bits are in OPT. Only a query of another EDNS version gets such a code.
  const rcode = low === 0 && ednsVersion > 0 ? RCODE.BADVERS : low;
  return Object.entries(RCODE).find(([, code]) => code === rcode)?.[0] ?? String(rcode);
}

function answerOf(response: Uint8Array): string[] {
  if (response.length === 0) return [];
  return decodeResponse(response).answer.map(({ type, data }) => `${type} ${data}`);
}
