/** Queries by zone, as threads count them, over generations whose zones have other places. */
import { expect, test } from 'vitest';
import { createAnswerCounter } from '../../../../cli/serve/answer-counter.ts';
import { prepare, type Current } from '../../../../cli/serve/generation.ts';
import { TYPE } from '../../../../wire/types.ts';
import { answeringFrom, loadPacked, NO_GEOGRAPHY, type Answering } from '../../../support/pharos.ts';

const zone = (name: string, more = ''): string =>
  `zone: ${name}\nnameservers: [ns]\nrecords:\n  ns: { A: 192.0.2.53 }\n  to: { CNAME: ns.a.example. }\n${more}`;
const generation = (zones: readonly string[], before?: Current): Current =>
  prepare(loadPacked({ ...NO_GEOGRAPHY, ...Object.fromEntries(zones.map((text, at) => [`zones/${at}.yaml`, text])) }), 1, [], 2, before); // prettier-ignore
const thread = ({ loaded, zoneQueries }: Current, number: number): Answering =>
  answeringFrom(loaded, { zoneQueries: zoneQueries.slice(number) });

test('a query counts once, for the zone of its name', () => {
  const current = generation([zone('a.example'), zone('b.a.example'), zone('c.example')]);
  const counts = (): number[] => [...createAnswerCounter(() => current).zoneQueries()];
  const [first, second] = [thread(current, 0), thread(current, 1)];
  first.ask('ns.a.example', TYPE.A);
  second.ask('ns.a.example', TYPE.A);
  expect(counts()).toEqual([2, 0, 0]);
  first.ask('no.b.a.example', TYPE.A);
  expect(counts()).toEqual([2, 1, 0]);
  // The CNAME leads to another zone.
  first.ask('to.c.example', TYPE.A, { overTcp: true });
  expect(counts()).toEqual([2, 1, 1]);
  // DS belongs to the parent, if it delegates the name: here it does not.
  first.ask('b.a.example', TYPE.DS);
  expect(counts()).toEqual([2, 2, 1]);
  first.ask('example.org', TYPE.A);
  expect(counts()).toEqual([2, 2, 1]);
});

test('DS at a cut counts for the parent zone', () => {
  const current = generation([zone('a.example', '  b: { NS: ns.b.a.example. }\n  ns.b: { A: 192.0.2.1 }\n'), zone('b.a.example')]); // prettier-ignore
  thread(current, 0).ask('b.a.example', TYPE.DS);
  expect([...createAnswerCounter(() => current).zoneQueries()]).toEqual([1, 0]);
});

test('counts follow the names of zones', () => {
  let current = generation([zone('a.example'), zone('b.example')]);
  const counter = createAnswerCounter(() => current);
  const replace = (zones: readonly string[]): void => {
    const before = current;
    current = generation(zones, before);
    counter.replaced(before, current);
  };
  for (let count = 0; count < 3; count++) thread(current, 0).ask('ns.b.example', TYPE.A);
  // Records change, zones do not: the threads go on with the same counters.
  const blocks = current.zoneQueries;
  replace([zone('a.example', '  new: { A: 192.0.2.1 }\n'), zone('b.example')]);
  expect(current.zoneQueries).toBe(blocks);
  thread(current, 1).ask('ns.b.example', TYPE.A);
  expect([...counter.zoneQueries()]).toEqual([0, 4]);
  replace([zone('b.example'), zone('c.example')]);
  expect([...counter.zoneQueries()]).toEqual([4, 0]);
  thread(current, 1).ask('ns.b.example', TYPE.A);
  replace([zone('c.example')]);
  expect([...counter.zoneQueries()]).toEqual([0]);
  // A zone that returns begins at 0.
  replace([zone('c.example'), zone('b.example')]);
  expect([...counter.zoneQueries()]).toEqual([0, 0]);
});
