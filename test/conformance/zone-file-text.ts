/**
 * Random zones as master files of many hands: every form that RFC 1035 5.1, RFC 2308 4, RFC 3597 5 and the time units
 * of BIND allow, in files that look like those of operators.
 */
import type { Dice } from '../support/random.ts';

export type ZoneText = {
  readonly zone: string;
  /** The file, and those that it includes, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** Owners and their types, as labels below the zone. */
  readonly owners: readonly { readonly labels: readonly string[]; readonly type: number }[];
};

/** A name below the zone as labels, or an absolute name. */
type Name = readonly string[] | string;
/** Words of the data: text, or a name to be written in some form. */
type Word = string | { readonly name: Name };
type Row = {
  readonly owner: readonly string[];
  readonly type: string;
  readonly ttl: number;
  readonly data: readonly Word[];
};

const NUMBERS: Readonly<Record<string, number>> = {
  ...{ A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, HINFO: 13, MX: 15, TXT: 16, RP: 17, AAAA: 28, LOC: 29, SRV: 33 },
  ...{
    NAPTR: 35,
    DNAME: 39,
    DS: 43,
    SSHFP: 44,
    TLSA: 52,
    HTTPS: 65,
    URI: 256,
    CAA: 257,
    TYPE65400: 65_400,
    TYPE731: 731,
  },
};

const HOSTS = ['www', 'mail', 'ftp', 'ns', 'vpn', 'Web01', 'db-1', 'intranet', 'x', 'mx2', 'static', 'API'];
const ODD = [
  'a.b',
  'semi;colon',
  'quo"te',
  'back\\slash',
  'at@sign',
  'sp ace',
  '$dollar',
  '(paren)',
  'caf\u00e9',
  '_dmarc',
  'in',
  'mx',
  '3600',
  '*x',
];

export function randomZoneText(dice: Dice, zone: string): ZoneText {
  const rows = randomRows(dice, zone);
  const writer: Writer = {
    dice,
    zone,
    origin: [],
    owner: undefined,
    ttl: dice.pick([300, 3600, 7200, 86_400]),
    files: {},
  };
  const head = dice.chance(0.8) ? ['; zone file', `;   made for ${zone}`, ''] : [];
  const text = [
    ...head,
    `$TTL ${period(dice, writer.ttl)}${dice.pick(['', ' ; default'])}`,
    ...writeRows(writer, rows, true),
  ];
  const newline = dice.chance(0.15) ? '\r\n' : '\n';
  return {
    zone,
    files: { [`${zone}.zone`]: text.join(newline) + newline, ...writer.files },
    owners: rows.map(({ owner, type }) => ({ labels: owner, type: NUMBERS[type] ?? 0 })),
  };
}

