/**
 * ALIAS: random zones whose aliases lead along CNAMEs, DNAMEs, wildcards and other aliases, beside a slow reference;
 * each change of a file is loaded over the last generation, and from scratch. Then mistakes, signed zones and
 * transfers.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createPartStore } from '../../../zones/image/part-store.ts';
import { loadGeneration, loadWorld, type LoadedGeneration, type World } from '../../../zones/load-generation.ts';
import { T } from '../../support/message.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../support/random.ts';

/** `value`: of CNAME, DNAME and ALIAS a whole name; of a service and of A the addresses. */
type Entry = { readonly kind: 'A' | 'CNAME' | 'DNAME' | 'ALIAS' | 'NS' | 'service'; readonly ttl: number; readonly value: string }; // prettier-ignore
type RefZones = ReadonlyMap<string, ReadonlyMap<string, Entry>>;

const APEXES = ['ex', 'sub.ex', 'org'];
const LABELS = ['a', 'b', 'c', 'w', 'd'];
const nameIn = (dice: Dice, apex: string): string =>
  dice.chance(0.15) ? apex : [...Array.from({ length: 1 + dice.below(2) }, () => dice.pick(LABELS)), apex].join('.');

function zoneOf(dice: Dice, apex: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const owners = new Set(Array.from({ length: 14 }, () => nameIn(dice, apex)));
  if (dice.chance(0.6)) owners.add(`*.${dice.pick(LABELS)}.${apex}`);
  for (const owner of owners) {
    const ttl = 10 + dice.below(90);
    const target = dice.chance(0.1) ? `x.${nameIn(dice, dice.pick(APEXES))}` : nameIn(dice, dice.pick(APEXES));
    const kinds = owner === apex ? (['ALIAS', 'A', 'service'] as const) : (['A', 'A', 'CNAME', 'ALIAS', 'ALIAS', 'service', 'NS', 'DNAME'] as const); // prettier-ignore
    const kind = dice.pick(kinds);
    const isWild = owner.startsWith('*');
    const fits = isWild && (kind === 'NS' || kind === 'DNAME') ? 'A' : kind;
    const isAddress = fits === 'A' || fits === 'service';
    entries.set(owner, { kind: fits, ttl, value: isAddress ? `192.0.2.${dice.below(250)}` : target });
  }
  // Nothing may be below a DNAME, and steered names at or below a delegation are refused.
  for (const owner of entries.keys()) {
    const isHidden = [...entries].some(([above, { kind }]) => (kind === 'DNAME' || kind === 'NS') && owner.endsWith(`.${above}`)); // prettier-ignore
    if (isHidden) entries.delete(owner);
  }
  return entries;
}

function yamlOf(apex: string, entries: ReadonlyMap<string, Entry>): string {
  const lines = [
    `zone: ${apex}`,
    'nameservers: [ns.example.net.]',
    'soa: { serial: 7 }',
    'records:',
    '  zz: { TXT: x }',
  ];
  const services: string[] = [];
  for (const [owner, { kind, ttl, value }] of entries) {
    if (kind === 'service') services.push(`  "${owner}.": { ttl: ${ttl}, answers: all, vips: { v: { A: ${value} } } }`);
    else if (kind === 'A') lines.push(`  "${owner}.": { ttl: ${ttl}, A: ${value} }`);
    else lines.push(`  "${owner}.": { ttl: ${ttl}, ${kind}: ${value}. }`);
  }
  return [...lines, ...(services.length > 0 ? ['services:', ...services] : []), ''].join('\n');
}

