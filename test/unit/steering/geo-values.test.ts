/**
 * What a key of `geo` may say beside regions (docs/steering.md#geo): no answer, and a TTL. Packets, explain, export.
 */
import { describe, expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../health/health-table.ts';
import { explainFrom } from '../../../server/explain/explain-answer.ts';
import { createDefaultAnswers } from '../../../server/transfer/default-answer.ts';
import { subnetOption, T, type DecodedMessage } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answering, mistakesOf, type Answering, type Files } from '../../support/pharos.ts';

const SEOUL = Uint8Array.of(1, 0, 0, 1);
const BEIJING = Uint8Array.of(2, 0, 0, 1);
const TOKYO = Uint8Array.of(3, 0, 0, 1);

function filesOf(geo: string, more = 'ttl: 20'): Files {
  return {
    'pharos.yaml': 'geo: { databases: [place.mmdb] }\n',
    'place.mmdb': writeMmdb([
      ['1.0.0.0/8', { country: { iso_code: 'KR' } }],
      ['2.0.0.0/8', { country: { iso_code: 'CN' } }],
      ['3.0.0.0/8', { country: { iso_code: 'JP' } }],
    ]),
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns.example.net.]
soa: { negative_ttl: 77 }
regions: { seoul: {}, tokyo: {}, paris: {} }
checks: { web: { type: push } }
services:
  www:
    check: web
    vips: { a: { region: seoul, A: 192.0.2.1, AAAA: "2001:db8::1" }, b: { region: tokyo, A: 192.0.2.2 } }
    steer: [{ geo: ${geo} }]
    ${more}
`,
  };
}

function ask(server: Answering, client: Uint8Array, type: number = T.A): DecodedMessage {
  return server.ask('www.example.com', type, { edns: { options: [subnetOption(client, 32)] } });
}

const dataOf = ({ answer }: DecodedMessage): string[] => answer.map(({ data }) => data);
const [A, B] = ['c0000201', 'c0000202'];

describe('none', () => {
  test.each(['none', '[]', '{ to: none }', '{ to: [] }'])('%s is no data with the SOA and scope 0', (written) => {
    const server = answering(filesOf(`{ CN: ${written}, default: [seoul, tokyo] }`));
    const { rcode, answer, authority, edns } = ask(server, BEIJING);
    expect({ rcode, answer, scope: edns?.scope }).toEqual({ rcode: 0, answer: [], scope: 0 });
    expect(authority.map(({ type, ttl }) => [type, ttl])).toEqual([[T.SOA, 77]]);
    expect(dataOf(ask(server, SEOUL))).toEqual([A]);
    expect(ask(server, SEOUL).edns?.scope).toBeGreaterThan(0);
  });

  test.each([
    ['serve_all', 'when_all_down: serve_all'],
    ['a static answer', 'when_all_down: { A: 192.0.2.99 }'],
    ['a name', 'when_all_down: { CNAME: sorry.example.net. }'],
  ])('neither broader keys nor when_all_down answer clients there: %s', (_, more) => {
    const server = answering(filesOf('{ CN: none, asia: seoul, default: tokyo }', more));
    for (const probed of [PROBED.UP, PROBED.DOWN]) {
      for (const vip of ['a', 'b']) server.set(`www.example.com/${vip}`, { probed });
      expect(ask(server, BEIJING).answer).toEqual([]);
      expect(ask(server, SEOUL).answer).toHaveLength(1);
    }
  });

  test('it ends the search for other clients, and then when_all_down decides', () => {
    const server = answering(filesOf('{ KR: seoul, asia: none, default: tokyo }'));
    server.set('www.example.com/a', { probed: PROBED.DOWN });
    // serve_all, not the region of the broader key.
    expect(dataOf(ask(server, SEOUL))).toEqual([A]);
    expect(dataOf(ask(server, TOKYO))).toEqual([]);
    server.set('www.example.com/a', { probed: PROBED.DOWN, forced: FORCED.DRAIN });
    expect(dataOf(ask(server, SEOUL))).toEqual([]);
  });

  test('a key whose regions the service does not have gives way to it', () => {
    const server = answering(
      filesOf('{ KR: paris, asia: none, default: [seoul, tokyo] }', 'when_all_down: { A: 192.0.2.99 }'),
    );
    expect(dataOf(ask(server, SEOUL))).toEqual([]);
  });

  test('a region that is called none is written in a list', () => {
    const files = filesOf('{ CN: [none], default: [seoul, tokyo, none] }');
    const zone = String(files['zones/example.com.yaml']);
    const own = zone.replace('paris: {}', 'none: {}').replace('{ region: tokyo', '{ region: none');
    expect(dataOf(ask(answering({ ...files, 'zones/example.com.yaml': own }), BEIJING))).toEqual([B]);
  });

  test.each(['serve_all', '{ A: 192.0.2.99, AAAA: "2001:db8::99" }', '{ CNAME: sorry.example.net. }'])(
    'check warns, whatever when_all_down is: %s',
    (down) => {
      const told = mistakesOf(filesOf('{ CN: none, default: [seoul, tokyo] }', `when_all_down: ${down}`));
      expect(told.filter((line) => line.includes('PH119'))).toEqual([
        expect.stringContaining('clients of some places get no A and AAAA, and others do'),
      ]);
    },
  );

  test('explain names the key, also while everything is down', () => {
    const server = answering(filesOf('{ CN: none, asia: seoul, default: tokyo }'));
    for (const down of [[], ['www.example.com/a', 'www.example.com/b']]) {
      const explained = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client: '2.0.0.1', down });
      expect(explained).toMatchObject({
        ok: true,
        trace: {
          allDown:
            'the file gives clients of CN no answer (none), whatever when_all_down says, so the answer is NODATA',
          answer: { records: [] },
          scope: { bits: 0 },
          ttl: { seconds: 77 },
        },
      });
    }
  });
});

describe('a TTL of a key', () => {
  const GEO = '{ KR: { to: seoul, ttl: 10 }, JP: { to: [tokyo, seoul], ttl: 300 }, default: [seoul, tokyo] }';
  const ttlOf = (server: Answering, client: Uint8Array): number | undefined => ask(server, client).answer[0]?.ttl;

  test('takes the place of a fixed one', () => {
    const server = answering(filesOf(GEO));
    expect([SEOUL, TOKYO, BEIJING].map((client) => ttlOf(server, client))).toEqual([10, 300, 20]);
  });

  test('is that of the key that leads to the VIP', () => {
    const server = answering(filesOf(GEO));
    server.set('www.example.com/a', { probed: PROBED.DOWN });
    expect([ttlOf(server, SEOUL), dataOf(ask(server, SEOUL))]).toEqual([20, [B]]);
  });

  test('limits a range', () => {
    const server = answering(filesOf(GEO, 'ttl: { min: 15, max: 60 }'));
    for (const vip of ['a', 'b']) server.set(`www.example.com/${vip}`, { probed: PROBED.UP, holdSeconds: 200 });
    expect([SEOUL, TOKYO, BEIJING].map((client) => ttlOf(server, client))).toEqual([10, 200, 60]);
    for (const vip of ['a', 'b']) server.set(`www.example.com/${vip}`, { probed: PROBED.UP, holdSeconds: 12 });
    expect([SEOUL, TOKYO, BEIJING].map((client) => ttlOf(server, client))).toEqual([10, 15, 15]);
  });

  test('clients with the same VIPs and another TTL have another scope', () => {
    const server = answering(filesOf('{ KR: { to: seoul, ttl: 10 }, default: [seoul, tokyo] }'));
    expect(ask(server, SEOUL).edns?.scope).toBeGreaterThan(0);
  });

  test('with a broader key that leads to the answer, the TTL is that of the broader key', () => {
    const server = answering(filesOf('{ KR: { to: seoul, ttl: 10 }, asia: { to: paris, ttl: 40 }, default: { to: [seoul, tokyo], ttl: 300 } }')); // prettier-ignore
    expect([SEOUL, TOKYO].map((client) => ttlOf(server, client))).toEqual([10, 300]);
    server.set('www.example.com/a', { probed: PROBED.DOWN });
    expect([ttlOf(server, SEOUL), dataOf(ask(server, SEOUL))]).toEqual([300, [B]]);
  });

  test('is that of the default answer, for transfers and export', () => {
    const server = answering(filesOf('{ default: { to: [seoul, tokyo], ttl: 300 } }'));
    const defaults = createDefaultAnswers(server.state.image, server.health.weights);
    expect(defaults.of(0).map(({ ttlSeconds }) => ttlSeconds)).toEqual([300, 300]);
  });

  test.each([
    ['1.0.0.1', 'ttl: 20', 10, 'fixed in the zone file, for the key of geo that leads here'],
    ['2.0.0.1', 'ttl: 20', 20, 'fixed in the zone file'],
    ['1.0.0.1', 'ttl: { min: 5, max: 60 }', 10, 'limited to 10 s (ttl of the key of geo)'],
    ['1.0.0.1', 'ttl: { min: 15, max: 60 }', 10, 'limited to 10 s (ttl of the key of geo)'],
  ])('explain says so: %s with %s', (client, more, seconds, why) => {
    const server = answering(filesOf(GEO, more));
    const explained = explainFrom(server.generation, { name: 'www.example.com', type: 'A', client });
    const ttl = explained.ok ? explained.trace.ttl : undefined;
    expect(ttl).toEqual({ seconds, why: expect.stringContaining(why) as string });
  });
});
