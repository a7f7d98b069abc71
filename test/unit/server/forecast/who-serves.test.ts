/** The map of a service: shares by country in three states of health; the shares that move are those of simulate. */
import { describe, expect, test } from 'vitest';
import { FORCED, packState, PROBED } from '../../../../health/health-table.ts';
import { simulateFrom } from '../../../../server/forecast/simulate-failure.ts';
import { mapFrom, type ServiceMap } from '../../../../server/forecast/who-serves.ts';
import { writeMmdb } from '../../../support/mmdb.ts';
import { answering, type Answering } from '../../../support/pharos.ts';

/** KR has 3/4 of the known addresses, IE 1/4. */
const open = (): Answering =>
  answering({
    'pharos.yaml': 'geo: { databases: [small.mmdb] }\nregions: { seoul: { at: KR }, dublin: { at: IE } }\n',
    'small.mmdb': writeMmdb([
      ['20.0.0.0/9', { country: { iso_code: 'KR' } }],
      ['20.128.0.0/10', { country: { iso_code: 'KR' } }],
      ['20.192.0.0/10', { country: { iso_code: 'IE' } }],
    ]),
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
services:
  www:
    vips: { s1: { region: seoul, A: 203.0.113.1, weight: 3 }, s2: { region: seoul, A: 203.0.113.2 }, d: { region: dublin, A: 203.0.113.3 } }
    steer: [{ geo: { KR: [seoul, dublin], default: [dublin, seoul] } }, weighted]
`,
  });

const liveOf = ({ health, generation }: Answering): Parameters<typeof mapFrom>[2] => ({
  health: { memory: health.states.buffer as SharedArrayBuffer, reasonOf: () => undefined },
  served: new Float64Array(generation.catalog.vips.length),
});

function draw(server: Answering, down: readonly string[] = []): ServiceMap {
  const mapped = mapFrom(server.generation, { map: 'www.example.com', down }, liveOf(server));
  if (!mapped.ok) throw new Error(mapped.message);
  return mapped.map;
}

describe('the map of a service', () => {
  test('with everything healthy: each country has its region, and nothing has moved', () => {
    const { countries, regions, moved, stranded } = draw(open());
    expect(moved).toEqual({ now: 0, then: 0 });
    expect(stranded.now).toBe(0);
    expect(countries.map(({ country, clients, now }) => [country, clients, now])).toEqual([
      ['KR', 0.75, [{ region: 'seoul', share: 1 }]],
      ['IE', 0.25, [{ region: 'dublin', share: 1 }]],
    ]);
    expect(regions.map(({ region, now }) => [region, now])).toEqual([
      ['seoul', 0.75],
      ['dublin', 0.25],
    ]);
  });

  test('a VIP that is down differs from healthy, and "what if" from now; simulate says the same', () => {
    const server = open();
    server.health.states[0] = packState(PROBED.DOWN, FORCED.NONE, 0);
    const map = draw(server, ['www.example.com/s2']);
    // s1 had 3/4 of KR; s2 has all of it now, and dublin would have it then.
    expect(map.moved).toEqual({ now: 0.5625, then: 0.75 });
    expect(map.vips.map(({ vip, healthy, now, then }) => [vip, healthy, now, then])).toEqual([
      ['s1', 0.5625, 0, 0],
      ['s2', 0.1875, 0.75, 0],
      ['d', 0.25, 0.25, 1],
    ]);
    expect(map.countries[0]).toMatchObject({
      now: [{ region: 'seoul', share: 1 }],
      then: [{ region: 'dublin', share: 1 }],
    });
    const simulated = simulateFrom(server.generation, { down: ['www.example.com/s2'], weigh: 'auto' }, liveOf(server));
    expect(simulated.ok && simulated.simulation.services[0]?.moved).toBe(map.moved.then);
  });

  test('an unknown service or target is refused', () => {
    const server = open();
    const ask = (map: string, down: readonly string[]): boolean =>
      mapFrom(server.generation, { map, down }, liveOf(server)).ok;
    expect([ask('www.example.org', []), ask('www.example.com', ['@nowhere'])]).toEqual([false, false]);
  });
});