/** The addresses of an alias with the least TTL on the way, or nothing: from the documentation, by looking at all. */
function follow(zones: RefZones, owner: string, alias: Entry): string {
  let { ttl, value: name } = alias;
  const seen = new Set([owner]);
  for (let links = 0; links < 8; links++) {
    if (seen.has(name)) return '';
    seen.add(name);
    const isIn = (apex: string): boolean => name === apex || name.endsWith(`.${apex}`);
    const apex = [...zones.keys()].filter(isIn).sort((one, other) => other.length - one.length)[0];
    if (apex === undefined) return '';
    const zone = zones.get(apex) ?? new Map<string, Entry>();
    const at = (each: string): Entry | undefined => zone.get(each);
    const above: string[] = [];
    for (let each = name; each !== apex; each = each.slice(each.indexOf('.') + 1)) above.push(each);
    const cut = above.find((each) => at(each)?.kind === 'NS');
    const dname = above.slice(1).find((each) => at(each)?.kind === 'DNAME');
    if (cut !== undefined) return '';
    if (dname !== undefined) {
      ttl = Math.min(ttl, at(dname)?.ttl ?? 0);
      name = `${name.slice(0, -dname.length)}${at(dname)?.value ?? ''}`;
      continue;
    }
    const exists = (each: string): boolean => [...zone.keys(), `zz.${apex}`, apex].some((owner) => owner === each || owner.endsWith(`.${each}`)); // prettier-ignore
    let entry = at(name);
    if (!entry && !exists(name)) {
      const encloser = [...above.slice(1), apex].find(exists) ?? apex;
      entry = at(`*.${encloser}`);
    }
    if (!entry) return '';
    if (entry.kind === 'service') return `${entry.ttl} ${entry.value}`;
    if (entry.kind === 'A') return `${Math.min(ttl, entry.ttl)} ${entry.value}`;
    if (entry.kind !== 'CNAME' && entry.kind !== 'ALIAS') return '';
    ttl = Math.min(ttl, entry.ttl);
    name = entry.value;
  }
  return '';
}

function answersOf(generation: LoadedGeneration, owners: readonly string[]): string[] {
  const served = answeringFrom(generation);
  return owners.map((owner) => {
    const asked = owner.replace('*', 'any');
    const { answer } = served.ask(asked, T.A);
    return answer.map(({ name, ttl, data }) => `${name === `${asked}.` ? '' : name}${ttl} ${[...Buffer.from(data, 'hex')].join('.')}`).join(); // prettier-ignore
  });
}

const apexOf = (owner: string): string =>
  APEXES.toSorted((one, other) => other.length - one.length).find((each) => owner === each || owner.endsWith(`.${each}`)) ?? ''; // prettier-ignore

/** Removes the aliases of which the files would be refused, all of which lead nowhere. */
function loadable(cwd: string, zones: ReadonlyMap<string, Map<string, Entry>>): LoadedGeneration {
  for (;;) {
    for (const [apex, entries] of zones) writeFileSync(join(cwd, 'zones', `${apex}.yaml`), yamlOf(apex, entries));
    const outcome = loadGeneration({ file: undefined, cwd, env: {}, cores: 1 });
    if (outcome.ok) return outcome.value;
    for (const { code, message, severity } of outcome.diagnostics) {
      if (severity !== 'error') continue;
      expect(code, message).toBe('PH452');
      const owner = /ALIAS of (\S+) leads/.exec(message)?.[1] ?? '';
      const entry = zones.get(apexOf(owner))?.get(owner);
      if (entry) expect(follow(zones, owner, entry), message).toBe('');
      zones.get(apexOf(owner))?.delete(owner);
    }
  }
}

test('aliases answer as the reference says, over changes of files too', () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
  const dice = createDice(printedSeed('aliases'));
  let [followed, led] = [0, 0];
  for (let run = 0; run < trials(8); run++) {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/x.yaml': 'zone: x\nnameservers: [ns.example.net.]\n' });
    const zones = new Map(APEXES.map((apex) => [apex, zoneOf(dice, apex)]));
    const store = createPartStore((octets) => new SharedArrayBuffer(octets));
    let world: World | undefined;
    for (let round = 0; round < 4; round++) {
      const apex = dice.pick(APEXES);
      if (round > 0) zones.set(apex, zoneOf(dice, apex));
      // Names at and below the apex of a zone belong to it.
      for (const owner of [...(zones.get('ex')?.keys() ?? [])]) if (apexOf(owner) !== 'ex') zones.get('ex')?.delete(owner); // prettier-ignore
      const scratch = loadable(folder.path, zones);
      const outcome = loadWorld({ file: undefined, cwd: folder.path, env: {}, cores: 1 }, store, world);
      if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
      ({ world } = outcome.value);
      const all = [...zones.values()].flatMap((entries) => [...entries].filter(([, { kind }]) => kind === 'ALIAS'));
      const owners = all.map(([owner]) => owner);
      const expected = all.map(([owner, entry]) => follow(zones, owner, entry));
      followed += expected.length;
      led += expected.filter((each) => each !== '').length;
      const context = [...zones].map(([each, entries]) => yamlOf(each, entries)).join('\n');
      expect(answersOf(scratch, owners), context).toEqual(expected);
      expect(answersOf(world.generation, owners), context).toEqual(expected);
      expect(world.generation.catalog).toEqual(scratch.catalog);
    }
  }
  vi.useRealTimers();
  expect(led).toBeGreaterThan(moreThan(followed / 10));
});
