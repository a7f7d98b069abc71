/**
 * The rows of random signed zones, read from the image: every set that a service can answer with has its signatures,
 * unless it has more than 64 sets; and the chain of NSECs leads through all of them in canonical order, once.
 */
import { expect, test } from 'vitest';
import { makeKey } from '../../../../dnssec/key-files.ts';
import { compareCanonical, formatName, parseName, type Name } from '../../../../wire/name.ts';
import { TYPE } from '../../../../wire/types.ts';
import { createSearch, findRrset, search } from '../../../../zones/image/find-node.ts';
import { apexOf, nameAtOf, NODE, nodeWord, ROW_WORDS, viewImage, wireAtOf, ZONE, zoneWord, type Image } from '../../../../zones/image/image.ts'; // prettier-ignore
import { findSet, keyOfSet, signedPart, STATIC_KEY } from '../../../../zones/image/signed-rows.ts';
import { loadGeneration } from '../../../../zones/load-generation.ts';
import { folderOf, NO_GEOGRAPHY } from '../../../support/pharos.ts';
import { randomZone } from '../../../support/random-zone.ts';
import { createDice, moreThan, printedSeed, trials, type Dice } from '../../../support/random.ts';

const APEX = parseName('example.com.');

function imageOf(zone: string): Image {
  using folder = folderOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone });
  makeKey(`${folder.path}/state/keys`, APEX, Math.floor(Date.now() / 1000));
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return viewImage(outcome.value.image, outcome.value.atlas);
}

function zoneText(dice: Dice, vips: number, answers: number): string {
  const labels = ['a', 'b', 'zz', '-', 'm.n', 'n', '*.w', 'A1', 'x.y.z'];
  const records = dice.sample(labels, 4).map((label) => `  "${label}": { TXT: x }`);
  const all = Array.from({ length: vips }, (_, vip) => `v${vip}: { A: 192.0.2.${vip + 1} }`);
  return `zone: example.com\ndnssec: true\nnameservers: [ns.example.net.]\nrecords:\n${records.join('\n')}\nservices:\n  www: { answers: ${answers}, vips: { ${all.join(', ')} } }\n`;
}

function nodeOf(image: Image, name: string): { readonly zone: number; readonly node: number } {
  const target = createSearch(parseName(name));
  search(image, target);
  return target;
}

/** All sets of at most `size` of the numbers below `count`. */
function setsUpTo(count: number, size: number): number[][] {
  const sets: number[][] = [];
  for (let bits = 1; bits < 1 << count; bits++) {
    const set = Array.from({ length: count }, (_, vip) => vip).filter((vip) => ((bits >> vip) & 1) !== 0);
    if (set.length <= size) sets.push(set);
  }
  return sets;
}

test('every reachable set has signatures, up to 64; every VIP alone and all together always have', () => {
  const dice = createDice(printedSeed('signed sets'));
  for (let round = 0; round < trials(12); round++) {
    const [vips, answers] = [1 + dice.below(9), 1 + dice.below(4)];
    const image = imageOf(zoneText(dice, vips, answers));
    const { node } = nodeOf(image, 'www.example.com.');
    const has = (set: readonly number[]): boolean =>
      findSet(image, node, TYPE.A, keyOfSet(Int32Array.from(set).reverse(), set.length, vips), 0) >= 0;
    const reachable = setsUpTo(vips, answers);
    const signed = reachable.filter(has);
    if (reachable.length < 64) expect(signed).toEqual(reachable);
    else expect(signed.length).toBeGreaterThanOrEqual(63);
    for (let vip = 0; vip < vips; vip++) expect(has([vip])).toBe(true);
    expect(has(Array.from({ length: vips }, (_, vip) => vip))).toBe(true);
  }
});

test('a zone transfer has the longest part of a default answer that has signatures', () => {
  const vips = Array.from({ length: 40 }, (_, vip) => `v${vip}: { A: 192.0.2.${vip + 1} }`);
  const zone = `zone: example.com\ndnssec: true\nnameservers: [ns.example.net.]\nservices:\n  www: { answers: 3, vips: { ${vips.join(', ')} }, when_all_down: { A: 192.0.2.99 } }\n`;
  const image = imageOf(zone);
  const { node } = nodeOf(image, 'www.example.com.');
  const part = (...some: readonly number[]): unknown => signedPart(image, node, TYPE.A, Int32Array.from(some), 40, 0);
  const rowOf = (...some: readonly number[]): number => findSet(image, node, TYPE.A, keyOfSet(Int32Array.from(some), some.length, 40), 0); // prettier-ignore
  expect(part(3)).toEqual({ size: 1, row: rowOf(3) });
  expect(part(35, 36, 1)).toEqual({ size: 1, row: rowOf(35) });
  const all = Array.from(vips.keys());
  expect(part(...all)).toEqual({ size: 40, row: rowOf(...all) });
  // No VIP: the static answer, whole.
  expect(part()).toEqual({ size: Infinity, row: findSet(image, node, TYPE.A, STATIC_KEY, 0) });
  expect(signedPart(image, node, TYPE.AAAA, new Int32Array(0), 40, 0)).toBeUndefined();
  expect(signedPart(image, node, TYPE.AAAA, Int32Array.of(3, 4), 40, 0)).toBeUndefined();
});

test('the chain has every name with data once, in canonical order, and ends at the apex', () => {
  const dice = createDice(printedSeed('chain'));
  let names = 0;
  for (let round = 0; round < trials(24); round++) {
    const { text } = randomZone(dice);
    let image: Image;
    try {
      image = imageOf(text);
    } catch (error) {
      // Some random zones are refused, for example for CNAMEs in a circle.
      if (String(error).includes('"severity":"error"')) continue;
      throw error;
    }
    const { words, bytes } = image;
    const { zone } = nodeOf(image, 'example.com.');
    const chainAt = zone * ROW_WORDS + zoneWord(words, zone, ZONE.CHAIN_AT);
    const count = zoneWord(words, zone, ZONE.CHAIN_COUNT);
    const nodes = Array.from({ length: count }, (_, index) => zone + (words[chainAt + index] ?? 0));
    const nameOf = (node: number): Name => {
      const at = nameAtOf(words, node);
      return bytes.slice(at, at + (nodeWord(words, node, NODE.NAME_AND_FLAGS) & 0xff));
    };
    expect(nodes[0]).toBe(apexOf(words, zone));
    // The owners in the file; empty non-terminals have no NSEC.
    const owners = [...text.matchAll(/^ {2}'(.*)': \{/gm)].map(([, owner = '']) => `${owner}.example.com`);
    expect(nodes.map((node) => formatName(nameOf(node))).sort()).toEqual(['example.com', ...new Set(owners)].sort());
    names += count;
    for (const [index, node] of nodes.entries()) {
      const next = nodes[(index + 1) % count] ?? 0;
      if (index < count - 1) expect(compareCanonical(nameOf(node), nameOf(next))).toBeLessThan(0);
      const at = wireAtOf(words, findRrset(image, node, TYPE.NSEC)) + 12;
      expect(bytes.slice(at, at + nameOf(next).length)).toEqual(nameOf(next));
    }
  }
  expect(names).toBeGreaterThan(moreThan(60));
});
