/**
 * Every name of Object.prototype, given to every reader as a key and as a value: none has a meaning.
 */
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { continentKey } from '../../../cli/import/geo-keys.ts';
import { presentation } from '../../../cli/import/octodns-values.ts';
import { createReport } from '../../../config/diagnostics.ts';
import { boolean, choice, map, optional, text } from '../../../config/fields.ts';
import { parseYaml } from '../../../config/parse-yaml.ts';
import { readSettings } from '../../../config/read-settings.ts';
import { parseDurationMs, parseShare } from '../../../config/units.ts';
import { createApp } from '../../../status/http.ts';
import { parsePeriod } from '../../../wire/rdata/text.ts';
import { typeNumber } from '../../../wire/types.ts';
import { folderOf, mistakesOf, NO_GEOGRAPHY } from '../../support/pharos.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../status/fake-runtime.ts';

const NAMES = Object.getOwnPropertyNames(Object.prototype);

function mistakes(settings: string): number {
  using folder = folderOf({ 'pharos.yaml': `${settings}\n`, 'zones/example.com.yaml': '' });
  const report = createReport();
  readSettings({ file: 'pharos.yaml', baseDir: folder.path, env: {}, cores: 1, report });
  return report.diagnostics.filter(({ severity }) => severity === 'error').length;
}

