/**
 * Signed zones with everything that makes denials hard, served by a `pharos` process: example.com with a signed child,
 * an unsigned child, and another signed zone that aliases lead to.
 */
import { join } from 'node:path';
import { dsData } from '../../dnssec/dnskey.ts';
import { makeKey } from '../../dnssec/key-files.ts';
import { parseName } from '../../wire/name.ts';
import { formatRdata } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';
import { T } from './message.ts';
import { folderOf, NO_GEOGRAPHY } from './pharos.ts';

const zoneFile = (zone: string, isSigned: boolean, body: string): string =>
  `zone: ${zone}\n${isSigned ? 'dnssec: true\n' : ''}nameservers: [ns1.example.com., ns2.example.net.]\nsoa: { expire: 4d }\n${body}`;

const PARENT = `
records:
  "@": { MX: 10 mail, TXT: hello, CAA: '0 issue "ca.example"' }
  ns1: { A: 192.0.2.53, AAAA: "2001:db8::53" }
  mail: { A: [192.0.2.1, 192.0.2.2], AAAA: "2001:db8::1" }
  MiXed: { TXT: case }
  alias: { CNAME: mail }
  long: { CNAME: alias }
  leaves: { CNAME: www.other.example. }
  to-plain: { CNAME: www.plain.example.com. }
  to-cut: { CNAME: host.sub }
  to-nothing: { CNAME: nothing.at.all }
  chain: { CNAME: www }
  "*.wild": { A: 192.0.2.9, MX: 10 mail }
  exact.wild: { TXT: closer }
  below.ent.wild: { TXT: an empty name hides the wildcard }
  "*.wc": { CNAME: x.wild }
  "*.wo": { CNAME: www.other.example. }
  a.ent: { TXT: below }
  b.c.ent: { A: 192.0.2.10 }
  sub: { NS: ns.sub, TXT: occluded }
  ns.sub: { A: 192.0.2.60 }
  deep.sub: { TXT: occluded }
  outside: { NS: ns.elsewhere.test. }
  d: { DNAME: wild, TXT: beside }
  rare: { TYPE65535: '\\# 2 abcd', TYPE1234: '\\# 1 ff' }
  plain: { NS: ns1 }
  child: { NS: ns1, DS: "CHILD" }
  _443._tcp.mail: { TLSA: 3 1 1 ${'ab'.repeat(32)} }
`;

/** Services with one VIP, so that each answer is the default answer that secondaries have. */
const STEADY = `
services:
  www: { ttl: 300, vips: { a: { A: 192.0.2.11, AAAA: "2001:db8::11" } } }
  "*.s": { ttl: 60, vips: { a: { A: 192.0.2.21 } } }
  v4: { ttl: 300, vips: { a: { A: 192.0.2.31 } } }
`;

const STEERED = `
services:
  www:
    answers: 2
    ttl: { min: 5, max: 300 }
    vips: { a: { A: 192.0.2.11, AAAA: "2001:db8::11" }, b: { A: 192.0.2.12 }, c: { A: 192.0.2.13 } }
    steer: [weighted]
  "*.s": { answers: all, vips: { a: { A: 192.0.2.21 }, b: { A: 192.0.2.22 } } }
  v4: { vips: { a: { A: 192.0.2.31 } }, when_all_down: none }
`;

const CHILD = `
records:
  www: { A: 192.0.2.70 }
  "*": { TXT: any }
  up: { CNAME: mail.example.com. }
`;

export const ZONES_SERVED = ['example.com', 'child.example.com', 'plain.example.com', 'other.example'] as const;
const KEYS_OF: readonly string[] = ['example.com', 'child.example.com', 'other.example'];

const BELOW = 'www alias long leaves to-plain to-cut to-nothing chain mail mixed MAIL x.wild exact.wild ent.wild below.ent.wild z.ent.wild y.wc z.wo ent a.ent c.ent b.c.ent z.ent sub ns.sub deep.sub x.sub outside x.outside d q.d exact.d rare plain www.plain nope.plain child www.child nope.child up.child v.s s v4 nope zz.mail tcp.mail _tcp.mail _443._tcp.mail *.wild *.s wild wc'; // prettier-ignore

export const NAMES_ASKED: readonly string[] = [
  'example.com.',
  ...BELOW.split(' ').map((name) => `${name}.example.com.`),
  ...['', 'www.', 'nope.', 'back.'].map((label) => `${label}other.example.`),
];

export const TYPES_ASKED = [T.A, T.AAAA, T.TXT, T.MX, T.NS, T.SOA, T.DS, T.CNAME, T.DNAME, T.NSEC, T.TLSA, 48, 59, 60, 65_535]; // prettier-ignore

/** A folder with the zones and their keys; `anchors` are DS records as text, by zone. */
export function signedZones(port: number, { isSteered = false, config = '' } = {}) {
  const folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `listen: 127.0.0.1:${port}\nstatus: { listen: 127.0.0.1:0, token: secret }\ngeo: { databases: [small.mmdb] }\ntransfer: { allow: [{ from: 127.0.0.1 }] }\n${config}`,
  });
  const keys = join(folder.path, 'state', 'keys');
  const now = Math.floor(Date.now() / 1000);
  const ds = new Map<string, string>();
  for (const zone of KEYS_OF) {
    const apex = parseName(`${zone}.`);
    ds.set(zone, formatRdata(TYPE.DS, dsData(apex, makeKey(keys, apex, now).dnskey)));
  }
  const parent = PARENT.replace('CHILD', ds.get('child.example.com') ?? '');
  const files = {
    'example.com': zoneFile('example.com', true, `${parent}${isSteered ? STEERED : STEADY}`),
    'child.example.com': zoneFile('child.example.com', true, CHILD),
    'plain.example.com': zoneFile('plain.example.com', false, 'records:\n  www: { A: 192.0.2.80 }\n'),
    'other.example': zoneFile('other.example', true, 'records:\n  www: { A: 192.0.2.90 }\n  back: { CNAME: mail.example.com. }\n'), // prettier-ignore
  };
  return { folder, files, anchors: new Map([...ds].map(([zone, data]) => [zone, `${zone}. IN DS ${data}`])) };
}
