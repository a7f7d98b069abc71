import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ALARMS, createAlarms } from '../../../config/alarms.ts';

describe('alarms', () => {
  it('stay raised when they are raised again, and end when cleared', () => {
    let now = 0;
    const alarms = createAlarms(() => now);
    alarms.raise('service_down', 'first', 'www.example.com');
    now = 5000;
    alarms.raise('service_down', 'second', 'www.example.com');
    expect(alarms.list()).toEqual([
      {
        code: 'service_down',
        severity: 'critical',
        subject: 'www.example.com',
        message: 'second',
        since: new Date(0).toISOString(),
      },
    ]);
    alarms.clear('service_down');
    expect(alarms.list()).toHaveLength(1);
    alarms.clear('service_down', 'www.example.com');
    expect(alarms.list()).toEqual([]);
  });

  it('are listed with the critical ones first, then the oldest first', () => {
    let now = 0;
    const alarms = createAlarms(() => now++);
    alarms.raise('service_degraded', '', 'a');
    alarms.raise('service_down', '', 'b');
    alarms.raise('suspect', '');
    alarms.raise('drained_long', '', 'c');
    expect(alarms.list().map(({ code }) => code)).toEqual([
      'service_down',
      'suspect',
      'service_degraded',
      'drained_long',
    ]);
  });
});

it('docs/alarms.md has a row for each, with its severity', () => {
  const page = readFileSync(new URL('../../../docs/alarms.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].map(([, code, severity]) => [code, severity]);
  expect(Object.fromEntries(rows)).toEqual(ALARMS);
});
