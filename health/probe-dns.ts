/**
 * The `dns` probe: one query over UDP by dns2's client, and over TCP when the answer did not fit.
 */
import { Packet, UDPClient } from 'dns2';
import { connect, SocketAddress } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { CheckSpec } from '../config/settings.ts';
import { TYPE, typeNumber } from '../wire/types.ts';
import { addressOf } from './lookup.ts';
import { ProbeFailure, formatMs, judge, onAbort, type ProbeResult, type ProbeTarget } from './probe.ts';

type DnsSpec = Extract<CheckSpec, { kind: 'dns' }>;

/** Passes when the server answers with NOERROR and a record of the type asked for (or, for ANY, any). */
export function probeDns(target: ProbeTarget, spec: DnsSpec, signal: AbortSignal): Promise<ProbeResult> {
  return judge(spec.timeoutMs, signal, (deadline) => ask(target, spec, deadline));
}

async function ask(target: ProbeTarget, spec: DnsSpec, signal: AbortSignal): Promise<string> {
  const startedMs = performance.now();
  const rtype = spec.rtype === 'ANY' ? TYPE.ANY : typeNumber(spec.rtype);
  if (rtype === undefined) throw new ProbeFailure(`unknown record type ${spec.rtype}`);
  const server = await beforeAbort(addressOf(target.host), signal);
  const { port } = target;
  // dns2's UDP client knows types by its own, shorter list of mnemonics; the others are asked for over TCP.
  if (!Object.hasOwn(Packet.TYPE, spec.rtype))
    return judgeAnswer(await askTcp(server, port, spec, rtype, signal), spec, rtype);
  const resolve = UDPClient({
    // It compares this with the sender's address as text, so it has to be in the form of RFC 5952.
    dns: new SocketAddress({ address: server.address, family: server.family === 6 ? 'ipv6' : 'ipv4' }).address,
    port,
    socketType: server.family === 6 ? 'udp6' : 'udp4',
    // Its timer is what closes its socket, and cannot be cut short: at the deadline it is waited for, not left.
    timeout: Math.max(1, spec.timeoutMs - (performance.now() - startedMs)),
    // Its TCP client has no deadline and takes no IPv6 address.
    retryOverTCP: false,
  });
  const answer = await resolve(spec.query, spec.rtype).catch((error: unknown) => {
    const late = error instanceof Error && 'code' in error && error.code === 'ETIMEDOUT';
    throw late ? new ProbeFailure(`no answer in ${formatMs(spec.timeoutMs)}`) : error;
  });
  signal.throwIfAborted();
  return judgeAnswer(answer.header.tc === 1 ? await askTcp(server, port, spec, rtype, signal) : answer, spec, rtype);
}

function judgeAnswer(answer: Packet, spec: DnsSpec, rtype: number): string {
  if (answer.header.qr !== 1) throw new ProbeFailure('the answer is not a response');
  if (answer.header.rcode !== 0) throw new ProbeFailure(`answered ${rcodeName(answer.header.rcode)}`);
  const found = answer.answers.filter((record) => rtype === TYPE.ANY || record.type === rtype).length;
  if (found === 0) throw new ProbeFailure(`NOERROR without ${spec.rtype} data`);
  return `NOERROR, ${String(found)} ${spec.rtype}`;
}

/** One query over TCP (RFC 7766), the message with its length in front. */
function askTcp(
  server: { readonly address: string },
  port: number,
  spec: DnsSpec,
  rtype: number,
  signal: AbortSignal,
): Promise<Packet> {
  const query = new Packet();
  query.header.id = Packet.uuid();
  query.header.rd = 1;
  query.questions.push(new Packet.Question(spec.query, rtype, Packet.CLASS.IN));
  const message = query.toBuffer();
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.address, port, noDelay: true });
    let received = Buffer.alloc(0);
    const fail = (error: unknown): void => {
      forget();
      socket.destroy();
      reject(error instanceof Error ? error : new ProbeFailure(String(error)));
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
