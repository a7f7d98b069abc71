/**
 * Compares the compiled look-up with the simple one, over random small zones, section by section.
 */
import { expect, test } from 'vitest';
import { formatAddress } from '../../../../wire/address.ts';
import { readName, T, type DecodedMessage, type DecodedRecord } from '../../../support/message.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering } from '../../../support/pharos.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../../support/random.ts';
import { isAt, lookup, parentOf, type RefRecord, type RefResponse, type RefZone } from '../lookup-reference.ts';

const WORLDS = trials(250);
const QUERIES = 80;
const APEXES = ['ex.', 'a.ex.', 'b.a.ex.', 'c.ex.'];
const TYPES = ['A', 'AAAA', 'TXT', 'MX', 'NS', 'DS', 'CNAME', 'SOA', 'DNAME', 'ANY'] as const;

function randomName(dice: Dice, zone: string): string {
  const labels = Array.from({ length: dice.below(4) }, () => dice.pick(['a', 'b', 'c', 'd', '*']));
  return `${[...labels, ''].join('.')}${zone}`;
}

/** Records that `pharos check` accepts: conflicting ones are left out as they come. */
function randomZone(dice: Dice, apex: string): RefZone {
  const sets = new Map<string, Map<string, string[]>>();
  const ttls = new Map<string, number>();
  const target = (): string => randomName(dice, dice.pick([...APEXES, 'example.net.']));
  for (let n = dice.below(12); n >= 0; n--) {
    const owner = randomName(dice, apex);
    if (!ttls.has(owner)) ttls.set(owner, 1 + dice.below(500));
    const set = sets.get(owner) ?? new Map<string, string[]>();
    const type = dice.pick(['A', 'A', 'AAAA', 'TXT', 'MX', 'CNAME', 'CNAME', 'NS', 'NS', 'DS', 'DNAME']);
    const isWild = owner.startsWith('*');
    if (set.has('CNAME') || (type === 'CNAME' && (set.size > 0 || owner === apex))) continue;
    if ((type === 'NS' || type === 'DS') && (isWild || owner === apex || set.has('DNAME'))) continue;
    if (
      type === 'DNAME' &&
      (isWild ||
        set.has('NS') ||
        set.has('DS') ||
        [...sets.keys()].some((other) => other !== owner && isAt(other, owner)))
    )
      continue;
    if ([...sets].some(([other, types]) => types.has('DNAME') && other !== owner && isAt(owner, other))) continue;
    const data: Readonly<Record<string, () => string>> = {
      A: () => `192.0.2.${dice.below(250)}`,
      AAAA: () => `2001:db8::${(1 + dice.below(250)).toString(16)}`,
      TXT: () => String(dice.below(1000)),
      MX: () => `10 ${target()}`,
      DS: () => `${dice.below(60_000)} 13 2 ${'ab'.repeat(32)}`,
    };
    const one = data[type] ?? target;
    const values = type === 'CNAME' || type === 'DNAME' ? [one()] : [...new Set([one(), one()])];
    if (!set.has(type)) set.set(type, values);
    sets.set(owner, set);
  }
  const records = [...sets].flatMap(([owner, types]) =>
    [...types].flatMap(([type, values]) =>
      values.map((data): RefRecord => ({ owner, type, ttl: ttls.get(owner) ?? 0, data })),
    ),
  );
  const apexNs = target();
  const negativeTtl = 1 + dice.below(299);
  return {
    apex,
    negativeTtl,
    records: [
      { owner: apex, type: 'SOA', ttl: 300, data: '' },
      { owner: apex, type: 'NS', ttl: 300, data: apexNs },
      ...records,
    ],
  };
}

function yamlOf({ apex, records, negativeTtl }: RefZone): string {
  const owners = new Map<string, RefRecord[]>();
  for (const record of records.slice(2)) owners.set(record.owner, [...(owners.get(record.owner) ?? []), record]);
  const lines = [...owners].map(([owner, list]) => {
    const types = [...new Set(list.map(({ type }) => type))].map(
      (type) =>
        `${type}: [${list
          .filter((record) => record.type === type)
          .map(({ data }) => JSON.stringify(data))
          .join(', ')}]`,
    );
    return `  "${owner}": { ttl: ${list[0]?.ttl ?? 0}, ${types.join(', ')} }`;
  });
  const head = [
    `zone: ${apex}`,
    'ttl: 300',
    `nameservers: ["${records[1]?.data ?? ''}"]`,
    `soa: { serial: 1, negative_ttl: ${negativeTtl} }`,
  ];
  return [...head, ...(lines.length > 0 ? ['records:', ...lines] : []), ''].join('\n');
}

