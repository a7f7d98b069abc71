/**
 * The fields of each record type in wire order, and all else that the code knows of the type.
 */
import { TYPE_NUMBERS } from '../types.ts';
import { addressPrefixes, amtRelay, hostIdentity, ipsecKey, wellKnownServices } from './dependent-fields.ts';
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
import { svcParams } from './svcb.ts';
import { timeField, typeBitmap, typeCovered } from './type-fields.ts';

/** A row of the table. */
export type Layout = {
  readonly fields: readonly RdataField[];
  /** Valid data for error messages. */
  readonly example: string;
  /** Whether presentation text that does not start with a quote is one text, blanks included. */
  readonly oneText?: true;
  readonly names?: Names;
  readonly digest?: Digest;
  /** Whether RFC 1034 3.6.2, RFC 2535 2.3.5 or RFC 4034 2.5 allow it at an owner that has a CNAME. */
  readonly besideCname?: true;
};

/** Consecutive names in the data, from the octet `at` on: host names, mailboxes or subtrees. */
type Names = {
  readonly at: number;
  readonly count: 1 | 2;
  /** A response may compress them. Only types of RFC 1035 allow that (RFC 3597 4). */
  readonly compressed?: true;
  /** The addresses of the first name belong in the additional section. */
  readonly additional?: true;
};

/**
 * The length of a digest in octets, by algorithm, and the offset of the algorithm. The digest is the rest of the data.
 */
type Digest = { readonly algorithmAt: number; readonly octets: Readonly<Record<number, number>> };

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
/** NSAP-PTR is not a type of RFC 1035, so its name is not compressed. DNAME has no additional data. */
const uncompressedHost: Layout = { ...lone(host, 'www.example.com.'), names: { at: 0, count: 1 } };
const toHost: Layout = { ...uncompressedHost, names: { at: 0, count: 1, compressed: true } };
/** RFC 1035 3.3: NS, MD, MF and MB. Responses add the addresses of the host. */
const toServer: Layout = { ...uncompressedHost, names: { at: 0, count: 1, compressed: true, additional: true } };
/** RT (RFC 1183 3.3), KX (RFC 2230 4), LP (RFC 6742 2.4.4, whose additional data is L32 and L64). */
const preferredHost: Layout = {
  fields: [preference, host],
  example: '10 mail',
  names: { at: 2, count: 1, additional: true },
};
const texts = lone(strings('text', 1), '"v=spf1 -all"');
const key: Layout = {
  fields: [numberField('flags', 2), numberField('protocol', 1), algorithm, base64('key', 0)],
  example: '257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==',
};
const digest: Layout = {
  fields: [numberField('key tag', 2), algorithm, numberField('digest type', 1), hex('digest')],
  example: '60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A',
  digest: { algorithmAt: 3, octets: { 1: 20, 2: 32, 3: 32, 4: 48 } }, // RFC 4509, 5933, 6605
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
  besideCname: true,
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
  names: { at: 2, count: 1, additional: true }, // RFC 9460 4.1; the target "." means the owner
};
const nsec3 = [
  numberField('hash algorithm', 1),
  numberField('flags', 1),
  numberField('iterations', 2),
  counted('salt', 'hex', true),
];

