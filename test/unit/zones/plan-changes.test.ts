/**
 * Random sequences of changed services: a plan that takes over maps of the plan before has the octets of a plan that is
 * compiled from scratch.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createPartStore } from '../../../zones/image/part-store.ts';
import { loadGeneration, loadWorld, type World } from '../../../zones/load-generation.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { folderOf } from '../../support/pharos.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../support/random.ts';

const REGIONS = ['seoul', 'tokyo', 'paris', 'lima'];
const COUNTRIES = ['KR', 'JP', 'FR', 'PE', 'US'];
const DATABASE = writeMmdb(
  COUNTRIES.map((iso_code, index) => [`${20 + index}.0.0.0/8`, { country: { iso_code } }] as const),
);

function pharos(dice: Dice): string {
  const at = REGIONS.map((region) => `  ${region}: { at: ${dice.chance(0.9) ? 'KR' : dice.pick(COUNTRIES)} }`);
  const networks = dice.chance(0.3) ? ', networks: { 10.0.0.0/8: KR }' : '';
  return `geo: { databases: [geo.mmdb]${networks} }\nregions:\n${at.join('\n')}\n`;
}

function step(dice: Dice): string {
  const to = (): string => `[${dice.sample(REGIONS, 1 + dice.below(3)).join(', ')}]`;
  const keys = dice.sample([...COUNTRIES, '20.1.0.0/16', '"2001:db8::/32"'], 1 + dice.below(4));
  const geo = (): string => `geo: { ${keys.map((key) => `${key}: ${to()}`).join(', ')}, default: ${to()} }`;
  const nearest = (): string => `nearest: { bias: { ${dice.pick(REGIONS)}: ${dice.below(50)} } }`;
  return dice.chance(0.6) ? geo() : nearest();
}

function zoneText(dice: Dice, apex: string, steps: readonly string[]): string {
  const services = Array.from({ length: 1 + dice.below(3) }, (_, index) => {
    const vips = dice
      .sample(REGIONS, 2 + dice.below(3))
      .map(
        (region, at) =>
          `v${at}: { region: ${region}, A: 192.0.2.${dice.below(9)}${dice.chance(0.3) ? ', AAAA: "2001:db8::1"' : ''} }`,
      );
    return `  s${index}: { vips: { ${vips.join(', ')} }, steer: [{ ${dice.pick(steps)} }] }`;
  });
  return `zone: ${apex}\nnameservers: [ns.example.net.]\nsoa: { serial: 7 }\nservices:\n${services.join('\n')}\n`;
}

test('the octets are those of a plan from scratch', () => {
  const dice = createDice(printedSeed('changed services'));
  // Few, so that services with other regions often have the same steps.
  const steps = Array.from({ length: 3 }, () => step(dice));
  const apexes = ['a.test', 'b.test', 'c.test', 'd.test'];
  using folder = folderOf({
    'geo.mmdb': DATABASE,
    'pharos.yaml': pharos(dice),
    ...Object.fromEntries(apexes.map((apex) => [`zones/${apex}.yaml`, zoneText(dice, apex, steps)])),
  });
  const input = { file: undefined, cwd: folder.path, env: {}, cores: 1 };
  const store = createPartStore((octets) => new SharedArrayBuffer(octets));
  let world: World | undefined;
  const reused = { all: 0, maps: 0 };
  for (let round = 0; round < trials(25); round++) {
    const before = world;
    const outcome = loadWorld(input, store, before);
    const scratch = loadGeneration(input);
    // A random zone may name a region that none of its VIPs has.
    if (!outcome.ok || !scratch.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    ({ world } = outcome.value);
    const [plan, wanted] = [world, { generation: scratch.value }].map((of) => Buffer.from(of.generation.image.plan));
    // Not toEqual, which takes seconds for some megabytes.
    expect(wanted && plan?.equals(wanted), `round ${round}`).toBe(true);
    expect(world.generation.catalog).toEqual(scratch.value.catalog);
    expect(outcome.diagnostics).toEqual(scratch.diagnostics);
    for (const [key, { orderings }] of world.plan.maps) {
      reused.all++;
      if (before?.plan.maps.get(key)?.orderings === orderings) reused.maps++;
    }
    if (dice.chance(0.1)) writeFileSync(join(folder.path, 'pharos.yaml'), pharos(dice));
    const apex = dice.pick(apexes);
    writeFileSync(join(folder.path, `zones/${apex}.yaml`), zoneText(dice, apex, steps));
  }
  expect(reused.maps).toBeGreaterThan(moreThan(reused.all / 4));
});
