/**
 * VIPs that are services (docs/steering.md#services-as-vips).
 */
import { describe, expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../health/health-table.ts';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { expectShares } from '../../support/chance.ts';
import { subnetOption, T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY, type Answering } from '../../support/pharos.ts';

const HEAD = `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: {}, dublin: {} }
checks: { web: { type: push } }
services:
`;

/** Two services in front of five VIPs with addresses: 192.0.2.1 and so on. */
const TREE = `
  www:
    ttl: { min: 5, max: 60 }
    vips:
      asia: { region: seoul, service: kr }
      europe: { region: dublin, service: eu }
      last: { region: dublin, A: 192.0.2.9, weight: 0 }
    steer: [{ geo: { 198.51.100.0/24: seoul, default: dublin } }]
  kr:
    ttl: 30
    check: web
    vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2, AAAA: "2001:db8::2" } }
    steer: [{ failover: [a, b] }]
  eu:
    ttl: 90
    check: web
    vips: { c: { region: seoul, A: 192.0.2.3, AAAA: "2001:db8::3" }, d: { region: dublin, A: 192.0.2.4, AAAA: "2001:db8::4" } }
    steer: [{ geo: { 203.0.113.0/25: dublin, default: seoul } }]
`;

function serve(services: string): Answering {
  return answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': HEAD + services });
}

const SEOUL = '198.51.100.7';
const DUBLIN = '203.0.113.200';

/** The last octets of the addresses for a client, with TTL and scope. */
function told(server: Answering, client: string, type: number = T.A, name = 'www.example.com'): string {
  const subnet = subnetOption(Uint8Array.from(client.split('.'), Number), 32);
  const { answer, edns } = server.ask(name, type, { edns: { options: [subnet] } });
  const data = answer.map(({ data: each }) => String(Number.parseInt(each.slice(-2), 16))).toSorted();
  return `${data.join('+')} ttl ${answer[0]?.ttl ?? '-'} scope ${edns?.scope ?? '-'}`;
}

/** Only the addresses. */
function served(server: Answering, client: string, type: number = T.A, name?: string): string {
  return told(server, client, type, name).replace(/ ttl.*/, '');
}

function down(server: Answering, ...vips: readonly string[]): void {
  for (const vip of vips) server.set(vip.replace('/', '.example.com/'), { probed: PROBED.DOWN });
}

describe('a VIP that is a service', () => {
  test('decides for the same client; the lowest TTL and the longest scope count', () => {
    const server = serve(TREE);
    expect(told(server, SEOUL)).toBe('1 ttl 30 scope 24');
    expect(told(server, DUBLIN)).toBe('3 ttl 60 scope 25');
    expect(told(server, '203.0.113.7')).toBe('4 ttl 60 scope 25');
    expect(told(server, SEOUL, T.AAAA)).toBe('2 ttl 30 scope 24');
    // Neither the service nor its own answers change.
    expect(told(server, SEOUL, T.A, 'eu.example.com')).toBe('3 ttl 90 scope 5');
  });

  test('is up while one of the VIPs of the service is, for the type of the query', () => {
    const server = serve(TREE);
    down(server, 'kr/b');
    // Only b has AAAA.
    expect([served(server, SEOUL), served(server, SEOUL, T.AAAA)]).toEqual(['1', '3']);
    down(server, 'kr/a');
    expect([served(server, SEOUL), served(server, SEOUL, T.AAAA)]).toEqual(['3', '3']);
    // With all down but the standby, that is served.
    down(server, 'eu/c', 'eu/d');
    expect(served(server, SEOUL)).toBe('9');
  });

  test('can be drained itself, and counts as drained while all VIPs of the service are', () => {
    const server = serve(TREE);
    server.set('www.example.com/asia', { forced: FORCED.DRAIN });
    expect([served(server, SEOUL), served(server, SEOUL, T.A, 'kr.example.com')]).toEqual(['3', '1']);
    // serve_all: no VIP that is out is served while another is only down.
    down(server, 'eu/c', 'eu/d');
    server.set('www.example.com/last', { forced: FORCED.DOWN });
    expect(served(server, SEOUL)).toBe('3');
    for (const vip of ['c', 'd']) server.set(`eu.example.com/${vip}`, { forced: FORCED.DRAIN });
    // All are out, so all count.
    expect(served(server, SEOUL)).toBe('1');
  });

  test('when all are down, the chosen service does what its own when_all_down says', () => {
    const rules: readonly (readonly [string, string, string])[] = [
      ['serve_all', 'serve_all', '1'],
      ['serve_all', 'none', ''],
      ['serve_all', '{ A: 192.0.2.77 }', '77'],
      ['none', '{ A: 192.0.2.77 }', ''],
      ['{ A: 192.0.2.66 }', '{ A: 192.0.2.77 }', '66'],
    ];
    for (const [outer, inner, expected] of rules) {
      const server = serve(`
  www: { when_all_down: ${outer}, vips: { k: { service: kr } } }
  kr: { check: web, when_all_down: ${inner}, vips: { a: { A: 192.0.2.1 } } }
`);
      down(server, 'kr/a');
      expect(served(server, SEOUL), `${outer} ${inner}`).toBe(expected);
    }
  });

  test('the TTL of a static answer is not above those of the services on the way', () => {
    const server = serve(`
  www: { ttl: 7, vips: { k: { service: kr } } }
  kr: { ttl: 50, check: web, when_all_down: { A: 192.0.2.77 }, vips: { a: { A: 192.0.2.1 } } }
`);
    down(server, 'kr/a');
    expect(told(server, SEOUL)).toBe('77 ttl 7 scope 0');
    expect(told(server, SEOUL, T.A, 'kr.example.com')).toBe('77 ttl 50 scope 0');
  });

  test('the lowest part of a range of TTLs counts the VIPs of inner services', () => {
    const server = serve('\n  www: { ttl: { min: 1, max: 600 }, vips: { k: { service: kr }, x: { A: 192.0.2.2 } }, steer: [{ failover: [k, x] }] }\n  kr: { ttl: 300, check: web, vips: { a: { A: 192.0.2.1 } } }\n'); // prettier-ignore
    server.set('kr.example.com/a', { holdSeconds: 12 });
    expect(told(server, SEOUL)).toBe('1 ttl 12 scope 0');
  });

  test('min_healthy of the regions of inner services counts', () => {
    const server = answering({
      ...NO_GEOGRAPHY,
      'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
regions: { seoul: { min_healthy: 60% }, dublin: { min_healthy: 60% } }
checks: { web: { type: push } }
services:
  www: { vips: { k: { region: dublin, service: kr }, j: { region: dublin, A: 192.0.2.8 }, x: { A: 192.0.2.9 } }, steer: [{ failover: [k, j, x] }] }
  kr: { check: web, vips: { a: { region: seoul, A: 192.0.2.1 }, b: { region: seoul, A: 192.0.2.2 } }, steer: [{ failover: [a, b] }] }
`,
    });
    expect(served(server, SEOUL)).toBe('1');
    // Half of seoul is below 60 %, so kr is down; then half of dublin is, so j is out with it.
    down(server, 'kr/a');
    expect(served(server, SEOUL)).toBe('9');
  });

  test('alone is the answer if it is first, and is left out behind VIPs with records', () => {
    const at = (first: string): Answering => serve(`
  www: { answers: 3, vips: { p: { A: 192.0.2.1 }, k: { service: kr }, q: { A: 192.0.2.2 }, r: { A: 192.0.2.3 }, s: { A: 192.0.2.4 } }, steer: [all, { failover: [${first}, p] }] }
  kr: { vips: { a: { A: 192.0.2.5 }, b: { A: 192.0.2.6 } }, steer: [all] }
  all: { vips: { p: { A: 192.0.2.1 }, k: { service: kr }, q: { A: 192.0.2.2 } }, steer: [all] }
`); // prettier-ignore
    expect(served(at('k'), SEOUL)).toBe('5+6');
    expect(served(at('p'), SEOUL)).toBe('1');
    expect(served(at('k'), SEOUL, T.A, 'all.example.com')).toBe('1+2');
  });

  test('weights choose between services and VIPs, as between VIPs', () => {
    const server = serve('\n  www: { answers: 2, vips: { k: { service: kr, weight: 3 }, p: { A: 192.0.2.1 }, q: { A: 192.0.2.2 } }, steer: [weighted] }\n  kr: { vips: { a: { A: 192.0.2.5 } } }\n'); // prettier-ignore
    const counted = new Map<string, number>();
    for (let i = 0; i < 5000; i++) {
      const each = served(server, SEOUL);
      counted.set(each, (counted.get(each) ?? 0) + 1);
    }
    expect([...counted.keys()].sort()).toEqual(['1+2', '5']);
    expectShares([counted.get('5') ?? 0, counted.get('1+2') ?? 0], [0.6, 0.4]);
    expect(server.state.served[0]).toBe(counted.get('5'));
  });

  test('may lead over several services; types other than addresses are found by type', () => {
    const server = serve(`
  www: { vips: { one: { service: l1, weight: 1 }, t: { MX: 10 m.example.net., weight: 0 } } }
  l1: { vips: { two: { service: l2 } } }
  l2: { vips: { a: { A: 192.0.2.1, TXT: deep }, b: { A: 192.0.2.2, CAA: '0 issue "x"', TXT: deeper } }, steer: [{ failover: [b, a] }] }
`);
    const data = (type: number): string => server.ask('www.example.com', type).answer.map(({ data: each }) => each).join(); // prettier-ignore
    expect([data(T.A), data(T.TXT), data(T.MX)]).toEqual(['c0000202', '06646565706572', '000a016d076578616d706c65036e657400']); // prettier-ignore
  });

  test('CNAMEs of inner services are followed', () => {
    const server = answering({
      ...NO_GEOGRAPHY,
      'zones/example.com.yaml': `${HEAD}
  www: { vips: { k: { service: kr } } }
  kr: { vips: { a: { CNAME: host } } }
records: { host: { A: 192.0.2.1 } }
`,
    });
    expect(server.ask('www.example.com', T.A).answer.map(({ type }) => type)).toEqual([T.CNAME, T.A]);
  });

  test('an ALIAS leads to a service with inner services, also from another zone', () => {
    const server = answering({
      ...NO_GEOGRAPHY,
      'zones/example.com.yaml': `${HEAD}${TREE}records: { "@": { ALIAS: www } }\n`,
      'zones/example.net.yaml': 'zone: example.net\nnameservers: [ns.example.net.]\nrecords: { ns: { A: 192.0.2.53 }, "@": { ALIAS: www.example.com. } }\n', // prettier-ignore
    });
    for (const name of ['example.com', 'example.net']) {
      expect(told(server, SEOUL, T.A, name), name).toBe('1 ttl 30 scope 24');
      expect(told(server, '203.0.113.7', T.AAAA, name), name).toBe('4 ttl 60 scope 25');
    }
  });

  test('explain shows the decision of each service, and why a service is down', () => {
    const server = serve(TREE);
    down(server, 'kr/a', 'kr/b');
    const memory = server.state.steerer.health.states.buffer as SharedArrayBuffer;
    const told = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client: SEOUL }, { memory, reasonOf: () => undefined }); // prettier-ignore
    if (!told.ok) throw new Error(told.message);
    const { trace } = told;
    expect(trace.via.map(({ service, vips }) => [service, vips])).toEqual([['www.example.com', ['europe']]]);
    expect([trace.service, trace.answer.vips, trace.ttl.seconds]).toEqual(['eu.example.com', ['c'], 60]);
    const [asia, europe] = trace.via[0]?.candidates ?? [];
    expect([asia?.available, asia?.data, asia?.why]).toEqual([false, 'service kr.example.com', 'service kr.example.com is down']); // prettier-ignore
    expect([europe?.available, europe?.why]).toEqual([true, 'service eu.example.com is up']);
  });
});
