/**
 * VIPs with equal checks at one address shared a unit, with one digest, even where the files write the address in two
 * ways: `${BACK}:80` and `127.0.0.1:80`. A vote of a node on which BACK has another value then counted for both VIPs,
 * and the nodes had different verdicts on the other one. Two VIPs with `probe: ":${PORT}"` had one digest too, although
 * their addresses differ: votes on the second one did not count where PORT has another value.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FleetDocument, FleetTargetDocument } from '../../../status/fleet-document.ts';
import { FLEET_SERVERS, fleetServer, type FleetServer, type FleetServerName } from '../../support/fleet-server.ts';
import { HAS_NATS, startNats, type NatsServer } from '../../support/nats.ts';
import { folderOf } from '../../support/pharos.ts';
import { eventually } from '../../support/process.ts';

const folder = folderOf({});
const servers: FleetServer[] = [];
const listeners: Server[] = [];
let nats: NatsServer;

/** A backend on 127.0.0.1. Returns its port. */
async function listen(): Promise<number> {
  // Pharos closes its connections by reset.
  const server = createServer((socket) => socket.on('error', () => undefined).end()).listen(0, '127.0.0.1');
  listeners.push(server);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

// Each service has its own check, so that the VIPs of one service share nothing with those of another.
const zoneOf = (port: number): string => `zone: example.com
nameservers: [ns.example.net.]
checks:
  first: &check { type: tcp, interval: 1s, timeout: 900ms, fast: 200ms, rise: 1, fall: 2, quorum: one }
  second: { <<: *check, timeout: 800ms }
  apart: { <<: *check, timeout: 700ms }
services:
  first:
    check: first
    vips:
      variable: { A: 192.0.2.1, probe: "\${BACK}:${port}" }
      written: { A: 192.0.2.2, probe: "127.0.0.1:${port}" }
  second:
    check: second
    vips:
      written: { A: 192.0.2.2, probe: "127.0.0.1:${port}" }
      variable: { A: 192.0.2.1, probe: "\${BACK}:${port}" }
  apart:
    check: apart
    vips:
      one: { A: 127.0.0.1, probe: ":\${PORT}" }
      other: { A: 127.0.0.2, probe: ":\${PORT}" }
`;

async function fleetOf(server: FleetServer): Promise<FleetDocument> {
  return (await server.call('GET', '/api/v1/fleet')).value as FleetDocument;
}

/** What each node votes on the target, by name; `verdict` is that of the node that is asked. */
function votesOn({ targets }: FleetDocument, target: string): Partial<Record<FleetServerName | 'verdict', string>> {
  const found: FleetTargetDocument | undefined = targets.find((each) => each.target === target);
  return {
    ...Object.fromEntries(found?.voters.map(({ node, vote }) => [node, vote]) ?? []),
    ...(found && { verdict: found.verdict }),
  };
}

describe.skipIf(!HAS_NATS)('with another value of a variable on the third node', () => {
  beforeAll(async () => {
    nats = await startNats({ folder: folder.path });
    const [usual, other] = [await listen(), await listen()];
    for (const name of FLEET_SERVERS) {
      const isThird = name === 'c';
      // Nothing listens on 127.0.0.77 and 127.0.0.2.
      const env = { BACK: isThird ? '127.0.0.77' : '127.0.0.1', PORT: String(isThird ? other : usual) };
      servers.push(fleetServer(name, nats.url, zoneOf(usual), 'health: { suspect: 0% }\n', env));
    }
    await Promise.all(servers.map((server) => server.start()));
  });

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.close()));
    await nats[Symbol.asyncDispose]();
    for (const listener of listeners) listener.close();
    folder[Symbol.dispose]();
  });

  test.each([
    ['first/variable', { a: 'up', b: 'up', c: 'down', verdict: 'down' }],
    ['first/written', { a: 'up', b: 'up', c: 'up', verdict: 'up' }],
    ['second/written', { a: 'up', b: 'up', c: 'up', verdict: 'up' }],
    ['second/variable', { a: 'up', b: 'up', c: 'down', verdict: 'down' }],
    ['apart/one', { a: 'up', b: 'up', c: 'up', verdict: 'up' }],
    ['apart/other', { a: 'down', b: 'down', c: 'down', verdict: 'down' }],
  ])('the votes and the verdict on %s are the same on all nodes', async (vip, votes) => {
    const target = vip.replace('/', '.example.com/');
    const seen = async (): Promise<object[]> =>
      Promise.all(servers.map(async (server) => votesOn(await fleetOf(server), target)));
    await eventually(seen, (all) => all.every((each) => isDeepStrictEqual(each, votes)));
  });

  test('messages tell apart VIPs whose ports come from one variable, and do not show its value', async () => {
    const vips = (await (servers[0] as FleetServer).call('GET', '/api/v1/health/apart.example.com')).value;
    expect(vips).toMatchObject([{ address: '127.0.0.1:${PORT}' }, { address: '127.0.0.2:${PORT}' }]);
  });

  test('the configurations are the same', async () => {
    const { nodes } = await fleetOf(servers[0] as FleetServer);
    expect(new Set(nodes.map(({ config }) => config)).size).toBe(1);
  });
});
