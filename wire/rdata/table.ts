/**
 * Each type as the list of its fields, in wire order, with an example for messages.
 */
import { TYPE_NUMBERS } from '../types.ts';
import {
  type RdataField,
  addressField,
  base64,
  counted,
  groups,
  hex,
  name,
  named,
  nsap,
  numberField,
  period,
  string,
  strings,
  tag,
  textField,
} from './field-kinds.ts';
import { LOC_EXAMPLE, location } from './loc.ts';
import { addressPrefixes, hostIdentity, ipsecKey, wellKnownServices } from './dependent-fields.ts';
import { svcParams } from './svcb.ts';
import { timeField, typeBitmap, typeCovered } from './type-fields.ts';

export type Layout = { readonly fields: readonly RdataField[]; readonly example: string };

/** IANA DNS Security Algorithm Numbers, by mnemonic (RFC 4034 A.1 and later). */
const ALGORITHMS = new Map([
  ['DELETE', 0],
  ['RSAMD5', 1],
  ['DH', 2],
  ['DSA', 3],
  ['RSASHA1', 5],
  ['DSA-NSEC3-SHA1', 6],
  ['NSEC3DSA', 6],
  ['RSASHA1-NSEC3-SHA1', 7],
  ['NSEC3RSASHA1', 7],
  ['RSASHA256', 8],
  ['RSASHA512', 10],
  ['ECC-GOST', 12],
  ['ECCGOST', 12],
  ['ECDSAP256SHA256', 13],
  ['ECDSAP384SHA384', 14],
  ['ED25519', 15],
  ['ED448', 16],
  ['INDIRECT', 252],
  ['PRIVATEDNS', 253],
  ['PRIVATEOID', 254],
]);

/** RFC 4398 2.1. */
const CERTIFICATES = new Map([
  ['PKIX', 1],
  ['SPKI', 2],
  ['PGP', 3],
  ['IPKIX', 4],
  ['ISPKI', 5],
  ['IPGP', 6],
  ['ACPKIX', 7],
  ['IACPKIX', 8],
  ['URI', 253],
  ['OID', 254],
]);

const algorithm = named('algorithm', 1, ALGORITHMS);
const preference = numberField('preference', 2);
const host = name('host name');

const lone = (field: RdataField, example: string): Layout => ({ fields: [field], example });
const toHost = lone(host, 'www.example.com.');
const preferredHost: Layout = { fields: [preference, host], example: '10 mail' };
const texts = lone(strings('text', 1), '"v=spf1 -all"');
const key: Layout = {
  fields: [numberField('flags', 2), numberField('protocol', 1), algorithm, base64('key', 0)],
  example: '257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==',
};
const digest: Layout = {
  fields: [numberField('key tag', 2), algorithm, numberField('digest type', 1), hex('digest')],
  example: '60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A',
};
const signature: Layout = {
  fields: [
    typeCovered,
    algorithm,
    numberField('labels', 1),
    period('original TTL'),
    timeField('expiration'),
    timeField('inception'),
    numberField('key tag', 2),
    name("signer's name"),
    base64('signature'),
  ],
  example: 'A 13 2 300 20300101000000 20290101000000 60485 example.com. c2ln',
};
const certificateAssociation: Layout = {
  fields: [
    numberField('usage', 1),
    numberField('selector', 1),
    numberField('matching type', 1),
    hex('certificate data'),
  ],
  example: '3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
};
const service: Layout = {
  fields: [numberField('priority', 2), name('target name'), svcParams],
  example: '1 . alpn="h2,h3"',
};
const nsec3 = [
  numberField('hash algorithm', 1),
  numberField('flags', 1),
  numberField('iterations', 2),
  counted('salt', 'hex', true),
];

