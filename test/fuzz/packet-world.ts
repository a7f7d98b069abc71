/**
 * The zones that packets are fuzzed against: aliases, loops, wildcards, cuts, steered names of every kind, large sets,
 * and a signed zone. And a slow list of all data that answers may have.
 */
import { join } from 'node:path';
import { makeKey } from '../../dnssec/key-files.ts';
import { FORCED, PROBED } from '../../health/health-table.ts';
import { createClientRing } from '../../server/answer/client-samples.ts';
import { listRecords } from '../../server/transfer/answer-update.ts';
import { parseAddress } from '../../wire/address.ts';
import { parseName } from '../../wire/name.ts';
import { parseRdataText } from '../../wire/rdata.ts';
import { typeNumber } from '../../wire/types.ts';
import { viewImage } from '../../zones/image/image.ts';
import { loadGeneration, type LoadedGeneration } from '../../zones/load-generation.ts';
import { decodeMessage, T, type DecodedMessage } from '../support/message.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY, type Answering } from '../support/pharos.ts';

const LONG = 'l'.repeat(60);
const many = Array.from({ length: 90 }, (_, i) => `v${i}: { A: 192.0.2.${i}, AAAA: "2001:db8::${i.toString(16)}" }`);
const numbers = (count: number, each: (i: number) => string, glue: string): string =>
  Array.from({ length: count }, (_, i) => each(i)).join(glue);

const PLAIN = `
zone: example.com
nameservers: [ns1, ns.sub]
regions: { seoul: { at: KR }, dublin: { at: IE } }
records:
  ns1: { A: 192.0.2.1, AAAA: "2001:db8::1" }
  "@": { MX: [10 ns1, 20 ns.sub, 30 www], TXT: ["${'x'.repeat(250)}"], CAA: '0 issue "ca.example"' }
  chain: { CNAME: chain2 }
  chain2: { CNAME: ${LONG}.old }
  old: { DNAME: new }
  grow: { DNAME: ${'g'.repeat(63)}.grow }
  loop: { DNAME: x.loop2 }
  loop2: { DNAME: loop }
  across: { CNAME: www.example.org. }
  away: { CNAME: www.example.net. }
  ${LONG}.new: { TXT: [${numbers(12, (i) => `"${String(i).repeat(90)}"`, ', ')}] }
  "*.wild": { CNAME: www }
  sub: { NS: [${numbers(13, (i) => `ns${i}.sub`, ', ')}], DS: "1 13 2 ${'ab'.repeat(32)}" }
  ${numbers(13, (i) => `ns${i}.sub: { A: 192.0.2.${i}, AAAA: "2001:db8::${i}" }`, '\n  ')}
  _sip._tcp: { SRV: [0 5 5060 ns1, 1 5 5060 www] }
  naptr: { NAPTR: '100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" .' }
  odd: { TYPE65400: '\\# 4 deadbeef' }
  al: { ALIAS: www, TXT: beside }
  al2: { ttl: 7, ALIAS: al }
  alrec: { ALIAS: ns1 }
  almany: { ALIAS: many }
  alsigned: { ALIAS: www.example.org. }
  alkinds: { ANAME: kinds }
  "*.alwild": { ALIAS: www }
services:
  kinds: { vips: { k: { region: seoul, A: 192.0.2.40, TXT: "site=kr", MX: [10 ns1, 20 ${LONG}.kinds], SRV: 0 5 5060 ns1 }, d: { region: dublin, TXT: ["site=eu", "${'y'.repeat(200)}"], TYPE65401: '\\# 2 abcd' } }, answers: 2, when_all_down: { A: 192.0.2.41, TXT: "site=none" } }
  nowhere: { vips: { k: { region: seoul, A: 192.0.2.42 } }, steer: [geo: { KR: none, asia: [], default: { to: seoul, ttl: 3 } }] }
  www: { vips: { k: { region: seoul, A: 192.0.2.4 }, d: { region: dublin, A: 192.0.2.5 } }, ttl: { min: 5, max: 30 }, steer: [geo: { KR: seoul, default: dublin }, weighted] }
  sticky: { vips: { k: { A: 192.0.2.4, weight: 3 }, d: { A: 192.0.2.5 } }, steer: [sticky], answers: 2 }
  many: { vips: { ${many.join(', ')} }, steer: [all] }
  named: { vips: { one: { CNAME: chain }, two: { CNAME: many } }, steer: [weighted] }
  bound: { vips: { a: { A: 192.0.2.6, AAAA: "2001:db8::6" }, b: { A: 192.0.2.7 } }, svcb: { alpn: [h2, h3], port: 443 } }
  none: { vips: { a: { A: 192.0.2.8 } }, when_all_down: none }
`;

const SIGNED = `
zone: example.org
dnssec: true
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.11, AAAA: "2001:db8::11" }
  "@": { MX: 10 mail, TXT: hello }
  mail: { A: [192.0.2.12, 192.0.2.13] }
  alias: { CNAME: mail }
  to-plain: { CNAME: www.example.com. }
  "*.wild": { A: 192.0.2.14 }
  "*.wc": { CNAME: x.wild }
  a.ent: { TXT: below }
  sub: { NS: ns.sub, DS: "1 13 2 ${'ab'.repeat(32)}" }
  ns.sub: { A: 192.0.2.15 }
  plain: { NS: ns1 }
  d: { DNAME: wild }
  al: { ALIAS: www }
  alplain: { ALIAS: many.example.com. }
services:
  kinds: { vips: { a: { A: 192.0.2.43, TXT: one }, b: { TXT: two, MX: 10 mail } }, steer: [weighted] }
  www: { answers: 2, vips: { a: { A: 192.0.2.16, AAAA: "2001:db8::16" }, b: { A: 192.0.2.17 }, c: { A: 192.0.2.18 } }, steer: [weighted] }
  v4: { vips: { a: { A: 192.0.2.19 } }, when_all_down: none }
`;

