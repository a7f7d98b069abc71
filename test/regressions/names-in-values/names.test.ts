/**
 * `check` examined owners, `nameservers` and CNAMEs of services, and no other names: a value without its final dot, an
 * address in place of a host name, and a nonexistent target were served without a warning.
 */
import { expect, test } from 'vitest';
import { mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const HOSTS = `
  ns1: { A: 192.0.2.53 }
  www: { A: 192.0.2.80 }
  text: { TXT: hello }
  "*.wild": { A: 192.0.2.81 }
  sub: { NS: ns.sub }
  ns.sub: { A: 192.0.2.82 }`;
const SERVICES = `
  svc: { vips: { a: { A: 192.0.2.90 } } }`;

/** Codes and lines of a zone with this record; the record is on line 1 of the master file, or line 10 of the YAML. */
function found(record: { readonly yaml?: string; readonly db?: string; readonly service?: string }): string[] {
  return mistakesOf({
    ...NO_GEOGRAPHY,
    'zones/shop.example.yaml': `zone: shop.example
nameservers: [ns1]
include: [x.db]
records:${HOSTS}
  ${record.yaml ?? 'q: { A: 192.0.2.99 }'}
services:${SERVICES}
  ${record.service ?? 'y: { vips: { a: { A: 192.0.2.91 } } }'}
`,
    'zones/x.db': `${record.db ?? 'z A 192.0.2.92'}\n`,
    'zones/child.shop.example.yaml':
      'zone: child.shop.example\nnameservers: [ns.example.net.]\nrecords: { a: { A: 192.0.2.1 } }\n',
  });
}

const VALUES: readonly (readonly [code: string, type: string, value: string])[] = [
  // The zone's own name without its dot.
  ...['CNAME', 'DNAME', 'NS', 'PTR'].map((type) => ['PH113', type, 'www.shop.example'] as const),
  ['PH113', 'MX', '10 www.shop.example'],
  ['PH113', 'SRV', '0 0 443 WWW.Shop.Example'],
  ['PH113', 'HTTPS', '1 www.shop.example alpn=h2'],
  ['PH113', 'SVCB', '0 www.shop.example'],
  ['PH113', 'AFSDB', '1 www.shop.example'],
  ['PH113', 'RP', 'admin.shop.example. www.shop.example'],
  ['PH113', 'NAPTR', '100 10 "s" "SIP+D2U" "" _sip._udp.shop.example'],
  // A name of the Internet.
  ['PH113', 'MX', '10 mail.example.net'],
  ['PH113', 'CNAME', 'shop.provider.com'],
  ['PH113', 'CNAME', 'other.example'],
  ['PH113', 'CNAME', 'shop.co.uk'],
  ['PH113', 'CNAME', 'lb.eu-west-1.provider.io'],
  ['PH113', 'DNAME', 'shop.provider.com'],
  // Not a host name.
  ['PH130', 'MX', '10 192.0.2.25'],
  ['PH130', 'MX', '10 192.0.2.25.'],
  ['PH130', 'MX', '10 2001:db8::1'],
  ['PH130', 'CNAME', '192.0.2.80'],
  ['PH130', 'NS', '192.0.2.53'],
  ['PH130', 'SRV', '0 0 443 192.0.2.80'],
  ['PH130', 'PTR', '192.0.2.80'],
  ['PH130', 'HTTPS', '1 192.0.2.80'],
  ['PH130', 'CNAME', 'https://www.example.com/'],
  ['PH130', 'CNAME', 'https://www.example.com./'],
  ['PH130', 'MX', '10 mail.example.net:25'],
  ['PH130', 'MX', '10 admin@example.net.'],
  ['PH131', 'CNAME', 'a\\009b'],
  ['PH131', 'CNAME', 'a\\032b.example.net.'],
  // Nonexistent.
  ['PH353', 'MX', '10 gone'],
  ['PH353', 'MX', '10 text'],
  ['PH353', 'SRV', '0 0 443 gone'],
  ['PH353', 'HTTPS', '1 gone'],
  ['PH353', 'NS', 'gone'],
  ['PH363', 'HTTPS', '0 gone'],
  ['PH363', 'CNAME', 'gone'],
  ['PH363', 'PTR', 'gone'],
  ['PH363', 'NAPTR', '100 10 "s" "SIP+D2U" "" gone'],
  ['PH365', 'CNAME', 'x'],
];

test.each(VALUES)('%s %s %s', (code, type, value) => {
  const codes = (lines: string[], file: string): string[] =>
    lines.map((line) => line.replace(/^zones\/(.*?):(\d+) \w+ (PH\d+).*$/, '$1:$2 $3').replace(file, ''));
  expect(codes(found({ yaml: `x: { ${type}: '${value}' }` }), 'shop.example.yaml')).toEqual([`:11 ${code}`]);
  expect(codes(found({ db: `x ${type} ${value}` }), 'x.db')).toEqual([`:1 ${code}`]);
});

test.each([
  ['MX', '10 www'],
  ['MX', '10 .'],
  ['MX', '10 svc'],
  ['MX', '10 a.wild'],
  ['MX', '10 mail.example.net.'],
  ['MX', '10 a.sub'],
  ['MX', '10 gone.child'],
  ['CNAME', 'text'],
  ['CNAME', 'a.wild'],
  ['CNAME', 'www.de.wild'],
  ['CNAME', 'shop.example.'],
  ['CNAME', '@'],
  ['CNAME', '0.25.2.0.192.in-addr.arpa.'],
  ['CNAME', '5.0/25.2.0.192.in-addr.arpa.'],
  ['CNAME', 'x.shop.example.other.example.'],
  ['SRV', '0 0 0 .'],
  ['HTTPS', '1 . alpn=h2'],
  ['HTTPS', '0 svc'],
  ['PTR', 'My\\032Printer._ipp._tcp.example.net.'],
  ['NAPTR', '100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .'],
  ['RP', 'first.last text'],
  ['DNAME', 'elsewhere'],
])('nothing is wrong with %s %s', (type, value) => {
  expect(found({ yaml: `x: { ${type}: '${value}' }` })).toEqual([]);
  expect(found({ db: `x ${type} ${value}` })).toEqual([]);
});

test('a doubled name that is written with its dot is intended', () => {
  const [mistake, ...more] = found({ yaml: 'x: { CNAME: www.shop.example.shop.example. }' });
  expect([mistake, more]).toEqual([expect.stringContaining(':11 warning PH363'), []]);
});

test.each<[string, string | undefined, string]>([
  ['$ORIGIN sub2\nx CNAME www.shop.example', 'x.db:2 warning PH113', ''],
  ['www.shop.example A 192.0.2.1', 'x.db:1 warning PH113', 'owner'],
  ['@ SOA ns1.shop.example h 1 2 3 4 5', 'x.db:1 warning PH113', 'SOA'],
  ['@ SOA ns1 admin@shop.example. 1 2 3 4 5', 'x.db:1 warning PH130', 'contact'],
  ['a\\032b A 192.0.2.1', 'x.db:1 warning PH131', 'owner'],
  ['My\\032Printer._ipp._tcp SRV 0 0 631 www', undefined, 'RFC 6763'],
  ['a CNAME b\nb CNAME c\nc CNAME a', 'x.db:3 warning PH365', 'circle'],
  ['*.loop CNAME x.loop', 'x.db:1 warning PH365', 'circle through a wildcard'],
])('%j', (db, expected) => {
  const mistakes = found({ db });
  if (expected === undefined) expect(mistakes).toEqual([]);
  else expect(mistakes.join('\n')).toContain(`zones/${expected}`);
});

test.each([
  ['own: { vips: { a: { CNAME: own } } }', 'error PH364'],
  ['own: { vips: { a: { A: 192.0.2.1 } }, when_all_down: { CNAME: own } }', 'error PH364'],
  ['own: { vips: { a: { CNAME: 192.0.2.80 } } }', 'error PH202'],
  ['own: { vips: { a: { CNAME: "https://x.example/" } } }', 'error PH202'],
  ['own: { vips: { a: { A: 192.0.2.1 } }, when_all_down: { CNAME: 192.0.2.80 } }', 'error PH216'],
  ['own: { vips: { a: { CNAME: gone } } }', 'warning PH363'],
  ['own: { vips: { a: { CNAME: lb.provider.net } } }', 'warning PH113'],
  ['own: { vips: { a: { CNAME: lb.shop.example } } }', 'warning PH113'],
  ['own: { vips: { a: { CNAME: "a b" } } }', 'warning PH131'],
])('service %s', (service, expected) => {
  expect(found({ service })).toEqual([expect.stringContaining(`zones/shop.example.yaml:14 ${expected}`)]);
});

test.each([
  'own: { vips: { a: { CNAME: www } } }',
  'own: { vips: { a: { CNAME: svc } } }',
  'own: { vips: { a: { CNAME: a.wild } } }',
  'own: { vips: { a: { CNAME: a.sub } } }',
  'own: { vips: { a: { CNAME: lb.provider.net. } } }',
])('nothing is wrong with the service %s', (service) => {
  expect(found({ service })).toEqual([]);
});

test('a loop between services is a loop', () => {
  const service = 'one: { vips: { a: { CNAME: two } } }\n  two: { vips: { a: { CNAME: one } } }';
  expect(found({ service }).map((line) => line.replace(/:(?=[^:]*$).*/, ''))).toEqual([
    'zones/shop.example.yaml:14 warning PH365',
    'zones/shop.example.yaml:15 warning PH365',
  ]);
});
