/**
 * Zones written by hand, one or two records for every point of the RFCs, and the queries for them.
 */
import { T } from '../support/message.ts';

const PARENT = `$ORIGIN example.com.
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
*.child TXT occluded
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

/** Master files by zone name. */
export const ZONES: Readonly<Record<string, string>> = { 'example.com': PARENT, 'child.example.com': CHILD };

const OWNERS = [...new Set([...PARENT.matchAll(/^(\S+) /gm)].map(([, owner = '']) => owner))].filter(
  (owner) => !owner.startsWith('$'),
);
const INSIDE = [
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
const OUTSIDE = ['example.org', 'com', '.', 'xexample.com'];
/** Types to ask for at every name. */
export const TYPES = [
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

/** Owners, and names near them: below wildcards, cuts and DNAMEs, between names, and nonexistent ones. */
export const NAMES: readonly string[] = [...INSIDE, ...OUTSIDE];
