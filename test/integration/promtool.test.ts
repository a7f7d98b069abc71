/**
 * Prometheus's tools read our metrics, alert rules and the queries of the dashboard. Needs promtool (Debian package
 * prometheus); skipped without it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOctetsPool } from '../../status/assemble-reply.ts';
import { createMetrics } from '../../status/metrics.ts';
import { folderOf } from '../support/pharos.ts';
import { ROOT } from '../support/process.ts';
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

describe.skipIf(!found)('promtool and the files of deploy/', () => {
  const RULES = `${ROOT}deploy/prometheus/pharos-alerts.yaml`;
  const promtool = (...args: readonly string[]): { status: number | null; output: string } => {
    const { stdout, stderr, status } = spawnSync('promtool', args, { encoding: 'utf8' });
    return { status, output: `${stdout}${stderr}` };
  };

  it('loads the alert rules', () => {
    expect(promtool('check', 'rules', RULES)).toMatchObject({ status: 0 });
  });

  it('the rules fire and end', () => {
    const alarm = (value: string): object => ({
      series: 'pharos_alarm{code="suspect", instance="ams1"}',
      values: value,
    });
    const tests = {
      rule_files: [RULES],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: [
            alarm('0x4 1x4 0x9'),
            { series: 'up{job="pharos", instance="fra2"}', values: '1x4 0x9' },
            { series: 'pharos_vip_weight{instance="ams1", target="w/a"}', values: '5x12000' },
            { series: 'pharos_vip_file_weight{instance="ams1", target="w/a"}', values: '1x12000' },
          ],
          promql_expr_test: [
            {
              expr: 'count(ALERTS{alertname="PharosSuspect"}) or vector(0)',
              eval_time: '4m',
              exp_samples: [{ labels: '{}', value: 0 }],
            },
            {
              expr: 'count(ALERTS{alertname="PharosSuspect", alertstate="firing", severity="critical"}) or vector(0)',
              eval_time: '6m',
              exp_samples: [{ labels: '{}', value: 1 }],
            },
            {
              expr: 'count(ALERTS{alertname="PharosSuspect"}) or vector(0)',
              eval_time: '11m',
              exp_samples: [{ labels: '{}', value: 0 }],
            },
            {
              expr: 'count(ALERTS{alertname="PharosUnreachable", alertstate="firing"}) or vector(0)',
              eval_time: '9m',
              exp_samples: [{ labels: '{}', value: 1 }],
            },
            {
              expr: 'count(ALERTS{alertname="PharosForgottenWeight", alertstate="firing"}) or vector(0)',
              eval_time: '170h',
              exp_samples: [{ labels: '{}', value: 1 }],
            },
          ],
        },
      ],
    };
    using folder = folderOf({ 'tests.yaml': JSON.stringify(tests) });
    expect(promtool('test', 'rules', join(folder.path, 'tests.yaml'))).toMatchObject({ status: 0 });
  });

  it('reads every query of the dashboard', () => {
    const dashboard = readFileSync(`${ROOT}deploy/grafana/pharos.json`, 'utf8');
    const exprs = [...dashboard.matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)].map(
      ([, text = '']) => JSON.parse(text) as string,
    );
    expect(exprs.length).toBeGreaterThan(30);
    // Variables of Grafana stand for what it puts there.
    const rules = exprs.map((expr, index) => ({
      record: `panel:${String(index)}`,
      expr: expr.replaceAll('$__rate_interval', '1m'),
    }));
    using folder = folderOf({ 'rules.yaml': JSON.stringify({ groups: [{ name: 'dashboard', rules }] }) });
    expect(promtool('check', 'rules', join(folder.path, 'rules.yaml'))).toMatchObject({ status: 0 });
  });
});
