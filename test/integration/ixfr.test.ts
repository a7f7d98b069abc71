/**
 * IXFR (RFC 1995): NSD, Knot and BIND as secondaries follow random updates of an unsigned and a signed zone, also while
 * Pharos is killed and restarted, and have the same zones in the end.
 */
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { decodeMessage, T } from '../support/message.ts';
import { bindSecondary, knotSecondary, nsdSecondary } from '../support/name-servers.ts';
import { ixfr, sign } from '../support/peer.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, has, serve, type Served } from '../support/process.ts';
import { createDice, printedSeed, type Dice } from '../support/random.ts';
import { axfr, ask, change, keyNamed, sendUpdate, UPDATE_SECRET, type Change } from '../support/update-client.ts';

const ZONES = ['example.com', 'signed.example'];
const KEY = keyNamed('second');
const UPDATES = Number(process.env['UPDATES'] ?? 60);
const bulk = Array.from({ length: 300 }, (_, index) => `host-${index} A 10.0.${index >> 8}.${index & 255}`).join('\n');

const zoneText = (zone: string): string => `zone: ${zone}
nameservers: [ns1]
include: [bulk.zone]
${zone === 'signed.example' ? 'dnssec: true\n' : ''}records:
  ns1: { A: 192.0.2.53 }
  sub: { NS: [ns.sub, ns1] }
  ns.sub: { A: 192.0.2.60 }
services:
  app: { vips: { a: { A: 192.0.2.10 }, b: { A: 192.0.2.11 } } }
`;

async function primary(notify: readonly number[]) {
  const port = await freePort();
  const folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `listen: 127.0.0.1:${port}
status: { listen: 127.0.0.1:0 }
state_dir: state
geo: { databases: [small.mmdb] }
transfer:
  keys: { second: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } }
  allow: [{ from: 127.0.0.1, key: second }, { from: 127.0.0.2, steered: omit }]
  notify: [${notify.map((each) => `"127.0.0.1:${each}"`).join(', ')}]
updates: [{ key: second }]
`,
    'zones/bulk.zone': `$TTL 300\n${bulk}\n`,
    ...Object.fromEntries(ZONES.map((zone) => [`zones/${zone}.yaml`, zoneText(zone)])),
  });
  let server: Served = await serve([], { cwd: folder.path });
  return {
    port,
    restart: async (signal: NodeJS.Signals) => {
      await server.stop(signal);
      server = await serve([], { cwd: folder.path });
    },
    log: () => server.stdout(),
    [Symbol.asyncDispose]: async () => {
      await server.stop('SIGKILL');
      folder[Symbol.dispose]();
    },
  };
}

const NAMES = ['a', 'b', 'c', 'new', 'x.y', 'z.x.y', '*.wild', 'host-7', 'host-8', '_acme.www', 'sub', '@', 'zzz'];

/** A few changes of a few names. */
function randomChanges(zone: string, dice: Dice): Change[] {
  const one = (): Change => {
    const name = dice.pick(NAMES);
    const address = `192.0.2.${dice.below(8) + 100}`;
    const line = dice.pick([
      `${name} IN A ${address}`,
      `${name} IN A ${address}`,
      `${name} IN TXT "text ${dice.below(6)}"`,
      `${name} IN MX 10 MAIL-${dice.below(3)}`,
      `${name} NONE A ${address}`,
      `${name} ANY A`,
      `${name} ANY TXT`,
      ...(name === '@' ? [] : [`${name} ANY ANY`, `${name} IN CNAME ns1`]),
      ...(name === 'zzz' || name === 'sub' ? [`${name} IN NS ns1`, `${name} ANY NS`] : []),
    ]);
    return change(zone, line, line.includes(' IN ') ? dice.pick([60, 60, 300]) : 0);
  };
  return Array.from({ length: 1 + dice.below(4) }, one);
}

/** The serial of a zone, by AXFR without the key: all servers but Pharos permit it. */
async function sameZones(primaryPort: number, port: number): Promise<string> {
  for (const zone of ZONES) {
    const [there, here] = [await axfr(port, zone), await axfr(primaryPort, zone, KEY)];
    if (!there || there.serial !== here?.serial) return `${zone}: serial ${there?.serial} instead of ${here?.serial}`;
    if (there.records.join('\n') === here.records.join('\n')) continue;
    const more = there.records.filter((each) => !here.records.includes(each));
    const less = here.records.filter((each) => !there.records.includes(each));
    return `${zone} ${here.serial}: more ${more.join(' | ')}; less ${less.join(' | ')}`;
  }
  return 'same';
}

const SECONDARIES = [
  {
    name: 'NSD',
    start: nsdSecondary,
    there: has('/usr/sbin/nsd'),
    transfers: /received update to serial/g,
    whole: /no match/g,
  },
  {
    name: 'Knot',
    start: knotSecondary,
    there: has('/usr/sbin/knotd'),
    transfers: /IXFR, incoming, .*finished/g,
    whole: /AXFR, incoming, .*finished/g,
  },
  {
    name: 'BIND',
    start: bindSecondary,
    there: has('/usr/sbin/named'),
    transfers: /Transfer completed/g,
    whole: /Transfer completed: \d+ messages, \d{3,} records/g,
  },
].filter(({ there }) => there);

