/** The NATS server of the fleet's demo: where it is found, and what is said without one. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findNatsServer, NatsServerError, startNatsServer } from '../../../cli/nats-server.ts';
import { folderOf } from '../../support/pharos.ts';

test('the first executable on the PATH is taken; folders and other files with its name are not', () => {
  using folder = folderOf({});
  const [empty, other, good] = ['empty', 'other', 'good'].map((name) => join(folder.path, name));
  for (const path of [empty, other, good]) mkdirSync(path ?? '');
  mkdirSync(join(empty ?? '', 'nats-server'));
  writeFileSync(join(other ?? '', 'nats-server'), '', { mode: 0o644 });
  writeFileSync(join(good ?? '', 'nats-server'), '#!/bin/sh\n', { mode: 0o755 });
  expect(findNatsServer([empty, other, good].join(':'))).toBe(join(good ?? '', 'nats-server'));
});

test('one that does not start is told, with the end of its log', async () => {
  using folder = folderOf({});
  const program = join(folder.path, 'nats-server');
  // The log is the last argument.
  writeFileSync(program, '#!/bin/sh\nfor last; do :; done\necho "no space left" >"$last"\nexit 1\n', { mode: 0o755 });
  const failure = await startNatsServer(program, join(folder.path, 'data')).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(NatsServerError);
  expect(String(failure)).toContain('no space left');
});
