/**
 * Every kind of answer, read by independent programs: dig and delv (Debian: bind9-dnsutils), kdig (knot-dnsutils),
 * drill (ldnsutils). None of them may report a problem.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../wire/address.ts';
import { runPharos, type Running } from '../support/run.ts';

const run = promisify(execFile);
const ZONE = `
zone: example.com
nameservers: [ns1]
soa: { serial: 42, negative_ttl: 60 }
regions: { seoul: { at: KR }, dublin: { at: IE } }
records:
  ns1: { A: 192.0.2.1, AAAA: "2001:db8::1" }
  "@": { MX: [10 mail], TXT: ["v=spf1 -all"], CAA: ["0 issue ca.example.net"] }
  mail: { A: [192.0.2.25, 192.0.2.26] }
  _sip._udp: { SRV: [10 5 5060 mail] }
  svc: { HTTPS: ['1 . alpn="h2,h3" ipv4hint=192.0.2.7'] }
  naptr: { NAPTR: ['100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .'] }
  tlsa: { TLSA: ["3 1 1 ${'ab'.repeat(32)}"] }
  sshfp: { SSHFP: ["1 1 ${'ab'.repeat(20)}"] }
  odd: { TYPE65400: ['\\# 4 deadbeef'] }
  chain: { CNAME: mail }
  out: { CNAME: www.example.org. }
  old: { DNAME: new }
  x.new: { A: 192.0.2.30 }
  "*.wild": { A: 192.0.2.40 }
  sub: { NS: [ns.sub], DS: ["1 13 2 ${'ab'.repeat(32)}"] }
  ns.sub: { A: 192.0.2.60 }
services:
  www: { ttl: 20, vips: { k: { region: seoul, A: 203.0.113.10 }, d: { region: dublin, A: 192.0.2.10, AAAA: "2001:db8::10" } }, steer: [geo: { KR: seoul, default: [dublin, seoul] }] }
  named: { vips: { one: { CNAME: mail } } }
  many: { vips: { ${Array.from({ length: 100 }, (_, i) => `v${i}: { A: 192.0.2.${i} }`).join(', ')} }, steer: [all] }
`;

let server: Running | undefined;
let endpoints: readonly Endpoint[] = [];
beforeAll(async () => {
  const listen = [
    { host: '127.0.0.1', port: 0 },
    { host: '::1', port: 0 },
    { host: '0.0.0.0', port: 0 },
  ];
  server = await runPharos({ 'zones/example.com.yaml': ZONE }, listen, { nsid: Buffer.from('ams1') });
  endpoints = server.endpoints;
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

const COMPLAINTS = /warn|mismatch|malformed|timed out|error:|extra|unexpected|garbage|bad packet|invalid/i;

async function dig(words: string, at = endpoints[0]): Promise<string> {
  const { stdout, stderr } = await run('dig', [
    `@${at?.host ?? ''}`,
    '-p',
    String(at?.port ?? 0),
    '+norec',
    '+tries=1',
    '+time=60',
    ...words.split(' '),
  ]);
  expect(stdout + stderr).not.toMatch(COMPLAINTS);
  return stdout;
}

const ROWS = [
  ['www A', 'NOERROR', 'aa', '192.0.2.10'],
  ['www AAAA', 'NOERROR', 'aa', '2001:db8::10'],
  ['www ANY', 'NOERROR', 'aa', '192.0.2.10'],
  ['named A', 'NOERROR', 'aa', '192.0.2.25'],
  ['@ SOA', 'NOERROR', 'aa', '42 7200'],
  ['@ MX', 'NOERROR', 'aa', '10 mail.example.com.'],
  ['@ TXT', 'NOERROR', 'aa', '"v=spf1 -all"'],
  ['@ CAA', 'NOERROR', 'aa', 'ca.example.net'],
  ['_sip._udp SRV', 'NOERROR', 'aa', '10 5 5060 mail.example.com.'],
  ['svc TYPE65', 'NOERROR', 'aa', ''],
  ['naptr NAPTR', 'NOERROR', 'aa', 'E2U+sip'],
  ['tlsa TLSA', 'NOERROR', 'aa', '3 1 1'],
  ['sshfp SSHFP', 'NOERROR', 'aa', '1 1 '],
  ['odd TYPE65400', 'NOERROR', 'aa', '\\# 4 '],
  ['chain A', 'NOERROR', 'aa', '192.0.2.26'],
  ['out A', 'NOERROR', 'aa', 'www.example.org.'],
  ['x.old A', 'NOERROR', 'aa', '192.0.2.30'],
  ['nothere.old A', 'NXDOMAIN', 'aa', 'SOA'],
  ['a.b.wild A', 'NOERROR', 'aa', '192.0.2.40'],
  ['nothere A', 'NXDOMAIN', 'aa', 'SOA'],
  ['mail AAAA', 'NOERROR', 'aa', 'SOA'],
  ['x.sub A', 'NOERROR', '', 'ns.sub.example.com.'],
  ['sub DS', 'NOERROR', 'aa', '1 13 2'],
  ['many A', 'NOERROR', 'aa', '192.0.2.99'],
] as const;
const HOW = ['+noedns', '+edns', '+dnssec', '+tcp', '+bufsize=512', '+nsid', '+subnet=192.0.2.0/24'] as const;

/** The output for each row and way to ask, by `nameOf(question) type how`: one process of dig sends all queries. */
const shown = new Map<string, string>();

