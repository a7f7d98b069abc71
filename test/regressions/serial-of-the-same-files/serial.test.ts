/**
 * `soa.serial: auto` was the time at which a node first loaded the content, so two nodes with the same files had
 * different serials, and a node that lost its state folder got a new one. Now it comes from the files.
 */
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolder } from '../../../config/folder.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { formatSerials, readSerials, SERIALS_FILE } from '../../../zones/serials.ts';
import { folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const YAML = `zone: example.com
nameservers: [ns.example.net.]
include: [bulk.db]
regions: { seoul: { at: KR } }
checks: { web: { type: http, headers: { X-Node: "\${NODE}" } } }
services:
  www:
    check: web
    vips: { a: { region: seoul, A: 203.0.113.10, probe: "\${NODE_ADDRESS}:80" } }
    steer: [latency: { table: rtt.csv }]
`;
const FILES = {
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': YAML,
  'zones/bulk.db': 'www2 300 A 192.0.2.1\n',
  'zones/rtt.csv': 'network,region,ms\n10.0.0.0/8,seoul,10\n',
};
/** A minute of the past, at the start of a span. */
const THEN = 1_700_000_000;

type Node = { readonly path: string };

/** As a node starts: with the content of its state folder. The state is kept as the server does it. */
function start({ path }: Node, name = 'one', keeps = true): number {
  const outcome = loadGeneration({
    file: undefined,
    cwd: path,
    env: { NODE: name, NODE_ADDRESS: name === 'two' ? '10.0.0.2' : '10.0.0.1' },
    cores: 1,
  });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  if (keeps) {
    makeFolder(join(path, 'state'));
    writeFileSync(join(path, 'state', SERIALS_FILE), formatSerials(outcome.value.serials));
  }
  return outcome.value.catalog.zones[0]?.serial ?? 0;
}

function date({ path }: Node, seconds: number, files: readonly string[] = ['example.com.yaml', 'bulk.db']): void {
  for (const file of files) utimesSync(join(path, 'zones', file), seconds, seconds);
}

const change = ({ path }: Node, address: string): void => {
  writeFileSync(join(path, 'zones/bulk.db'), `www2 300 A ${address}\n`);
};

test('the same files with the same times have one serial, wherever they are', () => {
  using one = folderOf(FILES);
  using two = folderOf(FILES);
  for (const node of [one, two]) date(node, THEN);
  // A table that was measured elsewhere, and a secret and a private address of each node, are not content of the zone.
  date(two, THEN + 5000, ['rtt.csv']);
  const serial = start(one, 'one');
  expect(start(two, 'two')).toBe(serial);
  expect(serial).toBeGreaterThanOrEqual(THEN);
  expect(serial).toBeLessThan(THEN + 16);
  for (const node of [one, two]) {
    change(node, '192.0.2.2');
    date(node, THEN + 100, ['bulk.db']);
  }
  const next = start(one, 'one');
  expect(next).toBeGreaterThan(serial);
  expect(start(two, 'two')).toBe(next);
});

test('times that copying sets seconds apart count as equal', () => {
  using one = folderOf(FILES);
  using two = folderOf(FILES);
  date(one, THEN);
  date(two, THEN + 12);
  expect(start(two)).toBe(start(one));
});

test('an empty state folder gives the same serial again', () => {
  using node = folderOf(FILES);
  date(node, THEN);
  const serial = start(node, 'one', false);
  expect(start(node, 'one', false)).toBe(serial);
  expect(start(node)).toBe(serial);
});

test('without a state it rises with the times, with a state also if they stay or go back', () => {
  using node = folderOf(FILES);
  let last = 0;
  for (let n = 0; n < 50; n++) {
    change(node, `192.0.2.${n}`);
    date(node, THEN + n * 16, ['example.com.yaml', 'bulk.db']);
    const serial = start(node, 'one', false);
    expect(serial).toBeGreaterThan(last);
    last = serial;
  }
  for (let n = 0; n < 50; n++) {
    change(node, `198.51.100.${n}`);
    date(node, THEN - n);
    const serial = start(node);
    expect(serial).toBeGreaterThan(n === 0 ? 0 : last);
    last = serial;
  }
  expect([...readSerials(join(node.path, 'state'), expect.unreachable).values()][0]?.serial).toBe(last);
});

test.each([
  ['the first second of 1970', 1],
  ['the future', 4_000_000_000],
])('a time of %s is ignored: the content counts as changed now', (_, seconds) => {
  using node = folderOf(FILES);
  date(node, seconds);
  const serial = start(node);
  expect(Math.abs(serial - Date.now() / 1000)).toBeLessThan(600);
  expect(start(node)).toBe(serial);
});
