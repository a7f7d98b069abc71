/** `soa.serial: auto` on three nodes of a fleet, over a real nats-server (docs/transfer.md#serials-in-a-fleet). */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isLaterSerial } from '../../wire/serial.ts';
import { HAS_NATS, startNats, type NatsServer } from '../support/nats.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, eventually, serve, type Served } from '../support/process.ts';

const TOKEN = 'a-token-of-tests-0123456789';
const NAMES = ['a', 'b', 'c'] as const;
type Name = (typeof NAMES)[number];
/** Heartbeats and reloads of a busy machine. */

const folder = folderOf({});
let nats: NatsServer;
let secondary: Socket;
/** Serials of NOTIFY messages. */
const notified: number[] = [];
const folders = new Map<Name, ReturnType<typeof folderOf>>();
const nodes = new Map<Name, Served>();

const pathOf = (name: Name, file: string): string => join(folders.get(name)?.path ?? '', file);
const zone = (address: string): string =>
  `zone: example.com\nnameservers: [ns.example.org.]\nrecords: { www: { A: ${address} } }\n`;

/** Writes the zone as if it had arrived this long ago. */
function deploy(name: Name, address: string, secondsAgo: number): void {
  const file = pathOf(name, 'zones/example.com.yaml');
  writeFileSync(file, zone(address));
  const seconds = Math.floor(Date.now() / 1000) - secondsAgo;
  utimesSync(file, seconds, seconds);
}

async function startNode(name: Name): Promise<void> {
  nodes.set(name, await serve([], { cwd: folders.get(name)?.path ?? '' }));
}

const node = (name: Name): Served => {
  const found = nodes.get(name);
  if (found === undefined) throw new Error(`${name} does not run`);
  return found;
};

async function reload(name: Name): Promise<void> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const reply = await fetch(`${node(name).api}/api/v1/reload`, { method: 'POST', headers });
  expect(reply.status).toBe(200);
}

const serialOf = async (name: Name): Promise<number> =>
  Number((await dig(node(name).port, 'example.com', 'SOA')).split(' ')[2]);

/** Waits until all nodes have one serial, and returns it. */
async function agreed(names: readonly Name[] = NAMES): Promise<number> {
  let serial = 0;
  await eventually(
    async () => new Set(await Promise.all(names.map(serialOf))),
    (serials) => {
      serial = Math.max(...serials);
      return serials.size === 1;
    },
  );
  return serial;
}

describe.skipIf(!HAS_NATS)('nodes of a fleet with the same content have the same serial', () => {
  let before = 0;

  beforeAll(async () => {
    nats = await startNats({ folder: folder.path });
    secondary = createSocket('udp4').bind(0, '127.0.0.1');
    await once(secondary, 'listening');
    secondary.on('message', (message, { port }) => {
      notified.push(message.readUInt32BE(message.length - 20));
      // RFC 1996 4.7: the same header with QR, and the question.
      const reply = Buffer.from(message);
      reply.writeUInt16BE(message.readUInt16BE(2) | 0x8000, 2);
      secondary.send(reply, port, '127.0.0.1');
    });
    const target = secondary.address();
    for (const name of NAMES) {
      folders.set(
        name,
        folderOf({
          ...NO_GEOGRAPHY,
          'pharos.yaml': `listen: 127.0.0.1:0
workers: 1
geo: { databases: [small.mmdb] }
status: { listen: 127.0.0.1:0, token: ${TOKEN} }
regions: { seoul: { at: KR } }
transfer: { allow: [{ from: 127.0.0.1 }], notify: ["127.0.0.1:${String(target.port)}"] }
fleet: { name: test, servers: ["${nats.url}"], node: ${name}, region: seoul }
`,
          'zones/example.com.yaml': '',
        }),
      );
    }
    for (const [index, name] of NAMES.entries()) deploy(name, '192.0.2.1', 1000 * (index + 1));
    await Promise.all(NAMES.map(startNode));
    before = await agreed();
  });

  afterAll(async () => {
    for (const each of nodes.values()) await each.stop('SIGKILL');
    await nats[Symbol.asyncDispose]();
    secondary.close();
    for (const each of [...folders.values(), folder]) each[Symbol.dispose]();
  });

  test('after a deployment to all of them at once, whatever the times of the files are; secondaries are told', async () => {
    for (const [index, name] of NAMES.entries()) deploy(name, '192.0.2.2', 200 + 300 * index);
    await Promise.all(NAMES.map(reload));
    const after = await agreed();
    expect(isLaterSerial(after, before)).toBe(true);
    await eventually(() => Promise.resolve(notified), (serials) => serials.includes(after)); // prettier-ignore
    before = after;
  });

  test('a node that lost its state takes the serial of the others before it answers', async () => {
    await node('c').stop('SIGKILL');
    rmSync(pathOf('c', 'state'), { recursive: true });
    deploy('c', '192.0.2.2', 0);
    await startNode('c');
    expect(await serialOf('c')).toBe(before);
    expect(await agreed()).toBe(before);
  });

  test('a content that comes back has a new serial everywhere', async () => {
    deploy('a', '192.0.2.1', 5000);
    await reload('a');
    const after = await serialOf('a');
    expect(isLaterSerial(after, before)).toBe(true);
    for (const name of ['b', 'c'] as const) {
      expect(await serialOf(name)).toBe(before);
      deploy(name, '192.0.2.1', 5000);
      await reload(name);
    }
    expect(await agreed()).toBe(after);
    before = after;
  });

  test('without NATS every serial rises, and nodes that hear each other again agree on one that is no earlier', async () => {
    await nats.kill();
    deploy('a', '192.0.2.3', 700);
    deploy('b', '192.0.2.3', 100);
    deploy('c', '192.0.2.4', 100);
    await Promise.all(NAMES.map(reload));
    const alone = await Promise.all(NAMES.map(serialOf));
    for (const serial of alone) expect(isLaterSerial(serial, before)).toBe(true);
    await nats.start();
    const both = await agreed(['a', 'b']);
    expect(alone.slice(0, 2).every((serial) => !isLaterSerial(serial, both))).toBe(true);
    await eventually(() => serialOf('c'), (serial) => serial !== both); // prettier-ignore
    deploy('c', '192.0.2.3', 0);
    await reload('c');
    const all = await agreed();
    expect(alone.every((serial) => !isLaterSerial(serial, all))).toBe(true);
  });
});
