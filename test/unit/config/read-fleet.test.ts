/** `fleet` of pharos.yaml, and the keys of checks that only a fleet uses. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { readSettings } from '../../../config/read-settings.ts';
import type { Settings } from '../../../config/settings.ts';
import { keyInFiles, probeKey } from '../../../health/target-names.ts';
import { readConfiguration } from '../../../zones/read/read-all.ts';
import { vip } from '../health/support.ts';

const folder = mkdtempSync(join(tmpdir(), 'pharos-fleet-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const REGIONS = 'regions: { seoul: { at: KR }, dublin: { at: IE } }\n';

function read(
  text: string,
  env: Readonly<Record<string, string>> = {},
): { settings: Settings | undefined; codes: string[] } {
  const file = join(folder, 'pharos.yaml');
  writeFileSync(file, `zones: [./none.yaml]\n${text}`, { mode: 0o600 });
  const report = createReport();
  const settings = readSettings({ file, baseDir: folder, env, cores: 2, report });
  const codes = report.diagnostics.map(({ code }) => code).filter((code) => code !== 'PH030');
  return { settings, codes };
}

const fleet = (keys: string): string =>
  `${REGIONS}fleet: { name: prod, servers: ["nats://127.0.0.1:4222"], ${keys} }\n`;

describe('fleet', () => {
  test('has defaults for all but name, servers and region', () => {
    const { settings, codes } = read(fleet('region: seoul, node: ams1'));
    expect(codes).toEqual([]);
    expect(settings?.fleet).toMatchObject({
      name: 'prod',
      node: 'ams1',
      region: 'seoul',
      waitMs: 3000,
      tls: undefined,
    });
  });

  test('names the JetStream domain of the orders', () => {
    expect(read(fleet('region: seoul, node: a, domain: hub')).settings?.fleet?.domain).toBe('hub');
    expect(read(fleet('region: seoul, node: a')).settings?.fleet?.domain).toBeUndefined();
  });

  test('takes node and region from variables that identify a node, and secrets from any', () => {
    const { settings, codes } = read(fleet('region: "${REGION}", node: "${HOSTNAME}", token: "${NATS}"'), {
      REGION: 'dublin',
      HOSTNAME: 'fra2.example.net',
      NATS: 'secret',
    });
    expect(codes).toEqual([]);
    expect(settings?.fleet).toMatchObject({ region: 'dublin', node: 'fra2.example.net', login: { token: 'secret' } });
    expect(settings?.secretVariables.has('NATS')).toBe(true);
  });

  test.each([
    ['PH055', `${REGIONS}fleet: { name: prod, servers: ["127.0.0.1:4222"], region: seoul, node: a }\n`],
    ['PH055', `${REGIONS}fleet: { name: prod, servers: ["ws://127.0.0.1:8080"], region: seoul, node: a }\n`],
    ['PH055', `${REGIONS}fleet: { name: prod, servers: ["wss://127.0.0.1:443"], region: seoul, node: a }\n`],
    ['PH056', `${REGIONS}fleet: { name: "my fleet", servers: ["nats://127.0.0.1"], region: seoul, node: a }\n`],
    ['PH056', fleet('region: seoul, node: "a b"')],
    ['PH056', fleet('region: seoul, node: a, domain: "a.b"')],
    ['PH057', fleet('region: seoul, node: a, token: abc, user: pharos, password: abc')],
    ['PH057', fleet('region: seoul, node: a, user: pharos')],
    ['PH059', fleet('region: soul, node: a')],
    ['PH001', fleet('region: seoul, node: a, credentials: none.creds')],
    ['PH012', `${REGIONS}fleet: { name: prod, region: seoul, node: a }\n`],
  ])('%s: %s', (code, text) => {
    expect(read(text).codes).toContain(code);
  });
});

test('PH237: a fleet makes the keys of checks have an effect', () => {
  const zone =
    'zone: example.com\nnameservers: [ns.example.net.]\nservices: { www: { check: web, vips: { a: { A: 192.0.2.1 } } } }\n';
  const check = 'checks: { web: { type: tcp, port: 80, quorum: all } }\n';
  writeFileSync(join(folder, 'example.com.yaml'), zone);
  const codes = (text: string): string[] => {
    writeFileSync(join(folder, 'pharos.yaml'), `zones: [./example.com.yaml]\n${text}`, { mode: 0o600 });
    return readConfiguration({ cwd: folder, env: {}, cores: 2 }).diagnostics.map(({ code }) => code);
  };
  expect(codes(check)).toEqual(['PH237']);
  expect(codes(check + fleet('region: seoul, node: a'))).toEqual([]);
});

describe('checks', () => {
  const check = (keys: string): string => `checks: { web: { type: tcp, port: 80, ${keys} } }\n`;

  test('without these keys have no rule', () => {
    expect(read(check('interval: 5s')).settings?.checks.get('web')?.fleet).toBeUndefined();
  });

  test.each([
    ['majority', { kind: 'majority' }],
    ['one', { kind: 'one' }],
    ['all', { kind: 'all' }],
    ['2', { kind: 'number', regions: 2 }],
    ['18%', { kind: 'share', share: 0.18 }],
  ])('quorum: %s', (text, quorum) => {
    const { settings, codes } = read(check(`quorum: ${text}, probers: 3, from: [seoul], view: region`));
    expect(codes).toEqual([]);
    expect(settings?.checks.get('web')?.fleet).toEqual({ quorum, probers: 3, from: ['seoul'], view: 'region' });
  });

  test.each(['quorum: most', 'quorum: 0', 'quorum: 0%', 'probers: some', 'probers: 0'])('PH058: %s', (keys) => {
    expect(read(check(keys)).codes).toContain('PH058');
  });
});

describe('what nodes compare of a check', () => {
  const keysWith = (text: string, env: Readonly<Record<string, string>>): { inFiles: string; probe: string } => {
    const { settings, codes } = read(`checks: { web: ${text} }\n`, env);
    expect(codes).toEqual([]);
    const check = settings?.checks.get('web');
    if (check === undefined) throw new Error('no check');
    const target = vip({ slot: 0, target: 'a/b', check });
    return { inFiles: keyInFiles(target, check), probe: probeKey(target, check) };
  };

  test.each([
    ['headers', '{ type: http, headers: { X-Node: "${NODE}" } }'],
    ['send', '{ type: tcp, port: 25, send: "HELO ${NODE}", expect: "250" }'],
    ['headers of a member', '{ type: all_of, of: [{ type: http, headers: { X-Node: "${NODE}" } }] }'],
  ])('is what the file says: %s', (_, text) => {
    const [one, other] = [keysWith(text, { NODE: 'ams1' }), keysWith(text, { NODE: 'fra2' })];
    expect(one.probe).not.toBe(other.probe);
    expect(one.inFiles).toBe(other.inFiles);
    expect(one.inFiles).not.toContain('ams1');
    expect(keysWith(text.replace('NODE}', 'NODE}s'), { NODE: 'ams1' }).inFiles).not.toBe(one.inFiles);
  });

  test('is the command of the file, not its folder on this machine', () => {
    const { inFiles, probe } = keysWith('{ type: exec, command: [./look, -v] }', {});
    expect(inFiles).toContain('["./look","-v"]');
    expect(inFiles).not.toContain(folder);
    expect(probe).not.toBe(keysWith('{ type: exec, command: [../look, -v] }', {}).probe);
  });

  test('is the address of the file', () => {
    const { settings } = read('checks: { web: { type: http } }\n');
    const check = settings?.checks.get('web');
    if (check === undefined) throw new Error('no check');
    const at = (host: string): string =>
      keyInFiles({ ...vip({ slot: 0, target: 'a/b', check }), host, port: 80, written: '${BACKEND}:80' }, check);
    expect(at('10.0.0.1')).toBe(at('10.0.0.2'));
  });
});
