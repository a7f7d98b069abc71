/** A pipe without a reader, and far more lines than it and the server keep. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLogWriter, type LogWriter } from '../../../cli/serve/log-writer.ts';
import { MAX_LOG_BACKLOG_OCTETS } from '../../../config/limits.ts';
import { nonblockingWrite } from '../../../server/io/nonblocking.ts';
import { folderOf } from '../../support/pharos.ts';
import { eventually } from '../../support/process.ts';

const LINES = 200_000;
/** fcntl(2): the largest size of a pipe without privileges, /proc/sys/fs/pipe-max-size. */
const MAX_PIPE_OCTETS = 1024 * 1024;

type Lab = {
  readonly writer: LogWriter;
  /** What the listener got. */
  readonly told: { dropped: number; caughtUp: number[] };
  /** What is in the pipe now. */
  readonly read: () => string;
  readonly [Symbol.dispose]: () => void;
};

function createLab(): Lab {
  const folder = folderOf({});
  const path = join(folder.path, 'log');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  // As a shell passes it to a program: a write without room would wait.
  const stdout = openSync(path, constants.O_WRONLY);
  const told: Lab['told'] = { dropped: 0, caughtUp: [] };
  const writer = createLogWriter(nonblockingWrite(stdout), {
    dropped: (lines) => (told.dropped += lines),
    caughtUp: (lines) => told.caughtUp.push(lines),
  });
  const read = (): string => {
    const piece = Buffer.alloc(MAX_PIPE_OCTETS);
    try {
      return piece.toString('latin1', 0, readSync(reader, piece));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
      throw error;
    }
  };
  return {
    writer,
    told,
    read,
    [Symbol.dispose]: () => {
      closeSync(stdout);
      closeSync(reader);
      folder[Symbol.dispose]();
    },
  };
}

const lineOf = (number: number): string => `${JSON.stringify({ number, text: 'x'.repeat(80) })}\n`;

test.skipIf(process.platform === 'win32')(
  '200,000 lines: no write waits, memory is bounded, all lines are delivered complete and in order, or counted',
  async () => {
    using lab = createLab();
    const { writer, told, read } = lab;
    for (let number = 0; number < LINES; number++) writer.write(lineOf(number));
    expect(told.dropped).toBeGreaterThan(0);
    expect(told.caughtUp).toEqual([]);

    let received = '';
    await eventually(
      () => Promise.resolve((received += read())),
      () => told.caughtUp.length > 0,
    );
    received += read();
    const numbers = received
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { number: number }).number);
    expect(numbers).toEqual(Array.from({ length: LINES - told.dropped }, (_, index) => index));
    expect(told.caughtUp).toEqual([told.dropped]);
    expect(received.length).toBeLessThanOrEqual(MAX_LOG_BACKLOG_OCTETS + MAX_PIPE_OCTETS);

    // From now on, each line is written at once.
    writer.write(lineOf(LINES));
    expect(read()).toBe(lineOf(LINES));
  },
);

test.skipIf(process.platform === 'win32')(
  'the end of the process does not wait for a reader that does not read',
  () => {
    using lab = createLab();
    for (let number = 0; number < LINES / 10; number++) lab.writer.write(lineOf(number));
    lab.writer.finish();
    expect(lab.told.caughtUp).toEqual([]);
  },
);
