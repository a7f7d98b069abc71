/**
 * The alert rules and the dashboard of deploy/: they name alarms, metrics and pages that exist.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ALARMS } from '../../../config/alarms.ts';
import { createOctetsPool } from '../../../status/assemble-reply.ts';
import { createMetrics } from '../../../status/metrics.ts';
import { ROOT } from '../../support/process.ts';
import { createFakeRuntime, NO_CLIENTS } from './fake-runtime.ts';

type Rule = {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<'summary' | 'description' | 'runbook_url', string>>;
};

const rulesText = readFileSync(`${ROOT}deploy/prometheus/pharos-alerts.yaml`, 'utf8');
const { groups } = parse(rulesText) as { groups: readonly { readonly rules: readonly Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

const dashboardText = readFileSync(`${ROOT}deploy/grafana/pharos.json`, 'utf8');
type Panel = { readonly title: string; readonly targets?: readonly { readonly expr: string }[] };
const { panels } = JSON.parse(dashboardText) as { panels: readonly Panel[] };

/** The anchors that a page's headings have. */
function anchorsOf(page: string): ReadonlySet<string> {
  const text = readFileSync(`${ROOT}docs/${page}`, 'utf8');
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-')));
}

async function metricNames(): Promise<ReadonlySet<string>> {
  const { runtime, stop } = await createFakeRuntime();
  const octets = createOctetsPool().take();
  await createMetrics(runtime, NO_CLIENTS).write(octets);
  await stop();
  const text = Buffer.from(octets.all()).toString();
  return new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name));
}

const namesIn = (text: string): readonly string[] =>
  [...text.matchAll(/\b(?:pharos|process)_[a-z0-9_]+/g)].map(([name]) => name.replace(/_bucket$/, ''));

describe('alert rules', () => {
  test.each(Object.entries(ALARMS))(
    '%s has a rule with its severity and its section of the runbook',
    (code, severity) => {
      const own = rules.filter(({ expr }) => expr === `pharos_alarm{code="${code}"} > 0`);
      expect(own.map(({ labels, annotations }) => [labels.severity, annotations.runbook_url])).toEqual([
        [severity, `https://docs.example.com/pharos/alarms.md#${code}`],
      ]);
    },
  );

  test('no rule is for an alarm that does not exist', () => {
    const codes = [...rulesText.matchAll(/pharos_alarm\{code="(\w+)"/g)].map(([, code = '']) => code);
    expect(codes.filter((code) => !(code in ALARMS))).toEqual([]);
  });

  test.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s says what to do',
    (_name, { labels, annotations }) => {
      expect(['warning', 'critical']).toContain(labels.severity);
      expect(annotations.summary).toMatch(/^\{\{ \$labels\.instance \}\}: .*\.$/);
      expect(annotations.description).toMatch(/\.$/);
      const [, page = '', anchor] = /^https:\/\/docs\.example\.com\/pharos\/([\w-]+\.md)(?:#(.+))?$/.exec(annotations.runbook_url) ?? []; // prettier-ignore
      const anchors = anchorsOf(page);
      if (anchor !== undefined) expect(anchors).toContain(anchor);
    },
  );
});

test('every metric of the rules and the dashboard exists', async () => {
  const known = await metricNames();
  const used = [...rules.map(({ expr }) => expr), dashboardText].flatMap(namesIn);
  expect([...new Set(used)].filter((name) => !known.has(name))).toEqual([]);
});

test('every panel has a title and, unless it is a row, a query', () => {
  expect(panels.filter(({ title }) => title === '')).toEqual([]);
  const without = panels.filter(({ targets = [] }) => targets.length === 0).map(({ title }) => title);
  expect(without).toEqual(['Now', 'Queries', 'Steering and health', 'Nodes']);
});
