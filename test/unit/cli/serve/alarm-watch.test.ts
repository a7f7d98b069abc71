/**
 * Alarms that follow from states, orders, files and certificates: when each is raised, its message, and when it is
 * over.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  CERTIFICATE_ENDS_MS,
  createAlarmWatch,
  DRAINED_LONG_MS,
  type AlarmWatch,
} from '../../../../cli/serve/alarm-watch.ts';
import { prepare, type Current } from '../../../../cli/serve/generation.ts';
import { createAlarms, type Alarms } from '../../../../config/alarms.ts';
import type { CheckedKeyPair } from '../../../../config/key-pair.ts';
import { EXPIRED } from '../../../../health/checks/probe.ts';
import type { Health, ListedOverride, SeenCertificate } from '../../../../health/engine.ts';
import {
  FORCED,
  NEVER_SECONDS,
  packState,
  PROBED,
  viewHealthTable,
  type Probed,
} from '../../../../health/health-table.ts';
import { folderOf, loadPacked, NO_GEOGRAPHY } from '../../../support/pharos.ts';
import { eventually } from '../../../support/process.ts';

const NOW_MS = Date.parse('2026-11-20T21:00:00Z');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let alarms: Alarms;
let told: string[];
let watch: AlarmWatch | undefined;
let overrides: ListedOverride[];
let certificates: SeenCertificate[];
let current: Current;
let stateDir: ReturnType<typeof folderOf>;
beforeEach(() => {
  alarms = createAlarms(() => NOW_MS);
  told = [];
  alarms.watch(({ alarm: { code, subject }, to }) => told.push(`${to} ${code} ${subject}`));
  overrides = [];
  certificates = [];
  current = generation({ www: ['a', 'b'] });
  stateDir = folderOf({});
});
afterEach(() => {
  watch?.stop();
  stateDir[Symbol.dispose]();
});

function generation(services: Readonly<Record<string, readonly string[]>>): Current {
  const lines = Object.entries(services).map(
    ([name, vips]) =>
      `  ${name}:\n    ttl: 20\n    vips:\n${vips.map((vip, n) => `      ${vip}: { A: 192.0.2.${n + 1} }\n`).join('')}`,
  );
  const zone = `zone: example.com\nnameservers: [ns]\nrecords: { ns: { A: 192.0.2.53 } }\nservices:\n${lines.join('')}`;
  return prepare(loadPacked({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone }), 1, [], 1);
}

/** What the health room would write; every other VIP is unknown. */
function set(target: string, probed: Probed): void {
  const { vips } = current.catalog;
  const slot = vips.findIndex((vip) => vip.target === target);
  viewHealthTable(current.health, vips.length).states[slot] = packState(probed, FORCED.NONE, NEVER_SECONDS);
}

/** The health room is made by hand: it lists what a test states. */
function begin(): AlarmWatch {
  const health = { overrides: () => overrides, certificates: () => certificates } as unknown as Health;
  const parts = { alarms, current: () => current, health: () => health, stateDir: stateDir.path, wallMs: () => NOW_MS };
  watch = createAlarmWatch(parts);
  watch.start();
  return watch;
}
const up = (): string[] => alarms.list().map(({ code, subject }) => `${code} ${subject}`);

test('a service is degraded, then down, then degraded, then up: it always has an alarm in between', () => {
  const { changed } = begin();
  const [a, b] = ['www.example.com/a', 'www.example.com/b'];
  for (const [target, probed] of [
    [a, PROBED.DOWN],
    [b, PROBED.DOWN],
    [b, PROBED.UP],
    [a, PROBED.UP],
  ] as const) {
    set(target, probed);
    changed(target);
    // No change.
    changed(target);
  }
  expect(told).toEqual([
    'raised service_degraded www.example.com',
    'raised service_down www.example.com',
    'over service_degraded www.example.com',
    'raised service_degraded www.example.com',
    'over service_down www.example.com',
    'over service_degraded www.example.com',
  ]);
});

test('what is down at the start is reported then, and nothing earlier', () => {
  set('www.example.com/a', PROBED.DOWN);
  set('www.example.com/b', PROBED.DOWN);
  expect(up()).toEqual([]);
  begin();
  expect(up()).toEqual(['service_down www.example.com']);
});

test('a reload ends the alarms of removed services, and checks new ones', () => {
  set('www.example.com/a', PROBED.DOWN);
  const { replaced } = begin();
  expect(up()).toEqual(['service_degraded www.example.com']);
  current = generation({ api: ['x'] });
  set('api.example.com/x', PROBED.DOWN);
  replaced();
  expect(up()).toEqual(['service_down api.example.com']);
});

