import { describe, expect, test } from 'vitest';
import {
  formatDuration,
  parseDistanceKm,
  parseDurationMs,
  parseInteger,
  parseSeconds,
  parseShare,
} from '../../../config/units.ts';

type Table = readonly (readonly [text: string, value: number | undefined])[];

const readers: readonly (readonly [string, (text: string) => number | undefined, Table])[] = [
  [
    'a duration has a unit',
    parseDurationMs,
    [
      ['500ms', 500],
      ['5s', 5000],
      ['30m', 1_800_000],
      ['2h', 7_200_000],
      ['14d', 1_209_600_000],
      ['1w', 604_800_000],
      ['1h30m', 5_400_000],
      ['1.5s', 1500],
      ['0', 0],
      ['5', undefined],
      ['5 s', undefined],
      ['-5s', undefined],
      ['0.3ms', undefined],
      ['s', undefined],
      ['', undefined],
      ['5S', undefined],
    ],
  ],
  [
    'a TTL may be bare seconds',
    parseSeconds,
    [
      ['300', 300],
      ['5m', 300],
      ['1500ms', undefined],
      ['1.5', undefined],
      ['-1', undefined],
    ],
  ],
  [
    'a share is a percentage, or 0 to 1',
    parseShare,
    [
      ['50%', 0.5],
      ['100%', 1],
      ['0', 0],
      ['1', 1],
      ['0.7', 0.7],
      ['101%', undefined],
      ['50', undefined],
      ['-1%', undefined],
    ],
  ],
  [
    'a distance is in kilometres',
    parseDistanceKm,
    [
      ['300km', 300],
      ['1.5km', 1.5],
      ['0', 0],
      ['300', undefined],
      ['300m', undefined],
    ],
  ],
  [
    'an integer is one of YAML 1.2',
    parseInteger,
    [
      ['-3', -3],
      ['010', 10],
      ['0x1F', 31],
      ['0o17', 15],
      ['1.0', undefined],
      ['1e3', undefined],
      ['99999999999999999999', undefined],
    ],
  ],
];

describe.each(readers)('%s', (_title, read, table) => {
  test.each(table)('%j is %j', (text, value) => {
    expect(read(text)).toBe(value);
  });
});

test.each([
  [604_800_000, '1w'],
  [90_000, '90s'],
  [1500, '1500ms'],
  [0, '0ms'],
])('%d ms are shown as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
