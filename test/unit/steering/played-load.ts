/**
 * Plays a service whose VIPs report their loads, second by second: clients with caches, loads that follow from their
 * answers, the real health engine that makes pressures of the loads, answers from the pressures. All decisions are
 * those of the functions that answer packets.
 */
import { configureHealth, type Current } from '../../../cli/serve/generation.ts';
import { startHealth } from '../../../health/engine.ts';
import { createForesight } from '../../../server/forecast/foresight.ts';
import { simulateFrom } from '../../../server/forecast/simulate-failure.ts';
import type { Traffic } from '../../../server/forecast/traffic.ts';
import { locate, steer } from '../../../steering/chain.ts';
import { HAS } from '../../../steering/plan.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering, type Answering, type Files } from '../../support/pharos.ts';
import type { Dice } from '../../support/random.ts';
import { createManualClock } from '../health/support.ts';

/** Three regions, and a database in which each has a network of the same size. */
export const THIRDS: Files = {
  'pharos.yaml':
    'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR }, tokyo: { at: JP }, dublin: { at: IE } }\n',
  'small.mmdb': writeMmdb([
    ['20.0.0.0/8', { country: { iso_code: 'KR' } }],
    ['21.0.0.0/8', { country: { iso_code: 'JP' } }],
    ['22.0.0.0/8', { country: { iso_code: 'IE' } }],
  ]),
};

/** A region of one VIP, whose clients are in one network and prefer regions in this order, their own first. */
export type PlayedRegion = {
  /** The load of its own clients, as a share of its capacity. */
  readonly load: number;
  readonly capacity?: number;
  /** Numbers of regions; all others follow. */
  readonly order: readonly number[];
};

export type Play = {
  readonly regions: readonly PlayedRegion[];
  readonly ttl: number;
  /** Seconds between two reports of a VIP. */
  readonly interval: number;
  /** Numbers of those that fail, and when, in seconds. */
  readonly fails: readonly { readonly region: number; readonly at: number }[];
  /** Drained, not down. */
  readonly drains?: boolean;
  readonly foresees: boolean;
  readonly seconds: number;
  /** Clients of a region with load 1 and capacity 1. */
  readonly clients?: number;
};

/** Loads by region at the end of each second. */
export type Played = {
  readonly loads: readonly (readonly number[])[];
  /** The result of simulate just before the first failure, of all that fail. */
  readonly simulated: Traffic;
};

const COUNTRIES = ['KR', 'JP', 'IE', 'US', 'BR', 'ZA'];
const nameOf = (region: number): string => `r${region}`;

/** `play` with each of its options as a number, so that a table of them can be a title. */
export async function play(options: Play, dice: Dice): Promise<Played> {
  const { regions, ttl, interval, fails, foresees, seconds, drains = false, clients: unit = 1000 } = options;
  const server = worldOf(regions, ttl);
  const { generation } = server;
  const memory = server.health.states.buffer as SharedArrayBuffer;
  const clock = createManualClock();
  const foresee = createForesight(
    clock,
    () => ({ loaded: generation, health: memory }),
    () => undefined,
  );
  const silent = (): void => undefined;
  const health = startHealth({
    stateDir: undefined,
    log: silent,
    warn: silent,
    clock,
    ...(foresees ? { foresee } : {}),
  });
  configureHealth(health, { catalog: generation.catalog, health: memory } as Current);

  const clients = regions.flatMap(({ load, capacity = 1 }, region) =>
    Array.from({ length: Math.round(load * capacity * unit) }, (_, number) => ({
      address: Uint8Array.of(11 + region, number >> 8, number & 255, 1),
      vip: region,
      until: (dice.below(1000) / 1000) * ttl,
    })),
  );
  const counts = regions.map((_, region) => clients.filter(({ vip }) => vip === region).length);
  const loadOf = (region: number): number => (counts[region] ?? 0) / unit / (regions[region]?.capacity ?? 1);
  const loads: number[][] = [];
  const down = new Set<number>();
  let simulated: Traffic | undefined;
  for (let second = 0; second < seconds; second++) {
    for (const { region, at } of fails) {
      if (at !== second) continue;
      simulated ??= simulate(server, health.list(), fails);
      down.add(region);
      const target = `w.example.com/${nameOf(region)}`;
      if (drains) health.override(target, { state: 'drain' });
      else health.report(target, false);
    }
    await clock.advance(0);
    for (const client of clients) {
      if (client.until > second) continue;
      const vip = landing(server, client.address);
      client.until = second + ttl;
      if (vip === client.vip) continue;
      counts[client.vip] = (counts[client.vip] ?? 0) - 1;
      counts[vip] = (counts[vip] ?? 0) + 1;
      client.vip = vip;
    }
    for (const region of regions.keys()) {
      // Each at a different moment.
      if ((second + region) % interval !== 0 || (down.has(region) && !drains)) continue;
      health.report(`w.example.com/${nameOf(region)}`, true, loadOf(region) * (regions[region]?.capacity ?? 1));
    }
    loads.push([...regions.keys()].map(loadOf));
    await clock.advance(1000);
  }
  await health.stop();
  if (simulated === undefined) throw new Error('nobody fails');
  return { loads, simulated };
}

function landing({ state: { steerer } }: Answering, client: Uint8Array): number {
  steer(steerer, 0, HAS.A, locate(steerer, 0, HAS.A, client, 32), client, 32);
  return steerer.decision.candidates[0] ?? -1;
}

function simulate(
  { generation, health }: Answering,
  vips: readonly { readonly target: string; readonly load: number | undefined }[],
  fails: Play['fails'],
): Traffic {
  const down = fails.map(({ region }) => `w.example.com/${nameOf(region)}`);
  const live = { memory: health.states.buffer as SharedArrayBuffer, reasonOf: () => undefined };
  const loads = new Map(vips.map(({ target, load }) => [target, load]));
  const simulated = simulateFrom(
    generation,
    { down, weigh: 'auto' },
    {
      health: live,
      served: new Float64Array(vips.length),
      loadOf: ({ target }) => loads.get(target),
    },
  );
  if (!simulated.ok) throw new Error(simulated.message);
  const [traffic] = simulated.simulation.services;
  if (traffic === undefined) throw new Error('no service has such a VIP');
  return traffic;
}

function worldOf(regions: readonly PlayedRegion[], ttl: number): Answering {
  const all = [...regions.keys()];
  const places = all.map((region) => `  ${nameOf(region)}: { at: ${COUNTRIES[region] ?? 'KR'} }`);
  const vips = regions.map(
    ({ capacity = 1 }, region) =>
      `      ${nameOf(region)}: { region: ${nameOf(region)}, A: 203.0.113.${region + 1}, capacity: ${capacity} }`,
  );
  const keys = regions.map(({ order }, region) => {
    const whole = [...new Set([region, ...order, ...all])];
    return `          ${COUNTRIES[region] ?? 'default'}: [${whole.map(nameOf).join(', ')}]`;
  });
  return answering({
    'pharos.yaml': 'geo: { databases: [place.mmdb] }\n',
    'place.mmdb': writeMmdb(
      regions.map((_, region) => [`${11 + region}.0.0.0/8`, { country: { iso_code: COUNTRIES[region] ?? 'KR' } }]),
    ),
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
regions:
${places.join('\n')}
services:
  w:
    check: { type: push, expires: 24h }
    ttl: ${ttl}
    shed: { low: 80%, high: 95% }
    vips:
${vips.join('\n')}
    steer:
      - geo:
${keys.join('\n')}
          default: [${all.map(nameOf).join(', ')}]
      - weighted
`,
  });
}