const override = (change: Partial<ListedOverride>): ListedOverride => ({
  target: 'www.example.com/a',
  state: 'drain',
  reason: undefined,
  since: new Date(NOW_MS - 3 * DAY_MS).toISOString(),
  until: undefined,
  by: 'operator',
  present: true,
  ...change,
});
const ago = (ms: number): string => new Date(NOW_MS - ms).toISOString();
test.each<[title: string, order: ListedOverride, message: string | undefined]>([
  ['a drain without an end', override({}), 'www.example.com/a has been drained for 3 d.'],
  ['with a reason', override({ reason: 'kernel' }), 'www.example.com/a has been drained for 3 d (kernel).'],
  ['forced down', override({ state: 'down' }), 'www.example.com/a has been forced down for 3 d.'],
  ['just long enough', override({ since: ago(DRAINED_LONG_MS) }), 'www.example.com/a has been drained for 24 h.'],
  ['not yet long', override({ since: ago(DRAINED_LONG_MS - 1) }), undefined],
  ['forced up keeps no VIP out', override({ state: 'up' }), undefined],
  ['one that ends by itself', override({ until: ago(-HOUR_MS) }), undefined],
  ['of a VIP that is gone', override({ present: false }), undefined],
])('drained_long: %s', (_title, order, message) => {
  overrides = [order];
  begin();
  const end = ' If the override is no longer needed, clear it: pharos auto www.example.com/a';
  expect(alarms.list().map(({ code, message: words }) => [code, words])).toEqual(
    message === undefined ? [] : [['drained_long', `${message}${end}`]],
  );
});

test('drained_long is over as soon as the drain is', async () => {
  overrides = [override({})];
  const { changed } = begin();
  expect(up()).toEqual(['drained_long www.example.com/a']);
  overrides = [];
  changed('www.example.com/a');
  await eventually(() => Promise.resolve(up()), (list) => list.length === 0); // prettier-ignore
});

const seen = (endsMs: number, targets = ['www.example.com/a']): SeenCertificate => ({ targets, address: '192.0.2.1:443', endsMs }); // prettier-ignore
test.each<[title: string, certificate: SeenCertificate, message: string | undefined]>([
  ['far away', seen(NOW_MS + CERTIFICATE_ENDS_MS), undefined],
  [
    'near',
    seen(NOW_MS + CERTIFICATE_ENDS_MS - 1),
    'The certificate of www.example.com/a, seen at 192.0.2.1:443, expires in 14 d, on 2026-12-04 20:59 UTC. Renew it.',
  ],
  [
    'over',
    seen(NOW_MS - 5 * HOUR_MS),
    'The certificate of www.example.com/a, seen at 192.0.2.1:443, expired 5 h ago. Renew it.',
  ],
  [
    'a handshake that failed because of it',
    seen(EXPIRED),
    'The certificate of www.example.com/a, seen at 192.0.2.1:443, or a certificate of its chain has expired. Renew it.',
  ],
  [
    'of several VIPs',
    seen(NOW_MS + 2 * DAY_MS - 1, ['www.example.com/a', 'www.example.com/b', 'x/c']),
    'The certificate of www.example.com/a and 2 more, seen at 192.0.2.1:443, expires in 2 d, on 2026-11-22 20:59 UTC. Renew it.',
  ],
])('certificate_expiring, of a target: %s', (_title, certificate, message) => {
  certificates = [certificate];
  begin();
  expect(alarms.list().map(({ code, message: words }) => [code, words])).toEqual(
    message === undefined ? [] : [['certificate_expiring', message]],
  );
});

test('certificate_expiring, of this server', () => {
  const withTls = (endsMs: number): Current => {
    const keyPair: CheckedKeyPair = {
      cert: '',
      key: '',
      path: '/etc/pharos/tls.pem',
      keyPath: '/etc/pharos/tls.key',
      expiresAtMs: endsMs,
    };
    return { ...current, settings: { ...current.settings, tls: { listen: [], keyPair } } };
  };
  current = withTls(NOW_MS + 5 * DAY_MS);
  const { replaced } = begin();
  expect(alarms.list()).toMatchObject([
    {
      code: 'certificate_expiring',
      subject: '/etc/pharos/tls.pem',
      message:
        'The certificate /etc/pharos/tls.pem for DNS over TLS expires in 5 d, on 2026-11-25 21:00 UTC. Renew it.',
    },
  ]);
  current = withTls(NOW_MS + 90 * DAY_MS);
  replaced();
  expect(up()).toEqual([]);
});

test('state_lost lasts while the kept file exists, also over a restart', async () => {
  const file = join(stateDir.path, 'overrides.json');
  writeFileSync(`${file}.bad`, 'x');
  writeFileSync(join(stateDir.path, 'notes.bad'), 'of another program');
  const { replaced } = begin();
  await eventually(() => Promise.resolve(up()), (list) => list.length > 0); // prettier-ignore
  expect(alarms.list()).toMatchObject([{ code: 'state_lost', subject: file }]);
  expect(alarms.list()[0]?.message).toMatch(
    /The file is kept as \S+overrides\.json\.bad\. Set again what is missing, then remove the kept file\.$/,
  );
  rmSync(`${file}.bad`);
  replaced();
  await eventually(() => Promise.resolve(up()), (list) => list.length === 0); // prettier-ignore
});

test('the text of the time when the file was read stays', async () => {
  const file = join(stateDir.path, 'weights.json');
  writeFileSync(`${file}.bad`, 'x');
  writeFileSync(join(stateDir.path, 'health.json.bad'), 'x');
  alarms.raise('state_lost', 'it says why', file);
  begin();
  await eventually(() => Promise.resolve(up()), (list) => list.length === 2); // prettier-ignore
  expect(alarms.list().find(({ subject }) => subject === file)?.message).toBe('it says why');
});