const BELOW_PLAIN = `www ns1 chain chain2 a.old b.grow c.loop d.loop2 x.y.wild sub a.b.sub sticky many named bound none nothere across away naptr odd _sip._tcp ns3.sub al al2 alrec almany alsigned alkinds q.alwild kinds nowhere ${LONG}.old new version.bind`; // prettier-ignore
const BELOW_SIGNED = 'www v4 al alplain kinds ns1 mail alias to-plain x.wild y.wc ent a.ent b.ent sub x.sub plain x.plain d q.d nothere'; // prettier-ignore

/** Names that lead somewhere. */
export const NAMES: readonly string[] = [
  ...BELOW_PLAIN.split(' ').map((name) => (name.endsWith('.bind') ? name : `${name}.example.com`)),
  ...BELOW_SIGNED.split(' ').map((name) => `${name}.example.org`),
  ...['example.com', 'example.org', 'com', '', 'example.net', 'version.bind', 'hostname.bind', 'id.server'],
];

/** Cookies contain the time: all responses to a query must be of the same second. */
const CLOCK = { ms: () => 0, seconds: () => 1_800_000_000 };
const OPTIONS = {
  nsid: Buffer.from('n'.repeat(128)),
  version: Buffer.from('v'.repeat(255)),
  cookieSecrets: [Buffer.alloc(16, 7), Buffer.alloc(16, 8)],
};

/** `allDown`: a service with `when_all_down` has no healthy VIP. */
type WorldOptions = {
  readonly rrl?: { readonly perSecond: number; readonly slip: number };
  readonly allDown?: boolean;
};

export type PacketWorld = {
  readonly generation: LoadedGeneration;
  /** A new answering thread of the zones. */
  readonly answering: (more?: WorldOptions) => Answering;
  /** Throws if a response has a record that is neither the zones' nor made from them. */
  readonly judgeRecords: (response: DecodedMessage) => void;
};

export function createPacketWorld(): PacketWorld {
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'zones/example.com.yaml': PLAIN,
    'zones/example.org.yaml': SIGNED,
  });
  makeKey(join(folder.path, 'state', 'keys'), parseName('example.org.'), Math.floor(Date.now() / 1000));
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  const generation = outcome.value;
  const allowed = dataOf(generation);
  return {
    generation,
    answering: (more = {}) => {
      const made = answeringFrom(generation, { ...OPTIONS, clients: [createClientRing()], ...more }, 1, CLOCK);
      // Services with states of all kinds.
      made.set('www.example.com/k', { probed: PROBED.UP });
      made.set('many.example.com/v7', { probed: PROBED.DOWN });
      made.set('none.example.com/a', { forced: FORCED.DOWN });
      if (more.allDown === true)
        for (const vip of ['k', 'd']) made.set(`kinds.example.com/${vip}`, { probed: PROBED.DOWN });
      made.set('v4.example.org/a', { probed: PROBED.DOWN });
      return made;
    },
    judgeRecords: ({ answer, authority, additional }) => {
      for (const { name, type, data } of [...answer, ...authority, ...additional]) {
        if (MADE.has(type) || allowed.has(`${type} ${data}`)) continue;
        throw new Error(`data that no zone has: ${name} ${type} ${data}`);
      }
    },
  };
}

/** Types whose data is made for the answer: CNAME of DNAME and of services, SOA with its TTL, proofs, bindings. */
const MADE: ReadonlySet<number> = new Set([T.CNAME, T.SOA, T.RRSIG, T.NSEC, 48, 59, 60, T.SVCB, T.HTTPS]);

/** `TYPE DATA` of all records of the zones and VIPs, as `decodeMessage` writes data. */
function dataOf(generation: LoadedGeneration): ReadonlySet<string> {
  const found = new Set<string>();
  const add = (type: number, data: Uint8Array): void => {
    // Read as a message has it, so that names are in one form.
    const record = Buffer.concat([Buffer.of(0, type >> 8, type & 255, 0, 1, 0, 0, 0, 0, data.length >> 8, data.length & 255), data]); // prettier-ignore
    const head = Buffer.alloc(12);
    head.writeUInt16BE(1, 6);
    found.add(`${type} ${decodeMessage(Buffer.concat([head, record])).answer[0]?.data ?? ''}`);
  };
  const image = viewImage(generation.image, generation.atlas);
  for (const zone of ['example.com.', 'example.org.']) {
    for (const { type, data } of listRecords(image, parseName(zone))) for (const each of data) add(type, each);
  }
  for (const { a, aaaa, records = [] } of generation.catalog.vips) {
    for (const { type, data } of records) {
      const number = typeNumber(type) ?? 0;
      for (const text of data) add(number, parseRdataText(number, text, parseName('example.com.')));
    }
    if (a !== undefined) add(T.A, addressOf(a));
    if (aaaa !== undefined) add(T.AAAA, addressOf(aaaa));
  }
  // Of `when_all_down`.
  add(T.A, addressOf('192.0.2.41'));
  for (const text of [OPTIONS.version, OPTIONS.nsid, Buffer.from('site=none')])
    add(T.TXT, Buffer.concat([Buffer.of(text.length), text]));
  return found;
}

function addressOf(text: string): Uint8Array {
  const octets = parseAddress(text);
  if (!octets) throw new Error(`${text} is not an address`);
  return octets;
}
