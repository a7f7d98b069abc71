/**
 * Shared maps: a service that uses one steers as a service that states the same map itself, which is the reference.
 */
import { serialize } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { formatPlace, type Diagnostic } from '../../../config/diagnostics.ts';
import { whyStep } from '../../../server/explain/explain-step.ts';
import { loadGeneration, type LoadedGeneration } from '../../../zones/load-generation.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { folderOf } from '../../support/pharos.ts';
import { createDice, printedSeed, trials, type Dice } from '../../support/random.ts';

const REGIONS = ['seoul', 'tokyo', 'paris', 'lima'];
const COUNTRIES = ['KR', 'JP', 'FR', 'PE', 'US'];
const DATABASE = writeMmdb(
  COUNTRIES.map((iso_code, index) => [`${20 + index}.0.0.0/8`, { country: { iso_code } }] as const),
);
const HEAD = `geo: { databases: [geo.mmdb] }\nregions: { ${REGIONS.map((name) => `${name}: { at: KR }`).join(', ')} }\n`;
const zone = (apex: string, more: string): string =>
  `zone: ${apex}\nnameservers: [ns.example.net.]\nsoa: { serial: 7 }\n${more}`;

function load(files: Readonly<Record<string, string>>): {
  readonly generation: LoadedGeneration | undefined;
  readonly diagnostics: readonly Diagnostic[];
} {
  using folder = folderOf({ 'geo.mmdb': DATABASE, ...files });
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  return { generation: outcome.ok ? outcome.value : undefined, diagnostics: outcome.diagnostics };
}

function randomMap(dice: Dice): string {
  const to = (): string => `[${dice.sample(REGIONS, 1 + dice.below(3)).join(', ')}]`;
  const keys = dice.sample([...COUNTRIES, '20.1.0.0/16', '"2001:db8::/32"', 'asia'], 1 + dice.below(5));
  const fence = dice.chance(0.3) ? ', fence: true' : '';
  return `{ ${keys.map((key) => `${key}: ${to()}`).join(', ')}, default: ${to()}${fence} }`;
}

/** Zones with services; `step` writes the step of a map in a zone. */
function zonesOf(dice: Dice, count: number): (step: (zone: number, map: number) => string) => Record<string, string> {
  const drawn = Array.from({ length: 3 }, () =>
    Array.from({ length: 1 + dice.below(4) }, () => ({
      map: dice.below(count),
      vips: dice
        .sample(REGIONS, 2 + dice.below(3))
        .map((region, at) => `v${at}: { region: ${region}, A: 192.0.2.${at} }`),
    })),
  );
  return (step) =>
    Object.fromEntries(
      drawn.map((services, number) => {
        const lines = services.map(
          ({ map, vips }, at) => `  s${at}: { vips: { ${vips.join(', ')} }, steer: [{ geo: ${step(number, map)} }] }\n`,
        );
        return [`zones/z${number}.test.yaml`, zone(`z${number}.test`, `services:\n${lines.join('')}`)];
      }),
    );
}

