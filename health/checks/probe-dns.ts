/**
 * The `dns` probe: one query over UDP, and over TCP if the response was truncated. dns2 decodes the responses.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { Packet } from 'dns2';
import type { CheckSpec } from '../../config/check-kinds.ts';
import { markLocal } from '../../config/system-errors.ts';
import { parseName } from '../../wire/name.ts';
import { TYPE, typeNumber } from '../../wire/types.ts';
import type { StopSignal } from '../stop-signal.ts';
import { judge } from './probe-run.ts';
import { ProbeFailure, asError, onAbort, type ProbeOptions, type ProbeResult, type ProbeTarget } from './probe.ts';
import { hostAddress } from './resolve-host.ts';

type DnsSpec = Extract<CheckSpec, { kind: 'dns' }>;

/** Passes when the response has NOERROR and a record of the queried type (for ANY: of any type). */
export function probeDns(
  target: ProbeTarget,
  spec: DnsSpec,
  signal: StopSignal,
  { clock }: ProbeOptions = {},
): Promise<ProbeResult> {
  const { timeoutMs } = spec;
  return judge({ timeoutMs, signal, clock }, (deadline) => ask(target, spec, deadline));
}

async function ask(target: ProbeTarget, spec: DnsSpec, signal: StopSignal): Promise<string> {
  const rtype = spec.rtype === 'ANY' ? TYPE.ANY : typeNumber(spec.rtype);
  if (rtype === undefined) throw new ProbeFailure(`unknown record type ${spec.rtype}`);
  const server = { ...(await beforeAbort(hostAddress(target.host), signal)), port: target.port };
  const query = queryFor(spec.query, rtype);
  const answer = await askUdp(server, query, signal);
  return judgeAnswer(answer.header.tc === 1 ? await askTcp(server, query, signal) : answer, spec, rtype);
}

/** RFC 1035 4.1.1: ID, flags, four counts. */
const HEADER_OCTETS = 12;
const CLASS_IN = Packet.CLASS.IN;

/** Encodes a query with RD set. Not by dns2, which does not resolve escapes in names. */
function queryFor(name: string, rtype: number): Buffer {
  const wire = parseName(/(?:^|[^\\])\.$/.test(name) ? name : `${name}.`);
  const query = Buffer.alloc(HEADER_OCTETS + wire.length + 4);
  query.writeUInt16BE(randomInt(0x1_0000), 0);
  query.writeUInt16BE(0x0100, 2);
  query.writeUInt16BE(1, 4);
  query.set(wire, HEADER_OCTETS);
  query.writeUInt16BE(rtype, HEADER_OCTETS + wire.length);
  query.writeUInt16BE(CLASS_IN, HEADER_OCTETS + wire.length + 2);
  return query;
}

type Server = { readonly address: string; readonly family: number; readonly port: number };

/** Sends one query over UDP from its own port. Ignores packets that do not answer it. */
function askUdp(server: Server, query: Buffer, signal: StopSignal): Promise<Packet> {
  const socket = createSocket(server.family === 6 ? 'udp6' : 'udp4');
  let ended = false;
  return new Promise((resolve, reject) => {
    const end = (): void => {
      if (ended) return;
      ended = true;
      forget();
      socket.close();
    };
    const fail = (error: unknown): void => {
      end();
      reject(asError(error));
    };
    const forget = onAbort(signal, () => {
      fail(signal.reason);
    });
    socket.on('error', (error) => {
      // Neither the `connect` nor the `send` of a UDP socket waits for a packet.
      const { syscall } = error as NodeJS.ErrnoException;
      fail(syscall === 'connect' || syscall === 'bind' ? markLocal(error) : error);
    });
    // A connected socket receives only from its peer, and reports ICMP "port unreachable".
    socket.on('connect', () => {
      if (!ended) socket.send(query);
    });
    socket.on('message', (message) => {
      const answer = isAnswerTo(query, message) ? parseAnswer(message) : undefined;
      if (answer === undefined) return;
      end();
      resolve(answer);
    });
    socket.connect(server.port, server.address);
  });
}

/**
 * RFC 5452 9.1: the ID and the question must match the query. Some servers omit the question in an error.
 */
function isAnswerTo(query: Buffer, message: Buffer): boolean {
  if (message.length < HEADER_OCTETS || message.readUInt16BE(0) !== query.readUInt16BE(0)) return false;
  const questions = message.readUInt16BE(4);
  const rcode = message.readUInt16BE(2) & 0xf;
  if (questions === 0) return rcode !== 0;
  return questions === 1 && sameQuestion(query.subarray(HEADER_OCTETS), message.subarray(HEADER_OCTETS));
}

/** Names are compared without case (RFC 4343), type and class exactly. */
function sameQuestion(wanted: Buffer, found: Buffer): boolean {
  const nameOctets = wanted.length - 4;
  const fold = (octets: Buffer): string =>
    octets.toString('latin1', 0, nameOctets).replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  return fold(wanted) === fold(found) && wanted.subarray(nameOctets).equals(found.subarray(nameOctets, wanted.length));
}

function parseAnswer(message: Buffer): Packet | undefined {
  try {
    return Packet.parse(message);
  } catch {
    return undefined;
  }
}

function judgeAnswer(answer: Packet, spec: DnsSpec, rtype: number): string {
  if (answer.header.qr !== 1) throw new ProbeFailure('the answer is not a response');
  if (answer.header.rcode !== 0) throw new ProbeFailure(`answered ${rcodeName(answer.header.rcode)}`);
  const found = answer.answers.filter(
    (record) => (rtype === TYPE.ANY || record.type === rtype) && record.class === CLASS_IN,
  ).length;
  if (found === 0) throw new ProbeFailure(`NOERROR without ${spec.rtype} data`);
  return `NOERROR, ${String(found)} ${spec.rtype}`;
}

/** Sends one query over TCP (RFC 7766), with a length prefix. */
function askTcp(server: Server, query: Buffer, signal: StopSignal): Promise<Packet> {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.address, port: server.port, noDelay: true });
    let received = Buffer.alloc(0);
    const fail = (error: unknown): void => {
      forget();
      socket.destroy();
      reject(asError(error));
    };
    const forget = onAbort(signal, () => {
      fail(signal.reason);
    });
    socket.on('error', fail);
    socket.on('end', () => {
      fail(new ProbeFailure('connection closed before the answer'));
    });
    socket.on('connect', () => socket.write(Buffer.concat([length, query])));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const message = received.subarray(2, 2 + received.readUInt16BE(0));
      if (!isAnswerTo(query, message)) {
        fail(new ProbeFailure('the answer is to another query'));
        return;
      }
      const answer = parseAnswer(message);
      if (answer === undefined) {
        fail(new ProbeFailure('the answer is not a DNS message'));
        return;
      }
      forget();
      socket.destroy();
      resolve(answer);
    });
  });
}

/** Rejects when the signal aborts, for a promise that cannot be cancelled. */
function beforeAbort<T>(promise: Promise<T>, signal: StopSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => {
      reject(signal.reason instanceof Error ? signal.reason : new ProbeFailure('probe cancelled'));
    });
    promise.finally(forget).then(resolve, reject);
  });
}

function rcodeName(rcode: number): string {
  return Object.entries(Packet.RCODE).find(([, value]) => value === rcode)?.[0] ?? `RCODE ${String(rcode)}`;
}
