/**
 * Dynamic updates in a fleet of two nodes, over a real nats-server: what one node answers is served by both, one of two
 * updates with opposite prerequisites wins, and nothing changes while NATS is away (docs/updates.md#in-a-fleet).
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FleetDocument } from '../../status/fleet-document.ts';
import { fleetServer, type FleetServer } from '../support/fleet-server.ts';
import { HAS_NATS, startNats, type NatsServer } from '../support/nats.ts';
import { folderOf } from '../support/pharos.ts';
import { dig, eventually, has, run } from '../support/process.ts';

const SECRET = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=';
const ZONE = `zone: example.com
nameservers: [ns1]
records:
  ns1: { A: 192.0.2.53 }
  www: { A: 192.0.2.1 }
  sub: { DNAME: example.net. }
services:
  app: { vips: { a: { A: 192.0.2.10 } } }
`;
const MORE = `transfer: { keys: { all: { algorithm: hmac-sha256, secret: "${SECRET}" } }, allow: [{ from: 127.0.0.1 }] }
updates: [{ key: all }]
`;

describe.skipIf(!HAS_NATS || !has('dig') || !has('nsupdate'))('dynamic updates of two nodes', () => {
  const folder = folderOf({});
  let nats: NatsServer;
  let nodes: readonly [FleetServer, FleetServer];

  beforeAll(async () => {
    nats = await startNats({ folder: folder.path });
    nodes = [fleetServer('a', nats.url, ZONE, MORE), fleetServer('b', nats.url, ZONE, MORE)];
    await Promise.all(nodes.map((each) => each.start()));
    await connected();
  });
  afterAll(async () => {
    for (const each of nodes) await each.close();
    await nats[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  /** Waits until each node hears the other one. */
  async function connected(): Promise<void> {
    for (const each of nodes) {
      const ask = async (): Promise<FleetDocument> => (await each.call('GET', '/api/v1/fleet')).value as FleetDocument;
      await eventually(
        ask,
        (fleet) => fleet.connected && fleet.nodes.length === 2 && fleet.nodes.every(({ state }) => state !== 'lost'),
      );
    }
  }

  /** The RCODE of an update. */
  async function update(node: FleetServer, ...lines: readonly string[]): Promise<string> {
    const file = join(node.path, 'update.txt');
    const { port } = node.served();
    writeFileSync(file, [`server 127.0.0.1 ${port}`, 'zone example.com.', `key hmac-sha256:all ${SECRET}`, ...lines, 'send', 'answer', ''].join('\n')); // prettier-ignore
    return await new Promise((resolve) => {
      execFile('nsupdate', ['-t', '60', '-v', file], (_error, stdout, stderr) => {
        const text = `${stdout}${stderr}`;
        resolve(/(?:update failed: |status: )([A-Z]+)/.exec(text)?.[1] ?? text);
      });
    });
  }
  const ask = (node: FleetServer, name: string, type: string): Promise<string> => dig(node.served().port, name, type);
  const both = (name: string, type: string): Promise<string[]> =>
    Promise.all(nodes.map((each) => ask(each, name, type)));
  /** A node that is busy may serve an update after its answer (docs/updates.md#in-a-fleet). */
  const bothGive = (name: string, type: string, text: string): Promise<number> =>
    eventually(() => both(name, type), (found) => found.every((each) => each === text)); // prettier-ignore
  const zoneOf = async (node: FleetServer): Promise<string> => {
    const args = ['@127.0.0.1', '-p', String(node.served().port), '+tcp', '+onesoa', '+nocmd', '+nostats', 'example.com', 'AXFR']; // prettier-ignore
    return (await run(args, { command: 'dig' })).stdout.trim().split('\n').sort().join('\n');
  };
  /** Waits until each node has processed the newest order. */
  const agreesOnOrders = (): Promise<number> =>
    eventually(
      async () => (await nodes[0].call('GET', '/api/v1/fleet')).value as FleetDocument,
      ({ nodes: all }) => new Set(all.map((each) => each.applied_revision)).size === 1,
    );
  const agreed = (): Promise<number> =>
    eventually(() => Promise.all(nodes.map(zoneOf)), ([one = '', other]) => one.includes('SOA') && one === other); // prettier-ignore

  test('an update that one node answers is served by both', async () => {
    const [a, b] = nodes;
    expect(await update(a, 'update add new.example.com 60 A 192.0.2.77')).toBe('NOERROR');
    await bothGive('new.example.com', 'A', '192.0.2.77');
    expect(await update(b, 'update delete www.example.com A', 'update add two.example.com 60 TXT x')).toBe('NOERROR');
    await bothGive('www.example.com', 'A', '');
    await bothGive('two.example.com', 'TXT', '"x"');
    const put = await b.call('PUT', '/api/v1/records/example.com/api/TXT', { ttl: 60, records: ['"hello"'] });
    expect(put).toMatchObject({ status: 200 });
    await bothGive('api.example.com', 'TXT', '"hello"');
    await agreed();
  });

  test('one of two updates with opposite prerequisites wins', async () => {
    for (let round = 0; round < 3; round++) {
      const name = `lock${round}.example.com`;
      const taken = await Promise.all(
        nodes.map((each) => update(each, `prereq nxdomain ${name}`, `update add ${name} 60 TXT ${each.name}`)),
      );
      expect(taken.toSorted()).toEqual(['NOERROR', 'YXDOMAIN']);
      const winner = `"${nodes[taken.indexOf('NOERROR')]?.name}"`;
      await bothGive(name, 'TXT', winner);
    }
    await agreed();
  });

  test('a node that gets a rule, and then a zone, by a reload serves what the others have', async () => {
    const [a, b] = nodes;
    const configure = async (node: FleetServer, file: string, text: string): Promise<void> => {
      writeFileSync(join(node.path, file), text);
      expect(await node.call('POST', '/api/v1/reload')).toMatchObject({ status: 200 });
    };
    const whole = readFileSync(join(b.path, 'pharos.yaml'), 'utf8');
    await configure(b, 'pharos.yaml', whole.replace(/^updates: .*$/m, ''));
    expect(await update(a, 'update add later.example.com 60 A 192.0.2.20')).toBe('NOERROR');
    await eventually(() => ask(a, 'later.example.com', 'A'), (text) => text === '192.0.2.20'); // prettier-ignore
    await agreesOnOrders();
    expect(await ask(b, 'later.example.com', 'A')).toBe('');
    await configure(b, 'pharos.yaml', whole);
    await bothGive('later.example.com', 'A', '192.0.2.20');

    const other = 'zone: example.org\nnameservers: [ns1.example.com.]\n';
    await configure(a, 'zones/example.org.yaml', other);
    const put = await a.call('PUT', '/api/v1/records/example.org/api/TXT', { ttl: 60, records: ['"hello"'] });
    expect(put).toMatchObject({ status: 200 });
    await agreesOnOrders();
    await configure(b, 'zones/example.org.yaml', other);
    await bothGive('api.example.org', 'TXT', '"hello"');
  });

  test('an update that the zone cannot have changes nothing on either node', async () => {
    const [a] = nodes;
    expect(await update(a, 'update add below.sub.example.com 60 A 192.0.2.9')).toBe('SERVFAIL');
    expect(await update(a, 'update add app.example.com 60 A 192.0.2.9')).toBe('REFUSED');
    expect(await update(a, 'update add after.example.com 60 A 192.0.2.9')).toBe('NOERROR');
    await bothGive('after.example.com', 'A', '192.0.2.9');
    await agreed();
  });

  test('without NATS: SERVFAIL, 503, and answers; a node that was away gets what it missed', async () => {
    const [a, b] = nodes;
    await nats.kill();
    const fleet = async (): Promise<unknown> => (await a.call('GET', '/api/v1/fleet')).value;
    await eventually(fleet, (value) => !(value as { connected: boolean }).connected);
    expect(await update(a, 'update add lost.example.com 60 A 192.0.2.9')).toBe('SERVFAIL');
    const put = await a.call('PUT', '/api/v1/records/example.com/lost/A', { ttl: 60, records: ['192.0.2.9'] });
    expect(put).toMatchObject({ status: 503, value: { detail: expect.stringContaining('NATS') as string } });
    expect(await ask(a, 'new.example.com', 'A')).toBe('192.0.2.77');
    expect(await ask(a, 'lost.example.com', 'A')).toBe('');
    await b.served().stop('SIGKILL');
    // The bucket is empty now: the nodes write their orders back.
    await nats.start({ lose: true });
    await eventually(fleet, (value) => (value as { connected: boolean }).connected);
    await eventually(() => update(a, 'update add meanwhile.example.com 60 A 192.0.2.12'), (rcode) => rcode === 'NOERROR'); // prettier-ignore
    await b.start();
    await bothGive('meanwhile.example.com', 'A', '192.0.2.12');
    await bothGive('two.example.com', 'TXT', '"x"');
    await connected();
    expect(await update(b, 'update delete meanwhile.example.com')).toBe('NOERROR');
    await bothGive('meanwhile.example.com', 'A', '');
    await agreed();
  });
});