function randomRows(dice: Dice, zone: string): Row[] {
  const soa: readonly Word[] = [
    { name: ['ns1'] },
    { name: ['host.master'] },
    String(dice.below(2 ** 31)),
    '7200',
    '1800',
    '1209600',
    dice.pick(['60', '300', '3600']),
  ];
  const rows: Row[] = [
    { owner: [], type: 'SOA', ttl: 3600, data: soa },
    ...['ns1', 'ns2'].map((ns): Row => ({ owner: [], type: 'NS', ttl: 3600, data: [{ name: [ns] }] })),
    { owner: ['ns1'], type: 'A', ttl: 3600, data: ['192.0.2.53'] },
    { owner: ['ns2'], type: 'A', ttl: 3600, data: ['192.0.2.54'] },
  ];
  const taken = new Set(['', 'ns1', 'ns2']);
  const free = (owner: readonly string[]): boolean => {
    const key = owner.join('\0').toLowerCase();
    return !taken.has(key) && taken.add(key).size > 0;
  };
  const targets: Name[] = [['ns1'], [], 'www.elsewhere.test.', `${zone}.`, ['Mail', 'x'], '.'];
  const target = (): Word => ({ name: dice.pick(targets) });
  for (let left = 8 + dice.below(14); left > 0; left--) {
    const label = dice.chance(0.25) ? dice.pick(ODD) : dice.pick(HOSTS);
    const owner = dice.chance(0.3)
      ? [label, dice.pick(['lab', 'dc1', 'Corp'])]
      : dice.chance(0.1)
        ? ['*', label]
        : [label];
    if (!free(owner)) continue;
    const ttl = dice.pick([60, 300, 3600, 7200, 86_400]);
    if (dice.chance(0.12))
      rows.push({ owner, type: 'CNAME', ttl, data: [{ name: dice.pick(targets.filter((each) => each !== '.')) }] });
    else {
      for (const type of dice.sample(Object.keys(DATA), 1 + dice.below(3))) {
        const some = Array.from({ length: 1 + dice.below(3) }, () => DATA[type]?.(dice, target) ?? []);
        const values = new Map(some.map((data) => [sameData(data, zone), data]));
        for (const data of values.values()) rows.push({ owner, type, ttl, data });
      }
      targets.push(owner[0] === '*' ? ['any', ...owner.slice(1)] : owner);
    }
  }
  if (dice.chance(0.6)) {
    rows.push({ owner: ['child'], type: 'NS', ttl: 300, data: [{ name: ['ns', 'child'] }] });
    rows.push({ owner: ['child'], type: 'NS', ttl: 300, data: [{ name: 'ns.elsewhere.test.' }] });
    rows.push({ owner: ['ns', 'child'], type: 'A', ttl: 300, data: ['192.0.2.60'] });
    if (dice.chance(0.5))
      rows.push({
        owner: ['child'],
        type: 'DS',
        ttl: 300,
        data: ['12345', '13', '2', 'ab'.repeat(20), 'cd'.repeat(12)],
      });
  }
  if (dice.chance(0.3)) rows.push({ owner: ['old'], type: 'DNAME', ttl: 300, data: [{ name: ['lab'] }] });
  return rows;
}

/** Equal for data that a server regards as equal: RFC 2181 5 has each record once. */
function sameData(data: readonly Word[], zone: string): string {
  const words = data.map((word) => {
    if (typeof word === 'string') return word.replaceAll('"', '');
    return typeof word.name === 'string' ? word.name : [...word.name, `${zone}.`].join('.');
  });
  return words.join(' ').toLowerCase();
}

const hex = (dice: Dice, octets: number): string =>
  Array.from({ length: octets * 2 }, () => '0123456789abcdefABCDEF'[dice.below(22)]).join('');

const DATA: Readonly<Record<string, (dice: Dice, target: () => Word) => readonly Word[]>> = {
  A: (dice) => (dice.chance(0.1) ? ['\\#', '4', `c00002${hex(dice, 1)}`] : [`192.0.2.${dice.below(256)}`]),
  AAAA: (dice) => [dice.pick(['2001:db8::', '2001:DB8:0:0::', '2001:0db8:1::']) + dice.below(9999).toString(16)],
  MX: (dice, target) => [String(dice.below(50)), target()],
  TXT: (dice) => Array.from({ length: 1 + dice.below(3) }, () => text(dice)),
  SRV: (dice, target) => [String(dice.below(9)), '0', String(dice.below(65_536)), target()],
  PTR: (_dice, target) => [target()],
  HINFO: () => ['"PC; fast"', 'Linux'],
  RP: (_dice, target) => [target(), target()],
  LOC: (dice) => ['51', '30', `${dice.below(60)}.250`, 'N', '0', '7', 'W', '-12.50m', '10m'],
  NAPTR: (dice, target) => [
    '100',
    String(dice.below(99)),
    dice.pick(['"u"', 's', '""']),
    '"E2U+sip"',
    '"!^.*$!sip:info@example.com!"',
    dice.pick([target(), '.']),
  ],
  SSHFP: (dice) => ['1', '1', hex(dice, 20)],
  TLSA: (dice) => ['3', '1', '1', hex(dice, 16), hex(dice, 16)],
  HTTPS: (dice, target) => [
    String(1 + dice.below(9)),
    target(),
    'alpn=h2,h3',
    dice.pick(['port=8443', 'ipv4hint=192.0.2.1', 'alpn="h2"'].slice(0, 2)),
  ],
  URI: () => ['10', '1', '"https://www.example.com/a;b"'],
  CAA: (dice) => [
    '0',
    dice.pick(['issue', 'iodef', 'issuewild']),
    dice.pick(['"ca.example.net; account=1"', '"mailto:x@example.com"', '";"']),
  ],
  TYPE65400: (dice) => ['\\#', '4', hex(dice, 2), hex(dice, 2)],
  TYPE731: () => ['\\#', '0'],
};

