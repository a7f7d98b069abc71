/**
 * A process that ran out of descriptors took its healthy targets down: EMFILE was a failed probe like any other.
 */
import { execFile } from 'node:child_process';
import * as http from 'node:http';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { listen } from '../../unit/health/support.ts';

test('without descriptors states are frozen, and the alarm not_probed says so', async () => {
  const server = await listen(http.createServer((_, response) => response.end('ok')));
  const script = fileURLToPath(new URL('starving.ts', import.meta.url));
  try {
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      'ulimit -n 200 && exec "$0" "$@"',
      process.execPath,
      script,
      String(server.port),
    ]);
    expect(JSON.parse(stdout)).toEqual({
      starved: {
        states: ['up', 'up', 'up'],
        alarms: [expect.stringMatching(/^not_probed: [123] VIPs? cannot be probed: .*too many open files.* frozen\.$/)],
      },
      after: ['up', 'up', 'up'],
      downs: [],
    });
  } finally {
    await server.close();
  }
});
