/**
 * Nodes of a fleet in this process, over real NATS servers: the fleet room as the server has it, without probes and DNS.
 */
import { join } from 'node:path';
import { createAlarms, type Alarms } from '../../config/alarms.ts';
import type { CheckSpec } from '../../config/check-kinds.ts';
import type { FleetSettings } from '../../config/settings.ts';
import type { OrderEntry } from '../../fleet/order-book.ts';
import { startFleet, type Fleet } from '../../fleet/start-fleet.ts';
import { systemClock, type Clock } from '../../health/clock.ts';
import { PROBED, type Probed } from '../../health/health-table.ts';

export type FleetNode = {
  readonly name: string;
  readonly fleet: Fleet;
  readonly alarms: Alarms;
  /** What it logged. */
  readonly lines: string[];
  /** Orders as they were applied. */
  readonly orders: OrderEntry[];
  vote(state: Probed, reason?: string): void;
  verdict(): Probed;
  /** Nodes that it hears. */
  heard(): readonly string[];
  stop(): Promise<void>;
};

export type FleetNodeOptions = {
  readonly name: string;
  readonly servers: readonly string[];
  readonly folder: string;
  readonly region?: string;
  readonly login?: Partial<FleetSettings['login']>;
  readonly tls?: FleetSettings['tls'];
  readonly clock?: Clock;
  readonly waitMs?: number;
  readonly config?: string;
  /** What its check is called in its files: votes on another check do not count. */
  readonly check?: string;
};

const NO_LOGIN = { credentials: undefined, user: undefined, password: undefined, token: undefined, nkey: undefined };
/** The one check of each node, at one address. */
const KEY = '192.0.2.1 web';

/** Starts a node, which votes "up". */
export function joinFleet(options: FleetNodeOptions): FleetNode {
  const { name, servers, folder, region = name, login, tls, clock = systemClock, waitMs = 3000 } = options;
  const alarms = createAlarms(() => clock.wall());
  const lines: string[] = [];
  const orders: OrderEntry[] = [];
  const say = (line: string): void => void lines.push(line);
  const fleet = startFleet({
    settings: { name: 'test', servers, node: name, region, waitMs, login: { ...NO_LOGIN, ...login }, tls },
    stateDir: join(folder, `node-${name}`),
    version: '1',
    clock,
    alarms,
    log: say,
    warn: say,
  });
  const { electorate } = fleet;
  electorate.listen({ changed: () => undefined, doubted: () => undefined, probing: () => undefined });
  fleet.setConfig([options.config ?? 'one']);
  const check = { type: 'tcp', port: 80, intervalMs: 5000, timeoutMs: 2000, fastMs: 200 } as unknown as CheckSpec;
  const inFiles = options.check ?? KEY;
  electorate.configure([{ key: KEY, inFiles, check, members: [{ target: 'www/a' }], before: PROBED.UNKNOWN }]);
  fleet.obey({ ordered: (entry) => void orders.push(entry), drains: () => [], reported: () => undefined });
  electorate.vote(KEY, PROBED.UP, '');
  return {
    name,
    fleet,
    alarms,
    lines,
    orders,
    vote: (state, reason = '') => {
      electorate.vote(KEY, state, reason);
    },
    verdict: () => electorate.verdict(KEY),
    heard: () => fleet.peers().flatMap(({ node, isFresh }) => (isFresh ? [node] : [])),
    stop: () => fleet.stop(),
  };
}
