/**
 * Random zones with everything that makes answering hard: wildcards, empty non-terminals, chains, loops, cuts with and
 * without glue, zones within zones, labels of any octets, names of 255 octets, RRsets that fill a message.
 */
import { T } from '../support/message.ts';
import type { Dice } from '../support/random.ts';

export type Generated = {
  /** Master files by zone name; names in them are absolute. */
  readonly zones: Readonly<Record<string, string>>;
  /** Names worth asking for: owners, targets, and names near them. */
  readonly names: readonly Asked[];
};

/** A name in wire form, and the types that exist there or nearby. */
export type Asked = { readonly name: Buffer; readonly types: readonly number[] };

type Name = readonly Buffer[];

const text = (labels: string): Name => labels.split('.').map((label) => Buffer.from(label));

const SMALL = ['a', 'b', 'c', 'x', 'www', '_tcp'].map((label) => Buffer.from(label));
const STAR = Buffer.from('*');
/** Octets that master files must escape, that look like something else, or that only binary labels have. */
const ODD = [
  Buffer.from('a.b'),
  Buffer.from('back\\slash'),
  Buffer.from('qu"ote'),
  Buffer.from('semi;colon'),
  Buffer.from('(at@$)'),
  Buffer.from(' blank '),
  Buffer.of(0),
  Buffer.of(0, 1, 2, 255, 128),
  Buffer.of(0x3f, 0xc0, 0x0c),
  Buffer.from('MiXed-Case'),
  Buffer.from('**'),
  Buffer.from('*x'),
  Buffer.from('\\052'),
  Buffer.alloc(63, 'l'),
  Buffer.alloc(63, 0xe9),
  Buffer.alloc(62, 'm'),
];

/** Nested zones with their parents, so that cuts lead to zones that are served too. */
const APEXES = ['one.example', 'sub.one.example', 'a.b.sub.one.example', 'two.example', 'a.two.example'].map(text);
const OUTSIDE = [text('www.elsewhere.test'), text('example'), text('b.three.example')];

function octetsOf(name: Name): number {
  return name.reduce((sum, label) => sum + label.length + 1, 1);
}

/** RFC 1035 3.1. */
function wireOf(name: Name): Buffer {
  return Buffer.concat([...name.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)]);
}

function escaped(label: Buffer): string {
  return [...label]
    .map((octet) =>
      /[A-Za-z0-9_*-]/.test(String.fromCharCode(octet))
        ? String.fromCharCode(octet)
        : `\\${String(octet).padStart(3, '0')}`,
    )
    .join('');
}

function textOf(name: Name): string {
  return `${name.map(escaped).join('.')}.`;
}

function keyOf(name: Name): string {
  return wireOf(name).toString('latin1').toLowerCase();
}

/** Whether `name` is `above` or below it. */
function isBelow(name: Name, above: Name): boolean {
  return name.length >= above.length && keyOf(name.slice(name.length - above.length)) === keyOf(above);
}

const TYPES: Readonly<Record<string, number>> = { ...T, TYPE65400: 65_400 };

type Owner = { readonly name: Name; kind: 'data' | 'cname' | 'dname' | 'cut' };

const OWNERS_A_ZONE = 140;

