/**
 * A server that was started as root becomes another user, and warns about files that this user cannot use.
 */
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Settings } from '../../config/settings.ts';
import { becomeUser, LeaveRootError, mayAccess, userToBecome } from '../../server/io/drop-privileges.ts';

/** An example of a module that a thread reads when it starts. */
const MODULE = fileURLToPath(import.meta.url);

/**
 * Becomes the user of `settings.user`. `files` are those of the configuration, which a reload reads again. Throws
 * LeaveRootError if `user` is set and the switch fails. If `user` is not set, the process stays root and logs a
 * warning.
 */
export function leaveRoot({ user: named, stateDir, tls }: Settings, files: readonly string[], log: Logger): void {
  const user = userToBecome(named);
  if (!user) return;
  if ('stays' in user) {
    warnOfRoot(user.why, log);
    return;
  }
  try {
    becomeUser(user, stateDir);
  } catch (error) {
    if (!(error instanceof LeaveRootError) || named !== undefined || process.getuid?.() !== 0) throw error;
    warnOfRoot(error.message, log);
    return;
  }
  if (!mayAccess(MODULE, 'read')) {
    const hint = `install Pharos where ${user.name} can read it, or set "user: root"`;
    throw new LeaveRootError(`the user ${user.name} may not read Pharos itself (${MODULE})`, hint);
  }
  log.info(`Running as the user ${user.name}.`);
  for (const path of files.filter((file) => !mayAccess(file, 'read'))) {
    log.warn(`The user ${user.name} may not read ${path}: the next reload will be rejected.`);
  }
  for (const path of tls ? [tls.keyPair.path, tls.keyPair.keyPath] : []) {
    if (mayAccess(path, 'read')) continue;
    const what = 'a reload keeps the present certificate, and a new one needs a restart';
    log.warn(`The user ${user.name} may not read ${path}: ${what}. Make it readable for a group of that user.`);
  }
  if (!mayAccess(stateDir, 'write')) {
    log.warn(`The user ${user.name} may not write to ${stateDir}: states and overrides will not be saved.`);
  }
}

function warnOfRoot(why: string, log: Logger): void {
  log.warn(
    `Running as root: ${why}. Checks of the type exec run as root too. Create a user (useradd --system pharos), or set "user:".`,
  );
}
