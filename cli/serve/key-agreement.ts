/**
 * CDS in a fleet: this node publishes CDS and CDNSKEY of a zone only while all nodes sign the zone with the same keys
 * (docs/dnssec.md#keys). The rule is fleet/judge-keys.ts.
 */
import type { Logger } from 'pino';
import { judgeKeys, type FleetSight } from '../../fleet/judge-keys.ts';
import type { Fleet } from '../../fleet/start-fleet.ts';
import { isUnchanged } from '../../zones/read/file-stamp.ts';
import type { Current } from './generation.ts';
import { keyOf } from './serial-agreement.ts';

export type KeyAgreement = {
  /** By `nameKey`: the digest of the keys on which all nodes agree. For a load. */
  readonly agreed: () => ReadonlyMap<string, string>;
  /** Why a zone has no CDS; undefined if it has, or wants none. `zone` is a name of the catalog. */
  readonly whyWithheld: (zone: string) => string | undefined;
  /** The server answers. */
  readonly start: () => void;
  readonly stop: () => void;
};

export type KeyAgreementParts = {
  readonly fleet: SigningFleet | undefined;
  readonly current: () => Pick<Current, 'catalog' | 'loaded'>;
  readonly reload: () => Promise<unknown>;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Milliseconds of a clock that is never set. */
  readonly nowMs?: () => number;
};

export type SigningFleet = Pick<Fleet, 'isConnected' | 'known' | 'peers'> & {
  readonly serials: Pick<Fleet['serials'], 'servedBy'>;
};

const LOOK_EVERY_MS = 1000;
/** How long an agreement lasts while a node is not heard: the time in which a node restarts. */
const HOLD_MS = 60_000;
/** The delay after a reload that did not change what is published. */
const AGAIN_MS = 30_000;
const MOST_NAMES = 5;

type State = KeyAgreementParts & {
  readonly agreed: Map<string, string>;
  /** By `nameKey`: since when a node could not be asked. */
  readonly unsureSince: Map<string, number>;
  /** By name: why the nodes do not agree; undefined: they do. */
  readonly reasons: Map<string, string | undefined>;
  readonly clock: () => number;
  notBefore: number;
  isReloading: boolean;
};

export function createKeyAgreement(parts: KeyAgreementParts): KeyAgreement {
  const { nowMs = () => performance.now() } = parts;
  const state: State = {
    ...{ ...parts, clock: nowMs, agreed: new Map(), unsureSince: new Map(), reasons: new Map() },
    ...{ notBefore: -Infinity, isReloading: false },
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    agreed: () => {
      judgeAll(state);
      return new Map(state.agreed);
    },
    whyWithheld: (zone) => state.reasons.get(zone),
    start: () => {
      if (!parts.fleet) return;
      timer = setInterval(() => void look(state), LOOK_EVERY_MS).unref();
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}

/** Judges the keys of all zones that want a CDS, and logs what has changed. */
function judgeAll({ fleet, current, agreed, unsureSince, reasons, clock, log }: State): void {
  if (!fleet) return;
  const sight: FleetSight = {
    isConnected: fleet.isConnected(),
    known: fleet.known(),
    fresh: new Set(fleet.peers().flatMap(({ node, isFresh }) => (isFresh ? [node] : []))),
    servedBy: fleet.serials.servedBy,
  };
  const changed = new Map<string | undefined, string[]>();
  const judged = new Set<string>();
  for (const { name, signing } of current().catalog.zones) {
    if (!signing || signing.cds === 'none') continue;
    const [key, keys] = [keyOf(name), signing.keysDigest];
    judged.add(key).add(name);
    const verdict = judgeKeys(key, keys, sight);
    if (verdict.kind !== 'unsure') unsureSince.delete(key);
    const since = unsureSince.get(key) ?? clock();
    if (verdict.kind === 'unsure') unsureSince.set(key, since);
    const isHeld = verdict.kind === 'unsure' && agreed.get(key) === keys && clock() - since < HOLD_MS;
    const why = verdict.kind === 'same' || isHeld ? undefined : verdict.why;
    if (why === undefined) agreed.set(key, keys);
    else agreed.delete(key);
    if (reasons.has(name) && reasons.get(name) === why) continue;
    reasons.set(name, why);
    changed.set(why, [...(changed.get(why) ?? []), name]);
  }
  for (const each of [agreed, unsureSince, reasons]) for (const key of each.keys()) if (!judged.has(key)) each.delete(key); // prettier-ignore
  for (const [why, zones] of changed) {
    const names = `${zones.slice(0, MOST_NAMES).join(', ')}${zones.length > MOST_NAMES ? ` and ${zones.length - MOST_NAMES} more zones` : ''}`; // prettier-ignore
    if (why === undefined) log.info(`fleet: all nodes sign ${names} with the same keys: CDS and CDNSKEY are published`);
    else log.warn(`fleet: CDS and CDNSKEY of ${names} are withheld: ${why}`);
  }
}

/** Reloads if a zone must get its CDS, or lose it. */
async function look(state: State): Promise<void> {
  const { current, reload, clock, log } = state;
  judgeAll(state);
  if (state.isReloading || clock() < state.notBefore || !needsReload(state)) return;
  state.isReloading = true;
  state.notBefore = clock() + AGAIN_MS;
  try {
    // Files that an operator is editing must not be loaded because of this.
    if (await isUnchanged(current().loaded.files)) await reload();
    else log.info('fleet: CDS must change, but configuration files changed too: it changes with the next reload');
    if (!needsReload(state)) state.notBefore = -Infinity;
  } finally {
    state.isReloading = false;
  }
}

function needsReload({ current, agreed }: State): boolean {
  return current().catalog.zones.some(
    ({ name, signing }) =>
      signing !== undefined &&
      signing.cds !== 'none' &&
      (agreed.get(keyOf(name)) === signing.keysDigest) === (signing.cds === 'withheld'),
  );
}
