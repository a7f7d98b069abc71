/**
 * `ttl` of an owner: one for all its types, or one per type.
 */
import { describe, expect, test } from 'vitest';
import { answering, mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const zone = (record: string) => ({
  ...NO_GEOGRAPHY,
  'zones/z.yaml': `zone: example.com\nttl: 60\nnameservers: [ns.example.net.]\nrecords:\n  www: ${record}\n`,
});

describe('ttl of an owner', () => {
  test.each<[title: string, record: string, a: number, txt: number]>([
    ['one for all', '{ ttl: 5m, A: 192.0.2.1, TXT: x }', 300, 300],
    ['by type; the others have the TTL of the zone', '{ ttl: { A: 5m }, A: 192.0.2.1, TXT: x }', 300, 60],
    ['by type, each', '{ ttl: { TXT: 1h, TYPE1: 0 }, A: 192.0.2.1, TXT: x }', 0, 3600],
  ])('%s', (_title, record, a, txt) => {
    const { ask } = answering(zone(record));
    expect(ask('www.example.com', 1).answer[0]?.ttl).toBe(a);
    expect(ask('www.example.com', 16).answer[0]?.ttl).toBe(txt);
  });

  test.each<[title: string, record: string, mistake: RegExp]>([
    ['a type without records', '{ ttl: { MX: 5m }, A: 192.0.2.1 }', /PH117: a TTL for MX, but no MX record/],
    ['an unknown type', '{ ttl: { AAA: 5m }, A: 192.0.2.1 }', /PH105: AAA is not a record type/],
    ['no TTL', '{ ttl: { A: soon }, A: 192.0.2.1 }', /PH\d+: ttl of A must be/],
  ])('a mistake: %s', (_title, record, mistake) => {
    expect(mistakesOf(zone(record))).toEqual([expect.stringMatching(mistake)]);
  });
});
