/**
 * Imports write repeated maps and services once: what they serve is what they serve when each zone is imported alone.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeEstate } from '../../../../bench/estate.ts';
import { loadGeneration } from '../../../../zones/load-generation.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { folderOf } from '../../../support/pharos.ts';
import { LONG_TESTS } from '../../../support/random.ts';
import { runImport, type Imported } from './run-import.ts';

const DATABASE = writeMmdb([['20.0.0.0/8', { country: { iso_code: 'KR' } }]]);
const GEO = '\ngeo: { databases: [geo.mmdb] }\n';
const SIZE = { zones: 6, records: 400, steered: 60, mapLines: 960 };

function importEstate(folder: string, output: string, zone?: string): Imported {
  return runImport('gdnsd', join(folder, 'estate'), { zone, output: join(folder, output) });
}

/** Services and VIPs as they are served. Names of checks and of shared maps do not matter. */
function servedBy(cwd: string): unknown {
  const outcome = loadGeneration({ file: undefined, cwd, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics.slice(0, 3)));
  const { services, vips, regions } = outcome.value.catalog;
  return services.map(({ name, ttl, steps, firstSlot, vipCount }) => ({
    name,
    ttl,
    steps: steps.map((step) => (step.kind === 'geo' ? { ...step, shared: undefined } : step)),
    vips: vips.slice(firstSlot, firstSlot + vipCount).map((vip): unknown => ({
      name: vip.name,
      region: regions[vip.region]?.name,
      a: vip.a,
      check: vip.check?.kind,
    })),
  }));
}

test.runIf(LONG_TESTS)('a gdnsd estate has its maps and services once, in pharos.yaml', () => {
  using folder = folderOf({ 'geo.mmdb': DATABASE });
  const at = (...names: string[]): string => join(folder.path, ...names);
  writeEstate(at('estate'), SIZE, 7);
  for (const name of ['joint/zones', 'alone/zones']) mkdirSync(at(name), { recursive: true });
  const { code, error } = importEstate(folder.path, 'joint/zones');
  expect(code, error).toBe(0);
  expect(error).toContain(`-> ${at('joint', 'pharos.yaml')}`);
  const shared = readFileSync(at('joint', 'pharos.yaml'), 'utf8');
  expect(shared).toMatch(/^maps:\n {2}map-\d:\n/m);
  expect(shared).toMatch(/^templates:\n {2}site-\d+:\n/m);
  expect(readFileSync(at('joint/zones', 'zone-0.example.yaml'), 'utf8')).toMatch(/^ {2}www: \$site-\d+$/m);
  for (let zone = 0; zone < SIZE.zones; zone++) {
    expect(importEstate(folder.path, 'alone/zones', `zone-${zone}.example`).code).toBe(0);
  }
  // One zone has its parts in its own file.
  expect(existsSync(at('alone', 'pharos.yaml'))).toBe(false);
  writeFileSync(at('joint', 'pharos.yaml'), shared + GEO);
  writeFileSync(at('alone', 'pharos.yaml'), GEO);
  for (const name of ['joint', 'alone']) writeFileSync(at(name, 'geo.mmdb'), DATABASE);
  expect(servedBy(at('joint'))).toEqual(servedBy(at('alone')));
});

test('a pharos.yaml that an import did not write stays, and zones have their own parts', () => {
  using folder = folderOf({ 'pharos.yaml': 'workers: 1\n' });
  writeEstate(join(folder.path, 'estate'), { ...SIZE, zones: 2, records: 20, steered: 6 }, 7);
  mkdirSync(join(folder.path, 'zones'));
  expect(importEstate(folder.path, 'zones').code).toBe(0);
  expect(readFileSync(join(folder.path, 'pharos.yaml'), 'utf8')).toBe('workers: 1\n');
});

test('zones of other formats share their services too', () => {
  const labels = Object.fromEntries(
    ['www', 'www.europe', 'www.kr'].map((label, at) => [label, { a: [1, 2, 3].map((host) => [`203.0.113.${10 * at + host}`, 1]) }]),
  ); // prettier-ignore
  const zone = JSON.stringify({ data: { '': { ns: { 'ns1.example.net.': null } }, ...labels } });
  using folder = folderOf({ 'dns/one.example.json': zone, 'dns/two.example.json': zone, 'out/zones/.keep': '' });
  const at = (...names: string[]): string => join(folder.path, ...names);
  expect(runImport('geodns', at('dns'), { output: at('out/zones') }).code).toBe(0);
  expect(readFileSync(at('out/pharos.yaml'), 'utf8')).toMatch(/^# Imported from geodns, /);
  expect(readFileSync(at('out/zones/two.example.yaml'), 'utf8')).toMatch(/^ {2}www: \$service$/m);
  writeFileSync(at('out/pharos.yaml'), readFileSync(at('out/pharos.yaml'), 'utf8') + GEO);
  writeFileSync(at('out/geo.mmdb'), DATABASE);
  expect(servedBy(at('out'))).toHaveLength(2);
});
