/**
 * A node of a fleet saves orders up to 100 ms after they are in force. When it was killed in that time and started
 * again without NATS, it put the older records of its saved order in force, in place of those that its journal had: an
 * update that both nodes had served was gone until NATS came back.
 */
import { copyFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FLEET_FILE } from '../../../fleet/start-fleet.ts';
import type { FleetDocument } from '../../../status/fleet-document.ts';
import { fleetServer, type FleetServer } from '../../support/fleet-server.ts';
import { decodeMessage, encodeQuery, T } from '../../support/message.ts';
import { HAS_NATS, startNats } from '../../support/nats.ts';
import { folderOf } from '../../support/pharos.ts';
import { eventually } from '../../support/process.ts';
import { ask, change, keyNamed, sendUpdate, UPDATE_SECRET } from '../../support/update-client.ts';

const KEY = keyNamed('k');
const ZONE = 'zone: ex\nnameservers: [ns.out.example.]\n';
const MORE = `transfer: { keys: { k: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } } }
updates: [{ key: k, names: ["*"], types: [TXT] }]
`;

async function textOf(node: FleetServer): Promise<string | undefined> {
  const response = await ask(node.served().port, encodeQuery('d.ex', T.TXT), 'udp');
  const [record] = response ? decodeMessage(response).answer : [];
  return record && Buffer.from(record.data, 'hex').subarray(1).toString();
}

function update(node: FleetServer, text: string): Promise<number | undefined> {
  const updates = [change('ex', 'd ANY TXT'), change('ex', `d IN TXT "${text}"`)];
  return sendUpdate(node.served().port, { zone: 'ex', updates }, KEY);
}

async function hears(node: FleetServer, peers: number): Promise<void> {
  await eventually(
    async () => (await node.call('GET', '/api/v1/fleet')).value as FleetDocument,
    (fleet) => fleet.connected && fleet.nodes.filter(({ state }) => state !== 'lost').length === 1 + peers,
  );
}

test.skipIf(!HAS_NATS)(
  'records of the journal that are newer than the saved orders stay, and reach a fleet that lost them',
  async () => {
    using folder = folderOf({});
    await using nats = await startNats({ folder: folder.path });
    const [a, b] = [fleetServer('a', nats.url, ZONE, MORE), fleetServer('b', nats.url, ZONE, MORE)];
    try {
      await Promise.all([a.start(), b.start()]);
      await hears(a, 1);
      await hears(b, 1);
      const saved = join(b.path, 'state', FLEET_FILE);
      expect(await update(a, 'old')).toBe(0);
      await eventually(
        async () => (JSON.parse(await readFile(saved, 'utf8')) as { orders: unknown[] }).orders.length,
        (orders) => orders === 1,
      );
      copyFileSync(saved, `${saved}.old`);
      expect(await update(a, 'new')).toBe(0);
      await eventually(() => textOf(b), (text) => text === 'new'); // prettier-ignore
      await nats.kill();
      await b.served().stop('SIGKILL');
      copyFileSync(`${saved}.old`, saved);
      await b.start();
      expect(await textOf(b)).toBe('new');
      // Without the other node and the data of NATS, nobody else has them.
      await a.served().stop('SIGKILL');
      await nats.start({ lose: true });
      await hears(b, 0);
      await eventually(() => update(b, 'newer'), (rcode) => rcode === 0); // prettier-ignore
      await a.start();
      await eventually(() => textOf(a), (text) => text === 'newer'); // prettier-ignore
      await hears(b, 1);
      expect(await update(a, 'newest')).toBe(0);
      await eventually(() => textOf(b), (text) => text === 'newest'); // prettier-ignore
    } finally {
      await a.close();
      await b.close();
    }
  },
);
