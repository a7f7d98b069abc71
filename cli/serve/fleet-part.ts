/**
 * This node's part in a fleet, for a running server: it is loaded only if pharos.yaml has `fleet`.
 */
import type { Logger } from 'pino';
import type { Alarms } from '../../config/alarms.ts';
import type { Settings } from '../../config/settings.ts';
import type { Fleet } from '../../fleet/start-fleet.ts';
import { systemClock } from '../../health/clock.ts';
import { readVersion } from '../version.ts';
import type { Current } from './generation.ts';
import { servedEntries } from './serial-agreement.ts';

/** Undefined without `fleet` in the settings. Connects in the background. */
export async function openFleet(settings: Settings, alarms: Alarms, log: Logger): Promise<Fleet | undefined> {
  if (settings.fleet === undefined) return undefined;
  const { startFleet } = await import('../../fleet/start-fleet.ts');
  return startFleet({
    settings: settings.fleet,
    stateDir: settings.stateDir,
    version: readVersion(),
    clock: systemClock,
    alarms,
    log: (message) => {
      log.info(message);
    },
    warn: (message) => {
      log.warn(message);
    },
  });
}

/** Tells the fleet the zone contents of this node's configuration, so that nodes detect drift. */
export function describeConfiguration(fleet: Fleet | undefined, current: Current): void {
  fleet?.setConfig([...servedEntries(current)].map(([zone, { content = '' }]) => `${zone} ${content}`).sort());
}
