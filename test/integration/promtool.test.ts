/** Prometheus' own linter reads our metrics. Needs promtool (Debian package prometheus); skipped without. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../status/metrics.ts';
import { createFakeRuntime } from '../unit/status/fake-runtime.ts';

const found = spawnSync('promtool', ['--version']).status === 0;

describe.skipIf(!found)('promtool check metrics', () => {
  it('finds nothing wrong with metrics of ours', async () => {
    const { runtime, knobs, stop } = await createFakeRuntime();
    knobs.alarms = [{ code: 'suspect', message: '', since: '' }];
    runtime.health.override('@virginia', { state: 'drain' });
    const text = await createMetrics(runtime).text();
    await stop();
    const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    // prom-client's process metrics are named by others.
    const ours = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !/^(?:nodejs|process)_/.test(line));
    expect(ours).toEqual([]);
  });
});
