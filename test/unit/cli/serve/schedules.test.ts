/**
 * `schedules`: what a line does when it is due, and which targets a configuration may name.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, test } from 'vitest';
import { applySchedule, createSchedules, type ScheduleNews } from '../../../../cli/serve/schedules.ts';
import type { ScheduledChange, ScheduleSpec } from '../../../../config/settings.ts';
import { load, mistakesOf, NO_GEOGRAPHY } from '../../../support/pharos.ts';
import { createFakeRuntime, type FakeRuntime } from '../../status/fake-runtime.ts';

const place = { file: 'pharos.yaml', line: 1, column: 1 };
const due = (...set: readonly Partial<ScheduledChange>[]): ScheduleSpec => ({
  at: '0 22 * * *',
  timezone: undefined,
  set: set.map((change) => ({
    target: 'www.example.com/seoul-a',
    weight: undefined,
    state: undefined,
    place,
    ...change,
  })),
});

let fake: FakeRuntime | undefined;
afterEach(async () => {
  await fake?.stop();
});

test("a line sets weights and states, reports it, and leaves an operator's orders unchanged", async () => {
  fake = await createFakeRuntime();
  const { health } = fake.runtime;
  const told: ScheduleNews[] = [];
  const run = (spec: ScheduleSpec): void => {
    applySchedule(spec, health, (news) => told.push(news));
  };
  const seoul = (): unknown =>
    health
      .list()
      .slice(0, 2)
      .map(({ weight, effective }) => `${weight} ${effective}`);
  run(due({ target: '@seoul', weight: 0 }, { state: 'drain' }));
  expect(seoul()).toEqual(['0 drain', '0 down']);
  expect(health.overrides()).toMatchObject([{ by: 'schedule', reason: 'schedule "0 22 * * *"' }]);
  health.weigh('www.example.com/seoul-b', { weight: 5 });
  run(due({ target: '@seoul', weight: 'auto' }, { state: 'auto' }));
  expect(seoul()).toEqual(['1 up', '5 down']);
  run(due({ target: '@nowhere', weight: 1 }));
  expect(told.map(({ message }) => message)).toEqual([
    '@seoul set to weight 0',
    'www.example.com/seoul-a set to drain',
    '@seoul set to weight auto; overrides of operators are kept for www.example.com/seoul-b',
    'www.example.com/seoul-a set to auto',
    '@nowhere does not exist: nothing was set',
  ]);
});

test('it runs at its time; a reload removes the line, and its changes stay', async () => {
  fake = await createFakeRuntime();
  const { health } = fake.runtime;
  const { promise, resolve } = Promise.withResolvers<ScheduleNews>();
  const schedules = createSchedules(health, resolve, () => undefined);
  await schedules.configure([{ ...due({ weight: 7 }), at: '* * * * * *', timezone: 'Asia/Seoul' }]);
  expect(await promise).toMatchObject({ message: 'www.example.com/seoul-a set to weight 7' });
  await schedules.configure([]);
  expect(health.list()[0]).toMatchObject({ weight: 7 });
  await schedules.stop();
});

test('the examples of docs/schedules.md are valid configurations', () => {
  const page = readFileSync(new URL('../../../../docs/schedules.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n# (\S+)\n([^]*?)```/g)].map(([, name = '', text = '']) => ({
    name,
    text,
  }));
  const pairs = blocks.flatMap(({ name, text }, at) => {
    const settings = blocks[at - 1]?.text ?? '';
    return name === 'zones/example.com.yaml' ? [{ 'pharos.yaml': settings, [name]: text }] : [];
  });
  expect(pairs).toHaveLength(2);
  for (const files of pairs) expect(load(files).settings.schedules.length).toBeGreaterThan(2);
});

describe('the targets of a configuration', () => {
  const zone = `zone: example.com
nameservers: [ns1]
records: { ns1: { A: 192.0.2.53 } }
services: { www: { vips: { canary: { region: seoul, A: 192.0.2.1 }, stable: { A: 192.0.2.2 } } } }
`;
  const files = (target: string) => ({
    ...NO_GEOGRAPHY,
    'pharos.yaml': `geo: { databases: [small.mmdb] }
regions: { seoul: { at: KR } }
schedules:
  - { at: "0 22 * * *", set: { "${target}": { weight: 0 } } }
`,
    'zones/example.com.yaml': zone,
  });

  it.each(['www.example.com/canary', 'WWW.example.com./canary', 'www.example.com/@seoul', '@seoul'])('%s', (target) => {
    expect(load(files(target)).settings.schedules).toMatchObject([{ set: [{ target, weight: 0 }] }]);
  });

  it.each([
    ['www.example.com/canari', 'www.example.com has no VIP "canari"'],
    ['www.example.org/canary', 'no service is called "www.example.org"'],
    ['@soul', 'no VIP is in a region "soul"'],
    ['www.example.com', 'is a service, not a VIP or region of it'],
  ])('%s is a mistake, shown at its position', (target, message) => {
    const mistakes = mistakesOf(files(target));
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toMatch(/^pharos\.yaml:4 error PH071: a schedule sets /);
    expect(mistakes[0]).toContain(message);
  });
});
