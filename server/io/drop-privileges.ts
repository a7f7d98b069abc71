/**
 * A server that is started as root becomes another user for good, before it reads a packet or runs a check. It keeps one
 * right, to bind ports under 1024: a thread that died and is started again has to open its sockets again.
 */
import { accessSync, chownSync, constants, lchownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { makeFolder } from '../../config/folder.ts';
import { readRegularFile } from '../../config/read-file.ts';
import { allowRealTime, keepOnlyBinding } from '../libc.ts';
import { codeOf } from '../../config/unknown-values.ts';

export type User = { readonly name: string; readonly uid: number; readonly gid: number };

/** `message` says what is wrong, `hint` what to do. */
export class LeaveRootError extends Error {
  override readonly name = 'LeaveRootError';
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** Which the types of Node.js lack. */
type WithGroups = { readonly initgroups?: (user: string, extraGroup: number) => void };

const DEFAULT_USER = 'pharos';
const MAX_PASSWD_OCTETS = 16 * 1024 * 1024;

export type Staying = { readonly stays: true; readonly why: string };

/**
 * Which user a process that is root shall become; undefined where it is not root. Throws LeaveRootError for a user that is
 * named and unknown.
 */
export function userToBecome(named: string | undefined): User | Staying | undefined {
  if (process.getuid?.() !== 0 && process.geteuid?.() !== 0) return undefined;
  const user = findUser(named ?? DEFAULT_USER);
  if (!user) {
    if (named === undefined) return { stays: true, why: `there is no user ${DEFAULT_USER}` };
    throw new LeaveRootError(`unknown user "${named}" in "user:"`, `create it: useradd --system ${named}`);
  }
  return user.uid === 0 ? { stays: true, why: `"user: ${user.name}" says so` } : user;
}

/** Becomes the user, in all threads. The state folder and what Pharos keeps in it belong to the user then. Throws LeaveRootError. */
export function becomeUser(user: User, stateDir: string): void {
  handOverState(stateDir, user);
  allowRealTime();
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

/** Whether the user that runs this process may do that with the file. */
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

/** By name or number: in /etc/passwd, else wherever the system looks for users. */
function findUser(name: string): User | undefined {
  try {
    const lines = readRegularFile('/etc/passwd', { maxOctets: MAX_PASSWD_OCTETS }).octets.toString('utf8').split('\n');
    for (const line of lines) {
      const [login = '', , uid = '', gid = ''] = line.split(':');
      if (login !== '' && (login === name || uid === name)) return { name: login, uid: Number(uid), gid: Number(gid) };
    }
  } catch {
    // Without the file there may still be a service of names.
  }
  try {
    const number = (flag: string): number =>
      Number(execFileSync('id', [flag, '--', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    return { name, uid: number('-u'), gid: number('-g') };
  } catch {
    return undefined;
  }
}

/** What Pharos keeps in the state folder, its temporary and damaged files too. */
const OURS = /^(?:[a-z]+\.json|takeover\.sock)(?:\.tmp|\.new|\.bad)?$|^keys$/;

/**
 * Gives the folder and Pharos's own files in it to the user. A folder with anything else in it stays as it is: `state_dir`
 * may name one that belongs to somebody else.
 */
function handOverState(folder: string, { uid, gid }: User): void {
  makeFolder(folder);
  const names = readdirSync(folder);
  if (!names.every((name) => OURS.test(name))) return;
  for (const name of names) {
    const path = join(folder, name);
    const stats = lstatSync(path);
    // A file with a second name could be anything on this file system.
    if (stats.isDirectory() || stats.nlink === 1) lchownSync(path, uid, gid);
    if (stats.isDirectory()) for (const inner of readdirSync(path)) handOverKey(join(path, inner), uid, gid);
  }
  chownSync(folder, uid, gid);
}

function handOverKey(path: string, uid: number, gid: number): void {
  const stats = lstatSync(path);
  if (stats.isFile() && stats.nlink === 1) lchownSync(path, uid, gid);
}