function text(dice: Dice): string {
  const value = dice.pick([
    'v=spf1 include:_spf.example.net -all',
    'plain',
    'semi;colon',
    'say \\"hi\\"',
    'tab\\009end',
    'back\\\\slash',
    '',
    'x'.repeat(255),
    '  two  blanks ',
    '\\195\\169',
    'a=b(c)',
  ]);
  return /^[\w=]+$/.test(value) && dice.chance(0.5) ? value : `"${value}"`;
}

type Writer = {
  readonly dice: Dice;
  readonly zone: string;
  /** Labels below the zone. */
  origin: readonly string[];
  /** The last owner in this file, for blank owners. */
  owner: string | undefined;
  ttl: number;
  readonly files: Record<string, string>;
};

function writeRows(writer: Writer, rows: readonly Row[], canInclude: boolean): string[] {
  const { dice } = writer;
  const lines: string[] = [];
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at];
    if (!row) continue;
    const change = at > 0 ? dice.below(24) : -1;
    if (change === 0) setOrigin(writer, dice.pick([[], ['lab'], ['dc1'], ['a.b']]), lines);
    if (change === 1) {
      writer.ttl = dice.pick([60, 3600, 7200]);
      lines.push(`$TTL\t${period(dice, writer.ttl)}`);
    }
    if (change === 2) lines.push('', '; -----------------', dice.pick(['', '   ', '\t; more']));
    if (change === 3 && canInclude) {
      const some = rows.slice(at, at + 3);
      lines.push(...include(writer, some));
      at += some.length - 1;
      continue;
    }
    lines.push(rowText(writer, row));
  }
  return lines;
}

function setOrigin(writer: Writer, origin: readonly string[], lines: string[]): void {
  const text = nameText(writer, origin, true);
  // NSD takes absolute names only, and a `;` behind a directive only after a blank.
  lines.push(`${writer.dice.pick(['$ORIGIN', '$origin'])} ${text}${writer.dice.pick(['', ' ; from here'])}`);
  writer.origin = origin;
}

/**
 * RFC 1035 5.1: the included file begins with the origin that is stated, or with that of the file; the latter's stays.
 */
function include(writer: Writer, rows: readonly Row[]): string[] {
  const { dice } = writer;
  const file = `${writer.zone}.inc${Object.keys(writer.files).length}`;
  const origin = dice.chance(0.5) ? dice.pick([[], ['lab']]) : undefined;
  const stated = origin === undefined ? '' : ` ${nameText(writer, origin, true)}`;
  const inner: Writer = { ...writer, origin: origin ?? writer.origin, owner: undefined };
  const lines = writeRows(inner, rows, false);
  writer.files[file] = `${lines.join('\n')}\n`;
  // The owner and the default TTL after an included file are not the same in all servers.
  writer.owner = undefined;
  // NSD 4.6 keeps an `$ORIGIN` of the included file (RFC 1035 5.1: the origin of the parent never changes).
  const back = inner.origin === (origin ?? writer.origin) ? [] : [`$ORIGIN ${absolute(writer)}`];
  return [`$INCLUDE ${file}${stated}`, `$TTL ${writer.ttl}`, ...back];
}

function absolute({ origin, zone }: Writer): string {
  return [...origin.map((label) => label.replaceAll('.', '\\.')), `${zone}.`].join('.');
}