test.skipIf(SECONDARIES.length === 0)(
  `secondaries have the zones after ${UPDATES} updates, restarts and crashes`,
  async () => {
    const dice = createDice(printedSeed('IXFR to secondaries'));
    const ports: number[] = [];
    for (let left = SECONDARIES.length; left > 0; left--) ports.push(await freePort());
    await using server = await primary(ports);
    const key = { name: 'second', secret: UPDATE_SECRET };
    await using all = new AsyncDisposableStack();
    const secondaries = SECONDARIES.map(({ name, start }, index) => ({
      name,
      ...all.use(start({ port: ports[index] ?? 0, from: server.port, key, zones: ZONES })),
    }));
    const isSame = async (): Promise<void> => {
      for (const { name, port, log } of secondaries) {
        await eventually(
          () => sameZones(server.port, port),
          (text) => text === 'same',
        ).catch((error: unknown) => {
          throw new Error(`${name}: ${String(error)}\n${log().slice(-3000)}\n${server.log().slice(-2000)}`);
        });
      }
    };
    await isSame();
    const rcodes: number[] = [];
    const restarts = ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const;
    const turn = Math.floor(UPDATES / 4);
    for (let sent = 1; sent <= UPDATES; sent++) {
      const zone = dice.pick(ZONES);
      const rcode = await sendUpdate(server.port, { zone, updates: randomChanges(zone, dice) }, KEY);
      rcodes.push(rcode ?? -1);
      const signal = sent % turn === 0 ? restarts[sent / turn - 1] : undefined;
      if (signal) await server.restart(signal);
      if (sent % 20 === 0) await isSame();
    }
    await isSame();
    expect(rcodes.filter((rcode) => rcode === 0).length).toBeGreaterThan(UPDATES * 0.75);
    for (const [index, { name, log }] of secondaries.entries()) {
      const { transfers = /$/, whole = /$/ } = SECONDARIES[index] ?? {};
      const [some = 0, large = 0] = [transfers, whole].map((pattern) => [...log().matchAll(pattern)].length);
      console.log(`${name}: ${some} transfers, ${large} of whole zones`);
      expect(some).toBeGreaterThan(UPDATES / 4);
      expect(large).toBeLessThan(some / 2);
    }
  },
);

describe('an IXFR', () => {
  const serialIn = (data: string): number => Number.parseInt(data.slice(-40, -32), 16);

  test('is condensed, fits UDP if it is small, and is the same without steered records', async () => {
    await using server = await primary([]);
    const before = (await axfr(server.port, 'example.com', KEY))?.serial ?? 0;
    const zone = 'example.com';
    const update = async (...lines: string[]): Promise<void> => {
      const updates = lines.map((line) => change(zone, line));
      expect(await sendUpdate(server.port, { zone, updates }, KEY)).toBe(0);
    };
    await update('a IN A 192.0.2.1', 'b IN A 192.0.2.1');
    await update('a ANY A', 'host-1 ANY ANY');
    await update('c IN TXT x', 'host-1 IN A 10.0.0.1');
    const after = (await axfr(server.port, zone, KEY))?.serial ?? 0;
    const query = sign(ixfr(zone, before), KEY).message;
    for (const how of ['udp', 'tcp'] as const) {
      const { answer } = decodeMessage((await ask(server.port, query, how)) ?? Buffer.alloc(0));
      const shown = answer.map(({ name, type, data, ttl }) => type === T.SOA ? serialIn(data) : `${name} ${ttl} ${type}`); // prettier-ignore
      expect(shown).toEqual([
        ...[after, before, 'host-1.example.com. 300 1', after],
        ...['b.example.com. 60 1', 'c.example.com. 60 16', 'host-1.example.com. 60 1', after],
      ]);
    }
    const omitted = await ask(server.port, ixfr(zone, before), 'tcp', '127.0.0.2');
    expect(decodeMessage(omitted ?? Buffer.alloc(0)).answer.length).toBe(8);
    // Too large for UDP: the SOA alone. An unknown serial: the whole zone.
    await update(...Array.from({ length: 30 }, (_, index) => `big IN TXT "${'x'.repeat(50)} ${index}"`));
    const now = (await axfr(server.port, zone, KEY))?.serial;
    const large = decodeMessage((await ask(server.port, query, 'udp')) ?? Buffer.alloc(0)).answer;
    expect(large.map(({ data }) => serialIn(data))).toEqual([now]);
    expect(decodeMessage((await ask(server.port, query, 'tcp')) ?? Buffer.alloc(0)).answer.length).toBe(38);
    const unknown = sign(ixfr(zone, before - 1), KEY).message;
    expect(decodeMessage((await ask(server.port, unknown, 'tcp')) ?? Buffer.alloc(0)).answer.length).toBeGreaterThan(
      300,
    );
    // The history survives a restart, and a change of the files ends it.
    await server.restart('SIGTERM');
    expect(decodeMessage((await ask(server.port, query, 'tcp')) ?? Buffer.alloc(0)).answer.length).toBe(38);
  });
});
