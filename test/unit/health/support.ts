/** Parts that the tests of the health room share: a clock they own, servers that misbehave, checks with defaults. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckSpec, CompoundSpec } from '../../../config/check-kinds.ts';
import type { ProbeResult } from '../../../health/checks/probe.ts';
import type { Clock } from '../../../health/clock.ts';
import type { Electorate, ElectorateEvents } from '../../../health/electorate.ts';
import { PROBED, type Probed } from '../../../health/health-table.ts';
import type { HealthTarget } from '../../../health/target-names.ts';

type HttpSpec = Extract<CheckSpec, { kind: 'http' | 'https' }>;
type TcpSpec = Extract<CheckSpec, { kind: 'tcp' }>;
type DnsSpec = Extract<CheckSpec, { kind: 'dns' }>;
type TlsSpec = Extract<CheckSpec, { kind: 'tls' }>;
type GrpcSpec = Extract<CheckSpec, { kind: 'grpc' }>;
type ExecSpec = Extract<CheckSpec, { kind: 'exec' }>;
type PushSpec = Extract<CheckSpec, { kind: 'push' }>;

const timing = { name: 'test', intervalMs: 10_000, timeoutMs: 2000, fastMs: 1000, rise: 2, fall: 3 };

export function httpCheck(change: Partial<HttpSpec> = {}): HttpSpec {
  return {
    ...timing,
    kind: 'http',
    port: undefined,
    method: 'GET',
    path: '/',
    host: undefined,
    headers: {},
    status: [{ from: 200, to: 399 }],
    body: undefined,
    loadPath: undefined,
    insecure: false,
    watch: true,
    ...change,
  };
}

export function tcpCheck(change: Partial<TcpSpec> = {}): TcpSpec {
  return { ...timing, kind: 'tcp', port: 1, send: undefined, expect: undefined, watch: true, ...change };
}

export function dnsCheck(change: Partial<DnsSpec> = {}): DnsSpec {
  return { ...timing, kind: 'dns', port: 53, query: 'www.example.com', rtype: 'A', ...change };
}

export function tlsCheck(change: Partial<TlsSpec> = {}): TlsSpec {
  const own = { port: undefined, host: undefined, insecure: false, minDaysLeft: undefined, watch: true };
  return { ...timing, kind: 'tls', ...own, ...change };
}

export function grpcCheck(change: Partial<GrpcSpec> = {}): GrpcSpec {
  const own = { port: undefined, service: '', tls: false, host: undefined, insecure: false };
  return { ...timing, kind: 'grpc', ...own, ...change };
}

export function execCheck(change: Partial<ExecSpec> = {}): ExecSpec {
  return { ...timing, kind: 'exec', command: ['true'], port: undefined, ...change };
}

/** `needed` is read off the kind where it can be. */
export function compoundCheck(change: Partial<CompoundSpec> & Pick<CompoundSpec, 'members'>): CompoundSpec {
  const { kind = 'all_of', members } = change;
  return { ...timing, needed: kind === 'all_of' ? members.length : 1, ...change, kind };
}

export function pushCheck(change: Partial<PushSpec> = {}): PushSpec {
  return { ...timing, kind: 'push', expiresMs: 30_000, ...change };
}

export function vip(change: Partial<HealthTarget> & Pick<HealthTarget, 'slot' | 'target'>): HealthTarget {
  return { region: undefined, check: undefined, host: '192.0.2.1', port: undefined, weight: 1, ...change };
}

export type GivenVerdict = {
  readonly electorate: Electorate;
  /** Of the one check. */
  readonly key: () => string;
  readonly events: () => ElectorateEvents | undefined;
  verdict: Probed;
  isProbing: boolean;
};

/** Other nodes that vote on one check, as the test says. */
export function givenVerdict(verdict: Probed = PROBED.DOWN): GivenVerdict {
  let events: ElectorateEvents | undefined;
  let key = '';
  const given: GivenVerdict = {
    electorate: {
      listen: (asked) => (events = asked),
      configure: ([first]) => (key = first?.key ?? ''),
      vote: () => undefined,
      abstain: () => undefined,
      verdict: () => given.verdict,
      dissent: () => undefined,
      isProbing: () => given.isProbing,
    },
    key: () => key,
    events: () => events,
    verdict,
    isProbing: true,
  };
  return given;
}

/** Lets everything that is ready to run do so. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

export type ManualClock = Clock & {
  /** Lets time pass, timer by timer. */
  advance(ms: number): Promise<void>;
  /** Steps the wall clock alone. */
  stepWall(ms: number): void;
  timers(): number;
};

