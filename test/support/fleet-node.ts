/**
 * Nodes of a fleet in this process, over real NATS servers: the fleet room as the server has it, without probes and
 * DNS.
 */
import { join } from 'node:path';
import { createAlarms, type Alarms } from '../../config/alarms.ts';
import type { CheckSpec } from '../../config/check-kinds.ts';
import type { FleetSettings } from '../../config/settings.ts';
import type { OrderEntry } from '../../fleet/order-book.ts';
import { startFleet, type Fleet, type PushReport } from '../../fleet/start-fleet.ts';
import { systemClock, type Clock } from '../../health/clock.ts';
import { PROBED, type Probed } from '../../health/health-table.ts';
import { startNats, startNatsCluster, type NatsServer, type NatsServerOptions } from './nats.ts';
import { folderOf } from './pharos.ts';
import { eventually } from './process.ts';

export type FleetNode = {
  readonly name: string;
  readonly fleet: Fleet;
  readonly alarms: Alarms;
  /** What it logged. */
  readonly lines: string[];
  /** Orders as they were applied. */
  readonly orders: OrderEntry[];
  /** Reports to push checks that other nodes took. */
  readonly reports: PushReport[];
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
  readonly domain?: string;
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
  const reports: PushReport[] = [];
  const say = (line: string): void => void lines.push(line);
  const fleet = startFleet({
    settings: {
      name: 'test',
      servers,
      domain: options.domain,
      node: name,
      region,
      waitMs,
      login: { ...NO_LOGIN, ...login },
      tls,
    },
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
  fleet.obey({
    ordered: (entry) => void orders.push(entry),
    drains: () => [],
    reported: (report) => void reports.push(report),
  });
  electorate.vote(KEY, PROBED.UP, '');
  return {
    name,
    fleet,
    alarms,
    lines,
    orders,
    reports,
    vote: (state, reason = '') => {
      electorate.vote(KEY, state, reason);
    },
    verdict: () => electorate.verdict(KEY),
    heard: () => fleet.peers().flatMap(({ node, isFresh }) => (isFresh ? [node] : [])),
    stop: () => fleet.stop(),
  };
}

export type LabNodeOptions = Omit<FleetNodeOptions, 'folder'>;

/** Servers and nodes in a folder; all end with the block. */
export type FleetLab = {
  readonly folder: string;
  nats(options?: Partial<NatsServerOptions>): Promise<NatsServer>;
  cluster(config: string): Promise<readonly NatsServer[]>;
  join(options: LabNodeOptions): FleetNode;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export function openFleetLab(): FleetLab {
  const folder = folderOf({});
  const nodes: FleetNode[] = [];
  const servers: NatsServer[] = [];
  return {
    folder: folder.path,
    nats: async (options = {}) => {
      const server = await startNats({ folder: folder.path, ...options });
      servers.push(server);
      return server;
    },
    cluster: async (config) => {
      const started = await startNatsCluster(folder.path, config);
      servers.push(...started);
      return started;
    },
    join: (options) => {
      const node = joinFleet({ ...options, folder: folder.path });
      nodes.push(node);
      return node;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await Promise.all(servers.map((server) => server.kill()));
      folder[Symbol.dispose]();
    },
  };
}

/** Until all nodes hear each other. */
export async function together(nodes: readonly FleetNode[]): Promise<void> {
  await eventually(
    () => Promise.resolve(nodes.map((node) => [node.name, node.heard(), node.lines])),
    () => nodes.every((node) => nodes.every(({ name }) => name === node.name || node.heard().includes(name))),
  );
}

/** Until all nodes have applied the order with the key and revision. */
export async function agreed(nodes: readonly FleetNode[], key: string, revision: number): Promise<void> {
  await eventually(
    () => Promise.resolve(nodes.map(({ fleet, lines }) => [fleet.orderOf(key)?.revision, lines])),
    () => nodes.every(({ fleet }) => fleet.orderOf(key)?.revision === revision),
  );
}

/** Gives an order at a node; it may be refused while a cluster chooses a leader. Resolves to its revision. */
export async function order({ fleet }: FleetNode, key: string, value: unknown = { target: key }): Promise<number> {
  let revision = 0;
  const give = async (): Promise<string> => {
    try {
      ({ revision } = await fleet.order(key, value));
      return '';
    } catch (error) {
      return String(error);
    }
  };
  await eventually(give, (refused) => refused === '');
  return revision;
}

/** Votes, orders and their way between all nodes: the fleet works. */
export async function works(nodes: readonly FleetNode[]): Promise<void> {
  await together(nodes);
  for (const node of nodes) {
    const key = `state.${node.name}`;
    await agreed(nodes, key, await order(node, key));
  }
}

/** Until a node has written a line that contains the text. */
export async function says({ lines }: FleetNode, text: string | RegExp): Promise<void> {
  await eventually(
    () => Promise.resolve(lines),
    (said) => said.some((line) => (typeof text === 'string' ? line.includes(text) : text.test(line))),
  );
}

/** Until every node has the verdict. */
export async function decided(nodes: readonly FleetNode[], verdict: Probed): Promise<void> {
  await eventually(
    () => Promise.resolve(nodes.map((node) => node.verdict())),
    (verdicts) => verdicts.every((each) => each === verdict),
  );
}
