/**
 * The same random dynamic updates in Pharos, BIND and Knot: the same RCODEs and the same zones. docs/conformance.md
 * lists the differences that are allowed here. SEQUENCES=10000 runs many.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { bindPrimary, knotPrimary, type NameServer } from '../support/name-servers.ts';
import { TEST_MS } from '../support/patience.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, has, serve, type Served } from '../support/process.ts';
import { createDice, deepTrials, printedSeed, type Dice } from '../support/random.ts';
import { axfr, change, keyNamed, sendUpdate, UPDATE_SECRET, type Change, type SentUpdate } from '../support/update-client.ts'; // prettier-ignore
import { MEANT, type Verdict } from './update-differences.ts';

const ZONE = 'example.com';
const KEY = keyNamed('all');
const SEQUENCES = Number(process.env['SEQUENCES'] ?? deepTrials(30, 80));
const hasPeers = has('/usr/sbin/named') && has('/usr/sbin/knotd');

/** Records of the zone at the beginning, and after each sequence that made the zones differ. */
const BASE = ['@ IN MX 10 mail', 'ns1 IN A 192.0.2.1', 'a IN A 192.0.2.2', 'b IN TXT "b"', 'c.b IN A 192.0.2.3', 'alias IN CNAME a', 'sub IN NS ns.sub', 'ns.sub IN A 192.0.2.4']; // prettier-ignore
const NAMES = ['@', 'a', 'A', 'b', 'c.b', 'd', 'alias', '*.w', 'e.f.g', 'f.g', 'sub', 'ns.sub', 'x.sub', 'dn', 'y.dn'];

const MASTER_FILE = `$TTL 60
$ORIGIN ${ZONE}.
@ SOA ns1 hostmaster 1 7200 1800 1209600 60
@ NS ns1
${BASE.map((line) => line.replace('@ IN', '@').replace(' IN ', ' ')).join('\n')}
`;

let folder: ReturnType<typeof folderOf>;
let pharos: Served;
let peers: readonly { readonly name: string; readonly server: NameServer }[];

beforeAll(async () => {
  if (!hasPeers) return;
  folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0 }
state_dir: state
geo: { databases: [small.mmdb] }
transfer: { keys: { all: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } }, allow: [{ from: 127.0.0.1 }] }
updates: [{ key: all }]
`,
    'zones/example.com.yaml': 'zone: example.com\nttl: 60\nnameservers: [ns1]\ninclude: [base.zone]\n',
    'zones/base.zone': `$TTL 60\n${BASE.map((line) => line.replace(' IN ', ' ')).join('\n')}\n`,
  });
  const options = { key: { name: 'all', secret: UPDATE_SECRET }, zones: { [ZONE]: MASTER_FILE } };
  peers = [
    { name: 'BIND', server: bindPrimary({ ...options, port: await freePort() }) },
    { name: 'Knot', server: knotPrimary({ ...options, port: await freePort() }) },
  ];
  pharos = await serve([], { cwd: folder.path });
  for (const { server } of peers) {
    await eventually(() => axfr(server.port, ZONE), (zone) => zone !== undefined).catch((error: unknown) => { throw new Error(`${String(error)}\n${server.log()}`); }); // prettier-ignore
  }
});
afterAll(async () => {
  if (!hasPeers) return;
  await pharos.stop();
  for (const { server } of peers) await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const DATA: Readonly<Record<string, (dice: Dice) => string>> = {
  A: (dice) => `192.0.2.${1 + dice.below(5)}`,
  AAAA: (dice) => `2001:db8::${1 + dice.below(3)}`,
  TXT: (dice) => `"text ${dice.below(3)}"`,
  MX: (dice) => `${dice.below(2)} ${dice.pick(['mail', 'Mail', 'a'])}`,
  CNAME: (dice) => dice.pick(['a', 'b', 'Elsewhere.example.net.']),
  SRV: (dice) => `1 ${dice.below(2)} 443 a`,
  NS: (dice) => dice.pick(['ns.sub', 'ns1', 'ns.example.net.']),
  CAA: () => '0 issue "ca.example.net"',
  TYPE65280: (dice) => `\\# 2 abc${dice.below(4)}`,
};
const TYPES = Object.keys(DATA);
/** More often, so that records meet. */
const COMMON = ['A', 'A', 'A', 'TXT', 'TXT', 'CNAME', 'MX'];

function randomLine(dice: Dice, of: 'IN' | 'NONE'): string {
  const type = dice.pick([...TYPES, ...COMMON]);
  // RFC 4592 4.2 leaves open what NS at a wildcard is. The zone's own NS are in `randomUpdate`.
  const name = dice.pick(type === 'NS' ? NAMES.filter((each) => each !== '*.w' && each !== '@') : NAMES);
  return `${name} ${of} ${type} ${DATA[type]?.(dice) ?? ''}`;
}

function randomPrerequisite(dice: Dice): Change {
  const [name, type] = [dice.pick(NAMES), dice.pick(COMMON)];
  const wrong = dice.below(40);
  if (wrong === 0) return change(ZONE, `${name} ANY A`, 60);
  if (wrong === 1) return { ...change(ZONE, `${name} ANY A`), data: Uint8Array.of(192, 0, 2, 1) };
  if (wrong === 2) return change(ZONE, `${name} CH ${type}`);
  if (wrong === 3) return change(ZONE, 'www.example.org. ANY A');
  const forms = [`${name} ANY ANY`, `${name} NONE ANY`, `${name} ANY ${type}`, `${name} NONE ${type}`];
  return dice.chance(0.3) ? change(ZONE, randomLine(dice, 'IN'), 0) : change(ZONE, dice.pick(forms));
}

