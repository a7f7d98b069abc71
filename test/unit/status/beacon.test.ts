import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BeaconSettings, RegionSpec } from '../../../config/settings.ts';
import { createBeaconSamples, type BeaconSamples } from '../../../geo/beacon-samples.ts';
import { NOWHERE } from '../../../geo/location.ts';
import { createBeacon, sourceOf } from '../../../status/beacon.ts';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { formatAddress, parsePrefix, type Prefix } from '../../../wire/address.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from './fake-runtime.ts';

function prefixes(...texts: string[]): Prefix[] {
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}

describe('the source of a request', () => {
  const proxies = prefixes('127.0.0.0/8', '10.0.0.0/8', '2001:db8::/32');
  test.for([
    ['192.0.2.1', undefined, '192.0.2.1'],
    ['::ffff:192.0.2.1', undefined, '192.0.2.1'],
    ['192.0.2.1', '203.0.113.9', '192.0.2.1'],
    ['127.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['::ffff:127.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['127.0.0.1', '198.51.100.66, 203.0.113.9', '203.0.113.9'],
    ['127.0.0.1', '198.51.100.66, 203.0.113.9, 10.1.2.3', '203.0.113.9'],
    ['2001:db8::7', '2001:db9::1', '2001:db9::1'],
    ['127.0.0.1', '[2001:db9::1]:4711', '2001:db9::1'],
    ['127.0.0.1', '203.0.113.9:4711', '203.0.113.9'],
    ['127.0.0.1', undefined, undefined],
    ['127.0.0.1', 'unknown', undefined],
    ['127.0.0.1', '203.0.113.9, unknown', undefined],
    ['127.0.0.1', '10.1.2.3', undefined],
  ] as const)('peer %s, X-Forwarded-For %s: %s', ([peer, forwarded, expected]) => {
    const found = sourceOf(peer, forwarded, proxies);
    expect(found && formatAddress(found)).toBe(expected);
  });
});

const SEOUL: RegionSpec = {
  name: 'seoul',
  at: { kind: 'point', latitude: 37.57, longitude: 126.98 },
  minHealthy: 0,
  place: { file: 'pharos.yaml', line: 1, column: 1 },
};
const DUBLIN: RegionSpec = { ...SEOUL, name: 'dublin', at: { kind: 'point', latitude: 53.35, longitude: -6.26 } };

const SETTINGS: BeaconSettings = {
  urls: new Map([
    ['seoul', 'https://seoul.example.com/ping'],
    ['dublin', 'https://dublin.example.com/ping'],
  ]),
  tries: 5,
  windowMs: 86_400_000,
  minSources: 3,
  applyMs: 300_000,
  proxies: prefixes('127.0.0.0/8'),
  origins: [],
};

let fake: FakeRuntime;
let server: StatusServer;
let samples: BeaconSamples;
let settings: BeaconSettings | undefined;

beforeEach(async () => {
  settings = SETTINGS;
  samples = createBeaconSamples();
  fake = await createFakeRuntime();
  fake.knobs.beacon = createBeacon({
    settings: () => settings,
    regions: () => new Map([SEOUL, DUBLIN].map((region) => [region.name, region])),
    locate: () => ({ ...NOWHERE, country: 'KR', asn: 64_500, latitude: 37.5, longitude: 127 }),
    samples,
    now: () => 1000,
  });
  const { log } = createFakeLog();
  server = await startStatusServer(fake.runtime, { listen: { host: '127.0.0.1', port: 0 }, token: 'secret', log });
});
afterEach(async () => {
  await server.close();
  await fake.stop();
});

function url(path: string): string {
  return `http://127.0.0.1:${server.endpoint.port}${path}`;
}

async function report(
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const reply = await fetch(url('/api/v1/beacon'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': '192.0.2.7', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: reply.status, headers: reply.headers, body: (await reply.json()) as Record<string, unknown> };
}

describe('POST /api/v1/beacon', () => {
  test('accepts plausible times without a token, and says how many', async () => {
    const { status, headers, body } = await report({ samples: { seoul: 3, dublin: 240, tokyo: 9 } });
    expect([status, body]).toEqual([200, { kept: 2, thrown: 1 }]);
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect([...samples.save()]).toEqual([
      {
        network: '192.0.2.0/24',
        country: 'KR',
        asn: 64_500,
        samples: { seoul: [[7, 3, 1000]], dublin: [[7, 240, 1000]] },
      },
    ]);
    expect((await report({ samples: { dublin: 3 } })).body).toEqual({ kept: 0, thrown: 1 });
    expect((await report({ samples: { seoul: 3 } }, { 'x-forwarded-for': '127.0.0.1, ::1' })).body).toEqual({
      kept: 0,
      thrown: 1,
    });
    expect(fake.knobs.beacon.stats()).toEqual({
      reports: 3,
      kept: 2,
      thrown: { unknown_region: 1, impossible: 1, loopback: 1, full: 0 },
      networks: 1,
      samples: 2,
    });
    const metrics = await (await fetch(url('/metrics'))).text();
    expect(metrics).toContain('pharos_beacon_reports_total 3\n');
    expect(metrics).toContain('pharos_beacon_samples_total{result="impossible"} 1\n');
    expect(metrics).toContain('pharos_beacon_networks 1\n');
  });

  test.for([
    ['no JSON', 'samples', 400],
    ['no samples', {}, 400],
    ['an empty object', { samples: {} }, 400],
    ['a text', { samples: { seoul: '3' } }, 400],
    ['a negative time', { samples: { seoul: -1 } }, 400],
    ['more than a minute', { samples: { seoul: 60_001 } }, 400],
    ['another type', { samples: { seoul: 1 }, more: 1 }, 400],
    ['a list', { samples: [1] }, 400],
    ['too many', { samples: Object.fromEntries(Array.from({ length: 65 }, (_, number) => [`r${number}`, 1])) }, 400],
    ['too long', `{"samples":{"seoul":1${' '.repeat(70_000)}}}`, 413],
  ] as const)('%s: %j', async ([, body, status]) => {
    const reply = await report(body);
    expect(reply.status).toBe(status);
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    expect(samples.size().samples).toBe(0);
  });

  test('a proxy that names no client gets a 400', async () => {
    expect((await report({ samples: { seoul: 1 } }, { 'x-forwarded-for': '' })).status).toBe(400);
  });

  test.for([
    ['https://www.example.com', 200, 'https://www.example.com'],
    ['https://elsewhere.example.net', 403, null],
    [undefined, 403, null],
  ] as const)('with origins: a page of %s: %i', async ([origin, status, allowed]) => {
    settings = { ...SETTINGS, origins: ['https://www.example.com'] };
    const reply = await report({ samples: { seoul: 1 } }, origin === undefined ? {} : { origin });
    expect([reply.status, reply.headers.get('access-control-allow-origin')]).toEqual([status, allowed]);
    expect(reply.headers.get('vary')).toBe('origin');
  });

  test('the preflight of a browser', async () => {
    const headers = { origin: 'https://www.example.com', 'access-control-request-method': 'POST' };
    const reply = await fetch(url('/api/v1/beacon'), { method: 'OPTIONS', headers });
    expect(reply.status).toBe(204);
    expect(reply.headers.get('access-control-allow-origin')).toBe('*');
    expect(reply.headers.get('access-control-allow-methods')).toBe('POST');
    expect(reply.headers.get('access-control-allow-headers')).toBe('content-type');
  });

  test('other methods are refused', async () => {
    const reply = await fetch(url('/api/v1/beacon'));
    expect([reply.status, reply.headers.get('allow')]).toEqual([405, 'OPTIONS, POST']);
  });
});

describe('GET /beacon.js', () => {
  test('is JavaScript that any page may load and keep for minutes', async () => {
    const reply = await fetch(url('/beacon.js'));
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(reply.headers.get('cache-control')).toBe('public, max-age=300');
    expect(reply.headers.get('access-control-allow-origin')).toBe('*');
    const script = await reply.text();
    expect(script).toContain('https://dublin.example.com/ping');
    // A script that does not parse throws here; one that does finds no document.
    expect(() => runInNewContext(script) as unknown).toThrow('document is not defined');
    const etag = reply.headers.get('etag') ?? '';
    // As browsers ask, also through a proxy that compresses.
    for (const known of [etag, `W/${etag}`, `"another", ${etag}`]) {
      const again = await fetch(url('/beacon.js'), { headers: { 'if-none-match': known } });
      expect([known, again.status, await again.text()]).toEqual([known, 304, '']);
    }
  });

  test('changes with the regions', async () => {
    const etag = (await fetch(url('/beacon.js'))).headers.get('etag');
    settings = { ...SETTINGS, tries: 3 };
    expect((await fetch(url('/beacon.js'))).headers.get('etag')).not.toBe(etag);
  });
});

test('without a beacon neither path exists', async () => {
  settings = undefined;
  expect((await fetch(url('/beacon.js'))).status).toBe(404);
  expect((await report({ samples: { seoul: 1 } })).status).toBe(404);
});