test('random configurations steer as if each service stated the map', () => {
  const dice = createDice(printedSeed('shared maps'));
  for (let round = 0; round < trials(6); round++) {
    const maps = Array.from({ length: 3 }, () => randomMap(dice));
    const files = zonesOf(dice, maps.length);
    const lines = maps.map((map, number) => `  m${number}: ${map}\n`).join('');
    // One zone has its own map of a name that pharos.yaml has too.
    const own = randomMap(dice);
    const shared = files((_, map) => `$m${map}`);
    const withOwn = { ...shared, 'zones/z1.test.yaml': `${shared['zones/z1.test.yaml'] ?? ''}maps: { m0: ${own} }\n` };
    const found = load({ 'pharos.yaml': `${HEAD}maps:\n${lines}`, ...withOwn });
    const wanted = load({
      'pharos.yaml': HEAD,
      ...files((number, map) => (number === 1 && map === 0 ? own : (maps[map] ?? ''))),
    });
    expect(found.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
    const [plan, reference] = [found, wanted].map(({ generation }) =>
      Buffer.from(generation?.image.plan ?? new SharedArrayBuffer(0)),
    );
    expect(reference && reference.length > 0 && plan?.equals(reference), `round ${round}`).toBe(true);
  }
});

test('a large map with many services is there once', () => {
  const keys = Array.from({ length: 2000 }, (_, at) => `  10.${at >> 8}.${at & 255}.0/24: ${REGIONS[at % 4] ?? ''}\n`);
  const generationOf = (services: number): LoadedGeneration => {
    const lines = Array.from(
      { length: services },
      (_, at) =>
        `  s${at}: { vips: { a: { region: seoul, A: 192.0.2.1 }, b: { region: lima, A: 192.0.2.2 } }, steer: [{ geo: $big }] }\n`,
    );
    const { generation, diagnostics } = load({
      'pharos.yaml': `${HEAD}maps:\n big:\n${keys.join('')}  default: lima\n`,
      'zones/a.test.yaml': zone('a.test', `services:\n${lines.join('')}`),
      'zones/b.test.yaml': zone('b.test', `services:\n${lines.join('')}`),
    });
    if (!generation) throw new Error(JSON.stringify(diagnostics));
    return generation;
  };
  const octets = ({ catalog }: LoadedGeneration): number => serialize({ ...catalog, zones: [] }).length;
  const [few, many] = [generationOf(1), generationOf(100)];
  expect(new Set(many.catalog.services.map(({ steps }) => steps[0])).size).toBe(1);
  // A copy of the map for each service would be some 100 times as much.
  expect(octets(many) - octets(few)).toBeLessThan(octets(few));
  expect(many.image.plan.byteLength - few.image.plan.byteLength).toBeLessThan(few.image.plan.byteLength);
});

describe('mistakes', () => {
  const service = (geo: string): string =>
    `services:\n  www:\n    vips: { a: { region: seoul, A: 192.0.2.1 }, b: { region: lima, A: 192.0.2.2 } }\n    steer: [{ geo: ${geo} }]\n`;
  const WORLD = '{ KR: seoul, default: [lima, seoul] }';
  test.each<[title: string, maps: string, zoneMore: string, found: string[]]>([
    ['none', `maps: { world: ${WORLD} }`, service('$world'), []],
    ['an unknown map, with the nearest name', `maps: { world: ${WORLD} }`, service('$wrold'), ['zones/a.test.yaml:7:20 PH242 did you mean "$world"?']], // prettier-ignore
    ['an unknown map where none is defined', '', service('$world'), ['zones/a.test.yaml:7:20 PH242 none is defined']],
    ['an unknown map, used twice', '', service('$world').replace('steer: [', 'steer: [{ geo: $world }, '), ['zones/a.test.yaml:7:20 PH242 none is defined']], // prettier-ignore
    ['the name of a map without $', `maps: { world: ${WORLD} }`, service('world'), ['zones/a.test.yaml:7:20 PH212 write $world']], // prettier-ignore
    ['a key beside the name', `maps: { world: ${WORLD} }`, service('$world, fence: true'), ['zones/a.test.yaml:7:28 PH240 write the key in the map, or give the service its own map']], // prettier-ignore
    ['a name with other signs', `maps: { a/b: ${WORLD} }`, '', ['pharos.yaml:3:9 PH241 use letters, digits, "-", "_" and "."']], // prettier-ignore
    ['an unknown region, at the map only', 'maps: { world: { KR: soul, default: lima } }', service('$world'), ['pharos.yaml:3:22 PH210 did you mean "seoul"?']], // prettier-ignore
    ['no default, at the map only', 'maps: { world: { KR: seoul, JP: lima } }', service('$world'), ['pharos.yaml:3:9 PH214 add default: [...]; other clients get when_all_down, and resolvers cache "no data" for all their clients']], // prettier-ignore
    ['a fence without effect, at the map only', 'maps: { world: { default: [seoul, lima], fence: true } }', service('$world'), ['pharos.yaml:3:9 PH232 remove fence, or add default: [...]']], // prettier-ignore
    ['a map of the zone with a shared name', `maps: { world: ${WORLD} }`, `${service('$world')}maps: { world: ${WORLD} }\n`, ['zones/a.test.yaml:8:9 PH116 give it another name, or remove one of the two']], // prettier-ignore
    ['a region that only the zone defines', 'maps: { world: { default: [seoul, lima, mars] } }', `${service('$world')}regions: { mars: {} }\n`, ['pharos.yaml:3:41 PH210 known here: seoul, tokyo, paris, lima']], // prettier-ignore
    ['a region of the service that the map does not have', 'maps: { world: { default: seoul } }', service('$world'), ['zones/a.test.yaml:7:13 PH230 add the region to a key, such as default: [...], or remove the VIP']], // prettier-ignore
    ['a region of the map without VIPs is none', 'maps: { world: { JP: paris, default: [seoul, lima] } }', service('$world'), []], // prettier-ignore
    ['no value', 'maps: { world: }', service('$world'), ['pharos.yaml:3:9 PH212 such as geo: { KR: seoul, default: [virginia, seoul] }, or geo: $name for one of maps']], // prettier-ignore
    ['a list', `maps: [${WORLD}]`, '', ['pharos.yaml:3:7 PH013 write its keys below it']],
  ])('%s', (_, maps, more, expected) => {
    const { diagnostics } = load({ 'pharos.yaml': `${HEAD}${maps}\n`, 'zones/a.test.yaml': zone('a.test', more) });
    const told = diagnostics.map(({ place, code, hint = '' }) => `${formatPlace(place)} ${code} ${hint}`);
    expect(told.filter((line) => !line.includes('PH12'))).toEqual(expected);
  });
});

test('explain names the map', () => {
  const { generation } = load({
    'pharos.yaml': `${HEAD}maps: { world: { KR: seoul, default: lima } }\n`,
    'zones/a.test.yaml': zone('a.test', 'services: { www: { vips: { a: { region: seoul, A: 192.0.2.1 }, b: { region: lima, A: 192.0.2.2 } }, steer: [{ geo: $world }] } }\n'), // prettier-ignore
  });
  const step = generation?.catalog.services[0]?.steps[0];
  const { vips = [], regions = [] } = generation?.catalog ?? {};
  const why =
    step &&
    whyStep(step, {
      kept: vips.slice(0, 1),
      vips,
      regions,
      localRegions: vips.map(({ region }) => region),
      preferences: [{ region: 0, end: 1, detail: 0 }],
      weightOf: () => 1,
      client: Uint8Array.of(20, 0, 0, 1),
    });
  expect(why).toBe('map world: KR -> seoul');
});