export function createManualClock(wallMs = Date.parse('2026-01-01T00:00:00Z')): ManualClock {
  let nowMs = 1000;
  let wallOffsetMs = wallMs - nowMs;
  let order = 0;
  const timers = new Map<number, { dueMs: number; run: () => void }>();
  return {
    now: () => nowMs,
    wall: () => nowMs + wallOffsetMs,
    after(delayMs, run) {
      const id = (order += 1);
      timers.set(id, { dueMs: nowMs + Math.max(0, delayMs), run });
      return () => {
        timers.delete(id);
      };
    },
    stepWall(ms) {
      wallOffsetMs += ms;
    },
    timers: () => timers.size,
    async advance(ms) {
      const untilMs = nowMs + ms;
      await turns(1);
      for (;;) {
        const [next] = [...timers]
          .filter(([, { dueMs }]) => dueMs <= untilMs)
          .sort(([, a], [, b]) => a.dueMs - b.dueMs);
        if (next === undefined) break;
        timers.delete(next[0]);
        nowMs = Math.max(nowMs, next[1].dueMs);
        next[1].run();
        await turns(1);
      }
      nowMs = untilMs;
    },
  };
}

/** Turns of the event loop in which a peer in this thread answers what it will answer, a TLS handshake included. */
const PEER_TURNS = 50;

/** Gives a probe and its peer turns until the probe ends or neither has more to do. Returns whether the probe ended. */
async function hasEnded(running: Promise<ProbeResult>): Promise<boolean> {
  const probe = { ended: false };
  void running.then(() => (probe.ended = true));
  for (let turn = 0; !probe.ended && turn < PEER_TURNS; turn += 1) await turns(1);
  return probe.ended;
}

/** A probe that ends at its deadline, not a millisecond before. `asked`: until then no time passes. */
export async function lateProbe(
  timeoutMs: number,
  start: (clock: Clock) => Promise<ProbeResult>,
  asked?: Promise<unknown>,
): Promise<ProbeResult> {
  const clock = createManualClock();
  const running = start(clock);
  await asked;
  let ended = await hasEnded(running);
  await clock.advance(timeoutMs - 1);
  ended ||= await hasEnded(running);
  if (ended) throw new Error(`ended before its deadline: ${(await running).reason}`);
  await clock.advance(1);
  return await running;
}

/** A probe that ends by itself or, if its peer never answers, at its deadline. */
export async function boundedProbe(
  timeoutMs: number,
  start: (clock: Clock) => Promise<ProbeResult>,
): Promise<ProbeResult> {
  const clock = createManualClock();
  const running = start(clock);
  if (!(await hasEnded(running))) await clock.advance(timeoutMs);
  return await running;
}

/** Writes `first`, then `then` in every turn of the event loop, until the socket closes. */
export function drip(socket: net.Socket, first: string | Buffer, then: string | Buffer): void {
  if (first.length > 0) socket.write(first);
  const next = (): void => {
    if (socket.destroyed) return;
    socket.write(then);
    setImmediate(next);
  };
  next();
}

export type TestServer = {
  readonly port: number;
  /** Connections accepted so far, and open now. */
  accepted(): number;
  open(): number;
  /** Resolves when no connection is open. */
  quiet(): Promise<void>;
  /** Destroys what is open and stops listening. */
  close(): Promise<void>;
};

/** A TCP server on a port of its own; `server` may be one of node:http or node:https. */
export async function listen(server: net.Server, port = 0, host = '127.0.0.1'): Promise<TestServer> {
  const sockets = new Set<net.Socket>();
  const waiting = new Set<() => void>();
  let accepted = 0;
  server.on('connection', (socket: net.Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    // Unread, the other side's FIN would not be seen. Servers of node:http read by themselves.
    if (server.listenerCount('request') === 0) socket.resume();
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size > 0) return;
      for (const done of waiting) done();
      waiting.clear();
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: portOf(server),
    accepted: () => accepted,
    open: () => sockets.size,
    quiet: () =>
      sockets.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.add(resolve);
          }),
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function portOf(server: { address(): net.AddressInfo | string | null }): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port');
  return address.port;
}

export type Certificate = { readonly key: string; readonly cert: string };

/** A certificate for the names, signed by itself, that ends in some days; -1: it ended yesterday. */
export function selfSigned(subjectAltName: string, days = 2): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-cert-'));
  try {
    const [key, cert, request, extensions] = ['key.pem', 'cert.pem', 'request.pem', 'extensions'].map((name) =>
      join(folder, name),
    ) as [string, string, string, string];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const openssl = (...args: readonly string[]): void => {
      execFileSync('openssl', args, { stdio: 'pipe' });
    };
    // Signers are found by their names, so each has its own.
    openssl('req', '-new', ...curve, '-subj', `/CN=pharos test ${randomUUID()}`, '-keyout', key, '-out', request);
    writeFileSync(extensions, `subjectAltName=${subjectAltName}\nbasicConstraints=critical,CA:TRUE\n`);
    const signed = ['-signkey', key, '-days', String(days), '-extfile', extensions, '-out', cert];
    openssl('x509', '-req', '-in', request, ...signed);
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const never = new AbortController().signal;
