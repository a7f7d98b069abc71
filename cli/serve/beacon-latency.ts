/**
 * Latency measured in users' browsers, in a running server: receives samples, applies changed medians at intervals, and
 * keeps the samples over restarts.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import type { BeaconSettings } from '../../config/settings.ts';
import { viewAtlas } from '../../geo/atlas-view.ts';
import { createBeaconSamples, type FigureRules } from '../../geo/beacon-samples.ts';
import type { LatencyTable } from '../../geo/latency-table.ts';
import { locationAt, type Location } from '../../geo/location.ts';
import { isNoticeable } from '../../geo/overlay-latency.ts';
import { notSaved } from '../../health/atomic-file.ts';
import { tellLost } from '../../health/state-file.ts';
import { createBeacon, type Beacon } from '../../status/beacon.ts';
import { BEACON_FILE, readBeaconFile, writeBeaconFile } from '../../zones/beacon-file.ts';
import type { LoadedGeneration } from '../../zones/load-generation.ts';
import { isUnchanged } from '../../zones/read/file-stamp.ts';

export type Measured = {
  readonly beacon: Beacon;
  /** The present medians, for a load; undefined without a beacon. */
  readonly figures: () => Promise<LatencyTable | undefined>;
  /** A generation with these medians is in force. */
  readonly applied: (figures: LatencyTable | undefined) => void;
  /** Starts to apply changes. `reload` compiles the files and the result of `figures`. */
  readonly start: (reload: () => Promise<unknown>) => void;
  /** Stops, and saves the samples. */
  readonly stop: () => Promise<void>;
};

/** How often to check for a beacon while none is configured. */
const IDLE_MS = 60_000;

export function createMeasured(current: () => LoadedGeneration, log: Logger, alarms: Alarms): Measured {
  const samples = createBeaconSamples();
  const stateDir = current().settings.stateDir;
  const file = join(stateDir, BEACON_FILE);
  const settings = (): BeaconSettings | undefined => current().settings.beacon;
  let savedReports = 0;
  let waits = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  const rulesOf = ({ windowMs, minSources }: BeaconSettings): FigureRules => ({
    sinceMs: Date.now() - windowMs,
    minSources,
  });
  const figures = async (): Promise<LatencyTable | undefined> => {
    const beacon = settings();
    return beacon && (await samples.figuresInTurns(rulesOf(beacon), () => setImmediate()));
  };
  const atStart = settings();
  if (atStart) {
    const lost = (message: string): void => {
      tellLost({ file, alarms }, message);
    };
    samples.restore(readBeaconFile(stateDir, lost), Date.now());
  }
  let inForce = atStart && samples.figures(rulesOf(atStart));

  const locate = (address: Uint8Array): Location => {
    const { atlas, locations } = current();
    return locationAt(viewAtlas(atlas), locations, address);
  };
  const beacon = createBeacon({
    settings,
    regions: () => current().settings.regions,
    locate,
    samples,
    now: () => Date.now(),
  });

  const save = async (): Promise<void> => {
    const { reports } = beacon.stats();
    if (reports === savedReports) return;
    try {
      await writeBeaconFile(stateDir, samples);
      savedReports = reports;
      alarms.clear('state_not_saved', file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      alarms.raise('state_not_saved', notSaved(file, reason, 'Trying again with the next measurements.'), file);
    }
  };
  const apply = async (reload: () => Promise<unknown>): Promise<void> => {
    const rules = settings();
    if (!rules) return;
    samples.expire(Date.now() - rules.windowMs);
    await save();
    const now = await figures();
    if (!now || (inForce && !isNoticeable(inForce, now))) return;
    // Files that an operator is editing must not be loaded because of a median.
    if (await isUnchanged(current().files)) {
      waits = false;
      log.info({ networks: now.v4.count + now.v6.count }, 'measured latencies changed');
      await reload();
    } else if (!waits) {
      waits = true;
      log.info(
        'measured latencies changed, but configuration files changed too: they are applied with the next reload',
      );
    }
  };
  const next = (reload: () => Promise<unknown>): void => {
    timer = setTimeout(() => {
      running = apply(reload)
        .catch((error: unknown) => {
          log.error({ err: error }, 'measured latencies could not be applied');
        })
        .then(() => {
          if (timer) next(reload);
        });
    }, settings()?.applyMs ?? IDLE_MS);
    timer.unref();
  };

  return {
    beacon,
    figures,
    applied: (applied) => {
      inForce = applied;
    },
    start: next,
    stop: async () => {
      clearTimeout(timer);
      timer = undefined;
      await running;
      await save();
    },
  };
}
