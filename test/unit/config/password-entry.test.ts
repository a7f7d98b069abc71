import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findPasswordEntry, whyNoLibc } from '../../../config/libc.ts';

describe.skipIf(whyNoLibc() !== undefined)('a user of the system', () => {
  const lines = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  const users = lines.map((line) => line.split(':')).map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) })); // prettier-ignore

  test('is found by name', () => {
    expect(users.length).toBeGreaterThan(0);
    expect(users.map(({ name }) => findPasswordEntry(name))).toEqual(users);
  });

  test('is found by number, as `id` finds it', () => {
    const { uid } = users.at(-1) ?? { uid: 0 };
    const id = (flag: string): number => Number(execFileSync('id', [flag, '--', String(uid)], { encoding: 'utf8' }));
    expect(findPasswordEntry(String(uid))).toMatchObject({ uid: id('-u'), gid: id('-g') });
  });

  test.for(['no-such-user-here', '', '4000000', '99999999999', '-1', '0x0', 'root:'])('"%s" is unknown', (name) => {
    expect(findPasswordEntry(name)).toBeNull();
  });
});