describe.each(NAMES)('%s', (name) => {
  test('is not a known word', () => {
    expect([continentKey(name), presentation(name, { a: 1 }), typeNumber(name)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect([parseDurationMs(name), parseShare(name), parsePeriod(name)]).toEqual([undefined, undefined, undefined]);
    for (const read of [boolean(), choice(['a', 'b'])]) {
      const report = createReport();
      const node = parseYaml('a.yaml', name, {}, report);
      expect(node && read(node, 'value', report)).toBe(undefined);
      expect(report.diagnostics).toHaveLength(1);
    }
  });

  test('is not a key of a map, and adds nothing from its prototype', () => {
    const report = createReport();
    const node = parseYaml('a.yaml', `${name}: { a: 1 }`, {}, report);
    const read = node && map('map', { a: optional(text()) })(node, 'map', report);
    expect(report.diagnostics.map(({ code }) => code)).toEqual(['PH010']);
    expect(read?.a).toBe(undefined);
  });

  test.each([
    '%: 1', 'listen: %', 'workers: %', 'status: %', 'status: { %: 1 }', 'geo: { refresh: % }',
    'geo: { networks: { %: KR } }', 'regions: { a: { at: % } }', 'regions: { a: { min_healthy: % } }',
    'health: { wait: % }', 'limits: { rrl: % }', 'log: { level: % }', 'log: { queries: % }',
    'transfer: { keys: { a: { algorithm: %, secret: c2VjcmV0c2VjcmV0c2VjcmV0 } } }',
    'transfer: { allow: [{ from: 192.0.2.1, key: % }] }', 'beacon: { urls: { %: "https://a.example/" } }',
    'schedules: [{ at: %, set: { a/b: { weight: 1 } } }]', 'checks: { a: { type: % } }',
    'schedules: [{ at: "0 0 * * *", timezone: %, set: { a/b: { weight: 1 } } }]',
    ...['insecure', 'watch', 'method', 'status', 'path', 'port', 'interval', 'rise', 'fall', 'timeout'].map(
      (key) => `checks: { a: { type: https, ${key}: % } }`,
    ),
    'checks: { a: { type: grpc, tls: % } }', 'checks: { a: { type: dns, name: a., rtype: % } }',
    'checks: { a: { all_of: [%] } }', 'checks: { a: { at_least: %, of: [b] }, b: { type: http } }',
  ])('pharos.yaml: %s is an error', (line) => {
    expect(mistakes(line.replace('%', name))).toBeGreaterThan(0);
  }); // prettier-ignore

  test('is an ordinary name where operators choose names', () => {
    expect(
      mistakes(`regions: { ${name}: { at: KR } }\nchecks: { ${name}: { type: http, headers: { ${name}: a } } }`),
    ).toBe(0);
  });

  test.each([
    'regions: { a: { at: % } }', 'records: { a: { %: 1 } }', 'services: { a: { check: %, vips: { b: { A: 192.0.2.1 } } } }',
    'services: { a: { vips: { b: { region: %, A: 192.0.2.1 } } } }', 'services: { a: { vips: { b: { A: % } } } }',
    'services: { a: { vips: { b: { A: 192.0.2.1, weight: % } } } }', 'services: { a: { %: 1, vips: { b: { A: 192.0.2.1 } } } }',
    'services: { a: { steer: [%], vips: { b: { A: 192.0.2.1 } } } }', 'services: { a: { steer: [{ %: 1 }], vips: { b: { A: 192.0.2.1 } } } }',
    'services: { a: { steer: [{ geo: { %: b } }], vips: { b: { A: 192.0.2.1 } } } }', 'soa: { %: 1 }', '%: 1',
    'services: { a: { steer: [{ failover: [%] }], vips: { b: { A: 192.0.2.1 } } } }',
    'services: { a: { when_all_down: %, vips: { b: { A: 192.0.2.1 } } } }', 'services: { a: { answers: %, vips: { b: { A: 192.0.2.1 } } } }',
  ])('a zone: %s is an error', (line) => {
    const zone = `zone: example.com\nnameservers: [ns.example.net.]\n${line.replace('%', name)}\n`;
    expect(mistakesOf({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': zone }).join()).toMatch(/ error /);
  }); // prettier-ignore

  test.each(['%,seoul,1', '192.0.2.0/24,%,1', '192.0.2.0/24,seoul,%'])('a latency table: %s is an error', (line) => {
    const service =
      'services: { a: { steer: [{ latency: { table: rtt.csv } }], vips: { b: { region: seoul, A: 192.0.2.1 } } } }';
    const zone = `zone: example.com\nnameservers: [ns.example.net.]\nregions: { seoul: { at: KR } }\n${service}\n`;
    const files = {
      'zones/example.com.yaml': zone,
      'zones/rtt.csv': `network,region,ms\n${line.replace('%', name)}\n`,
    };
    expect(mistakesOf({ ...NO_GEOGRAPHY, ...files }).join()).toMatch(/ error /);
  });
});

describe('the API', () => {
  let fake: FakeRuntime;
  let app: FastifyInstance;
  beforeAll(async () => {
    fake = await createFakeRuntime();
    ({ app } = createApp(fake.runtime, { token: 'a-token', log: createFakeLog().log }));
  });
  afterAll(async () => {
    await app.close();
    await fake.stop();
  });

  const target = 'www.example.com/seoul-a';
  const values: readonly (readonly [method: 'PUT' | 'POST', url: string, body: string])[] = [
    ['PUT', `/api/v1/overrides/${target}`, '{"state":"%"}'],
    ['PUT', `/api/v1/overrides/${target}`, '{"state":"up","for":"%"}'],
    ['PUT', `/api/v1/overrides/${target}`, '{"state":"up","%":1}'],
    ['PUT', '/api/v1/overrides/%', '{"state":"up"}'],
    ['PUT', `/api/v1/weights/${target}`, '{"weight":"%"}'],
    ['PUT', `/api/v1/weights/${target}`, '{"weight":1,"%":1}'],
    ['PUT', '/api/v1/weights/%', '{"weight":1}'],
    ['PUT', '/api/v1/push/api.example.com/only', '{"healthy":"%"}'],
    ['PUT', '/api/v1/push/api.example.com/only', '{"healthy":true,"%":1}'],
    ['PUT', '/api/v1/push/%', '{"healthy":true}'],
    ['POST', '/api/v1/simulate', '{"down":["a"],"weigh":"%"}'],
    ['POST', '/api/v1/simulate', '{"down":["a"],"%":1}'],
    ['POST', '/api/v1/simulate?%=1', '{"down":["a"]}'],
    ['POST', '/api/v1/reload?%=1', ''],
    ['POST', '/api/v1/reload?force=%', ''],
  ];
  test.each(NAMES)('%s is an error in every body', async (name) => {
    for (const [method, url, body] of values) {
      const headers = { authorization: 'Bearer a-token', 'content-type': 'application/json' };
      const payload = body.replace('%', name);
      const { statusCode } = await app.inject({ method, url: url.replace('%', name), payload, headers });
      expect([url, body, statusCode === 400 || statusCode === 404]).toEqual([url, body, true]);
    }
  });

  const paths = ['/api/v1/status?%=1', '/api/v1/health?%=1', '/api/v1/health/%', '/api/v1/explain?name=a.&%=1', '/api/v1/events?%=1', '/api/v1/events?limit=%', '/api/v1/%']; // prettier-ignore
  test.each(NAMES)('%s is an error in every query parameter', async (name) => {
    for (const path of paths) {
      const { statusCode } = await app.inject({ url: path.replace('%', name) });
      expect([path, statusCode === 400 || statusCode === 404]).toEqual([path, true]);
    }
  });
});
