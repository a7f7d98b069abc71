/**
 * Compares a zone that is changed in place with the same records compiled, over random changes.
 */
import { expect, test } from 'vitest';
import { canonical, formatName, parseName } from '../../../../wire/name.ts';
import { formatRdata, parseRdataText } from '../../../../wire/rdata.ts';
import { TYPE, typeNumber, typeText } from '../../../../wire/types.ts';
import { nameOfNode } from '../../../../zones/image/change-rows.ts';
import { createZoneChanger, type ChangedName } from '../../../../zones/image/change-zone.ts';
import { decodeNode } from '../../../../zones/image/decode-rrset.ts';
import { createSearch, zoneNodes, search } from '../../../../zones/image/find-node.ts';
import { headOf, viewImage, type Image } from '../../../../zones/image/image.ts';
import { answeringFrom, load, NO_GEOGRAPHY, type Answering, type Files } from '../../../support/pharos.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../../support/random.ts';

const APEX = parseName('ex.');
const TYPES = ['A', 'AAAA', 'TXT', 'MX', 'SRV', 'HTTPS', 'CNAME', 'NS', 'DS', 'SOA', 'DNAME'] as const;
/** Records by type, of each owner, relative to the apex. */
type Records = Map<string, Map<string, readonly string[]>>;

function randomOwner(dice: Dice): string {
  return Array.from({ length: 1 + dice.below(3) }, () => dice.pick(['a', 'b', 'c', 'd', '*'])).join('.');
}

function randomData(dice: Dice, type: string): string {
  const target = (): string => dice.pick([`${randomOwner(dice)}.ex.`, 'a.ex.', 'ex.', 'sub.ex.', 'x.sub.ex.', 'child.ex.', 'out.example.']); // prettier-ignore
  switch (type) {
    case 'A':
      return `192.0.2.${dice.below(250)}`;
    case 'AAAA':
      return `2001:db8::${(1 + dice.below(250)).toString(16)}`;
    case 'MX':
      return `10 ${target()}`;
    case 'SRV':
      return `1 1 53 ${target()}`;
    case 'HTTPS':
      return `1 ${dice.pick(['.', target()])} alpn=h2`;
    case 'CNAME':
    case 'NS':
    case 'DNAME':
      return target();
    default:
      return `"${dice.below(1000)}"`;
  }
}

/** Records of one owner: none, a CNAME, or several types. */
function randomSets(dice: Dice): Map<string, readonly string[]> {
  if (dice.below(4) === 0) return new Map();
  if (dice.below(8) === 0) return new Map([['CNAME', [randomData(dice, 'CNAME')]]]);
  const types = Array.from({ length: 1 + dice.below(3) }, () => dice.pick(['A', 'A', 'AAAA', 'TXT', 'MX', 'SRV', 'HTTPS'])); // prettier-ignore
  return new Map(types.map((type) => [type, [...new Set([randomData(dice, type), randomData(dice, type)])]]));
}

function randomRecords(dice: Dice): Records {
  const records: Records = new Map();
  for (let n = dice.below(8); n > 0; n--) {
    const sets = randomSets(dice);
    if (sets.size > 0) records.set(randomOwner(dice), sets);
  }
  records.set('sub', new Map([['NS', ['ns.sub', ...(dice.below(2) === 0 ? ['a.ex.'] : [])]]]));
  records.set('ns.sub', new Map([['A', ['192.0.2.99']]]));
  if (dice.below(2) === 0) records.set('moved', new Map([['DNAME', ['a.ex.']]]));
  return records;
}

function filesOf(records: Records, serial: number): Files {
  const lines = [...records].map(
    ([owner, sets]) =>
      `  "${owner}": { ttl: 60, ${[...sets].map(([type, data]) => `${type}: [${data.map((each) => JSON.stringify(each)).join(', ')}]`).join(', ')} }\n`,
  );
  return {
    ...NO_GEOGRAPHY,
    'pharos.yaml': 'geo: { databases: [small.mmdb] }\ntransfer: { keys: { k: { algorithm: hmac-sha256, secret: "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" } } }\nupdates: [{ key: k }]\n', // prettier-ignore
    'zones/ex.yaml': `zone: ex\nnameservers: [ns.out.example., a]\nsoa: { serial: ${serial} }\nservices: { svc: { vips: { one: { A: 192.0.2.200 } } }, d.svc.b: { vips: { one: { A: 192.0.2.201 } } } }\nrecords:\n${lines.join('')}`,
    'zones/child.ex.yaml':
      'zone: child.ex\nnameservers: [ns.out.example.]\nsoa: { serial: 1 }\nrecords: { a: { A: 192.0.2.7 } }\n',
  };
}

