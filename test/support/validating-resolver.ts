/**
 * unbound as a validating resolver of zones on the loopback address.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { decodeMessage, encodeQuery, type DecodedMessage, type Option } from './message.ts';
import { folderOf } from './pharos.ts';
import { eventually, start } from './process.ts';
import { udpAsker } from './run.ts';

export type Stub = {
  readonly zone: string;
  readonly ports: readonly number[];
  /** Without an anchor the zone must be reached from a signed parent, or it is insecure. */
  readonly anchors?: readonly string[];
};

export type ResolverOptions = {
  /** More lines of `server:`, such as `aggressive-nsec: yes`. */
  readonly more?: readonly string[];
  /** Default: `validator iterator`. */
  readonly modules?: string;
};

/** The AD bit: the resolver found the answer secure. */
const AUTHENTIC = 0x20;

export type Answered = DecodedMessage & { readonly isSecure: boolean };

/** The DNSKEY records of all key files of a folder, as anchors. */
export function anchorsIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.key'))
    .map((name) => readFileSync(join(folder, name), 'utf8').replaceAll(/^;.*\n/gm, ''));
}

/** Starts it; resolves when it answers for the first zone. Anchors are DS or DNSKEY records as text. */
export async function startResolver(
  stubs: readonly Stub[],
  { more = [], modules = 'validator iterator' }: ResolverOptions = {},
) {
  const folder = folderOf({});
  const port = await freePort();
  const anchors = stubs.flatMap((stub) => stub.anchors ?? []);
  writeFileSync(join(folder.path, 'anchor'), `${anchors.join('\n')}\n`);
  const lines = [
    'server:',
    `  interface: 127.0.0.1@${port}`,
    ...['do-daemonize: no', 'username: ""', 'chroot: ""', `directory: "${folder.path}"`, 'pidfile: "unbound.pid"'],
    ...['do-not-query-localhost: no', 'do-ip6: no', `module-config: "${modules}"`, 'val-log-level: 2'],
    ...['trust-anchor-signaling: no', 'use-syslog: no', 'logfile: ""', 'num-threads: 1', 'so-reuseport: no'],
    // One query must not stop a server for the next 100.
    ...['infra-host-ttl: 0', 'outbound-msg-retry: 10', 'harden-algo-downgrade: yes', 'qname-minimisation: no'],
    ...(anchors.length > 0 ? ['trust-anchor-file: "anchor"'] : []),
    ...more,
    ...stubs.flatMap(({ zone, ports }) => [
      'stub-zone:',
      `  name: ${zone}`,
      ...ports.map((each) => `  stub-addr: 127.0.0.1@${each}`),
    ]),
  ];
  const indented = lines.map((line) => (/^\S+:$/.test(line) || line.startsWith(' ') ? line : `  ${line}`));
  writeFileSync(join(folder.path, 'unbound.conf'), `${indented.join('\n')}\n`);
  const process = start(['-d', '-c', join(folder.path, 'unbound.conf')], { command: 'unbound' });
  const client = await udpAsker({ host: '127.0.0.1', port });
  let id = 0;
  const ask = async (name: string, type: number, options: readonly Option[] = []): Promise<Answered> => {
    id = (id + 1) & 0xffff;
    const query = encodeQuery(name, type, { id, flags: 0x0100, edns: { dnssecOk: true, size: 4096, options } });
    for (;;) {
      const message = decodeMessage(Buffer.from(await client.ask(query)));
      // Responses to earlier queries that were given up.
      if (message.id !== id) continue;
      return { ...message, isSecure: (message.flags & AUTHENTIC) !== 0 };
    }
  };
  const first = stubs[0]?.zone ?? '.';
  try {
    await eventually(() => ask(first, 6).then(() => true, () => false), (isUp) => isUp); // prettier-ignore
  } catch (error) {
    await process.stop();
    folder[Symbol.dispose]();
    throw new Error(`unbound does not answer: ${process.stderr()}`, { cause: error });
  }
  return {
    port,
    ask,
    /** What it logged; `validation failure` lines say why an answer is bogus. */
    log: () => `${process.stdout()}${process.stderr()}`,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await process.stop();
      folder[Symbol.dispose]();
    },
  };
}
