/**
 * An ALIAS to a name outside the zones, which a real process resolves through a DNS server of this test.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { EventDocument } from '../../status/events.ts';
import { readName, T } from '../support/message.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, eventually, ROOT, start, type Running } from '../support/process.ts';

type Answers = { a: readonly string[]; aaaa: readonly string[]; rcode: number; ttl: number };

/** A resolver on a free port that gives these answers to every question. */
async function startResolver(answers: Answers) {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (query, peer) => {
    const { name, end } = readName(query, 12);
    const type = query.readUInt16BE(end);
    asked.push(name);
    const question = query.subarray(12, end + 4);
    const data =
      type === T.A
        ? answers.a.map((text) => Buffer.from(text.split('.').map(Number)))
        : type === T.AAAA
          ? answers.aaaa.map((text) => Buffer.from(text, 'hex'))
          : [];
    const shown = answers.rcode === 0 ? data : [];
    const records = shown.map((octets) => {
      const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, answers.ttl, 0, octets.length]);
      return Buffer.concat([head, octets]);
    });
    const header = Buffer.from([
      ...query.subarray(0, 2),
      0x81,
      0x80 | answers.rcode,
      0,
      1,
      0,
      shown.length,
      0,
      0,
      0,
      0,
    ]);
    socket.send(Buffer.concat([header, question, ...records]), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, asked, [Symbol.dispose]: () => void socket.close() };
}

const started: Running[] = [];
afterEach(async () => {
  for (const each of started.splice(0)) await each.stop('SIGKILL');
});

async function startPharos(cwd: string) {
  const running = start([join(ROOT, 'cli/main.ts'), 'serve'], { cwd, command: process.execPath });
  started.push(running);
  const line = await running.until(/"listen":\["[^"]*:(\d+)"\],"status":"(http[^"]*)\/".*"msg":"serving"/);
  return { ...running, port: Number(line[1]), api: line[2] ?? '' };
}

test('a name outside the zones is resolved at its TTL, kept while it cannot be, and over a restart', async () => {
  const answers: Answers = { a: [], aaaa: [], rcode: 2, ttl: 1 };
  using resolver = await startResolver(answers);
  const zone = `zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.1 }
  "@": { ALIAS: lb.example.net., TXT: text }
  way: { ttl: 30, ALIAS: to }
  to: { CNAME: lb.example.net. }
`;
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `listen: ["127.0.0.1:0"]\nstatus: { listen: "127.0.0.1:0" }\ngeo: { databases: [small.mmdb] }\nresolvers: ["127.0.0.1:${resolver.port}"]\n`,
    'zones/example.com.yaml': zone,
  });
  let server = await startPharos(folder.path);
  const sorted = async (...words: string[]): Promise<string> => (await dig(server.port, ...words)).split('\n').sort().join(' '); // prettier-ignore
  const serialOf = async (): Promise<number> => Number((await sorted('example.com', 'SOA')).split(' ')[2]);
  const status = async (): Promise<string> => (await dig(server.port, '+noshort', '+comments', 'example.com', 'A')).match(/status: (\w+)/)?.[1] ?? ''; // prettier-ignore
  const seen = (text: string): Promise<number> => eventually(() => sorted('example.com', 'A'), (now) => now === text); // prettier-ignore

  expect(await status()).toBe('SERVFAIL');
  expect(await sorted('example.com', 'TXT')).toBe('"text"');
  const first = await serialOf();
  Object.assign(answers, { a: ['192.0.2.20', '192.0.2.10'], aaaa: ['20010db8000000000000000000000001'], rcode: 0 });
  await seen('192.0.2.10 192.0.2.20');
  expect(await sorted('way.example.com', 'AAAA')).toBe('2001:db8::1');
  const second = await serialOf();
  expect(second).toBeGreaterThan(first);
  // Another order is no change; other addresses are.
  answers.a = ['192.0.2.10', '192.0.2.20'];
  const before = resolver.asked.length;
  await eventually(() => Promise.resolve(resolver.asked.length), (count) => count >= before + 4); // prettier-ignore
  expect(await serialOf()).toBe(second);
  answers.a = ['192.0.2.30'];
  await seen('192.0.2.30');
  const third = await serialOf();
  expect(third).toBeGreaterThan(second);
  const events = (await (await fetch(`${server.api}/api/v1/events`)).json()) as EventDocument[];
  expect(events.filter(({ kind }) => kind === 'alias').map(({ from, to }) => [from, to])).toEqual([
    [null, '192.0.2.10 192.0.2.20 2001:db8::1'],
    ['192.0.2.10 192.0.2.20 2001:db8::1', '192.0.2.30 2001:db8::1'],
  ]);
  const metrics = await (await fetch(`${server.api}/metrics`)).text();
  expect(metrics).toMatch(/pharos_alias_resolutions_total\{name="lb\.example\.net",result="ok"\} [3-9]/);
  expect(metrics).toMatch(/pharos_alias_age_seconds\{name="lb\.example\.net"\}/);

  // A name that is gone, and a resolver that fails: the last good addresses stay, over a restart too.
  answers.rcode = 3;
  const file = join(folder.path, 'state/aliases.json');
  await eventually(() => Promise.resolve(existsSync(file) ? readFileSync(file, 'utf8') : ''), (text) => text.includes('192.0.2.30')); // prettier-ignore
  await server.stop('SIGKILL');
  server = await startPharos(folder.path);
  expect(await sorted('example.com', 'A')).toBe('192.0.2.30');
  expect(await serialOf()).toBe(third);
  const explained = start([join(ROOT, 'cli/main.ts'), 'explain', 'way.example.com', '--resolver', '192.0.2.1'], { cwd: folder.path, command: process.execPath }); // prettier-ignore
  const { stdout } = await explained.finished;
  expect(stdout).toContain('192.0.2.30');
  expect(stdout).toContain('way.example.com -> to.example.com -> lb.example.net');
  await server.stop();
});
