/** Prometheus's linter reads our metrics. Needs promtool (Debian package prometheus); skipped without it. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { createOctetsPool } from '../../status/assemble-reply.ts';
import { createMetrics } from '../../status/metrics.ts';
import { createFakeRuntime, NO_CLIENTS } from '../unit/status/fake-runtime.ts';

const found = spawnSync('promtool', ['--version']).status === 0;

describe.skipIf(!found)('promtool check metrics', () => {
  it('finds no problem', async () => {
    const { runtime, knobs, stop } = await createFakeRuntime();
    knobs.alarms = [{ code: 'suspect', severity: 'critical', subject: null, message: '', since: '' }];
    runtime.health.override('@virginia', { state: 'drain' });
    const octets = createOctetsPool().take();
    await createMetrics(runtime, NO_CLIENTS).write(octets);
    await stop();
    const { stdout, stderr, status } = spawnSync('promtool', ['check', 'metrics'], {
      input: octets.all(),
      encoding: 'utf8',
    });
    expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: '', status: 0 });
  });
});
