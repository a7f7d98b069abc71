/**
 * The alarms of a fleet: `alone`, `nats_refused`, `orders_stopped`, `node_name_twice`, `split_verdict`,
 * `configuration_drift`, `clock_skew` (docs/alarms.md).
 */
import type { AlarmCode, Alarms } from '../config/alarms.ts';
import type { FleetSettings } from '../config/settings.ts';
import type { Clock } from '../health/clock.ts';
import type { Count, Vote } from './count.ts';
import { VOTE } from './count.ts';
import type { PeerView, VoterView } from './member.ts';

/** A check on which regions disagree. */
export type SplitVerdict = {
  readonly key: string;
  /** VIPs that share the check. */
  readonly targets: readonly string[];
  readonly verdict: Vote;
  readonly count: Count;
  readonly voters: readonly VoterView[];
};

export type FleetSituation = {
  readonly peers: readonly PeerView[];
  /** Why NATS cannot be reached; undefined while connected. */
  readonly failure: string | undefined;
  /** The operations that NATS does not permit this node. */
  readonly refused: readonly string[];
  /** Why orders cannot be exchanged while NATS can be reached. */
  readonly ordersProblem: string | undefined;
  /** The revision of an order that a peer has applied and this node has not. */
  readonly missingOrders: number | undefined;
  /** Digest of this node's configuration. */
  readonly config: string;
  readonly splits: readonly SplitVerdict[];
  /** Whether another process has this node's name. */
  readonly hasTwin: boolean;
};

/** How long a condition holds before its alarm is raised. */
const ALONE_MS = 5000;
/** A cluster of NATS servers can choose a leader in this time. */
const ORDERS_MS = 15_000;
/** During a takeover, two processes send with this node's name. */
const TWIN_MS = 15_000;
const SPLIT_MS = 30_000;
const DRIFT_MS = 120_000;
/** A larger difference means that a clock is wrong: networks do not delay messages for so long. */
const SKEW_MS = 1000;

export type FleetAlarms = { update(situation: FleetSituation): void };

export type FleetAlarmsOptions = {
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly settings: Pick<FleetSettings, 'name' | 'servers' | 'node'>;
};

export function createFleetAlarms(options: FleetAlarmsOptions): FleetAlarms {
  const { alarms } = options;
  const timers = createTimers(options.clock);
  /**
   * Raises an alarm once its condition, which `message` describes, has held for `forMs`. Clears it when the condition
   * ends.
   */
  const judge = (code: AlarmCode, message: string | undefined, forMs: number): void => {
    if (timers.holds(code, message !== undefined, forMs) && message !== undefined) alarms.raise(code, message);
    else if (message === undefined) alarms.clear(code);
  };
  return {
    update: (situation) => {
      const fresh = situation.peers.filter(({ isFresh }) => isFresh);
      judge('alone', fresh.length === 0 ? aloneWords(options, situation) : undefined, ALONE_MS);
      judge('nats_refused', refusedWords(situation), 0);
      judge('orders_stopped', ordersWords(situation), ORDERS_MS);
      judge('node_name_twice', situation.hasTwin ? twinWords(options) : undefined, TWIN_MS);
      judge('configuration_drift', driftWords(fresh, situation.config), DRIFT_MS);

      timers.retain('split', new Set(situation.splits.map(({ key }) => key)));
      const split = situation.splits.filter(({ key }) => timers.holds(`split ${key}`, true, SPLIT_MS));
      for (const each of split) {
        for (const target of each.targets) alarms.raise('split_verdict', splitWords(target, each), target);
      }
      alarms.retain('split_verdict', new Set(split.flatMap(({ targets }) => targets)));

      const skewed = fresh.filter(({ skewMs }) => Math.abs(skewMs) > SKEW_MS);
      for (const peer of skewed) alarms.raise('clock_skew', skewWords(peer), peer.node);
      alarms.retain('clock_skew', new Set(skewed.map(({ node }) => node)));
    },
  };
}

/** Remembers since when each condition holds. */
function createTimers(clock: Clock): {
  /** Whether the condition has held for `forMs`. */
  holds(condition: string, isSo: boolean, forMs: number): boolean;
  /** Ends the conditions `kind name` of this kind whose name is not in `names`. */
  retain(kind: string, names: ReadonlySet<string>): void;
} {
  const since = new Map<string, number>();
  return {
    holds: (condition, isSo, forMs) => {
      if (!isSo) {
        since.delete(condition);
        return false;
      }
      const startMs = since.get(condition) ?? clock.now();
      since.set(condition, startMs);
      return clock.now() - startMs >= forMs;
    },
    retain: (kind, names) => {
      for (const condition of [...since.keys()]) {
        if (condition.startsWith(`${kind} `) && !names.has(condition.slice(kind.length + 1))) since.delete(condition);
      }
    },
  };
}

function aloneWords({ settings }: FleetAlarmsOptions, { failure }: FleetSituation): string {
  const why =
    failure === undefined
      ? `no other node of the fleet ${settings.name} was heard`
      : `NATS cannot be reached at ${settings.servers.join(', ')} (${failure})`;
  return `This node decides alone: ${why}. It keeps the last orders and answers queries.`;
}

function refusedWords({ refused }: FleetSituation): string | undefined {
  if (refused.length === 0) return undefined;
  return `NATS does not permit this node to ${refused.join(', ')}. Extend the permissions of its login.`;
}

function ordersWords({ ordersProblem, missingOrders }: FleetSituation): string | undefined {
  const missing =
    missingOrders === undefined ? undefined : `a peer has revision ${String(missingOrders)}, which does not arrive`;
  const why = ordersProblem ?? missing;
  if (why === undefined) return undefined;
  return `Orders of the fleet do not reach this node: ${why}. It keeps the last orders. Check JetStream.`;
}

function twinWords({ settings }: FleetAlarmsOptions): string {
  return `Another server of the fleet ${settings.name} has the name of this node, ${settings.node}, so their votes are mixed up. Give each server its own fleet.node.`;
}

function driftWords(fresh: readonly PeerView[], config: string): string | undefined {
  const others = fresh.filter((peer) => peer.config !== config).map(({ node }) => node);
  if (others.length === 0) return undefined;
  return `The configuration of ${others.join(', ')} differs from that of this node. Deploy the same files to all nodes and reload.`;
}

function skewWords({ node, skewMs }: PeerView): string {
  const seconds = (Math.abs(skewMs) / 1000).toFixed(1);
  return `The clock of ${node} is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the clock of this node. Check NTP on both.`;
}

/** Describes which regions see the target down and which see it up. */
function splitWords(target: string, { verdict, count, voters }: SplitVerdict): string {
  const seen = (stand: Vote): string =>
    count.regions
      .filter((region) => region.stand === stand)
      .map(({ region }) => region)
      .join(', ');
  const downVoter = voters.find(({ vote }) => vote === VOTE.DOWN);
  const reason = downVoter === undefined || downVoter.reason === '' ? '' : ` (${downVoter.node}: ${downVoter.reason})`;
  const shown = verdict === VOTE.UP ? 'up' : verdict === VOTE.DOWN ? 'down' : 'unknown';
  return `Regions disagree on ${target}: down from ${seen(VOTE.DOWN)}${reason}, up from ${seen(VOTE.UP)}. DNS answers take it as ${shown}.`;
}
