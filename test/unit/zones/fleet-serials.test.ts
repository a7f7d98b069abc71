/** Serials of a node in a fleet, as a load assigns them (docs/transfer.md#serials-in-a-fleet). */
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { TYPE } from '../../../wire/types.ts';
import type { FleetSerials } from '../../../zones/agree-serial.ts';
import { createPartStore, keepParts } from '../../../zones/image/part-store.ts';
import { loadWorld, type LoadedWorld, type World } from '../../../zones/load-generation.ts';
import { formatSerials } from '../../../zones/serials.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY } from '../../support/pharos.ts';

const KEY = '\u0007example\u0003com\u0000';
const OTHER = '\u0007example\u0003net\u0000';
const PHAROS = `geo: { databases: [small.mmdb] }
regions: { seoul: { at: KR } }
fleet: { name: test, servers: ["nats://127.0.0.1:4222"], node: a, region: seoul }
`;
const zone = (apex: string, address = '192.0.2.1', more = ''): string =>
  `zone: ${apex}\nnameservers: [ns.example.org.]\n${more}records: { www: { A: ${address} } }\n`;

function nodeOf(files: Readonly<Record<string, string>>) {
  const folder = folderOf({ ...NO_GEOGRAPHY, 'pharos.yaml': PHAROS, ...files });
  const store = createPartStore((octets) => new SharedArrayBuffer(octets));
  const load = (before?: World, fleetSerials?: FleetSerials): LoadedWorld => {
    keepParts(store, () => (before?.compiled.items ?? []).map(({ part }) => part));
    const outcome = loadWorld({ file: undefined, cwd: folder.path, env: {}, cores: 1, fleetSerials }, store, before);
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    return outcome.value;
  };
  return { ...folder, folder, load, [Symbol.dispose]: () => { folder[Symbol.dispose](); } }; // prettier-ignore
}

/** The serial in the SOA and in a negative answer of a running answerer. */
function servedBy(world: World, apex: string): readonly number[] {
  const { ask } = answeringFrom(world.generation);
  const soa = ask(apex, TYPE.SOA).answer[0];
  const negative = ask(`none.${apex}`, TYPE.A).authority[0];
  return [soa, negative].map((record) => Number.parseInt(record?.data.slice(-40, -32) ?? '', 16));
}

const entry = (world: World, key = KEY) => world.generation.serials.get(key);
const known = (
  ...pairs: readonly (readonly [string | undefined, number])[]
): ReadonlyMap<string, ReadonlyMap<string, number>> =>
  new Map([[KEY, new Map(pairs.map(([content = '', serial]) => [content, serial]))]]);

describe('a load', () => {
  test('takes a later serial of the same content, without reading the zone, and changes no other zone', () => {
    using node = nodeOf({ 'zones/a.yaml': zone('example.com'), 'zones/b.yaml': zone('example.net') });
    const first = node.load().world;
    const { serial = 0, content } = entry(first) ?? {};
    const next = node.load(first, { known: known([content, serial + 7]), isServed: true });
    expect(next.isUnchanged).toBe(false);
    expect(next.zones).toEqual([]);
    expect(servedBy(next.world, 'example.com')).toEqual([serial + 7, serial + 7]);
    expect(next.world.generation.catalog.zones.map((each) => each.serial)).toEqual([
      serial + 7,
      entry(first, OTHER)?.serial,
    ]);
    expect(entry(next.world)?.serial).toBe(serial + 7);
    // The generation before is still served by threads.
    expect(servedBy(first, 'example.com')).toEqual([serial, serial]);
    expect(node.load(next.world, { known: known([content, serial + 7]), isServed: true }).isUnchanged).toBe(true);
  });

  test('gives new content a serial above all known ones, and content that another node has its serial', () => {
    using node = nodeOf({ 'zones/a.yaml': zone('example.com') });
    const first = node.load().world;
    const { serial = 0, content } = entry(first) ?? {};
    writeFileSync(join(node.path, 'zones/a.yaml'), zone('example.com', '192.0.2.2'));
    const own = node.load(first, { known: known([content, serial], ['other', serial + 1000]), isServed: true }).world;
    expect(entry(own)?.serial).toBe(serial + 1001);
    const theirs = node.load(first, { known: known([entry(own)?.content, serial + 500]), isServed: true }).world;
    expect(entry(theirs)?.serial).toBe(serial + 500);
    expect(servedBy(theirs, 'example.com')).toEqual([serial + 500, serial + 500]);
  });

  test('before it serves, a node without saved serials takes an earlier serial of the fleet; one with them does not', () => {
    using node = nodeOf({ 'zones/a.yaml': zone('example.com') });
    const first = node.load().world;
    const { serial = 0, content = '', digest = '' } = entry(first) ?? {};
    const fleetSerials = { known: known([content, serial - 1000]), isServed: false };
    expect(entry(node.load(first, fleetSerials).world)?.serial).toBe(serial - 1000);
    // `last` has no content: saved by a server without a fleet.
    using kept = nodeOf({
      'zones/a.yaml': zone('example.com'),
      'state/serials.json': formatSerials(new Map([[KEY, { serial: serial - 10, digest }]])),
    });
    const again = kept.load().world;
    expect(entry(again)).toEqual({ serial: serial - 10, digest, content });
    expect(entry(kept.load(again, fleetSerials).world)?.serial).toBe(serial - 10);
  });

  test('content is the same whatever the times and paths of files and the checks are', () => {
    const service = 'services: { s: { vips: { v: { A: 192.0.2.9 } }, check: { type: exec, command: [./look] } } }\n';
    using a = nodeOf({ 'zones/a.yaml': zone('example.com', '192.0.2.1', service) });
    using b = nodeOf({ 'zones/b.yaml': zone('example.com', '192.0.2.1', service) });
    utimesSync(join(b.path, 'zones/b.yaml'), 1_600_000_000, 1_600_000_000);
    const [ofA, ofB] = [entry(a.load().world), entry(b.load().world)];
    expect(ofA?.content).toBe(ofB?.content);
    expect(ofA?.serial).not.toBe(ofB?.serial);
  });

  test('a stated serial is never changed', () => {
    using node = nodeOf({ 'zones/a.yaml': zone('example.com', '192.0.2.1', 'soa: { serial: 7 }\n') });
    const first = node.load().world;
    const { content } = entry(first) ?? {};
    const next = node.load(first, { known: known([content, 900]), isServed: true });
    expect([next.isUnchanged, entry(next.world)?.serial]).toEqual([true, 7]);
  });
});
