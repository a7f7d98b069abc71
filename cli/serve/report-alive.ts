/**
 * Tells the service manager regularly that this process works: the control thread runs this, and every answering thread
 * has made a turn since the last time. Otherwise it says nothing, and the manager restarts the server after
 * WatchdogSec.
 */
import type { Logger } from 'pino';
import type { ServiceManager } from '../../server/io/service-manager.ts';
import type { Server } from '../../server/threads/supervisor.ts';

/** Reports per time limit: one may be late. */
const PER_LIMIT = 3;

export function reportAlive(
  manager: ServiceManager,
  server: Pick<Server, 'blocked'>,
  log: Pick<Logger, 'error' | 'info'>,
): void {
  const { watchdogMs } = manager;
  if (watchdogMs === undefined) return;
  let isBlocked = false;
  const report = (): void => {
    const blocked = server.blocked();
    if (blocked.length === 0) {
      manager.alive();
      if (isBlocked) log.info('all threads answer again');
    } else if (!isBlocked) {
      log.error(
        `${blocked.join(', ')} blocked: no report to the service manager, which restarts the server after ${String(watchdogMs / 1000)} s`,
      );
    }
    isBlocked = blocked.length > 0;
  };
  // Also while the server stops: the threads have ended then, and count as not running.
  setInterval(report, watchdogMs / PER_LIMIT).unref();
}