const LAYOUTS: Readonly<Record<string, Layout>> = {
  A: lone(addressField('address', 4), '192.0.2.1'),
  NS: lone(host, 'ns1'),
  MD: toHost,
  MF: toHost,
  CNAME: toHost,
  SOA: {
    fields: [
      name('primary name server'),
      name('contact'),
      numberField('serial', 4),
      period('refresh'),
      period('retry'),
      period('expire'),
      period('negative TTL'),
    ],
    example: 'ns1 hostmaster 2026010100 2h 30m 14d 60',
  },
  MB: toHost,
  MG: toHost,
  MR: toHost,
  WKS: lone(wellKnownServices, '192.0.2.1 tcp smtp 80'),
  PTR: toHost,
  HINFO: { fields: [string('CPU'), string('operating system')], example: '"RFC8482" ""' },
  MINFO: { fields: [name('responsible mailbox'), name('error mailbox')], example: 'admin errors' },
  MX: preferredHost,
  TXT: texts,
  RP: { fields: [name('mailbox'), name('TXT name')], example: 'hostmaster contact' },
  AFSDB: { fields: [numberField('subtype', 2), host], example: '1 afs' },
  X25: lone(string('PSDN address', { pattern: /^\d{4,}$/, expected: 'at least 4 digits' }), '"311061700956"'),
  ISDN: lone(strings('ISDN address', 1, 2), '"150862028003217" "004"'),
  RT: preferredHost,
  NSAP: lone(nsap, '0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00'),
  SIG: signature,
  KEY: key,
  PX: {
    fields: [preference, name('RFC 822 name'), name('X.400 name')],
    example: '10 mail.example.com. px.example.com.',
  },
  GPOS: { fields: [string('longitude'), string('latitude'), string('altitude')], example: '126.97 37.56 38.0' },
  AAAA: lone(addressField('address', 16), '2001:db8::1'),
  LOC: lone(location, LOC_EXAMPLE),
  SRV: {
    fields: [numberField('priority', 2), numberField('weight', 2), numberField('port', 2), name('target')],
    example: '10 60 5060 sip',
  },
  NAPTR: {
    fields: [
      numberField('order', 2),
      preference,
      string('flags', { pattern: /^[A-Za-z0-9]*$/, expected: 'letters and digits' }),
      string('service'),
      string('regular expression'),
      name('replacement'),
    ],
    example: '100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .',
  },
  KX: preferredHost,
  CERT: {
    fields: [named('certificate type', 2, CERTIFICATES), numberField('key tag', 2), algorithm, base64('certificate')],
    example: 'PKIX 0 0 MIIB',
  },
  DNAME: toHost,
  APL: lone(addressPrefixes, '1:192.0.2.0/24 !1:192.0.2.64/28'),
  DS: digest,
  SSHFP: {
    fields: [numberField('algorithm', 1), numberField('fingerprint type', 1), hex('fingerprint')],
    example: '4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
  },
  IPSECKEY: lone(ipsecKey, '10 1 2 192.0.2.1 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=='),
  RRSIG: signature,
  NSEC: { fields: [name('next name'), typeBitmap], example: 'next.example.com. A RRSIG NSEC' },
  DNSKEY: key,
  DHCID: lone(base64('identifier'), 'AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA='),
  NSEC3: {
    fields: [...nsec3, counted('next hashed owner', 'base32hex', false), typeBitmap],
    example: '1 0 0 - 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG',
  },
  NSEC3PARAM: { fields: nsec3, example: '1 0 0 -' },
  TLSA: certificateAssociation,
  SMIMEA: certificateAssociation,
  HIP: lone(hostIdentity, '2 200100107B1A74DF365639CC39F1D578 AwEAAbdx rvs.example.com.'),
  CDS: digest,
  CDNSKEY: key,
  OPENPGPKEY: lone(base64('key'), 'mQENBFVHm5sBCACe'),
  CSYNC: { fields: [numberField('serial', 4), numberField('flags', 2), typeBitmap], example: '66 3 A NS AAAA' },
  ZONEMD: {
    fields: [numberField('serial', 4), numberField('scheme', 1), numberField('hash algorithm', 1), hex('digest')],
    example: '2026010100 1 1 <96 hexadecimal digits>',
  },
  SVCB: service,
  HTTPS: service,
  SPF: texts,
  NID: {
    fields: [preference, groups('node identifier', 8, 2, ':', '0014:4fff:ff20:ee64')],
    example: '10 0014:4fff:ff20:ee64',
  },
  L32: { fields: [preference, addressField('locator', 4)], example: '10 10.1.2.0' },
  L64: { fields: [preference, groups('locator', 8, 2, ':', '2001:0db8:1140:1000')], example: '10 2001:0db8:1140:1000' },
  LP: preferredHost,
  EUI48: lone(groups('address', 6, 1, '-', '00-00-5e-00-53-2a'), '00-00-5e-00-53-2a'),
  EUI64: lone(groups('address', 8, 1, '-', '00-00-5e-ef-10-00-00-2a'), '00-00-5e-ef-10-00-00-2a'),
  URI: {
    fields: [numberField('priority', 2), numberField('weight', 2), textField('target', 1)],
    example: '10 1 "https://example.com/"',
  },
  CAA: { fields: [numberField('flags', 1), tag, textField('value', 0)], example: '0 issue "ca.example.net"' },
  AVC: texts,
};

/** By type number. A type that is not in it is written as `\# 4 deadbeef` alone: NULL, NXT, EID, NIMLOC, ATMA. */
export const layouts: ReadonlyMap<number, Layout> = new Map(
  Object.entries(LAYOUTS).map(([mnemonic, layout]) => [TYPE_NUMBERS.get(mnemonic) ?? 0, layout]),
);
