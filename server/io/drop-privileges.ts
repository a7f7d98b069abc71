/**
 * A server that starts as root changes permanently to another user, before it reads a packet or runs a check. It keeps
 * the capability to bind ports below 1024, because a restarted thread must open its sockets again.
 */
import { accessSync, chownSync, constants, lchownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findUser, isRoot, unknownUser } from '../../config/find-user.ts';
import { makeFolder } from '../../config/folder.ts';
import { allowUsualPriority, keepOnlyBinding, type PasswordEntry } from '../../config/libc.ts';
import { codeOf } from '../../config/unknown-values.ts';

export type User = PasswordEntry;

/** `message` says what is wrong, `hint` what to do. */
export class LeaveRootError extends Error {
  override readonly name = 'LeaveRootError';
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** The types of Node.js lack this function. */
type WithGroups = { readonly initgroups?: (user: string, extraGroup: number) => void };

const DEFAULT_USER = 'pharos';

export type Staying = { readonly stays: true; readonly why: string };

/**
 * The user that a root process should become; undefined when the process is not root. Throws LeaveRootError when
 * `named` is unknown.
 */
export function userToBecome(named: string | undefined): User | Staying | undefined {
  if (!isRoot()) return undefined;
  const user = findUser(named ?? DEFAULT_USER);
  if (!user) {
    if (named === undefined) return { stays: true, why: `user ${DEFAULT_USER} does not exist` };
    const { message, hint } = unknownUser(named);
    throw new LeaveRootError(message, hint);
  }
  return user.uid === 0 ? { stays: true, why: `the configuration has "user: ${user.name}"` } : user;
}

/** Changes to the user, in all threads. Gives the state folder and its files to the user. Throws LeaveRootError. */
export function becomeUser(user: User, stateDir: string): void {
  handOverState(stateDir, user);
  allowUsualPriority();
  try {
    keepOnlyBinding(() => {
      (process as WithGroups).initgroups?.(user.name, user.gid);
      process.setgid?.(user.gid);
      process.setuid?.(user.uid);
    });
  } catch (error) {
    const code = codeOf(error) || String(error);
    const hint = 'give the container CAP_SETUID and CAP_SETGID, or start it as that user';
    throw new LeaveRootError(`cannot become the user ${user.name} (${code})`, hint);
  }
  if (process.getuid?.() !== user.uid || canBeRoot()) {
    throw new LeaveRootError(`did not become the user ${user.name}`, 'start the server as that user');
  }
}

/** Whether the user of this process may read or write the file. True for files that do not exist. */
export function mayAccess(path: string, how: 'read' | 'write'): boolean {
  try {
    accessSync(path, how === 'read' ? constants.R_OK : constants.W_OK);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EACCES';
  }
}

function canBeRoot(): boolean {
  try {
    process.setuid?.(0);
    return true;
  } catch {
    return false;
  }
}

/** Names of Pharos's files and folders in the state folder, including temporary and damaged files. */
const OURS = /^(?:[a-z]+\.json|takeover\.sock)(?:\.tmp|\.new|\.bad)?$|^(?:keys|cache|audit\.log(?:\.1)?)$/;

/**
 * Gives the folder and Pharos's files in it to the user. Leaves a folder with any other file unchanged, because
 * `state_dir` may name another program's folder.
 */
function handOverState(folder: string, { uid, gid }: User): void {
  makeFolder(folder);
  const names = readdirSync(folder);
  if (!names.every((name) => OURS.test(name))) return;
  for (const name of names) {
    const path = join(folder, name);
    const stats = lstatSync(path);
    // A file with a second hard link could be any file of this file system.
    if (stats.isDirectory() || stats.nlink === 1) lchownSync(path, uid, gid);
    if (stats.isDirectory()) for (const inner of readdirSync(path)) handOverKey(join(path, inner), uid, gid);
  }
  chownSync(folder, uid, gid);
}

function handOverKey(path: string, uid: number, gid: number): void {
  const stats = lstatSync(path);
  if (stats.isFile() && stats.nlink === 1) lchownSync(path, uid, gid);
}
