/**
 * Records over HTTP against a real process: what is answered is served at once, and survives kill -9.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { sha256Of } from '../../config/read-tokens.ts';
import type { EventDocument } from '../../status/events.ts';
import { blocksOf } from '../support/documents.ts';
import { freePort } from '../support/free-port.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually, ROOT, start, type Running } from '../support/process.ts';

const ZONE = `# The zone of a shop.
zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.1 }
  www: { A: [192.0.2.2, 192.0.2.3] } # both halls
  alias: { CNAME: www }
  sub: { NS: [ns.sub] }
  ns.sub: { A: 192.0.2.60 }
services:
  app: { vips: { a: { A: 192.0.2.10 } } }
`;
const TOKENS = { all: 'all-8d5f0c2ab11e', hook: 'hook-77c2e19b04d3', reader: 'reader-5510fe9a2c' };

let folder: ReturnType<typeof folderOf>;
let port: number;
let statusPort: number;
let server: Running;

beforeAll(async () => {
  [port, statusPort] = [await freePort(), await freePort()];
  folder = folderOf({
    'zones/example.com.yaml': ZONE,
    'zones/other.example.yaml': ZONE.replace('example.com', 'other.example'),
    'tokens.yaml': `hook: { roles: update, sha256: ${sha256Of(TOKENS.hook)} }\nreader: { roles: read, sha256: ${sha256Of(TOKENS.reader)} }\n`,
    'pharos.yaml': `listen: ["127.0.0.1:${port}"]
status: { listen: "127.0.0.1:${statusPort}", token: ${TOKENS.all}, tokens: tokens.yaml }
geo: { databases: [] }
state_dir: state
updates: [{ token: hook, zones: [example.com], names: ["_acme-challenge.**"], types: [TXT] }]
`,
  });
  await serve();
});
afterAll(async () => {
  await server.stop();
  folder[Symbol.dispose]();
});

async function serve(): Promise<void> {
  server = start(['serve'], { cwd: folder.path });
  await server.until(/"msg":"serving"/);
}

type Document = { readonly serial: number; readonly detail?: string; readonly changes: readonly unknown[] };
type Reply = { readonly status: number; readonly etag: string | null; readonly body: Document };
type Options = {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
};

/** `path` follows `/api/v1/records`. */
async function api(
  method: string,
  path: string,
  { token = TOKENS.all, headers = {}, body }: Options = {},
): Promise<Reply> {
  // prettier-ignore
  const reply = await fetch(`http://127.0.0.1:${statusPort}/api/v1/records${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: reply.status, etag: reply.headers.get('etag'), body: (await reply.json()) as Document };
}

async function dig(name: string, type: string): Promise<string[]> {
  const args = ['+short', '+tries=2', '@127.0.0.1', '-p', String(port), name, type];
  const { stdout } = await start(args, { command: 'dig' }).finished;
  return stdout.trim().split('\n').filter(Boolean).sort();
}

/** Lines of the audit log are written after the reply. */
const auditHas = (text: string): Promise<unknown> =>
  eventually(() => Promise.resolve(readFileSync(join(folder.path, 'state/audit.log'), 'utf8')), (log) => log.includes(text)); // prettier-ignore

const of = (ttl: number, ...records: string[]): Options => ({ body: { ttl, records } });

test('PUT and DELETE are served when they are answered', async () => {
  const before = await api('GET', '?zone=example.com&name=www');
  expect(before.body).toMatchObject({
    ...{ zone: 'example.com', takes_changes: true },
    records: [{ name: 'www.example.com', type: 'A', ttl: 300, records: ['192.0.2.2', '192.0.2.3'], source: 'file', replaces_file: false }], // prettier-ignore
  });
  const set = await api('PUT', '/example.com/www/A', of(60, '192.0.2.77'));
  expect(set).toMatchObject({
    status: 200,
    body: {
      ...{ name: 'www.example.com', type: 'A', dry_run: false },
      changes: [{ before: { ttl: 300, records: ['192.0.2.2', '192.0.2.3'] }, after: { ttl: 60, records: ['192.0.2.77'] } }], // prettier-ignore
    },
  });
  expect(await dig('www.example.com', 'A')).toEqual(['192.0.2.77']);
  expect(set.etag).toBe(`"${set.body.serial}"`);
  expect(set.body.serial).toBeGreaterThan(before.body.serial);
  expect((await dig('example.com', 'SOA'))[0]).toContain(` ${set.body.serial} `);
  await api('PUT', '/example.com/new/A', of(60, '192.0.2.78'));
  await api('PUT', '/example.com/new/A?add=true', of(60, '192.0.2.79'));
  expect(await dig('new.example.com', 'A')).toEqual(['192.0.2.78', '192.0.2.79']);
  await api('DELETE', '/example.com/new/A?record=192.0.2.78');
  expect(await dig('new.example.com', 'A')).toEqual(['192.0.2.79']);
  expect((await api('DELETE', '/example.com/new/A?record=192.0.2.78')).status).toBe(404);
  expect((await api('DELETE', '/example.com/www/A')).status).toBe(200);
  expect(await dig('www.example.com', 'A')).toEqual([]);
  expect((await api('DELETE', '/example.com/www/A')).status).toBe(404);
  expect((await api('GET', '?zone=example.com')).body).toMatchObject({
    records: expect.arrayContaining([
      expect.objectContaining({ name: 'new.example.com', source: 'dynamic', replaces_file: false }),
      { name: 'www.example.com', type: 'A', ttl: null, records: [], source: 'dynamic', replaces_file: true },
      expect.objectContaining({ type: 'SOA', source: 'server' }),
      // Glue, which no query finds, is in the list.
      expect.objectContaining({ name: 'ns.sub.example.com', source: 'file' }),
    ]) as unknown,
  });
});

test('names: absolute, the apex, wildcards, escapes, slashes; glue of the files is replaced', async () => {
  for (const [path, name, type] of [
    ['a.example.com/A', 'a.example.com', 'A'],
    ['b.example.com./A', 'b.example.com', 'A'],
    ['@/A', 'example.com', 'A'],
    ['*.wild/A', 'x.wild.example.com', 'A'],
    ['esc%5C.dot/A', 'esc\\.dot.example.com', 'A'],
    ['0%2F25/A', '0/25.example.com', 'A'],
    ['UPPER/a', 'upper.example.com', 'A'],
  ]) {
    expect([path, (await api('PUT', `/example.com/${path}`, of(60, '192.0.2.5'))).status]).toEqual([path, 200]);
    expect([path, await dig(name ?? '', type ?? '')]).toEqual([path, ['192.0.2.5']]);
  }
  expect((await api('PUT', '/example.com/ns.sub/A', of(60, '192.0.2.61'))).body.changes).toHaveLength(1);
  expect((await api('GET', '?zone=example.com&name=ns.sub')).body).toMatchObject({
    records: [{ records: ['192.0.2.61'], source: 'dynamic', replaces_file: true }],
  });
});

test('refusals say what and why', async () => {
  const address = of(60, '192.0.2.5');
  for (const [method, path, options, status, why] of [
    ['PUT', '/example.com/app/TXT', of(60, 'x'), 409, 'a steered name'],
    ['PUT', '/example.com/@/SOA', of(60, 'a. b. 1 2 3 4 5'), 409, 'SOA is not changed'],
    ['PUT', '/example.com/@/NS', of(60, 'ns2'), 409, 'NS of the zone itself'],
    ['DELETE', '/example.com/@/NS', {}, 409, 'NS of the zone itself'],
    ['PUT', '/example.com/x/DNSKEY', of(60, '257 3 13 AAAA'), 409, 'DNSKEY is not changed'],
    ['PUT', '/example.com/ns1/CNAME', of(60, 'www'), 409, 'has A records, and a CNAME cannot be beside others'],
    ['PUT', '/example.com/alias/A', address, 409, 'is a CNAME'],
    ['PUT', '/example.com/c/CNAME', of(60, 'www', 'ns1'), 409, 'one CNAME at most'],
    ['PUT', '/example.org/www/A', address, 404, 'unknown zone example.org'],
    ['PUT', '/example.com/www.example.org./A', address, 400, 'not in the zone'],
    ['PUT', '/example.com/www', address, 400, 'the path must be'],
    ['PUT', '/example.com/www/A/x', address, 400, 'the path must be'],
    ['PUT', '/example.com/www/NOPE', address, 400, 'not a type'],
    ['PUT', '/example.com/www/ANY', address, 400, 'not a type'],
    ['PUT', '/example.com/www/A', of(60, '192.0.2.256'), 422, '192.0.2.256'],
    ['PUT', '/example.com/www/A', of(-1, '192.0.2.5'), 400, 'ttl'],
    ['PUT', '/example.com/www/A', of(2 ** 31, '192.0.2.5'), 400, 'ttl'],
    ['PUT', '/example.com/www/A', of(60), 400, 'records'],
    ['PUT', `/example.com/${'a'.repeat(64)}/A`, address, 400, 'longer than 63'],
    ['PUT', `/example.com/${'a.'.repeat(150)}/A`, address, 400, 'longer than 255'],
    // A name below a DNAME makes no zone that can be served.
    ['PUT', '/example.com/@/DNAME', of(60, 'example.org.'), 422, 'DNAME'],
    ['PUT', '/example.com/www/A', { body: 'x'.repeat(70 * 1024) }, 413, 'larger than'],
    ['PUT', '/example.com/www/A', { body: '{"ttl":60,' }, 400, 'not JSON'],
    ['PUT', '/example.com/%zz/A', address, 400, ''],
    ['GET', '?zone=example.org', {}, 404, 'unknown zone'],
    ['GET', '?zone=a..b', {}, 400, 'empty label'],
  ] as const) {
    const reply = await api(method, path, options);
    expect([method, path.slice(0, 60), reply.status, reply.body.detail]).toEqual([method, path.slice(0, 60), status, expect.stringContaining(why)]); // prettier-ignore
  }
  expect(await dig('example.com', 'DNAME')).toEqual([]);
  // The server closes the connection before all of it is sent.
  const huge = api('PUT', '/example.com/www/A', { body: 'x'.repeat(10 * 2 ** 20) });
  expect(await huge.then(({ status }) => status, () => 413)).toBe(413); // prettier-ignore
  expect((await api('GET', '?zone=example.com&name=ns1')).status).toBe(200);
});

test('octets of any value stay what they are, and HTML stays text', async () => {
  const data = String.raw`"<script>alert(1)</script>" "\000\255\"quote\""`;
  expect((await api('PUT', '/example.com/nul%00%3Cb%3E/TXT', of(60, data))).status).toBe(200);
  expect(await dig(String.raw`nul\000<b>.example.com`, 'TXT')).toEqual([data]);
  const reply = await fetch(`http://127.0.0.1:${statusPort}/`, { headers: { accept: 'text/html' } });
  expect(await reply.text()).not.toContain('<script>alert');
});

