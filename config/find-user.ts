/**
 * Finds users of the system: the user that a server started as root becomes.
 */
import { execFileSync } from 'node:child_process';
import { findPasswordEntry, type PasswordEntry } from './libc.ts';
import { readRegularFile } from './read-file.ts';

const MAX_PASSWD_OCTETS = 16 * 1024 * 1024;

/** Whether this process has the rights of root. Only then a server becomes the user of `user`. */
export function isRoot(): boolean {
  return process.getuid?.() === 0 || process.geteuid?.() === 0;
}

/** Finds a user by name or number, in /etc/passwd or in another source of the system. */
export function findUser(name: string): PasswordEntry | undefined {
  try {
    const lines = readRegularFile('/etc/passwd', { maxOctets: MAX_PASSWD_OCTETS }).octets.toString('utf8').split('\n');
    for (const line of lines) {
      const [login = '', , uid = '', gid = ''] = line.split(':');
      if (login !== '' && (login === name || uid === name)) return { name: login, uid: Number(uid), gid: Number(gid) };
    }
  } catch {
    // Without the file, the system may have another source of users.
  }
  // A program for this takes 15 ms of CPU.
  const entry = findPasswordEntry(name);
  if (entry !== undefined) return entry ?? undefined;
  try {
    const number = (flag: string): number =>
      Number(execFileSync('id', [flag, '--', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    return { name, uid: number('-u'), gid: number('-g') };
  } catch {
    return undefined;
  }
}

/** The message and the hint for a user that does not exist. */
export function unknownUser(name: string): { readonly message: string; readonly hint: string } {
  return { message: `unknown user "${name}" in "user:"`, hint: `create it: useradd --system ${name}` };
}
