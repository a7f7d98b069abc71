/**
 * In a fleet, a target is up when enough nodes have said so, which is after the first result that passes. The load of
 * that result was dropped, because the target was still down: all nodes said up, but shed no clients before the next
 * report, which may come after all of `expires`.
 */
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { startHealth } from '../../../health/engine.ts';
import { createHealthTable, PROBED, type Probed } from '../../../health/health-table.ts';
import type { FleetDocument } from '../../../status/fleet-document.ts';
import { FLEET_SERVERS, fleetServer, type FleetServer } from '../../support/fleet-server.ts';
import { HAS_NATS, startNats } from '../../support/nats.ts';
import { folderOf } from '../../support/pharos.ts';
import { eventually } from '../../support/process.ts';
import { createManualClock, givenVerdict, httpCheck, pushCheck, vip } from '../../unit/health/support.ts';

const ZONE = `zone: example.com
nameservers: [ns.example.net.]
services:
  pu:
    check: { type: push, expires: 1h }
    shed: { low: 80%, high: 95% }
    vips: { a: { A: 192.0.2.1, capacity: 100 } }
`;

type Vip = { readonly effective: string; readonly load: number | null };

async function seenBy(server: FleetServer): Promise<Vip> {
  const [vip] = (await server.call('GET', '/api/v1/health/pu.example.com')).value as readonly Vip[];
  return { effective: vip?.effective ?? 'none', load: vip?.load ?? null };
}

async function hearsAll(server: FleetServer): Promise<boolean> {
  const { connected, nodes } = (await server.call('GET', '/api/v1/fleet')).value as FleetDocument;
  return connected && nodes.filter(({ state }) => state !== 'lost').length === FLEET_SERVERS.length;
}

async function report(server: FleetServer | undefined, body: object): Promise<void> {
  expect((await server?.call('PUT', '/api/v1/push/pu.example.com/a', body))?.status).toBe(200);
}

test.skipIf(!HAS_NATS)('the load of the first report counts on every node', async () => {
  using folder = folderOf({});
  await using nats = await startNats({ folder: folder.path });
  const servers = FLEET_SERVERS.map((name) => fleetServer(name, nats.url, ZONE));
  const everywhere = (wanted: Vip): Promise<unknown> =>
    eventually(
      () => Promise.all(servers.map(seenBy)),
      (seen) => seen.every((each) => isDeepStrictEqual(each, wanted)),
    );
  try {
    await Promise.all(servers.map((server) => server.start()));
    // A node that does not hear the others yet would miss the reports.
    await eventually(
      () => Promise.all(servers.map(hearsAll)),
      (all) => all.every(Boolean),
    );
    for (const load of [90, 85]) {
      await report(servers[1], { healthy: false });
      await everywhere({ effective: 'down', load: null });
      await report(servers[0], { healthy: true, load });
      await everywhere({ effective: 'up', load: load / 100 });
    }
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
});

/** A node of a fleet whose verdict the test gives. */
function node(check: ReturnType<typeof pushCheck> | ReturnType<typeof httpCheck>) {
  const clock = createManualClock();
  const fleet = givenVerdict(PROBED.DOWN);
  fleet.isProbing = check.kind !== 'http' || check.loadPath !== 'read elsewhere';
  const health = startHealth({
    stateDir: undefined,
    clock,
    electorate: fleet.electorate,
    probe: () => Promise.resolve({ passed: true, reason: '', elapsedMs: 1, load: 0.9 }),
    warn: () => undefined,
    log: () => undefined,
  });
  const target = vip({ slot: 0, target: 'www.example.com/a', check, shed: { low: 0.8, high: 0.95 } });
  health.configure([target], createHealthTable(1), 1);
  return {
    clock,
    health,
    loaded: (load: number): void => fleet.events()?.loaded?.(fleet.key(), load),
    decide: (to: Probed): void => {
      fleet.verdict = to;
      fleet.events()?.changed(fleet.key());
    },
    load: () => health.find('www.example.com/a')?.load,
    [Symbol.asyncDispose]: () => health.stop(),
  };
}

const probed = httpCheck({ loadPath: 'load', intervalMs: 10_000, timeoutMs: 2000 });

test.each([
  ['that was reported', pushCheck(), (of: Node) => of.health.report('www.example.com/a', true, 0.9)],
  ['that its probe read', probed, (of: Node) => of.clock.advance(5000)],
  ['that another node read', { ...probed, loadPath: 'read elsewhere' }, (of: Node) => { of.loaded(0.9); }], // prettier-ignore
])('a load %s before the verdict counts from the verdict on', async (_, check, give) => {
  await using down = node(check);
  await give(down);
  expect(down.load()).toBeUndefined();
  down.decide(PROBED.UP);
  expect(down.load()).toBe(0.9);
  // What was read before the target failed says nothing about its load when it returns.
  down.decide(PROBED.DOWN);
  down.decide(PROBED.UP);
  expect(down.load()).toBeUndefined();
});

type Node = ReturnType<typeof node>;

test.each(['drain', 'down'] as const)(
  'a load that is reported during an override (%s) counts when it ends',
  async (state) => {
    await using up = node(pushCheck());
    up.decide(PROBED.UP);
    up.health.override('www.example.com/a', { state });
    up.health.report('www.example.com/a', true, 0.9);
    expect(up.load()).toBeUndefined();
    up.health.override('www.example.com/a', undefined);
    expect(up.load()).toBe(0.9);
  },
);

test.each([
  ['a report that has expired', pushCheck({ expiresMs: 20_000 }), 20_000],
  ['an interval and a timeout', { ...probed, loadPath: 'read elsewhere' }, 12_000],
])('a load does not count after %s', async (_, check, ms) => {
  await using down = node(check);
  if (check.kind === 'push') down.health.report('www.example.com/a', true, 0.9);
  else down.loaded(0.9);
  await down.clock.advance(ms);
  down.decide(PROBED.UP);
  expect(down.load()).toBeUndefined();
});