const MNEMONIC = new Map<number, string>(Object.entries(T).map(([text, number]) => [number, text]));

/** A decoded record in the form of the reference. */
function plain(record: DecodedRecord): RefRecord {
  const type = MNEMONIC.get(record.type) ?? '';
  const bytes = Buffer.from(record.data, 'hex');
  // The decoder rejects pointers to octets before a header's end; expanded data has none.
  const nameAt = (at: number): string => readName(Buffer.concat([Buffer.alloc(12), bytes]), 12 + at).name;
  const data: Readonly<Record<string, () => string>> = {
    A: () => formatAddress(bytes),
    AAAA: () => formatAddress(bytes),
    TXT: () => bytes.toString('latin1', 1),
    MX: () => `${bytes.readUInt16BE(0)} ${nameAt(2)}`,
    DS: () => `${bytes.readUInt16BE(0)} ${bytes[2] ?? 0} ${bytes[3] ?? 0} ${bytes.toString('hex', 4)}`,
    SOA: () => '',
  };
  const text = (data[type] ?? (() => nameAt(0)))();
  return { owner: record.name, type, ttl: record.ttl, data: text };
}

const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

function lines(records: readonly RefRecord[]): string[] {
  return records.map(({ owner, type, ttl, data }) => `${owner} ${ttl} ${type} ${data}`).sort();
}

function comparable(response: RefResponse): unknown {
  const { rcode, aa, answer, authority, additional } = response;
  return { rcode, aa, answer: lines(answer), authority: lines(authority), additional: lines(additional) };
}

function read({ rcode, aa, answer, authority, additional }: DecodedMessage): unknown {
  return comparable({
    rcode: (RCODES[rcode] ?? rcode) as RefResponse['rcode'],
    aa,
    answer: answer.map(plain),
    authority: authority.map(plain),
    additional: additional.map(plain),
  });
}

test('every section is what RFC 1034 4.3.2 gives', () => {
  const dice = createDice(printedSeed('lookup against its reference'));
  const database = writeMmdb([['1.0.0.0/8', { country: { iso_code: 'KR' } }]]);
  const met = new Map<string, number>();
  for (let world = 0; world < WORLDS; world++) {
    const zones = ['ex.', ...dice.sample(APEXES.slice(1), dice.below(4))].map((apex) => randomZone(dice, apex));
    const files = Object.fromEntries(zones.map((zone) => [`zones/${zone.apex}yaml`, yamlOf(zone)]));
    const server = answering({ ...files, 'pharos.yaml': 'geo: { databases: [place.mmdb] }\n', 'place.mmdb': database });
    const owners = zones.flatMap(({ records }) => records.map(({ owner }) => owner));
    for (let query = 0; query < QUERIES; query++) {
      const near = dice.pick(owners);
      const name = dice.pick([
        near,
        near,
        parentOf(near) || 'ex.',
        `a.${near}`,
        `d.c.${near}`,
        randomName(dice, dice.pick(APEXES)),
        'example.net.',
      ]);
      const type = dice.pick(TYPES);
      const response = server.ask(name, T[type], { overTcp: true });
      const expected = lookup(zones, name, type);
      if (type === 'ANY') {
        // RFC 8482 4.1: one of the existing RRsets, with its additional data.
        const served = new Set(
          response.answer
            .slice(expected.answer.findLastIndex(({ type: each }) => each === 'CNAME') + 1)
            .map((record) => record.type),
        );
        if (expected.answer.length > 0 && served.size <= 1) {
          const kept = response.answer.map(plain).map(({ type: each }) => each);
          expected.answer = expected.answer.filter((record) => kept.includes(record.type));
          expected.additional = response.additional.map(plain);
        }
      }
      const told = `${name} ${type}\n${Object.values(files).join('\n')}`;
      expect(read(response), told).toEqual(comparable(expected));
      const kind = [expected.rcode, expected.aa, expected.answer.length > 0, expected.authority[0]?.type].join();
      met.set(kind, (met.get(kind) ?? 0) + 1);
    }
  }
  // Positive, NODATA, NXDOMAIN, referral and REFUSED; chains into a negative answer and into a referral.
  for (const kind of [
    'NOERROR,true,true,',
    'NOERROR,true,false,SOA',
    'NXDOMAIN,true,false,SOA',
    'NOERROR,false,false,NS',
    'REFUSED,false,false,',
    'NXDOMAIN,true,true,SOA',
    'NOERROR,true,true,NS',
  ]) {
    expect(met.get(kind) ?? 0, kind).toBeGreaterThan(moreThan(3));
  }
});