export function generate(dice: Dice): Generated {
  const owners = withoutHidden(APEXES.map((apex) => ownersOf(dice, apex)));
  const all = owners.flat();
  /** Where a CNAME, DNAME, MX or NS may lead: mostly to existing names. */
  const target = (zone: number): Name => {
    const roll = dice.below(20);
    if (roll === 0) return dice.pick(OUTSIDE);
    if (roll === 1) return dice.pick(APEXES);
    if (roll === 2) return [];
    const base = dice.pick(roll < 15 ? (owners[zone] ?? all) : all).name;
    if (dice.chance(0.25)) return lengthened(dice, base);
    return base[0]?.equals(STAR) && dice.chance(0.7) ? [dice.pick(SMALL), ...base.slice(1)] : base;
  };
  const zones: Record<string, string> = {};
  const names: { name: Name; types: readonly number[] }[] = [...OUTSIDE, ...APEXES].map((name) => ({
    name,
    types: [2, 6],
  }));
  APEXES.forEach((apex, zone) => {
    const lines = [
      `${textOf(apex)} ${dice.pick([60, 3600])} SOA ns1.${textOf(apex)} hostmaster.${textOf(apex)} ${zone + 1} 7200 1800 1209600 ${dice.pick([30, 300])}`,
      `${textOf(apex)} 3600 NS ns1.${textOf(apex)}`,
      `ns1.${textOf(apex)} 3600 A 192.0.2.${zone}`,
      ...(dice.chance(0.7) ? [`${textOf(apex)} 3600 NS ${textOf(target(zone))}`] : []),
    ];
    for (const below of APEXES) {
      if (below === apex || !isBelow(below, apex) || nearestApex(below.slice(1)) !== apex) continue;
      lines.push(...delegation(dice, below, () => target(zone)));
    }
    for (const { name, kind } of owners[zone] ?? []) {
      const from = lines.length;
      if (kind === 'data') lines.push(...dataOf(dice, name, () => target(zone)));
      else if (kind === 'cut') lines.push(...delegation(dice, name, () => target(zone)));
      else {
        const to = target(zone);
        names.push({ name: to, types: [1, 16] });
        lines.push(`${textOf(name)} ${kind === 'cname' ? 'CNAME' : 'DNAME'} ${textOf(to)}`);
      }
      const types = lines.slice(from).map((line) => TYPES[/^\S+ (?:\d+ )?(\S+)/.exec(line)?.[1] ?? ''] ?? 1);
      names.push({ name, types: kind === 'data' ? types : [...types, 1, 16] });
    }
    zones[apex.map(String).join('.')] = `$TTL 300\n${lines.join('\n')}\n`;
  });
  return { zones, names: spread(dice, names) };
}

function nearestApex(name: Name): Name | undefined {
  return APEXES.filter((apex) => isBelow(name, apex)).sort((a, b) => b.length - a.length)[0];
}

/** Owners of one zone; a CNAME has no other data. */
function ownersOf(dice: Dice, apex: Name): Owner[] {
  const found = new Map<string, Owner>();
  const parents: Name[] = [apex];
  while (found.size < OWNERS_A_ZONE) {
    const name = lengthened(dice, dice.pick(parents));
    const key = keyOf(name);
    if (octetsOf(name) > 255 || found.has(key) || APEXES.some((each) => keyOf(each) === key)) continue;
    const isStar = name[0]?.equals(STAR) ?? false;
    const isOccluded = nearestApex(name) !== apex;
    // NSD answers from such a wildcard and makes glue from it, Knot makes glue: zones.ts has one.
    if (isStar && isOccluded) continue;
    const roll = dice.below(100);
    // A DNAME or a cut there would hide a zone; below a child's apex NSD assigns them to the child.
    const isPlain = APEXES.some((each) => isBelow(each, name)) || isOccluded;
    const kind = roll < 22 ? 'cname' : isStar || isPlain || roll < 84 ? 'data' : roll < 91 ? 'dname' : 'cut';
    found.set(key, { name, kind });
    // Most names below a cut or a DNAME are hidden.
    if (parents.length < 60 && (kind === 'data' || kind === 'cname' || dice.chance(0.2))) parents.push(name);
  }
  return [...found.values()];
}

/**
 * Leaves out names below a DNAME, also in a parent zone: NSD, which has one tree for all zones, does not start with
 * one.
 */
function withoutHidden(owners: readonly (readonly Owner[])[]): Owner[][] {
  const dnames = owners.flat().filter(({ kind }) => kind === 'dname');
  const isHidden = ({ name }: Owner): boolean =>
    dnames.some((dname) => name.length > dname.name.length && isBelow(name, dname.name));
  return owners.map((each) => each.filter((owner) => !isHidden(owner)));
}

/** One to three more labels. */
function lengthened(dice: Dice, name: Name): Name {
  let longer = name;
  do {
    const label = dice.chance(0.15) ? STAR : dice.chance(0.2) ? dice.pick(ODD) : dice.pick(SMALL);
    const left = 255 - octetsOf(longer) - 1;
    if (left < 1) break;
    // Sometimes as long as a name can be.
    const exact = dice.chance(0.02) && left < 64 ? Buffer.alloc(left, 'e') : label;
    if (exact.length > left) break;
    longer = [exact, ...longer];
  } while (dice.chance(0.3));
  return longer;
}

