/**
 * The alarms of a fleet: `alone`, `split_verdict`, `configuration_drift`, `clock_skew` (docs/alarms.md).
 */
import type { Alarms } from '../config/alarms.ts';
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
  readonly isConnected: boolean;
  /** Digest of this node's configuration. */
  readonly config: string;
  readonly splits: readonly SplitVerdict[];
};

/** How long a condition holds before its alarm is raised. */
const ALONE_MS = 5000;
const SPLIT_MS = 30_000;
const DRIFT_MS = 120_000;
/** A clock that differs by more than this is wrong: no network delays messages for so long. */
const SKEW_MS = 1000;

export type FleetAlarms = { update(situation: FleetSituation): void };

export function createFleetAlarms(options: {
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly settings: Pick<FleetSettings, 'name' | 'servers'>;
}): FleetAlarms {
  const { alarms, clock, settings } = options;
  const since = new Map<string, number>();
  /** Whether the condition has held for so long. */
  const holds = (condition: string, isSo: boolean, forMs: number): boolean => {
    if (!isSo) {
      since.delete(condition);
      return false;
    }
    const startMs = since.get(condition) ?? clock.now();
    since.set(condition, startMs);
    return clock.now() - startMs >= forMs;
  };

  return {
    update: ({ peers, isConnected, config, splits }) => {
      const fresh = peers.filter(({ isFresh }) => isFresh);
      if (holds('alone', fresh.length === 0, ALONE_MS)) {
        const why = isConnected
          ? `no other node of the fleet ${settings.name} was heard`
          : `NATS cannot be reached at ${settings.servers.join(', ')}`;
        alarms.raise('alone', `This node decides alone: ${why}. It keeps the last orders and goes on answering.`);
      } else if (fresh.length > 0) alarms.clear('alone');

      const split = splits.filter(({ key }) => holds(`split ${key}`, true, SPLIT_MS));
      const keys = new Set(splits.map(({ key }) => `split ${key}`));
      for (const condition of [...since.keys()]) {
        if (condition.startsWith('split ') && !keys.has(condition)) since.delete(condition);
      }
      for (const each of split) {
        for (const target of each.targets) alarms.raise('split_verdict', splitWords(target, each), target);
      }
      alarms.retain('split_verdict', new Set(split.flatMap(({ targets }) => targets)));

      const others = fresh.filter((peer) => peer.config !== config);
      if (holds('drift', others.length > 0, DRIFT_MS)) {
        const names = others.map(({ node }) => node).join(', ');
        alarms.raise(
          'configuration_drift',
          `The configuration of ${names} differs from that of this node. Deploy the same files to all nodes and reload.`,
        );
      } else if (others.length === 0) alarms.clear('configuration_drift');

      const skewed = fresh.filter(({ skewMs }) => Math.abs(skewMs) > SKEW_MS);
      for (const { node, skewMs } of skewed) {
        const seconds = (Math.abs(skewMs) / 1000).toFixed(1);
        const message = `The clock of ${node} is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the clock of this node. Check NTP on both.`;
        alarms.raise('clock_skew', message, node);
      }
      alarms.retain('clock_skew', new Set(skewed.map(({ node }) => node)));
    },
  };
}

/** Who sees what, by region. */
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