test('a token changes what its rules cover', async () => {
  const hook = { token: TOKENS.hook };
  const path = '/example.com/_acme-challenge.www/TXT';
  expect((await api('PUT', path, { ...hook, ...of(60, 'token') })).status).toBe(200);
  for (const [method, other] of [
    ['PUT', '/example.com/www/TXT'],
    ['PUT', '/example.com/_acme-challenge/A'],
    ['DELETE', '/example.com/ns1/A'],
    ['PUT', '/other.example/_acme-challenge/TXT'],
  ] as const) {
    const { status } = await api(method, other, { ...hook, ...(method === 'PUT' ? of(60, '192.0.2.5') : {}) });
    expect([other, status]).toEqual([other, other.includes('other') ? 409 : 403]);
  }
  expect((await api('DELETE', path, { token: TOKENS.reader })).status).toBe(403);
  expect((await api('GET', '?zone=example.com', { token: TOKENS.reader })).status).toBe(200);
  expect((await api('PUT', '/other.example/www/A', of(60, '192.0.2.5'))).body.detail).toContain('no rule of updates covers the zone'); // prettier-ignore
  const reply = await fetch(`http://127.0.0.1:${statusPort}/api/v1/events`);
  const events = ((await reply.json()) as EventDocument[]).filter(
    ({ kind, who }) => kind === 'update' && who === 'hook',
  );
  expect(events).toMatchObject([{ to: 'done', update: { key: null, peer: '127.0.0.1', sets: [{ name: '_acme-challenge.www.example.com' }] } }]); // prettier-ignore
  await auditHas('"url":"/api/v1/records/example.com/_acme-challenge.www/TXT"');
});