function rowText(writer: Writer, { owner, type, ttl, data }: Row): string {
  const { dice } = writer;
  const key = owner.join('\0');
  const name =
    writer.owner === key && dice.chance(0.6) ? dice.pick(['', '']) : nameText(writer, owner, dice.chance(0.25));
  writer.owner = key;
  const ttlWord = ttl === writer.ttl && dice.chance(0.7) ? [] : [period(dice, ttl)];
  const classWord = dice.chance(0.5) ? [dice.pick(['IN', 'in', 'In'])] : [];
  const before = dice.chance(0.7) ? [...ttlWord, ...classWord] : [...classWord, ...ttlWord];
  const shownType = /^TYPE/.test(type) ? type : dice.chance(0.2) ? type.toLowerCase() : type;
  const words = data.map((word) => (typeof word === 'string' ? word : nameText(writer, word.name, dice.chance(0.3))));
  const blank = (): string => dice.pick([' ', '\t', '  ', '\t\t']);
  const start = `${name}${blank()}${[...before, shownType].join(blank())}${blank()}`;
  if (!dice.chance(type === 'SOA' ? 0.7 : 0.15)) return `${start}${words.join(blank())}${comment(dice)}`;
  // Parentheses anywhere between words.
  const open = dice.below(words.length);
  const split = (): string => dice.pick([' ', `${dice.chance(0.5) ? ' ; (note) "' : ''}\n\t`, '\n   ']);
  return `${start}${words.slice(0, open).join(' ')}${open > 0 ? ' ' : ''}(${dice.pick(['', ' '])}${words.slice(open).join(split())}${dice.pick(['', ' '])}${dice.pick([')', '\n)'])}${comment(dice)}`;
}

function comment(dice: Dice): string {
  return dice.pick(['', '', '', ' ; comment', '\t;"quoted" (x', ';', '  ']);
}

/** A number of seconds, with units at times. */
function period(dice: Dice, seconds: number): string {
  if (dice.chance(0.6)) return String(seconds);
  const units = [['w', 604_800], ['d', 86_400], ['h', 3600], ['m', 60], ['s', 1]] as const; // prettier-ignore
  let left = seconds;
  const parts = units.flatMap(([unit, size]) => {
    const count = Math.floor(left / size);
    left %= size;
    return count > 0 ? [`${count}${unit}`] : [];
  });
  const joined = parts.join('');
  return dice.chance(0.3) ? joined.toUpperCase() : joined;
}

/** A name absolute, relative to the origin, or as `@`. */
function nameText(writer: Writer, name: Name, absolute: boolean): string {
  if (typeof name === 'string') return name;
  const { dice, origin, zone } = writer;
  const label = (each: string): string => labelText(dice, each);
  const isBelow =
    name.length >= origin.length && origin.every((each, index) => name[name.length - origin.length + index] === each);
  if (absolute || !isBelow) return [...name.map(label), `${zone}.`].join('.');
  const rest = name.slice(0, name.length - origin.length);
  return rest.length === 0 ? '@' : rest.map(label).join('.');
}

/** Escapes what must be escaped, and at times what need not be. */
function labelText(dice: Dice, label: string): string {
  // A name that is a word of the format is escaped, as NSD and BIND read it otherwise.
  const isWord = /^(?:in|mx|\d+)$/i.test(label);
  return [...Buffer.from(label, 'utf8')]
    .map((octet, index) => {
      const char = String.fromCharCode(octet);
      const mustEscape = octet <= 0x20 || octet >= 0x7f || /[.\\"();@$]/.test(char);
      if (!mustEscape && !(isWord && index === 0) && !dice.chance(0.02)) return char;
      const asNumber = octet <= 0x20 || octet >= 0x7f || /[0-9]/.test(char) || dice.chance(0.5);
      return asNumber ? `\\${String(octet).padStart(3, '0')}` : `\\${char}`;
    })
    .join('');
}
