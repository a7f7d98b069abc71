/**
 * The `dns` probe: one query over UDP, and over TCP when the answer did not fit; dns2 writes and reads
 * the messages.
 */
import { Packet } from 'dns2';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { CheckSpec } from '../config/settings.ts';
import { TYPE, typeNumber } from '../wire/types.ts';
import { addressOf } from './lookup.ts';
import { ProbeFailure, asError, judge, onAbort, type ProbeResult, type ProbeTarget } from './probe.ts';

type DnsSpec = Extract<CheckSpec, { kind: 'dns' }>;

/** Passes when the server answers with NOERROR and a record of the type asked for (or, for ANY, any). */
export function probeDns(target: ProbeTarget, spec: DnsSpec, signal: AbortSignal): Promise<ProbeResult> {
  return judge(spec.timeoutMs, signal, (deadline) => ask(target, spec, deadline));
}

async function ask(target: ProbeTarget, spec: DnsSpec, signal: AbortSignal): Promise<string> {
  const rtype = spec.rtype === 'ANY' ? TYPE.ANY : typeNumber(spec.rtype);
  if (rtype === undefined) throw new ProbeFailure(`unknown record type ${spec.rtype}`);
  const server = { ...(await beforeAbort(addressOf(target.host), signal)), port: target.port };
  const query = new Packet();
  query.header.id = Packet.uuid();
  query.header.rd = 1;
  query.questions.push(new Packet.Question(spec.query, rtype, Packet.CLASS.IN));
  const answer = await askUdp(server, query, signal);
  return judgeAnswer(answer.header.tc === 1 ? await askTcp(server, query, signal) : answer, spec, rtype);
}

type Server = { readonly address: string; readonly family: number; readonly port: number };

/** One query over UDP, from a port of its own; what is no answer to it does not count. */
function askUdp(server: Server, query: Packet, signal: AbortSignal): Promise<Packet> {
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
    socket.on('error', fail);
    // A connected socket hears from its peer alone, and of ICMP's "port unreachable".
    socket.on('connect', () => {
      if (!ended) socket.send(query.toBuffer());
    });
    socket.on('message', (message) => {
      const answer = parseAnswer(message);
      if (answer?.header.id !== query.header.id) return;
      end();
      resolve(answer);
    });
    socket.connect(server.port, server.address);
  });
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
  const found = answer.answers.filter((record) => rtype === TYPE.ANY || record.type === rtype).length;
  if (found === 0) throw new ProbeFailure(`NOERROR without ${spec.rtype} data`);
  return `NOERROR, ${String(found)} ${spec.rtype}`;
}

/** One query over TCP (RFC 7766), the message with its length in front. */
function askTcp(server: Server, query: Packet, signal: AbortSignal): Promise<Packet> {
  const message = query.toBuffer();
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
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
    socket.on('connect', () => socket.write(Buffer.concat([length, message])));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      let answer: Packet;
      try {
        answer = Packet.parse(received.subarray(2, 2 + received.readUInt16BE(0)));
      } catch (error) {
        fail(error);
        return;
      }
      if (answer.header.id !== query.header.id) {
        fail(new ProbeFailure('the answer is to another query'));
        return;
      }
      forget();
      socket.destroy();
      resolve(answer);
    });
  });
}

/** A promise that cannot be cancelled, left behind when the signal aborts. */
function beforeAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
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