function randomUpdate(dice: Dice): Change {
  const [name, type] = [dice.pick(NAMES), dice.pick([...TYPES, ...COMMON])];
  const wrong = dice.below(60);
  if (wrong === 0) return change(ZONE, `${name} ANY A`, 60);
  if (wrong === 1) return { ...change(ZONE, `${name} ANY A`), data: Uint8Array.of(192, 0, 2, 1) };
  if (wrong === 2) return change(ZONE, `${name} CH ${type}`);
  if (wrong === 3) return change(ZONE, 'www.example.org. IN A 192.0.2.1');
  if (wrong === 4) return { ...change(ZONE, `${name} IN A 192.0.2.1`), data: Uint8Array.of(192, 0, 2) };
  if (wrong === 5) return { ...change(ZONE, `${name} IN A 192.0.2.1`), type: 255 };
  if (wrong === 6) return change(ZONE, `${name} NONE A 192.0.2.1`, 60);
  if (wrong === 7) return change(ZONE, '@ IN SOA ns1 hostmaster 4000000000 1 1 1 1');
  if (wrong === 8)
    return change(ZONE, dice.pick(['@ ANY NS', '@ NONE NS ns1', '@ IN NS ns.example.net.', '@ ANY SOA']));
  const forms = [`${name} ANY ${type}`, `${name} ANY ${type}`, `${name} ANY ANY`, randomLine(dice, 'NONE')];
  return dice.chance(0.55)
    ? change(ZONE, randomLine(dice, 'IN'), dice.pick([60, 60, 60, 300]))
    : change(ZONE, dice.pick(forms));
}

function randomMessage(dice: Dice): SentUpdate {
  const several = <T>(most: number, one: () => T): T[] => Array.from({ length: dice.below(most + 1) }, one);
  return {
    zone: dice.chance(0.99) ? ZONE : dice.pick(['example.org', 'a.example.com']),
    prerequisites: dice.chance(0.4) ? several(2, () => randomPrerequisite(dice)) : [],
    updates: several(4, () => randomUpdate(dice)),
  };
}

/** Brings all servers back to the same records. */
async function reset(): Promise<void> {
  const all = [...new Set([...NAMES, 'ns1'])].filter((name) => name !== 'A');
  const updates = [...all.map((name) => change(ZONE, `${name} ANY ANY`)), ...BASE.map((line) => change(ZONE, line))];
  const nameServers = ['@ IN NS ns1', '@ NONE NS ns.sub', '@ NONE NS ns.example.net.'].map((line) =>
    change(ZONE, line),
  );
  expect(await sendUpdate(pharos.port, { zone: ZONE, updates }, KEY)).toBe(0);
  for (const { server } of peers) {
    expect(await sendUpdate(server.port, { zone: ZONE, updates: [...updates, ...nameServers] }, KEY)).toBe(0);
  }
}

test.skipIf(!hasPeers)(
  `${SEQUENCES} sequences have the same outcome in Pharos, BIND and Knot`,
  { timeout: TEST_MS + SEQUENCES * 5000 },
  async () => {
    const dice = createDice(printedSeed('updates'));
    const seen = new Map<string, number>();
    const failures: string[] = [];
    const ports = [pharos.port, ...peers.map(({ server }) => server.port)];
    for (let sequence = 0; sequence < SEQUENCES; sequence++) {
      for (let step = 1 + dice.below(3); step > 0; step--) {
        const before = (await axfr(pharos.port, ZONE))?.serial;
        const message = randomMessage(dice);
        const rcodes = await Promise.all(ports.map((port) => sendUpdate(port, message, KEY)));
        const zones = await Promise.all(ports.map((port) => axfr(port, ZONE)));
        const [ours, ...theirs] = zones;
        if (rcodes[0] !== 0) expect(ours?.serial, JSON.stringify(message)).toBe(before);
        let isEqual = true;
        for (const [index, { name }] of peers.entries()) {
          const [rcode, their] = [rcodes[index + 1], theirs[index]];
          const verdict: Verdict = { peer: name, message, rcodes: [rcodes[0], rcode], ours: ours?.records ?? [], theirs: their?.records ?? [] }; // prettier-ignore
          if (rcode === rcodes[0] && verdict.ours.join('\n') === verdict.theirs.join('\n')) continue;
          isEqual = false;
          const meant = MEANT.find(({ applies }) => applies(verdict));
          if (meant) seen.set(meant.title, (seen.get(meant.title) ?? 0) + 1);
          else failures.push(describeVerdict(verdict));
        }
        if (!isEqual) await reset();
      }
      if (failures.length > 20) break;
    }
    console.log([...seen].map(([title, count]) => `${count} × ${title}`).join('\n'));
    expect(failures).toEqual([]);
  },
);

function describeVerdict({ peer, message, rcodes, ours, theirs }: Verdict): string {
  const more = ours.filter((each) => !theirs.includes(each));
  const less = theirs.filter((each) => !ours.includes(each));
  const show = ({ name, class: of, type, ttl, data }: Change): string => `${name} ${ttl} ${of} ${type} ${Buffer.from(data).toString('hex')}`; // prettier-ignore
  const sections = [message.prerequisites ?? [], message.updates].map((each) => each.map(show).join(' | '));
  return `${peer}: RCODE ${rcodes.join(' and ')}; ${message.zone}; ${sections.join(' => ')}; only ours ${more.join(', ')}; only theirs ${less.join(', ')}`;
}
