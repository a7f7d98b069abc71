/**
 * NSD as oracle: the same zones, the same queries, and RCODE, AA, TC and every section as sets. Where Pharos
 * means to differ, it says so in `agreed`.
 */
import { expect, test } from 'vitest';
import { decodeMessage, encodeQuery, T, type DecodedMessage, type DecodedRecord } from '../support/message.ts';
import { askTcp, runNsd, runPharos, udpAsker } from '../support/run.ts';

const ZONE = `$ORIGIN example.com.
$TTL 300
@ 3600 IN SOA ns1 hostmaster 2024010101 7200 1800 1209600 60
@ NS ns1
@ NS ns2
@ NS ns.other.example.
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
ns2 A 192.0.2.2
@ A 192.0.2.80
@ MX 10 mail
@ MX 20 mail.other.example.
@ TXT "v=spf1 -all" "second string"
@ CAA 0 issue "ca.example.net"
mail 3600 A 192.0.2.25
mail 3600 A 192.0.2.26
mail AAAA 2001:db8::25
Upper.Case A 192.0.2.30
*.wild A 192.0.2.40
*.wild MX 10 mail
*.wild TXT wild
under.wild TXT explicit
a.b.c.deep TXT deep
ent.wild2 A 192.0.2.41
*.ent2 CNAME mail
x.*.star A 192.0.2.42
_sip._udp SRV 10 5 5060 mail
_sip._udp SRV 20 5 5060 sub-host.sub
cname CNAME mail
cname2 CNAME cname
cname3 CNAME cname2
cnameout CNAME www.example.org.
cnamenx CNAME nothere
cnamenodata CNAME _sip._udp
cnamesub CNAME host.sub
cnamewild CNAME any.wild
cnameapex CNAME @
cnamechild CNAME www.child
loop1 CNAME loop2
loop2 CNAME loop1
self CNAME self
sub NS ns.sub
sub NS ns1
sub NS ns.other.example.
sub DS 12345 13 2 abababababababababababababababababababababababababababababababab
ns.sub A 192.0.2.60
ns.sub AAAA 2001:db8::60
sub-host.sub A 192.0.2.61
nods NS ns.nods
ns.nods A 192.0.2.62
glueless NS ns.glueless.example.
sibling NS ns.sub
deep.cut NS ns.deep.cut
ns.deep.cut A 192.0.2.63
child NS ns.child
child DS 4711 13 2 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
ns.child A 192.0.2.70
old DNAME new
x.new A 192.0.2.90
*.new TXT wild-new
y.new CNAME x
dout DNAME example.org.
dsub DNAME sub
dself DNAME dself2
dself2 DNAME dself
cnamedname CNAME x.old
host HINFO "CPU" "OS"
naptr NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
tlsa TLSA 3 1 1 abababababababababababababababababababababababababababababababab
svcb HTTPS 1 mail alpn=h2
type65400 TYPE65400 \\# 4 deadbeef
ptr PTR mail
big TXT ${Array.from({ length: 6 }, (_, i) => `"${String(i).repeat(240)}"`).join(' ')}
esc\\.dot A 192.0.2.99
zero 0 A 192.0.2.98
`;
const CHILD = `$ORIGIN child.example.com.
$TTL 120
@ SOA ns hostmaster 7 7200 1800 1209600 30
@ NS ns
ns A 192.0.2.70
www A 192.0.2.71
up CNAME mail.example.com.
here CNAME @
`;
const yaml = (zone: string): string => `zone: ${zone}\ninclude: [${zone}.zone]\n`;
const FILES = {
  'zones/example.com.yaml': yaml('example.com'),
  'zones/example.com.zone': ZONE,
  'zones/child.example.com.yaml': yaml('child.example.com'),
  'zones/child.example.com.zone': CHILD,
};

const OWNERS = [...new Set([...ZONE.matchAll(/^(\S+) /gm)].map(([, owner = '']) => owner))].filter(
  (owner) => !owner.startsWith('$'),
);
const NAMES = [
  ...OWNERS.map((owner) => (owner === '@' ? 'example.com' : `${owner}.example.com`)),
  ...[
    'a',
    '*',
    'x.y',
    'any.wild',
    'x.any.wild',
    '*.wild',
    'x.under.wild',
    'wild',
    'deep',
    'b.c.deep',
    'x.b.c.deep',
    'wild2',
    'y.wild2',
    'star',
    '*.star',
    'y.star',
    'x.y.star',
    'q.ent2',
    'ent2',
  ],
  ...['host.sub', 'a.b.sub', 'ns.sub', 'x.ns.sub', 'cut', 'x.deep.cut', 'x.glueless', 'x.sibling', 'x.nods'],
  ...[
    'x.old',
    'y.old',
    'z.old',
    'a.z.old',
    'q.dout',
    'q.dsub',
    'q.dself',
    'new',
    'z.new',
    `${'l'.repeat(63)}.${'l'.repeat(63)}.${'l'.repeat(63)}.${'l'.repeat(38)}.old`,
  ],
  ...[
    'child',
    'www.child',
    'ns.child',
    'up.child',
    'here.child',
    'nothere.child',
    'x.www.child',
    '_tcp',
    '_udp',
    'Case',
    'UPPER.CASE',
  ],
].map((name) => (name.endsWith('example.com') ? name : `${name}.example.com`));
const OUT = ['example.org', 'com', '.', 'xexample.com'];
const TYPES = [
  T.A,
  T.AAAA,
  T.NS,
  T.SOA,
  T.MX,
  T.TXT,
  T.CNAME,
  T.DNAME,
  T.DS,
  T.SRV,
  T.PTR,
  T.HINFO,
  T.CAA,
  T.HTTPS,
  T.NSEC,
  65_400,
];

