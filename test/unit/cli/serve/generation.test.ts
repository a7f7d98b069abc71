import { expect, test } from 'vitest';
import { prepare, tellSecondaries, type Current } from '../../../../cli/serve/generation.ts';
import { loadPacked, NO_GEOGRAPHY } from '../../../support/pharos.ts';

function generation(serials: Readonly<Record<string, number>>): Current {
  const files = Object.entries(serials).map(([zone, serial]) => [
    `zones/${zone}.yaml`,
    `zone: ${zone}\nnameservers: [ns]\nsoa: { serial: ${serial} }\nrecords: { ns: { A: 192.0.2.53 } }\n`,
  ]);
  return prepare(loadPacked({ ...NO_GEOGRAPHY, ...(Object.fromEntries(files) as Record<string, string>) }), 1, [], 1);
}

/** The zones of which secondaries are notified. */
function told(next: Current, before: Current | undefined): string[] {
  let zones: readonly string[] = [];
  const notifier = {
    tell: (names: readonly string[]) => {
      zones = names;
    },
    stop: () => undefined,
  };
  tellSecondaries(notifier, next, before);
  return [...zones].sort();
}

const BEFORE = { 'same.test': 1, 'raised.test': 1, 'lowered.test': 5, 'gone.test': 1 };
const AFTER = { 'same.test': 1, 'raised.test': 2, 'lowered.test': 4, 'new.test': 1 };

test('secondaries are notified of zones with another serial, and of new ones', () => {
  expect(told(generation(AFTER), generation(BEFORE))).toEqual(['lowered.test', 'new.test', 'raised.test']);
});

test('at a start, of all', () => {
  expect(told(generation(AFTER), undefined)).toEqual(Object.keys(AFTER).sort());
});

test('of none if nothing changed', () => {
  expect(told(generation(AFTER), generation(AFTER))).toEqual([]);
});
