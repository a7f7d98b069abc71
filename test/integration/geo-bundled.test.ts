import { readFileSync } from 'node:fs';
import { Reader, type Response } from 'maxmind';
import { describe, expect, test } from 'vitest';
import { createReport } from '../../config/diagnostics.ts';
import { CONTINENTS } from '../../config/settings.ts';
import { buildAtlas, compileMap } from '../../geo/atlas.ts';
import { lookupClass, lookupOutcome } from '../../geo/find-class.ts';
import { bundledDatabasePath, openGeography } from '../../geo/geography.ts';
import { formatAddress, parseAddress } from '../../wire/address.ts';
import { createDice, printedSeed } from '../support/random.ts';
import { treesOf } from '../unit/geo/databases.ts';

const dice = createDice(printedSeed('addresses in the bundled database'));

describe('the compiled atlas against maxmind, on the bundled database', () => {
  const { sources } = openGeography({ databases: [] }, createReport());
  const atlas = buildAtlas(treesOf(sources), [], new Map());
  const map = compileMap(atlas, ({ continent }) => CONTINENTS.findIndex((name) => name === continent) + 1, 12);
  const reader = new Reader<Response>(readFileSync(bundledDatabasePath()));
  const octet = (): number => dice.below(256);

  test.for([
    ['IPv4', 4, []],
    ['IPv6', 16, [0x20, 0x24, 0x26, 0x28, 0x2a, 0x2c]],
  ] as const)('%s: 50,000 random addresses are in the same country', ([, octets, heads]) => {
    const root = octets === 4 ? atlas.v4Root : atlas.v6Root;
    const address = new Uint8Array(octets);
    const missed: string[] = [];
    for (let i = 0; i < 50_000; i++) {
      for (let at = 0; at < octets; at++) address[at] = octet();
      if (heads.length > 0) {
        address[0] = heads[octet() % heads.length] ?? 0;
        address[1] = octet() % 24;
      }
      const text = formatAddress(address);
      const expected = reader.get(text) as { country_code?: string } | null;
      const found = atlas.locations[lookupClass(atlas.nodes, root, address, 0, octets * 8) >>> 8];
      if ((expected?.country_code ?? '') !== found?.country) missed.push(`${text} ${String(found?.country)}`);
    }
    expect(missed).toEqual([]);
  });

  test('every address of a scope has its outcome, and the prefix one bit shorter does not', () => {
    for (const text of ['211.104.0.1', '86.40.1.1', '8.8.8.8', '177.0.1.1', '2001:2d8::1', '2a02:8084::1']) {
      const address = parseAddress(text) ?? new Uint8Array(4);
      const bits = address.length * 8;
      const outcomeAt = (of: Uint8Array): number =>
        lookupOutcome(atlas.nodes, map.starts, map.outcomes, map.mixed, of, 0, bits);
      const found = outcomeAt(address);
      const scope = found & 0xff;
      const sample = (from: number): Uint8Array => {
        const other = address.slice();
        for (let bit = from; bit < bits; bit++) {
          if (octet() & 1) other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
        }
        return other;
      };
      for (let i = 0; i < 2000; i++) expect(outcomeAt(sample(scope))).toBe(found);
      // The other half of the prefix one bit shorter.
      const mask = 0x80 >> ((scope - 1) & 7);
      const wider = Array.from({ length: 2000 }, () => {
        const other = sample(scope);
        other[(scope - 1) >> 3] = (other[(scope - 1) >> 3] ?? 0) ^ mask;
        return outcomeAt(other);
      });
      expect(wider.some((other) => other !== found)).toBe(true);
    }
  });
});
