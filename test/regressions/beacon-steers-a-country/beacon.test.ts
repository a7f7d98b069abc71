/**
 * A country had a measured latency as soon as three of its /24s had one. So a single host with three addresses, which a
 * cloud rents out by the hour, could steer all clients of a country.
 */
import { expect, test } from 'vitest';
import { createBeaconSamples } from '../../../geo/beacon-samples.ts';
import { latencyOf } from '../../../geo/latency-table.ts';
import { parseAddress } from '../../../wire/address.ts';

type Report = readonly [address: string, asn: number];

/** The country's figure, if each of `honest` reports 200 and each of `lies` reports 1. */
function figureOf(lies: readonly Report[], honest: readonly Report[] = []): number | undefined {
  const samples = createBeaconSamples();
  const all = [...lies.map((report) => [report, 1] as const), ...honest.map((report) => [report, 200] as const)];
  for (const [[text, asn], ms] of all) {
    const address = parseAddress(text);
    if (address === undefined) throw new Error(text);
    samples.add({ address, country: 'KR', asn }, new Map([['seoul', ms]]), 1);
  }
  const table = samples.figures({ sinceMs: 0, minSources: 3 });
  return latencyOf(table, table.countries.get('KR') ?? -1, table.regions.indexOf('seoul'));
}

const nets = (count: number, text: (n: number) => string, asn: (n: number) => number): Report[] =>
  Array.from({ length: count }, (_, n) => [text(n), asn(n)]);

test.each<[what: string, reports: Report[]]>([
  ['three /24s', nets(3, (n) => `20.${n}.0.1`, () => 0)],
  ['three /24s of three ASes', nets(3, (n) => `20.${n}.0.1`, (n) => 64_500 + n)],
  ['a hundred /24s of one /16', nets(100, (n) => `20.0.${n}.1`, () => 0)],
  ['a hundred /48s of one /32', nets(100, (n) => `2001:db8:${n}::1`, () => 0)],
  ['ten /16s of one AS', nets(10, (n) => `20.${n}.0.1`, () => 64_500)],
])('one host with addresses in %s steers no country', (_, lies) => {
  expect(figureOf(lies)).toBeUndefined();
}); // prettier-ignore

test('three lies among six sources do not decide, and four honest networks of a small country do not either', () => {
  const honest = nets(4, (n) => `30.${n}.0.1`, (n) => 64_510 + n); // prettier-ignore
  const lies = nets(3, (n) => `20.${n}.0.1`, () => 64_500); // prettier-ignore
  expect(figureOf(lies, honest)).toBe(200);
  expect(figureOf([], honest)).toBeUndefined();
});