test('the hook of docs/automation.md', async () => {
  const [, recipe = ''] = readFileSync(`${ROOT}docs/automation.md`, 'utf8').split(/^## curl$/m);
  const script = blocksOf(recipe).find(({ text }) => text.startsWith('#!/bin/sh'))?.text ?? '';
  const path = join(folder.path, 'pharos-acme');
  writeFileSync(path, script, { mode: 0o755 });
  const hook = async (what: string, token: string): Promise<unknown> => {
    const env = { PHAROS_API: `http://127.0.0.1:${statusPort}`, PHAROS_TOKEN: TOKENS.hook, CERTBOT_DOMAIN: 'example.com', CERTBOT_VALIDATION: token }; // prettier-ignore
    const { code, stderr } = await start([what], { command: path, env }).finished;
    return { code, stderr };
  };
  const [one, two] = ['-kP0_b1uVqf8', 'Zt5cRr7_w-2M'];
  for (const token of [one, two]) expect(await hook('add', token)).toEqual({ code: 0, stderr: '' });
  expect(await dig('_acme-challenge.example.com', 'TXT')).toEqual([`"${one}"`, `"${two}"`]);
  expect(await hook('delete', one)).toEqual({ code: 0, stderr: '' });
  expect(await dig('_acme-challenge.example.com', 'TXT')).toEqual([`"${two}"`]);
  expect(await hook('delete', two)).toEqual({ code: 0, stderr: '' });
  expect(await hook('delete', two)).toMatchObject({ code: 22 });
});

test('a dry run changes nothing', async () => {
  const { etag } = await api('GET', '?zone=example.com');
  const dry = await api('PUT', '/example.com/dry/A?dry_run=true', of(60, '192.0.2.5'));
  expect(dry).toMatchObject({ status: 200, etag, body: { dry_run: true, changes: [{ before: null, after: { ttl: 60 } }] } }); // prettier-ignore
  expect((await api('DELETE', '/example.com/ns1/A?dry_run=true')).status).toBe(200);
  expect(await dig('dry.example.com', 'A')).toEqual([]);
  expect((await api('GET', '?zone=example.com')).etag).toBe(etag);
});

test('of concurrent changes with one If-Match, one wins', async () => {
  const { etag } = await api('GET', '?zone=example.com&name=race');
  const headers = { 'if-match': etag ?? '' };
  const all = Array.from({ length: 8 }, (_, index) => api('PUT', '/example.com/race/A', { headers, ...of(60, `192.0.2.${index}`) })); // prettier-ignore
  const replies = await Promise.all(all);
  const statuses = replies.map(({ status }) => status);
  expect(statuses.toSorted()).toEqual([200, 412, 412, 412, 412, 412, 412, 412]);
  expect(await dig('race.example.com', 'A')).toEqual([`192.0.2.${statuses.indexOf(200)}`]);
  const stale = replies[statuses.indexOf(412)];
  expect(stale?.etag).toBe(`"${stale?.body.serial}"`);
  expect((await api('PUT', '/example.com/race/A', { headers: { 'if-none-match': '*' }, ...of(60, '192.0.2.9') })).status).toBe(412); // prettier-ignore
  expect((await api('DELETE', '/example.com/none/A', { headers: { 'if-match': '*' } })).status).toBe(412);
  expect((await api('DELETE', '/example.com/none/A', { headers })).status).toBe(412);
  expect((await api('PUT', '/example.com/race/A', { headers: { 'if-match': '"x"' }, ...of(60, '192.0.2.9') })).status).toBe(400); // prettier-ignore
});

test('kill -9 keeps what was answered', async () => {
  let answered = 0;
  const sending = (async () => {
    for (;;) {
      const { status } = await api('PUT', '/example.com/kept/TXT', of(60, String(answered + 1)));
      if (status !== 200) return;
      answered++;
      if (answered === 5) server.child.kill('SIGKILL');
    }
  })().catch(() => undefined);
  await sending;
  await server.finished;
  expect(answered).toBeGreaterThanOrEqual(5);
  await serve();
  const [kept = ''] = await dig('kept.example.com', 'TXT');
  expect([`"${answered}"`, `"${answered + 1}"`]).toContain(kept);
  expect(await dig('a.example.com', 'A')).toEqual(['192.0.2.5']);
});

test('the commands, and adopt: the file gets the dynamic records, and the journal forgets them', async () => {
  const pharos = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await start(args, { cwd: folder.path }).finished;
    return `${code} ${stdout}${stderr}`;
  };
  expect(await pharos('records', 'set', 'example.com', 'cli', 'TXT', 'a b', '--ttl', '5m')).toMatch(
    /^0 cli\.example\.com TXT: none -> "a b" \(TTL 300\)\nServed now: example\.com has serial \d+\n$/,
  );
  expect(await pharos('records', 'list', 'example.com', 'cli')).toMatch(/cli\.example\.com +300 +TXT +"a b" +dynamic/);
  expect(await pharos('records', 'delete', 'example.com', 'cli', 'TXT', '--serial', '1')).toContain('1 pharos records delete: the serial of example.com is'); // prettier-ignore
  expect(await pharos('records', 'delete', 'example.com', 'cli', 'TXT', 'a b', '--dry-run')).toContain(
    'Nothing was changed',
  );
  expect(await pharos('check')).toMatch(/example\.com: dynamic records by name and type: \d+ not in files, 1 in place of records in files, 1 of the files deleted/); // prettier-ignore
  const file = join(folder.path, 'zones/example.com.yaml');
  const journal = join(folder.path, 'state/journal/example.com.journal');
  const before = (await api('GET', '?zone=example.com')).body;
  expect(await pharos('records', 'adopt', 'example.com', '--dry-run')).toContain('+   cli: { TXT: a b }');
  expect(readFileSync(file, 'utf8')).toBe(ZONE);
  const adopted = await pharos('records', 'adopt', 'example.com');
  expect(adopted).toContain('www.example.com A: deleted');
  expect(adopted).toMatch(/^0 /);
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('# The zone of a shop.');
  expect(text).toContain('# both halls');
  expect(text).toContain('ns.sub: { ttl: 60, A: 192.0.2.61 }');
  await vi.waitFor(() => { expect(readFileSync(journal, 'utf8')).toContain('forgotten'); }, PATIENCE_MS); // prettier-ignore
  type Listed = { readonly records: readonly { readonly source: string }[] };
  const listed = async (): Promise<Listed> => (await api('GET', '?zone=example.com')).body as unknown as Listed;
  // The journal is written before it is forgotten.
  await vi.waitFor(async () => { expect((await listed()).records.filter(({ source }) => source === 'dynamic')).toEqual([]); }, PATIENCE_MS); // prettier-ignore
  const after = await listed();
  const sorted = (of: unknown): string[] => (of as typeof after).records.filter(({ source }) => source !== 'server').map((each) => JSON.stringify({ ...each, source: 0, replaces_file: 0 })).toSorted(); // prettier-ignore
  expect(sorted(after)).toEqual(sorted(before).filter((each) => !each.includes('"ttl":null')));
  expect(await pharos('records', 'adopt', 'example.com')).toBe('0 example.com has no dynamic records to adopt.\n');
  expect(await pharos('check')).not.toMatch(/PH426|in files too/);
});

