import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ALARMS } from '../../../config/alarms.ts';
import { COUNTER } from '../../../server/counters.ts';
import { createOctetsPool } from '../../../status/assemble-reply.ts';
import { createMetrics, type Metrics } from '../../../status/metrics.ts';
import { createFakeRuntime, NO_CLIENTS, type FakeRuntime } from './fake-runtime.ts';

let fake: FakeRuntime;
let metrics: Metrics;
beforeEach(async () => {
  fake = await createFakeRuntime();
  metrics = createMetrics(fake.runtime, NO_CLIENTS);
});
afterEach(() => fake.stop());

const lines = async (): Promise<string[]> => {
  const octets = createOctetsPool().take();
  await metrics.write(octets);
  return octets.all().toString().split('\n');
};

const seoulA = 'target="www.example.com/seoul-a",service="www.example.com",region="seoul"';
const seoulB = 'target="www.example.com/seoul-b",service="www.example.com",region="seoul"';
const virginia = 'target="www.example.com/virginia-a",service="www.example.com",region="virginia"';

describe('metrics', () => {
  it.each([
    ['queries by transport and family', 'pharos_queries_total{transport="udp",family="ipv4"} 1000'],
    ['queries by transport and family, TCP', 'pharos_queries_total{transport="tcp",family="ipv6"} 7'],
    ['responses by RCODE', 'pharos_responses_total{rcode="REFUSED"} 10'],
    ['zero is shown, so that a rate can begin', 'pharos_truncated_total 0'],
    ['faults', 'pharos_exceptions_total 2'],
    ['a VIP that is up', `pharos_vip_up{${seoulA}} 1`],
    ['a VIP that is down', `pharos_vip_up{${seoulB}} 0`],
    ['a VIP that is down is not available', `pharos_vip_available{${seoulB}} 0`],
    ['a VIP without check is available', `pharos_vip_available{${virginia}} 1`],
    ['answers by VIP', `pharos_vip_served_total{${seoulA}} 100`],
    ['queries by zone', 'pharos_zone_queries_total{zone="example.com"} 4200'],
    ['sampled clients by country', 'pharos_clients_sampled_total{country="KR"} 70'],
    ['sampled clients of no known country', 'pharos_clients_sampled_total{country="unknown"} 3'],
    ['the duration of a probe', `pharos_check_duration_seconds{${seoulA}} 0.0125`],
    ['probes of a VIP', `pharos_vip_probes_total{${seoulA}} 1`],
    ['probes of a VIP that passed', `pharos_vip_failed_probes_total{${seoulA}} 0`],
    ['probes of a VIP that failed', `pharos_vip_failed_probes_total{${seoulB}} 1`],
    ['the last result of a VIP', `pharos_vip_last_result{${seoulA},reason="connected"} 1`],
    ['the last result of a VIP that is down', `pharos_vip_last_result{${seoulB},reason="connect refused"} 0`],
    ['probes', 'pharos_probes_total{result="failed"} 1'],
    ['probes that were not made', 'pharos_probes_total{result="not_probed"} 0'],
    ['the serial', 'pharos_zone_serial{zone="example.com"} 2026112001'],
    ['the generation', 'pharos_generation 4'],
    ['the last reload', 'pharos_config_last_reload_successful 1'],
    ['its time', 'pharos_config_last_reload_timestamp_seconds 1795208400'],
    ['the build', `pharos_build_info{version="1.2.3",node="${process.version}",io="batch"} 1`],
    ['readiness', 'pharos_ready 1'],
  ])('show %s', async (_title, line) => {
    expect(await lines()).toContain(line);
  });

  it('sums the queries of all zones after the first thousand', async () => {
    const generation = fake.runtime.generation();
    const [zone] = generation.catalog.zones;
    if (!zone) throw new Error('the fake has no zone');
    const zones = Array.from({ length: 1003 }, (_, index) => ({ ...zone, name: `z${index}.example` }));
    const counts = Float64Array.from(zones, (_, index) => index);
    const many = { ...generation, catalog: { ...generation.catalog, zones } };
    metrics = createMetrics({ ...fake.runtime, generation: () => many, zoneQueries: () => counts }, NO_CLIENTS);
    const own = (await lines()).filter((line) => line.startsWith('pharos_zone_queries_total{'));
    expect(own).toHaveLength(1001);
    expect(own).toContain('pharos_zone_queries_total{zone="z999.example"} 999');
    expect(own).toContain(`pharos_zone_queries_total{zone="(others)"} ${1000 + 1001 + 1002}`);
  });

  it('has no vip_up while the state is unknown', async () => {
    expect((await lines()).filter((line) => line.startsWith(`pharos_vip_up{${virginia}`))).toEqual([]);
  });

  it('follow the counters, scrape after scrape', async () => {
    await lines();
    fake.knobs.counters[COUNTER.QUERIES_UDP4] = 1234;
    expect(await lines()).toContain('pharos_queries_total{transport="udp",family="ipv4"} 1234');
  });

  it('show DNS over TLS, and when its certificate expires', async () => {
    const { counters } = fake.knobs;
    for (const [place, value] of [
      [COUNTER.QUERIES_TLS4, 5],
      [COUNTER.QUERIES_TLS6, 6],
      [COUNTER.TLS_HANDSHAKES, 7],
      [COUNTER.TLS_RESUMED, 2],
      [COUNTER.TLS_FAILED, 8],
      [COUNTER.TLS_TIMEOUTS, 9],
    ] as const)
      counters[place] = value;
    expect((await lines()).filter((line) => line.startsWith('pharos_tls_certificate'))).toEqual([]);
    const now = fake.runtime.generation();
    const keyPair = {
      cert: '',
      key: '',
      path: '/etc/pharos/tls.pem',
      keyPath: '/etc/pharos/tls.key',
      expiresAtMs: 1_800_000_000_000,
    };
    const withTls = { ...now, settings: { ...now.settings, tls: { listen: [], keyPair } } };
    metrics = createMetrics({ ...fake.runtime, generation: () => withTls }, NO_CLIENTS);
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'pharos_queries_total{transport="tls",family="ipv4"} 5',
        'pharos_queries_total{transport="tls",family="ipv6"} 6',
        'pharos_tls_handshakes_total{result="ok"} 7',
        'pharos_tls_handshakes_total{result="failed"} 8',
        'pharos_tls_handshakes_total{result="timeout"} 9',
        'pharos_tls_resumed_total 2',
        'pharos_tls_certificate_expiry_timestamp_seconds{path="/etc/pharos/tls.pem"} 1800000000',
      ]),
    );
  });

  it('show an alarm or an override only while it lasts', async () => {
    fake.knobs.alarms = [{ code: 'suspect', severity: 'critical', subject: null, message: '', since: '' }];
    fake.runtime.health.override('@virginia', { state: 'drain' });
    const during = await lines();
    fake.knobs.alarms = [];
    fake.runtime.health.override('@virginia', undefined);
    const after = await lines();
    for (const line of ['pharos_alarm{code="suspect"} 1', `pharos_vip_override{${virginia},state="drain"} 1`]) {
      expect(during).toContain(line);
      expect(after).not.toContain(line);
    }
  });

  it('show that a reload was rejected', async () => {
    fake.knobs.lastReload = { ok: false, at: new Date(), diagnostics: [] };
    expect(await lines()).toContain('pharos_config_last_reload_successful 0');
  });

  it('have a series for every alarm, 0 while it is not active', async () => {
    const text = await lines();
    const series = text.filter((line) => line.startsWith('pharos_alarm{'));
    expect(series).toEqual(Object.keys(ALARMS).map((code) => `pharos_alarm{code="${code}"} 0`));
  });

  it('have a histogram of the probes that passed or failed', async () => {
    const text = await lines();
    const valueOf = (series: string): number =>
      Number(text.find((line) => line.startsWith(`${series} `))?.slice(series.length));
    const probes = ['passed', 'failed'].map((result) => valueOf(`pharos_probes_total{result="${result}"}`));
    const name = 'pharos_probe_duration_seconds';
    const buckets = text.filter((line) => line.startsWith(`${name}_bucket`)).map((line) => Number(line.split(' ')[1]));
    expect(buckets).toHaveLength(14);
    expect(buckets).toEqual(buckets.toSorted((a, b) => a - b));
    const sum = probes.reduce((total, count) => total + count, 0);
    expect(sum).toBeGreaterThan(0);
    expect([buckets.at(-1), valueOf(`${name}_count`)]).toEqual([sum, sum]);
  });

  it('have a help and a type for each of our metrics', async () => {
    const text = await lines();
    const names = new Set(
      text
        .filter((line) => line.startsWith('pharos_'))
        .map((line) => line.replace(/[{ ].*/, '').replace(/(_duration_seconds)_(?:bucket|sum|count)$/, '$1')),
    );
    expect(names.size).toBeGreaterThan(30);
    for (const name of names) {
      expect(
        text.some((line) => line.startsWith(`# HELP ${name} `)),
        name,
      ).toBe(true);
      expect(
        text.some((line) => line.startsWith(`# TYPE ${name} `)),
        name,
      ).toBe(true);
    }
  });
});
