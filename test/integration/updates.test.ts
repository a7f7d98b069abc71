/**
 * Dynamic updates with nsupdate (Debian: bind9-dnsutils) and knsupdate (knot-dnsutils) against a real process.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EventDocument } from '../../status/events.ts';
import { freePort } from '../support/free-port.ts';
import { eventually } from '../support/process.ts';
import { createDice, printedSeed } from '../support/random.ts';

const SECRET = 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
const ZONE = `zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.1 }
  www: { A: 192.0.2.2 }
services:
  app: { vips: { a: { A: 192.0.2.10 } } }
`;

// Each update is a program that starts; on a busy machine that takes long.
let folder: string;
let port: number;
let statusPort: number;
let server: ChildProcess | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pharos-updates-'));
  [port, statusPort] = [await freePort(), await freePort()];
  mkdirSync(join(folder, 'zones'));
  writeFileSync(join(folder, 'zones/example.com.yaml'), ZONE);
  const key = `{ algorithm: hmac-sha256, secret: ${SECRET} }`;
  const text = `listen: ["127.0.0.1:${port}"]
status: { listen: "127.0.0.1:${statusPort}" }
state_dir: state
transfer: { keys: { all: ${key}, acme: ${key} }, allow: [{ from: 127.0.0.1 }] }
updates:
  - { key: all }
  - { key: acme, names: ["_acme-challenge.**"], types: [TXT] }
`;
  writeFileSync(join(folder, 'pharos.yaml'), text, { mode: 0o600 });
});
afterEach(async () => {
  await end('SIGTERM');
  rmSync(folder, { recursive: true });
});

async function start(): Promise<void> {
  const started = spawn(process.execPath, [join(import.meta.dirname, '../../cli/main.ts'), 'serve'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  server = started;
  let output = '';
  for (const stream of [started.stdout, started.stderr]) stream.on('data', (octets: Buffer) => (output += octets.toString())); // prettier-ignore
  while (!output.includes('"msg":"serving"')) {
    if (started.exitCode !== null) throw new Error(output);
    await delay(20);
  }
}

async function end(signal: NodeJS.Signals): Promise<void> {
  const ending = server;
  server = undefined;
  if (!ending || ending.exitCode !== null) return;
  const gone = once(ending, 'exit');
  ending.kill(signal);
  await gone;
}

type Options = { readonly key?: string; readonly program?: string; readonly args?: readonly string[] };

/** The RCODE of an update. */
async function update(
  lines: readonly string[],
  { key = 'all', program = 'nsupdate', args = [] }: Options = {},
): Promise<string> {
  // prettier-ignore
  const file = join(folder, 'update.txt');
  const all = [`server 127.0.0.1 ${port}`, 'zone example.com.', `key hmac-sha256:${key} ${SECRET}`, ...lines, 'send', 'answer']; // prettier-ignore
  writeFileSync(file, `${all.join('\n')}\n`);
  return await new Promise((resolve) => {
    execFile(program, [...args, file], (_error, stdout, stderr) => {
      const text = `${stdout}${stderr}`;
      resolve(/(?:update failed: |status: |error \()'?([A-Z]+)/.exec(text)?.[1] ?? text);
    });
  });
}

async function dig(name: string, type: string): Promise<string[]> {
  const args = ['+short', '+tries=2', '@127.0.0.1', '-p', String(port), name, type];
  const text = await new Promise<string>((resolve) => execFile('dig', args, (_, stdout) => { resolve(stdout); })); // prettier-ignore
  return text.trim().split('\n').filter(Boolean).sort(); // prettier-ignore
}

test('updates are served at once, over UDP and TCP, by nsupdate and knsupdate', async () => {
  await start();
  const [before = ''] = await dig('example.com', 'SOA');
  expect(await update(['update add new.example.com 60 A 192.0.2.77'])).toBe('NOERROR');
  expect(await dig('new.example.com', 'A')).toEqual(['192.0.2.77']);
  expect(await update(['update add new.example.com 60 A 192.0.2.78'], { args: ['-v'] })).toBe('NOERROR');
  expect(await dig('new.example.com', 'A')).toEqual(['192.0.2.77', '192.0.2.78']);
  expect(await update(['update delete www.example.com A'], { program: 'knsupdate' })).toBe('NOERROR');
  expect(await dig('www.example.com', 'A')).toEqual([]);
  const [after = ''] = await dig('example.com', 'SOA');
  const serial = (soa: string): number => Number(soa.split(' ')[2]);
  expect(serial(after)).toBeGreaterThan(serial(before));
  // The content is the same as before, although the updates were put in force without reading or compiling the zone.
  await end('SIGTERM');
  await start();
  expect(await dig('example.com', 'SOA')).toEqual([after]);
});

test('refusals', async () => {
  await start();
  const acme = { key: 'acme' };
  expect(await update(['update add _acme-challenge.www.example.com 60 TXT x'], acme)).toBe('NOERROR');
  expect(await update(['update add www.example.com 60 TXT x'], acme)).toBe('REFUSED');
  const reply = await fetch(`http://127.0.0.1:${statusPort}/api/v1/events`);
  const events = ((await reply.json()) as EventDocument[]).filter(({ kind }) => kind === 'update');
  const common = { who: 'acme', update: { zone: 'example.com', key: 'acme', peer: '127.0.0.1', more: 0 } };
  const set = { name: '_acme-challenge.www.example.com', type: 'TXT', records: 1 };
  expect(events).toMatchObject([
    { ...common, to: 'done', update: { sets: [set] } },
    { ...common, to: 'refused', update: { sets: [{ name: 'www.example.com', type: 'TXT', records: null }] } },
  ]);
  // Lines of the audit log are written after the response.
  const told = (): readonly unknown[] =>
    readFileSync(join(folder, 'state/audit.log'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { kind: string; update?: object }).flatMap(({ kind, update }) => (kind === 'update' ? [update] : [])); // prettier-ignore
  await eventually(() => Promise.resolve(told()), ({ length }) => length >= events.length); // prettier-ignore
  expect(told()).toEqual(events.map((each) => each.update));
  expect(await update(['update add app.example.com 60 TXT x'])).toBe('REFUSED');
  expect(await update(['prereq nxdomain www.example.com', 'update add a.example.com 60 A 192.0.2.1'])).toBe('YXDOMAIN');
  expect(await update(['zone example.org.', 'update add a.example.org 60 A 192.0.2.1'])).toBe('NOTAUTH');
  // A DNAME above other names makes no zone that can be served: nothing of the update stays.
  expect(await update(['update add d.example.com 60 DNAME a.example.org.', 'update add x.d.example.com 60 A 192.0.2.1'])).toBe('SERVFAIL'); // prettier-ignore
  expect(await dig('d.example.com', 'DNAME')).toEqual([]);
});

test('kill -9 at any moment keeps every answered update', async () => {
  const dice = createDice(printedSeed('kill -9 of updates'));
  let answered = 0;
  for (let round = 0; round < 3; round++) {
    await start();
    const killed = delay(dice.below(800)).then(() => end('SIGKILL'));
    for (let isOver = false; !isOver;) {
      const lines = [`update delete n.example.com TXT`, `update add n.example.com 60 TXT ${answered + 1}`];
      isOver = (await update(lines, { args: ['-t', '1', '-r', '0'] })) !== 'NOERROR';
      if (!isOver) answered++;
    }
    await killed;
    await start();
    const [kept = '""'] = await dig('n.example.com', 'TXT');
    const number = Number(JSON.parse(kept));
    expect([answered, answered + 1]).toContain(number);
    answered = number;
    await end('SIGTERM');
  }
});

test('files win over updates where they change, and only there', async () => {
  await start();
  expect(await update(['update add one.example.com 60 A 192.0.2.77', 'update add two.example.com 60 A 192.0.2.77'])).toBe('NOERROR'); // prettier-ignore
  writeFileSync(
    join(folder, 'zones/example.com.yaml'),
    ZONE.replace('services:', '  one: { A: 192.0.2.5 }\nservices:'),
  );
  server?.kill('SIGHUP');
  while ((await dig('one.example.com', 'A')).join() !== '192.0.2.5') await delay(50);
  expect(await dig('two.example.com', 'A')).toEqual(['192.0.2.77']);
  while (!readFileSync(join(folder, 'state/journal/example.com.journal'), 'utf8').includes('forgotten'))
    await delay(50);
});

test('an alias follows updates of its target, in zones that updates cannot change too, and cannot be updated', async () => {
  writeFileSync(join(folder, 'zones/example.com.yaml'), ZONE.replace('services', '  "@": { ALIAS: www }\n  to: { CNAME: www }\nservices')); // prettier-ignore
  writeFileSync(join(folder, 'zones/example.org.yaml'), 'zone: example.org\nnameservers: [ns1.example.com.]\nrecords: { "@": { ALIAS: to.example.com. } }\n'); // prettier-ignore
  await start();
  const serialOf = async (zone: string): Promise<number> => Number((await dig(zone, 'SOA'))[0]?.split(' ')[2]);
  const before = await serialOf('example.org');
  expect(await dig('example.org', 'A')).toEqual(['192.0.2.2']);
  expect(await update(['update add www.example.com 60 A 192.0.2.3'])).toBe('NOERROR');
  expect(await dig('example.org', 'A')).toEqual(['192.0.2.2', '192.0.2.3']);
  expect(await dig('example.com', 'A')).toEqual(['192.0.2.2', '192.0.2.3']);
  expect(await serialOf('example.org')).toBeGreaterThan(before);
  // A name that the alias does not depend on changes in place; the alias keeps its addresses.
  expect(await update(['update add other.example.com 60 A 192.0.2.9'])).toBe('NOERROR');
  expect(await dig('example.com', 'A')).toEqual(['192.0.2.2', '192.0.2.3']);
  expect(await update(['update delete to.example.com', 'update add to.example.com 60 CNAME other.example.com.'])).toBe('NOERROR'); // prettier-ignore
  expect(await dig('example.org', 'A')).toEqual(['192.0.2.9']);
  expect(await update(['update add other.example.com 60 A 192.0.2.10'])).toBe('NOERROR');
  expect(await dig('example.org', 'A')).toEqual(['192.0.2.10', '192.0.2.9']);
  expect(await update(['update add example.com 60 A 192.0.2.1'])).toBe('REFUSED');
  expect(await update(['update delete www.example.com A'])).toBe('NOERROR');
  expect(await dig('example.com', 'A')).toEqual([]);
  const last = [await serialOf('example.com'), await serialOf('example.org')];
  await end('SIGKILL');
  await start();
  expect(await dig('example.org', 'A')).toEqual(['192.0.2.10', '192.0.2.9']);
  expect([await serialOf('example.com'), await serialOf('example.org')]).toEqual(last);
});