function delegation(dice: Dice, name: Name, target: () => Name): string[] {
  const lines: string[] = [];
  for (let server = dice.below(3); server >= 0; server--) {
    // In the child (mostly glue), or elsewhere: beside it, in another delegation, in another zone.
    const isOwn = dice.chance(0.6) && octetsOf(name) < 250;
    const host = isOwn ? [Buffer.from(`n${server}`), ...name] : target();
    lines.push(`${textOf(name)} NS ${textOf(host)}`);
    if (!isOwn || dice.chance(0.2)) continue;
    if (dice.chance(0.9)) lines.push(`${textOf(host)} A 192.0.2.${dice.below(200)}`);
    if (dice.chance(0.4)) lines.push(`${textOf(host)} AAAA 2001:db8::${dice.below(9000)}`);
  }
  if (dice.chance(0.3)) lines.push(`${textOf(name)} DS ${dice.below(60_000)} 13 2 ${'ab'.repeat(32)}`);
  if (dice.chance(0.1)) lines.push(`${textOf(name)} TXT hidden`);
  return lines;
}

function dataOf(dice: Dice, name: Name, target: () => Name): string[] {
  const owner = textOf(name);
  const lines: string[] = [];
  const kinds = dice.sample(
    ['A', 'AAAA', 'TXT', 'MX', 'SRV', 'TYPE65400', 'CAA', 'HTTPS', 'PTR', 'NAPTR', 'big', 'many'],
    dice.below(3) + 1,
  );
  const ttl = dice.pick(['', ' 0', ' 2147483647', ' 77']);
  for (const kind of kinds) {
    if (kind === 'big') {
      // Around every size limit of a message.
      const strings = dice.pick([180, 400, 440, 900, 1100, 1150, 1180, 1300, 3000]);
      const parts = Array.from(
        { length: Math.ceil(strings / 200) },
        (_, i) => `"${'t'.repeat(Math.min(200, strings - i * 200))}"`,
      );
      if (!kinds.includes('TXT')) lines.push(`${owner}${ttl} TXT ${parts.join(' ')}`);
    } else if (kind === 'many') {
      const count = dice.pick([12, 27, 28, 29, 30, 70, 71, 72, 73, 74, 75, 120]);
      if (kinds.includes('A')) continue;
      for (let i = 0; i < count; i++) lines.push(`${owner}${ttl} A 198.51.100.${i}`);
    } else {
      for (let n = dice.below(3); n >= 0; n--) lines.push(`${owner}${ttl} ${kind} ${value(dice, kind, target)}`);
    }
  }
  return [...new Set(lines)];
}

function value(dice: Dice, kind: string, target: () => Name): string {
  const number = dice.below(9);
  switch (kind) {
    case 'A':
      return `192.0.2.${number}`;
    case 'AAAA':
      return `2001:db8::${number}`;
    case 'MX':
      return `${number} ${textOf(target())}`;
    case 'SRV':
      return `${number} 0 5060 ${textOf(target())}`;
    case 'PTR':
      return textOf(target());
    case 'HTTPS':
      return `${number + 1} ${textOf(target())} alpn=h2`;
    case 'NAPTR':
      return `${number} 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" ${textOf(target())}`;
    case 'CAA':
      return `${number} issue "ca${number}.example.net"`;
    case 'TYPE65400':
      return `\\# 2 00${number}${number}`;
    default:
      return `"text ${number}"`;
  }
}

/** The names, the names above each, a name below each that does not exist, and its wildcard. */
function spread(dice: Dice, names: readonly { readonly name: Name; readonly types: readonly number[] }[]): Asked[] {
  const found = new Map<string, Asked>();
  for (const { name, types } of names) {
    const add = (near: Name): void => {
      if (octetsOf(near) <= 255) found.set(keyOf(near), { name: wireOf(near), types });
    };
    // Half of all queries are for owners.
    found.set(`${keyOf(name)} itself`, { name: wireOf(name), types });
    add(name.slice(1));
    add(name.slice(dice.below(name.length)));
    add([Buffer.from('nope'), ...name]);
    add([STAR, ...name]);
    add([Buffer.from('nope'), ...name.slice(1)]);
    add([STAR, ...name.slice(1)]);
    if (name[0]?.equals(STAR)) add([Buffer.from('deep'), Buffer.from('er'), ...name.slice(1)]);
    add(lengthened(dice, name));
    add(lengthened(dice, lengthened(dice, name)));
    const left = 255 - octetsOf(name);
    // As long as possible: a DNAME on the way makes it too long.
    if (left > 1 && left <= 64) add([Buffer.alloc(left - 1, 'z'), ...name]);
    else if (left > 66) add([Buffer.alloc(63, 'z'), Buffer.alloc(Math.min(63, left - 65), 'y'), ...name]);
  }
  // Owners are last, so that their own types count.
  for (const { name, types } of names) found.set(keyOf(name), { name: wireOf(name), types });
  return [...found.values()];
}