test('killed between the file and the reload, adopt loses nothing', async () => {
  await api('PUT', '/example.com/between/A', of(60, '192.0.2.5'));
  await server.stop('SIGKILL');
  const { code, stderr } = await start(['records', 'adopt', 'example.com'], { cwd: folder.path }).finished;
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('No server was reached') as unknown }); // prettier-ignore
  const { stdout } = await start(['check'], { cwd: folder.path }).finished;
  expect(stdout).toContain('1 in files too');
  await serve();
  expect(await dig('between.example.com', 'A')).toEqual(['192.0.2.5']);
  expect((await api('GET', '?zone=example.com&name=between')).body).toMatchObject({ records: [{ source: 'file' }] });
});

test('a long list comes in pieces, while changes go on', async () => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `n${index} 60 IN A 192.0.2.1`);
  writeFileSync(join(folder.path, 'zones/bulk.db'), `${lines.join('\n')}\n`);
  writeFileSync(join(folder.path, 'zones/other.example.yaml'), ZONE.replace('example.com', 'other.example').replace('services:', 'include: [bulk.db]\nservices:')); // prettier-ignore
  const url = `http://127.0.0.1:${statusPort}/api/v1/`;
  const headers = { authorization: `Bearer ${TOKENS.all}` };
  expect((await fetch(`${url}reload`, { method: 'POST', headers })).status).toBe(200);
  let pieces = 0;
  let text = '';
  await new Promise((resolve, reject) => {
    request(`${url}records?zone=other.example`, { headers }, (reply) => {
      reply.on('data', (octets: Buffer) => ((text += octets.toString()), pieces++)).on('end', resolve);
    })
      .on('error', reject)
      .end();
  });
  const { records } = JSON.parse(text) as { records: unknown[] };
  expect(records.length).toBe(20_000 + 7);
  expect(pieces).toBeGreaterThan(10);
});