function nameOf(question: string): string {
  const [owner = '', type = ''] = question.split(' ');
  return `${owner === '@' ? 'example.com' : `${owner}.example.com`} ${type}`;
}

beforeAll(async () => {
  const queries = ROWS.flatMap(([question]) => HOW.map((how) => `${nameOf(question)} ${how}`));
  const parts = (await dig(queries.join(' '))).split(';; Got answer:').slice(1);
  expect(parts).toHaveLength(queries.length);
  for (const [index, query] of queries.entries()) shown.set(query, parts[index] ?? '');
});

describe.each(ROWS)('%s', (question, status, flags, data) => {
  const [owner = '', type = ''] = question.split(' ');
  const [name = ''] = nameOf(question).split(' ');

  test.each(HOW)('dig %s', (how) => {
    const output = shown.get(`${nameOf(question)} ${how}`) ?? '';
    // Its question: the output is that of this query.
    expect(output).toContain(`\n;${name}.\t`);
    expect(output.includes('OPT PSEUDOSECTION')).toBe(how !== '+noedns');
    expect(output).toContain(`status: ${status}`);
    expect(/flags:([^;]*);/.exec(output)?.[1]?.includes(' aa')).toBe(flags === 'aa');
    expect(output).toContain(data);
  });

  test('kdig and drill', async () => {
    const [{ host, port } = { host: '', port: 0 }] = endpoints;
    if (type === 'TYPE65' || type === 'ANY' || owner === 'many') return;
    const kdig = await run('kdig', [`@${host}`, '-p', String(port), '+norec', '+timeout=60', '+edns', name, type]);
    expect(kdig.stdout).toContain(`status: ${status}`);
    expect(kdig.stdout + kdig.stderr).not.toMatch(COMPLAINTS);
    if (type === 'TYPE65400') return;
    const drill = await run('drill', [`@${host}`, '-p', String(port), '-o', 'rd', name, type]);
    expect(drill.stdout).toContain(`rcode: ${status}`);
    expect(drill.stdout + drill.stderr).not.toMatch(COMPLAINTS);
  });
});

describe('delv', () => {
  test.each([
    ['www.example.com A', '192.0.2.10'],
    ['chain.example.com A', '192.0.2.26'],
    ['x.old.example.com A', '192.0.2.30'],
    ['example.com MX', '10 mail.example.com.'],
    ['mail.example.com AAAA', 'negative response'],
    ['nothere.example.com A', 'negative response'],
  ])('%s', async (question, expected) => {
    const [{ host, port } = { host: '', port: 0 }] = endpoints;
    const { stdout, stderr } = await run('delv', [
      `@${host}`,
      '-p',
      String(port),
      '-i',
      '+cdflag',
      ...question.split(' '),
    ]).catch((error: unknown) => error as { stdout: string; stderr: string });
    expect(`${stdout}${stderr}`).toContain(expected);
  });
});

describe('transport', () => {
  test('every listen address answers, also IPv6, over UDP and TCP', async () => {
    for (const endpoint of endpoints) {
      const at = endpoint.host === '0.0.0.0' ? { ...endpoint, host: '127.0.0.1' } : endpoint;
      for (const how of ['+notcp', '+tcp'])
        expect(await dig(`${how} +short mail.example.com A`, at)).toContain('192.0.2.25');
    }
  });

  test('what does not fit is truncated over UDP and complete over TCP', async () => {
    expect(await dig('+ignore +bufsize=512 many.example.com A')).toMatch(/flags: qr aa tc;/);
    const whole = await dig('+bufsize=512 +short many.example.com A');
    expect(whole.match(/^192\./gm)).toHaveLength(100);
  });
});

describe('EDNS', () => {
  test('the scope of a subnet is shown, 0 if the answer does not depend on it', async () => {
    expect(await dig('+subnet=1.208.0.0/24 www.example.com A')).toMatch(/CLIENT-SUBNET: 1\.208\.0\.0\/24\/[1-9]/);
    expect(await dig('+subnet=1.208.0.0/24 +short www.example.com A')).toBe('203.0.113.10\n');
    expect(await dig('+subnet=2001:db8::/56 mail.example.com A')).toContain('CLIENT-SUBNET: 2001:db8::/56/0');
    expect(await dig('+subnet=0 www.example.com A')).toContain('status: NOERROR');
    expect(await dig('+subnet=0/0 www.example.com A')).toContain('status: NOERROR');
  });

  test('BADVERS, NSID, unknown options and flags', async () => {
    expect(await dig('+edns=1 +noednsneg mail.example.com A')).toMatch(/status: BADVERS[^]*EDNS: version: 0/);
    expect(await dig('+nsid mail.example.com A')).toContain('("ams1")');
    expect(await dig('+ednsopt=65001:abcd mail.example.com A')).not.toContain('OPT=65001');
    expect(await dig('+ednsflags=0x7fff mail.example.com A')).toMatch(/EDNS: version: 0, flags:; udp: 1232/);
  });

  test('other opcodes and classes', async () => {
    expect(await dig('+opcode=NOTIFY example.com SOA')).toContain('status: NOTIMP');
    expect(await dig('+header-only')).toContain('status: FORMERR');
    expect(await dig('-c CH version.bind TXT')).toContain('status: REFUSED');
  });
});