type Plain = { rcode: number; aa: boolean; tc: boolean; answer: string[]; authority: string[]; additional: string[] };

function plain(message: DecodedMessage): Plain {
  const lines = (records: readonly DecodedRecord[]): string[] =>
    records.map(({ name, type, ttl, data }) => `${name} ${ttl} ${type} ${data}`).sort();
  const { rcode, aa, tc, answer, authority, additional } = message;
  return { rcode, aa, tc, answer: lines(answer), authority: lines(authority), additional: lines(additional) };
}

/**
 * Both responses with everything taken away in which Pharos means to differ:
 *
 * - NSD adds the apex NS RRset, and its addresses, to positive answers. RFC 1034 does not ask for it, and it makes
 *   responses larger.
 * - Additional data of answers are optional (RFC 1034 4.3.2 step 6). Pharos adds addresses for HTTPS and SVCB
 *   (RFC 9460 4.1), NSD 4.6 does not; Pharos also adds glue for SRV and MX targets, NSD authoritative data alone.
 *   What is compared is that the rest of what Pharos adds is what NSD adds. Glue of referrals is compared in full.
 * - Pharos adds DS to a referral for who sets DO, NSD in signed zones alone.
 */
function agreed(ours: DecodedMessage, nsd: DecodedMessage): readonly [Plain, Plain] {
  const [a, b] = [plain(ours), plain(nsd)];
  const isReferral = a.authority.some((line) => / 2 /.test(line));
  if (isReferral) {
    a.authority = a.authority.filter((line) => !/^\S+ \d+ 43 /.test(line));
    return [a, b];
  }
  if (b.answer.length > 0) b.authority = b.authority.filter((line) => !/^\S+ \d+ 2 /.test(line));
  if (ours.answer.some(({ type }) => type === T.HTTPS)) a.additional = [];
  if (ours.answer.some(({ type }) => type === T.SRV))
    a.additional = a.additional.filter((line) => !line.startsWith('sub-host.sub.'));
  b.additional = b.additional.filter((line) => a.additional.includes(line));
  return [a, b];
}

test('the same answers as NSD', async () => {
  await using nsd = await runNsd({ 'example.com': ZONE, 'child.example.com': CHILD });
  await using pharos = await runPharos(FILES);
  const [at, nsdAt] = [pharos.endpoints[0], nsd.endpoints[0]];
  if (!at || !nsdAt) throw new Error('no endpoint');
  using ours = await udpAsker(at);
  using theirs = await udpAsker(nsdAt);
  const differences: string[] = [];
  let asked = 0;
  const compare = async (name: string, type: number, dnssecOk: boolean, overTcp: boolean): Promise<void> => {
    const query = encodeQuery(
      name,
      type,
      dnssecOk ? { edns: { size: 1232, dnssecOk } } : overTcp ? {} : { edns: { size: 1232 } },
    );
    const [a, b] = overTcp
      ? await Promise.all([askTcp(at, query), askTcp(nsdAt, query)])
      : await Promise.all([ours.ask(query), theirs.ask(query)]);
    asked++;
    const [mine, other] = agreed(decodeMessage(a), decodeMessage(b));
    if (JSON.stringify(mine) !== JSON.stringify(other)) {
      differences.push(
        `${name} ${type}${dnssecOk ? ' +dnssec' : ''}\n  ours ${JSON.stringify(mine)}\n  nsd  ${JSON.stringify(other)}`,
      );
    }
  };
  for (const name of NAMES) for (const type of TYPES) await compare(name, type, false, false);
  for (const name of OUT) await compare(name, T.A, false, false);
  for (const name of ['x.sub.example.com', 'x.nods.example.com', 'sub.example.com', 'child.example.com']) {
    for (const type of [T.A, T.DS]) await compare(name, type, true, false);
  }
  for (const name of ['big.example.com', 'cname3.example.com', 'x.sub.example.com'])
    await compare(name, T.TXT, false, true);
  expect(asked).toBeGreaterThan(1000);
  expect(differences.slice(0, 20).join('\n'), `${differences.length} of ${asked}`).toBe('');
});