function changeOf(owner: string, sets: ReadonlyMap<string, readonly string[]>, dice: Dice): ChangedName {
  const typed = [...sets].map(([text, data]) => {
    const type = typeNumber(text) ?? 0;
    return [type, { ttlSeconds: 60, data: data.map((each) => parseRdataText(type, each, APEX)) }] as const;
  });
  return { name: canonical(parseName(`${owner}.ex.`)), sets: new Map(dice.below(2) === 0 ? typed : typed.reverse()) };
}

/** A response without the order of records, which the order of changes decides. */
function askSorted(server: Answering, name: string, type: number): unknown {
  const rest = server.ask(name, type, { overTcp: true });
  const sorted = (list: readonly unknown[]): unknown => list.map((each) => JSON.stringify(each)).sort();
  return {
    ...rest,
    answer: sorted(rest.answer),
    authority: sorted(rest.authority),
    additional: sorted(rest.additional),
  };
}

/** All records of the zone, as a transfer finds them. */
function recordsOf(image: Image): string[] {
  const target = createSearch(APEX);
  search(image, target);
  return [...zoneNodes(image.words, target.zone, headOf(image.words, target.zone))]
    .flatMap((node) =>
      [...decodeNode(image, APEX, node)].flatMap(([type, { ttlSeconds, data }]) =>
        data.map(
          (each) => `${formatName(nameOfNode(image, node))} ${ttlSeconds} ${typeText(type)} ${formatRdata(type, each)}`,
        ),
      ),
    )
    .sort();
}

test('a zone that was changed in place answers as the same records compiled', () => {
  const dice = createDice(printedSeed('changes in place'));
  const done = { inPlace: 0, refused: 0 };
  for (let round = trials(60); round > 0; round--) {
    const records = randomRecords(dice);
    let serial = 5;
    let server = answeringFrom(load(filesOf(records, serial)));
    for (let step = 0; step < 8; step++) {
      serial++;
      const owners = Array.from({ length: 1 + dice.below(3) }, () => dice.pick([randomOwner(dice), ...records.keys()]));
      const changed = [...new Set(owners)].filter((owner) => !owner.includes('sub') && owner !== 'moved');
      const changes = changed.map((owner) => {
        const sets = randomSets(dice);
        if (sets.size === 0) records.delete(owner);
        else records.set(owner, sets);
        return changeOf(owner, sets, dice);
      });
      const image = viewImage(server.generation.image, server.generation.atlas);
      const target = createSearch(APEX);
      search(image, target);
      const compiled = answeringFrom(load(filesOf(records, serial)));
      if (createZoneChanger(image, target.zone)?.change(changes, serial) !== true) {
        done.refused++;
        server = compiled;
        continue;
      }
      done.inPlace++;
      const told = JSON.stringify([...records].map(([owner, sets]) => [owner, ...sets]));
      expect(recordsOf(image), told).toEqual(
        recordsOf(viewImage(compiled.generation.image, compiled.generation.atlas)),
      );
      for (let n = 0; n < 40; n++) {
        const near = `${dice.pick([...records.keys(), randomOwner(dice)])}.ex.`;
        const name = dice.pick([near, near, `d.${near}`, near.slice(near.indexOf('.') + 1), 'ex.', `x.y.${near}`]);
        const type = dice.pick(TYPES);
        const asked = typeNumber(type) ?? 0;
        expect(askSorted(server, name, asked), `${name} ${type}\n${told}\n${JSON.stringify(changed)}`).toEqual(askSorted(compiled, name, asked)); // prettier-ignore
      }
    }
  }
  console.log(`in place ${done.inPlace}, refused ${done.refused}`);
  expect(done.inPlace).toBeGreaterThan(moreThan(100));
});

test('a pointer to a name without records follows a wildcard when the name goes and comes back', () => {
  const sets = new Map([['A', ['192.0.2.4']]]);
  const below: Records = new Map([['c.b.a', sets]]);
  const wild: Records = new Map([['*', sets]]);
  for (const [from, to] of [
    [below, wild],
    [wild, new Map([...wild, ...below])],
    [new Map([...wild, ...below]), wild],
  ] as const) {
    // prettier-ignore
    const server = answeringFrom(load(filesOf(from, 1)));
    const image = viewImage(server.generation.image, server.generation.atlas);
    const target = createSearch(APEX);
    search(image, target);
    const owners = [...new Set([...from.keys(), ...to.keys()])];
    const changes = owners.map((owner) => changeOf(owner, to.get(owner) ?? new Map(), createDice(1)));
    // Refused: the compiler does it, and the server still answers as before.
    const isInPlace = createZoneChanger(image, target.zone)?.change(changes, 2);
    const expected = answeringFrom(load(filesOf(isInPlace ? to : from, isInPlace ? 2 : 1)));
    expect(askSorted(server, 'ex.', TYPE.NS)).toEqual(askSorted(expected, 'ex.', TYPE.NS));
  }
});
