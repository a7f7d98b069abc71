/**
 * A signed zone on two nodes of a fleet, over a real nats-server: same keys, same sets, same serials; and CDS only
 * while both nodes sign with the same keys (docs/dnssec.md#keys).
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeKey } from '../../dnssec/key-files.ts';
import { parseName } from '../../wire/name.ts';
import { fleetServer, FLEET_TOKEN, type FleetServer } from '../support/fleet-server.ts';
import { HAS_NATS, startNats, type NatsServer } from '../support/nats.ts';
import { folderOf } from '../support/pharos.ts';
import { dig, eventually, has, run } from '../support/process.ts';

const ZONE = `
zone: example.com
dnssec: true
nameservers: [ns1, ns2.example.net.]
soa: { expire: 4d }
records:
  ns1: { A: 192.0.2.53 }
  mail: { A: [192.0.2.1, 192.0.2.2], AAAA: "2001:db8::1" }
  "*.wild": { TXT: any }
  sub: { NS: ns.sub, DS: "1 13 2 ${'ab'.repeat(32)}" }
services:
  www: { answers: 2, vips: { a: { A: 192.0.2.11 }, b: { A: 192.0.2.12 }, c: { A: 192.0.2.13 } }, steer: [weighted] }
`;

describe.skipIf(!HAS_NATS || !has('dig'))('a signed zone on two nodes', () => {
  const folder = folderOf({});
  let nats: NatsServer;
  const nodes: FleetServer[] = [];
  const [a, b] = [() => node(0), () => node(1)];
  const node = (at: number): FleetServer => {
    const found = nodes[at];
    if (!found) throw new Error('the nodes do not run');
    return found;
  };
  const keysOf = (each: FleetServer): string => join(each.path, 'state', 'keys');
  const cds = (each: FleetServer): Promise<string> => dig(each.served().port, 'example.com', 'CDS');
  const both = async (ask: (each: FleetServer) => Promise<string>): Promise<string[]> => Promise.all(nodes.map(ask));
  const reload = async (each: FleetServer): Promise<void> => {
    expect((await each.call('POST', '/api/v1/reload')).status).toBe(200);
  };
  /** All records. Two signatures of one set differ (ECDSA), so theirs are left out: times and keys stay. */
  const transferred = async (each: FleetServer): Promise<string> => {
    const args = ['@127.0.0.1', '-p', String(each.served().port), '+tcp', '+onesoa', '+nocmd', '+nostats', '+nosplit'];
    const { stdout } = await run([...args, 'example.com', 'AXFR'], { command: 'dig' });
    return stdout.split('\n').map((line) => line.replace(/(\sRRSIG\s.* example\.com\. ).*/, '$1')).sort().join('\n'); // prettier-ignore
  };
  /** Waits until both nodes serve the same sets with the same serial. */
  const agreed = async (): Promise<string> => {
    let zone = '';
    await eventually(() => both(transferred), ([one = '', other = '']) => one === (zone = other) && zone.includes('SOA')); // prettier-ignore
    return zone;
  };
  const status = async (each: FleetServer): Promise<string> => {
    const args = ['dnssec', 'status', 'example.com', '--api', each.served().api, '--token', FLEET_TOKEN];
    return (await run(args, { cwd: each.path })).stdout;
  };

  beforeAll(async () => {
    nats = await startNats({ folder: folder.path });
    const more = 'transfer: { allow: [{ from: 127.0.0.1 }] }\n';
    nodes.push(...(['a', 'b'] as const).map((name) => fleetServer(name, nats.url, ZONE, more)));
    makeKey(keysOf(a()), parseName('example.com.'), Math.floor(Date.now() / 1000) - 100);
    cpSync(keysOf(a()), keysOf(b()), { recursive: true });
    await Promise.all(nodes.map((each) => each.start()));
  });
  afterAll(async () => {
    for (const each of nodes) await each.close();
    await nats[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  test('has the same keys, sets, times of signatures and serial on both, with CDS', async () => {
    await eventually(() => both(cds), (found) => found.every((each) => each !== '')); // prettier-ignore
    const zone = await agreed();
    for (const type of ['DNSKEY', 'CDS', 'CDNSKEY', 'NSEC', 'RRSIG']) expect(zone).toContain(type);
    expect(await status(a())).toContain('CDS published');
  });

  test('has no CDS while one node has another key, which is said and logged; then that of both', async () => {
    const done = await run(['dnssec', 'roll', 'example.com'], { cwd: b().path });
    expect(done.code, done.stderr).toBe(0);
    await reload(b());
    await eventually(() => both(cds), (found) => found.every((each) => each === '')); // prettier-ignore
    expect(await dig(a().served().port, 'example.com', 'CDNSKEY')).toBe('');
    expect(await status(a())).toContain('CDS withheld: node b has other keys');
    expect(a().served().stdout()).toContain('CDS and CDNSKEY of example.com are withheld: node b has other keys');
    cpSync(keysOf(b()), keysOf(a()), { recursive: true });
    await reload(a());
    await eventually(() => both(cds), (found) => found.every((each) => each !== '')); // prettier-ignore
    expect((await agreed()).match(/DNSKEY/g)?.length).toBeGreaterThan(1);
  });

  test('a restart of one node changes neither the CDS nor the serial', async () => {
    const before = await agreed();
    const changes: string[] = [];
    await a().served().stop();
    changes.push(await transferred(b()));
    await a().start();
    changes.push(await transferred(a()), await transferred(b()));
    expect(new Set(changes)).toEqual(new Set([before]));
  });
});
