/**
 * Signed zones: which sets are in which section, compared with NSD and Knot that have transferred the same zones, and
 * what validating resolvers find (docs/conformance.md#signed-zones). PHAROS_DNSSEC_QUERIES=100000 sends that many
 * queries, PHAROS_SEED repeats a run.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { decodeMessage, encodeQuery, T, type DecodedMessage, type DecodedRecord } from '../support/message.ts';
import { TEST_MS } from '../support/patience.ts';
import { eventually, has, run, serve, type Served } from '../support/process.ts';
import { createDice, deepTrials, printedSeed, type Dice } from '../support/random.ts';
import { runDaemon, runNsd, udpAsker, type Running } from '../support/run.ts';
import { NAMES_ASKED, signedZones, TYPES_ASKED, ZONES_SERVED } from '../support/signed-zones.ts';
import { startResolver } from '../support/validating-resolver.ts';

const WANTED = Number(process.env['PHAROS_DNSSEC_QUERIES'] ?? deepTrials(1000, 3000));

/** Pharos with the zones of signed-zones.ts. */
async function pharosWith(options: { isSteered?: boolean } = {}) {
  const port = await freePort();
  const { folder, files, anchors } = signedZones(port, options);
  mkdirSync(join(folder.path, 'zones'));
  for (const [zone, text] of Object.entries(files)) writeFileSync(join(folder.path, 'zones', `${zone}.yaml`), text);
  let pharos: Served;
  try {
    pharos = await serve(['pharos.yaml'], { cwd: folder.path });
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
  return {
    port,
    anchors,
    pharos,
    folder: folder.path,
    [Symbol.asyncDispose]: async () => {
      await pharos[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

function nsdSecondary(primary: number): Promise<Running> {
  return runDaemon({
    command: ['/usr/sbin/nsd', '-d', '-c'],
    zones: {},
    configure: (folder, port) => [
      'server:',
      `  ip-address: 127.0.0.1@${port}`,
      ...['  server-count: 1', '  username: ""', '  chroot: ""', '  database: ""', '  rrl-ratelimit: 0'],
      ...['  minimal-responses: yes', '  confine-to-zone: no', '  refuse-any: no'],
      ...[`  zonesdir: "${folder}"`, `  pidfile: "${folder}/nsd.pid"`, `  xfrdfile: "${folder}/xfrd.state"`],
      ...[`  zonelistfile: "${folder}/zone.list"`, `  xfrdir: "${folder}"`],
      ...['remote-control:', '  control-enable: no'],
      ...ZONES_SERVED.flatMap((zone) => [
        ...['zone:', `  name: ${zone}`, `  request-xfr: AXFR 127.0.0.1@${primary} NOKEY`],
      ]),
    ],
    isReady: (output) => output.includes('nsd started'),
    isBroken: (output) => output.includes(' error: '),
  });
}

function knotSecondary(primary: number): Promise<Running> {
  return runDaemon({
    command: ['/usr/sbin/knotd', '-c'],
    zones: {},
    configure: (folder, port) => [
      ...['server:', `  rundir: "${folder}"`, `  listen: 127.0.0.1@${port}`],
      ...['  udp-workers: 1', '  tcp-workers: 1', '  background-workers: 1'],
      ...['log:', '- target: stdout', '  any: info', 'database:', `  storage: "${folder}"`],
      ...['remote:', '- id: pharos', `  address: 127.0.0.1@${primary}`],
      ...['template:', '- id: default', `  storage: "${folder}"`, '  master: pharos', '  zonefile-load: none'],
      ...['zone:', ...ZONES_SERVED.map((zone) => `- domain: ${zone}`)],
    ],
    isReady: (output) => output.includes('server started'),
    isBroken: (output) => / critical: /.test(output),
  });
}

async function asker(port: number) {
  const client = await udpAsker({ host: '127.0.0.1', port });
  return {
    ask: async (name: string, type: number, size = 4096): Promise<DecodedMessage> =>
      decodeMessage(Buffer.from(await client.ask(encodeQuery(name, type, { edns: { dnssecOk: true, size } })))),
    [Symbol.dispose]: () => {
      client[Symbol.dispose]();
    },
  };
}

/** Waits until a secondary has all zones. */
async function transferred(port: number): Promise<void> {
  using server = await asker(port);
  for (const zone of ZONES_SERVED) {
    await eventually(() => server.ask(`${zone}.`, T.SOA).catch(() => undefined), (message) => message?.answer.length !== undefined && message.answer.length > 0); // prettier-ignore
  }
}

const textOf = ({ name, type, ttl, data }: DecodedRecord): string => `${name} ${ttl} ${type} ${data}`;
const setOf = (records: readonly DecodedRecord[]): string[] => [...new Set(records.map(textOf))].sort();

type Compared = {
  readonly type: number;
  readonly ours: DecodedMessage;
  readonly nsd: DecodedMessage;
  readonly knot: DecodedMessage;
};

function same(a: DecodedMessage, b: DecodedMessage): boolean {
  const sections = ({ answer, authority }: DecodedMessage): string =>
    [...setOf(answer), '', ...setOf(authority)].join('\n');
  return a.rcode === b.rcode && a.aa === b.aa && sections(a) === sections(b);
}

const isPart = (part: readonly DecodedRecord[], whole: readonly DecodedRecord[]): boolean =>
  setOf(part).every((each) => setOf(whole).includes(each));

/** Where the servers differ: every rule has a line in docs/conformance.md#signed-zones. */
const DIFFERENCES: readonly { readonly name: string; readonly explains: (compared: Compared) => boolean }[] = [
  {
    // Each server chooses another set.
    name: 'signed-any-one-set',
    explains: ({ type, ours, nsd, knot }) => {
      const sets = new Set(ours.answer.filter((each) => each.type !== T.CNAME && each.type !== T.DNAME).map((each) => each.type)); // prettier-ignore
      return type === T.ANY && sets.size <= 2 && [nsd, knot].every((other) => other.rcode === ours.rcode && other.answer.length > 0); // prettier-ignore
    },
  },
  {
    name: 'signatures-of-one-set',
    explains: ({ type, ours, nsd, knot }) =>
      type === T.RRSIG && ours.answer.length > 0 && [nsd, knot].every((other) => isPart(ours.answer, nsd.answer) && isPart(other.answer, nsd.answer) && other.rcode === ours.rcode), // prettier-ignore
  },
  {
    name: 'knot-stays-in-zone',
    explains: ({ ours, nsd, knot }) =>
      same(ours, nsd) && ours.answer.some(({ type }) => type === T.CNAME) && isPart(knot.answer, ours.answer),
  },
  {
    name: 'knot-nsec-at-wildcard-cname',
    explains: ({ type, ours, nsd, knot }) =>
      type === T.NSEC && same(ours, nsd) && isPart(ours.answer, knot.answer) && knot.authority.length === 0,
  },
  {
    name: 'nsd-wildcard-behind-dname',
    explains: ({ ours, nsd, knot }) =>
      same(ours, knot) && ours.answer.some(({ type }) => type === T.DNAME) && setOf(ours.answer).join() === setOf(nsd.answer).join(), // prettier-ignore
  },
];

describe.skipIf(!has('/usr/sbin/nsd') || !has('/usr/sbin/knotd'))('NSD and Knot as secondaries', () => {
  test('have the same sets in the same sections, for every name and type', async () => {
    await using server = await pharosWith();
    await using nsd = await nsdSecondary(server.port);
    await using knot = await knotSecondary(server.port);
    const ports = [server.port, ...[nsd, knot].flatMap(({ endpoints }) => endpoints.map(({ port }) => port))];
    for (const port of ports) await transferred(port);
    const [ours, nsds, knots] = await Promise.all(ports.map(asker));
    if (!ours || !nsds || !knots) throw new Error('no servers');
    const used = new Map<string, number>();
    for (const name of NAMES_ASKED) {
      for (const type of [...TYPES_ASKED, T.RRSIG, T.ANY]) {
        const [mine, theirs, others] = await Promise.all([ours, nsds, knots].map((each) => each.ask(name, type)));
        if (!mine || !theirs || !others) throw new Error('no answers');
        if (same(mine, theirs) && same(mine, others)) continue;
        const compared = { type, ours: mine, nsd: theirs, knot: others };
        const rule = DIFFERENCES.find(({ explains }) => explains(compared));
        if (!rule) throw new Error(`${name} ${type} differs: ${JSON.stringify(compared, undefined, 1)}`);
        used.set(rule.name, (used.get(rule.name) ?? 0) + 1);
      }
    }
    for (const each of [ours, nsds, knots]) each[Symbol.dispose]();
    console.log(`signed zones: ${[...used].map(([name, times]) => `${name} ${times}`).join(', ')}`);
    // The rules do not explain much.
    expect([...used.values()].reduce((sum, times) => sum + times, 0)).toBeLessThan(140);
    if (!has('unbound')) return;
    // A resolver finds what the secondaries answer secure too.
    for (const port of ports.slice(1)) {
      await using resolver = await startResolver(stubsOf(server, port));
      for (const name of NAMES_ASKED.filter(isReachable)) {
        // NSD 4.6 proves the wrong name behind a DNAME.
        if (name === 'q.d.example.com.') continue;
        const message = await resolver.ask(name, T.A);
        expect([name, message.rcode === 0 || message.rcode === 3, message.isSecure]).toEqual([name, true, !isPlain(name)]); // prettier-ignore
      }
    }
  });

  test('docs/conformance.md gives a reason for every difference', () => {
    const page = readFileSync(new URL('../../docs/conformance.md', import.meta.url), 'utf8');
    expect(DIFFERENCES.filter(({ name }) => !page.includes(`\`${name}\``)).map(({ name }) => name)).toEqual([]);
  });
});

/** All zones at one port. The child zones have their DS in the parent. */
function stubsOf({ anchors }: { readonly anchors: ReadonlyMap<string, string> }, port: number) {
  return ZONES_SERVED.map((zone) => {
    const anchor = zone.endsWith('.example.com') ? undefined : anchors.get(zone);
    return { zone, ports: [port], anchors: anchor === undefined ? [] : [anchor] };
  });
}

/** Not below a delegation to a server that does not exist. */
function isReachable(name: string): boolean {
  return !/(?:^|\.)(?:sub|outside|to-cut)\.example\.com\.$/.test(name);
}

/** In the unsigned zone, or an alias that leads there. */
function isPlain(name: string): boolean {
  return /(?:^|\.)plain\.example\.com\.$|^to-plain\./.test(name);
}

/** unbound 1.17 finds these bogus, also with a zone of ldns-signzone at NSD: "DS got DNAME answer". */
function isTroublesome(name: string, type: number): boolean {
  // If the resolver has the CNAME in its cache, it follows it also for NSEC.
  if (name.startsWith('to-plain.') && type === T.NSEC) return true;
  return name.endsWith('.d.example.com.') && (type === T.CNAME || type === T.DNAME || type === T.DS);
}

function randomName(dice: Dice): string {
  if (dice.chance(0.6)) return dice.pick(NAMES_ASKED);
  return `r${dice.below(5000)}.${dice.pick(NAMES_ASKED.filter((name) => !name.startsWith('*')))}`;
}

describe.skipIf(!has('unbound'))('a validating resolver', () => {
  test.each(['yes', 'no'])(
    `${WANTED} random queries are secure; aggressive-nsec: %s`,
    { timeout: TEST_MS + WANTED * 100 },
    async (aggressive) => {
      const dice = createDice(printedSeed('validating resolver'));
      await using server = await pharosWith({ isSteered: true });
      await using resolver = await startResolver(stubsOf(server, server.port), { more: [`aggressive-nsec: ${aggressive}`] }); // prettier-ignore
      const seen = new Map<string, number>();
      for (let i = 0; i < WANTED; i++) {
        const [name, type] = [randomName(dice), dice.pick([...TYPES_ASKED, T.A, T.AAAA, T.HTTPS])];
        // The DS of a zone without a parent here cannot be asked.
        if (!isReachable(name) || (type === T.DS && /^(?:other\.example|example\.com)\.$/.test(name))) continue;
        if (isTroublesome(name, type)) continue;
        const message = await resolver.ask(name, type);
        // The alias itself is secure, its target is not.
        const isOfAlias = name.startsWith('to-plain.') && type === T.CNAME;
        const isExpected = !isPlain(name) || isOfAlias || (name === 'plain.example.com.' && type === T.DS);
        expect([name, type, message.rcode === 0 || message.rcode === 3, message.isSecure]).toEqual([name, type, true, isExpected]); // prettier-ignore
        const kind = message.rcode === 3 ? 'nxdomain' : message.answer.length > 0 ? 'answer' : 'nodata';
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
      for (const kind of ['nxdomain', 'answer', 'nodata']) expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(WANTED / 50); // prettier-ignore
      expect(resolver.log()).not.toContain('validation failure');
    },
  );

  test('finds what is wrong on purpose bogus: so a wrong answer would be seen', async () => {
    await using server = await pharosWith();
    const text = (await run(['@127.0.0.1', '-p', String(server.port), '+tcp', '+onesoa', 'example.com', 'AXFR'], { command: 'dig' })).stdout; // prettier-ignore
    const drop = (pattern: RegExp): string =>
      text
        .split('\n')
        .filter((line) => !pattern.test(line))
        .join('\n');
    const anchor = server.anchors.get('example.com') ?? '';
    const secure = async (zone: string, name: string, type: number, more: readonly string[] = [], given = anchor) => {
      await using broken = await runNsd({ 'example.com': zone });
      const ports = broken.endpoints.map(({ port }) => port);
      await using resolver = await startResolver([{ zone: 'example.com', ports, anchors: [given] }], { more });
      const message = await resolver.ask(name, type);
      return { rcode: message.rcode, isSecure: message.isSecure };
    };
    const BOGUS = { rcode: 2, isSecure: false };
    expect(await secure(text, 'mail.example.com.', T.A)).toEqual({ rcode: 0, isSecure: true });
    expect(await secure(text, 'nope.example.com.', T.A)).toEqual({ rcode: 3, isSecure: true });
    // Expired: the clock of the resolver is a month ahead.
    const later = new Date(Date.now() + 30 * 86_400_000).toISOString().replaceAll(/[-:T]|\.\d+Z/g, '');
    expect(await secure(text, 'mail.example.com.', T.A, [`val-override-date: "${later}"`])).toEqual(BOGUS);
    // The anchor is that of another key.
    const other = server.anchors.get('other.example')?.replace('other.example', 'example.com') ?? '';
    expect(await secure(text, 'mail.example.com.', T.A, [], other)).toEqual(BOGUS);
    expect(await secure(drop(/^mail\S*\s.*RRSIG\s+A /), 'mail.example.com.', T.A)).toEqual(BOGUS);
    expect(await secure(drop(/\sNSEC\s/), 'nope.example.com.', T.A)).toEqual(BOGUS);
    expect(await secure(drop(/^ns1\S*\s.*\sNSEC\s/), 'nt.example.com.', T.A)).toEqual(BOGUS);
    expect(await secure(text.replace(/192\.0\.2\.2$/m, '192.0.2.99'), 'mail.example.com.', T.A)).toEqual(BOGUS);
  });
});

describe.skipIf(!has('delv') || !has('drill') || !has('kdig') || !has('ldns-verify-zone'))('tools', () => {
  test('delv, drill and ldns-verify-zone find answers, denials and the zone valid', async () => {
    await using server = await pharosWith();
    const anchor = server.anchors.get('example.com') ?? '';
    const [tag = '', algorithm = '', type = '', ...digest] = anchor.split(' ').slice(3);
    const files = { delv: join(server.folder, 'delv.conf'), key: join(server.folder, 'anchor.key'), zone: join(server.folder, 'signed.zone') }; // prettier-ignore
    writeFileSync(files.delv, `trust-anchors { example.com. static-ds ${tag} ${algorithm} ${type} "${digest.join('')}"; };\n`); // prettier-ignore
    const dnskeys = await run(['@127.0.0.1', '-p', String(server.port), '+noall', '+answer', 'example.com', 'DNSKEY'], { command: 'dig' }); // prettier-ignore
    writeFileSync(files.key, dnskeys.stdout);
    const at = ['-p', String(server.port), '@127.0.0.1'];
    for (const [name, kind, why] of [
      ['mail.example.com', 'A', 'fully validated'],
      ['x.wild.example.com', 'MX', 'fully validated'],
      ['www.example.com', 'AAAA', 'fully validated'],
      ['mail.example.com', 'TXT', 'negative response, fully validated'],
      ['ent.example.com', 'A', 'negative response, fully validated'],
      ['nope.example.com', 'A', 'negative response, fully validated'],
      ['plain.example.com', 'DS', 'negative response, fully validated'],
      ['child.example.com', 'DS', 'fully validated'],
    ] as const) {
      const { stdout, stderr } = await run([...at, '-a', files.delv, '+root=example.com', name, kind], { command: 'delv' }); // prettier-ignore
      expect(`${name} ${kind}: ${stdout}${stderr}`).toContain(why);
      const { stdout: shown } = await run([...at, '+dnssec', '+noall', '+answer', '+authority', name, kind], { command: 'kdig' }); // prettier-ignore
      expect(shown).toContain('RRSIG');
    }
    const drilled = await run(['-S', '-k', files.key, ...at, 'mail.example.com', 'A'], { command: 'drill' });
    expect(drilled.stdout).toContain('Chase successful');
    const zone = await run([...at, '+tcp', '+onesoa', 'example.com', 'AXFR'], { command: 'dig' });
    writeFileSync(files.zone, zone.stdout);
    const verified = await run([files.zone], { command: 'ldns-verify-zone' });
    expect(`${verified.stdout}${verified.stderr}`).toContain('Zone is verified and complete');
  });
});