const LAYOUTS: Readonly<Record<string, Layout>> = {
  A: lone(addressField('address', 4), '192.0.2.1'),
  NS: { ...toServer, example: 'ns1' },
  MD: toServer,
  MF: toServer,
  CNAME: { ...toHost, besideCname: true },
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
    names: { at: 0, count: 2, compressed: true },
  },
  MB: toServer,
  MG: toHost,
  MR: toHost,
  WKS: lone(wellKnownServices, '192.0.2.1 tcp smtp 80'),
  PTR: toHost,
  HINFO: { fields: [string('CPU'), string('operating system')], example: '"RFC8482" ""' },
  MINFO: {
    fields: [name('responsible mailbox'), name('error mailbox')],
    example: 'admin errors',
    names: { at: 0, count: 2, compressed: true },
  },
  MX: { ...preferredHost, names: { at: 2, count: 1, compressed: true, additional: true } },
  TXT: { ...texts, oneText: true },
  RP: { fields: [name('mailbox'), name('TXT name')], example: 'hostmaster contact', names: { at: 0, count: 2 } },
  // RFC 1183 1.
  AFSDB: {
    fields: [numberField('subtype', 2), host],
    example: '1 afs',
    names: { at: 2, count: 1, additional: true },
  },
  X25: lone(string('PSDN address', { pattern: /^\d{4,}$/, expected: 'at least 4 digits' }), '"311061700956"'),
  ISDN: lone(strings('ISDN address', 1, 2), '"150862028003217" "004"'),
  RT: preferredHost,
  NSAP: lone(nsap, '0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00'),
  'NSAP-PTR': uncompressedHost,
  SIG: signature,
  KEY: { ...key, besideCname: true },
  PX: {
    fields: [preference, name('RFC 822 name'), name('X.400 name')],
    example: '10 mail.example.com. px.example.com.',
    names: { at: 2, count: 2 },
  },
  GPOS: { fields: [string('longitude'), string('latitude'), string('altitude')], example: '126.97 37.56 38.0' },
  AAAA: lone(addressField('address', 16), '2001:db8::1'),
  LOC: lone(location, LOC_EXAMPLE),
  SRV: {
    fields: [numberField('priority', 2), numberField('weight', 2), numberField('port', 2), name('target')],
    example: '10 60 5060 sip',
    names: { at: 6, count: 1, additional: true }, // RFC 2782
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
  DNAME: uncompressedHost,
  APL: lone(addressPrefixes, '1:192.0.2.0/24 !1:192.0.2.64/28'),
  DS: digest,
  SSHFP: {
    fields: [numberField('algorithm', 1), numberField('fingerprint type', 1), hex('fingerprint')],
    example: '4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
    digest: { algorithmAt: 1, octets: { 1: 20, 2: 32 } }, // RFC 4255, 6594
  },
  IPSECKEY: lone(ipsecKey, '10 1 2 192.0.2.1 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=='),
  RRSIG: signature,
  NSEC: { fields: [name('next name'), typeBitmap], example: 'next.example.com. A RRSIG NSEC', besideCname: true },
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
  NINFO: texts,
  RKEY: key,
  TALINK: {
    fields: [name('previous name'), name('next name')],
    example: 'a.example.com. c.example.com.',
  },
  CDS: digest,
  CDNSKEY: key,
  OPENPGPKEY: lone(base64('key'), 'mQENBFVHm5sBCACe'),
  CSYNC: { fields: [numberField('serial', 4), numberField('flags', 2), typeBitmap], example: '66 3 A NS AAAA' },
  ZONEMD: {
    fields: [numberField('serial', 4), numberField('scheme', 1), numberField('hash algorithm', 1), hex('digest')],
    example: '2026010100 1 1 <96 hexadecimal digits>',
    digest: { algorithmAt: 5, octets: { 1: 48, 2: 64 } }, // RFC 8976 5.3
  },
  SVCB: service,
  HTTPS: service,
  DSYNC: {
    fields: [typeCovered, named('scheme', 1, new Map([['NOTIFY', 1]])), numberField('port', 2), name('target')],
    example: 'CDS NOTIFY 5359 dsync.example.net.',
  },
  HHIT: lone(base64('data'), 'gwppM2ZmOTc='),
  BRID: lone(base64('data'), 'owAAAYQBWC4='),
  SPF: { ...texts, oneText: true },
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
  AVC: { ...texts, oneText: true },
  AMTRELAY: lone(amtRelay, '10 0 1 203.0.113.15'),
  RESINFO: texts,
  WALLET: texts,
  CLA: texts,
  TA: digest,
  DLV: digest,
};

/** Rows by type number. Types without a row, such as NULL and NXT, have the form `\# 4 deadbeef` only. */
export const layouts: ReadonlyMap<number, Layout> = new Map(
  Object.entries(LAYOUTS).map(([mnemonic, layout]) => [TYPE_NUMBERS.get(mnemonic) ?? 0, layout]),
);

/** Types that an owner may have beside a CNAME. NXT, the predecessor of NSEC, has no row. */
export const BESIDE_CNAME: ReadonlySet<number> = new Set([
  ...[...layouts].filter(([, { besideCname }]) => besideCname).map(([type]) => type),
  TYPE_NUMBERS.get('NXT') ?? 0,
]);

/** Types whose data has only names and numbers. */
export const NAMES_ONLY: ReadonlySet<number> = new Set(
  [...layouts]
    .filter(([, { names, fields }]) => names !== undefined && fields.every(({ most }) => most === 1))
    .map(([type]) => type),
);
