/**
 * HTTPS and SVCB at a service: made from the VIPs that steering chose (docs/steering.md#https-and-svcb).
 */
import { describe, expect, test } from 'vitest';
import { FORCED, PROBED } from '../../../../health/health-table.ts';
import { parseAddress } from '../../../../wire/address.ts';
import { formatRdata } from '../../../../wire/rdata.ts';
import { TYPE } from '../../../../wire/types.ts';
import { subnetOption } from '../../../support/message.ts';
import { answering, mistakesOf, NO_GEOGRAPHY, type Answering } from '../../../support/pharos.ts';

const zone = (more: string, vips?: string): string => `
zone: example.com
ttl: 120
nameservers: [ns1]
regions: { seoul: { at: KR }, virginia: { at: US } }
records: { ns1: { A: 192.0.2.53 } }
services:
  www:
    ttl: { min: 5, max: 60 }
    svcb: { alpn: [h2, h3], port: 443 }
    vips: ${vips ?? '{ s: { region: seoul, A: 192.0.2.1, AAAA: "2001:db8::1" }, v: { region: virginia, A: 192.0.2.2 }, x: { region: virginia, AAAA: "2001:db8::3" } }'}
    ${more}
`;

const files = (text: string): Record<string, string | Uint8Array> => ({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': text,
});

function ask(server: Answering, type: number, subnet?: string): { data: string[]; ttl: number[]; scope: unknown } {
  const edns = { options: subnet === undefined ? [] : [subnetOption(parseAddress(subnet) ?? new Uint8Array(4), 24)] };
  const { answer, edns: back } = server.ask('www.example.com.', type, { overTcp: true, edns });
  expect(answer.every((each) => each.type === type)).toBe(true);
  return {
    data: answer.map(({ data }) => formatRdata(type, Buffer.from(data, 'hex'))),
    ttl: answer.map(({ ttl }) => ttl),
    scope: back?.scope,
  };
}

const GEO = 'steer: [geo: { 203.0.113.0/24: seoul, default: virginia }]';
const SEOUL = '1 . alpn="h2,h3" port=443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1';
const VIRGINIA = '1 . alpn="h2,h3" port=443 ipv4hint=192.0.2.2';

describe.each([
  ['HTTPS', TYPE.HTTPS],
  ['SVCB', TYPE.SVCB],
])('%s', (_name, type) => {
  test('has the hints of the VIP that A would name, its TTL, and its scope', () => {
    const server = answering(files(zone(GEO)));
    expect(ask(server, type, '203.0.113.0')).toEqual({ data: [SEOUL], ttl: [60], scope: 24 });
    expect(ask(server, type, '198.51.100.0')).toMatchObject({ data: [VIRGINIA] });
    server.set('www.example.com/s', { probed: PROBED.UP, holdSeconds: 7 });
    expect(ask(server, type, '203.0.113.0').ttl).toEqual([7]);
  });

  test('never names a VIP that is down or drained', () => {
    const server = answering(files(zone(GEO)));
    server.set('www.example.com/s', { probed: PROBED.DOWN });
    expect(ask(server, type, '203.0.113.0').data).toEqual([VIRGINIA]);
    server.set('www.example.com/s', { forced: FORCED.DRAIN });
    expect(ask(server, type, '203.0.113.0').data).toEqual([VIRGINIA]);
  });

  test('has one record for each VIP of the answer', () => {
    const server = answering(
      files(
        zone(
          'steer: [failover: [seoul, virginia], all]\n    answers: all',
          '{ s: { region: seoul, A: 192.0.2.1 }, t: { region: seoul, A: 192.0.2.4, AAAA: "2001:db8::4" } }',
        ),
      ),
    );
    expect(ask(server, type).data.sort()).toEqual([
      '1 . alpn="h2,h3" port=443 ipv4hint=192.0.2.1',
      '1 . alpn="h2,h3" port=443 ipv4hint=192.0.2.4 ipv6hint=2001:db8::4',
    ]);
  });

  test('of VIPs without A has their AAAA', () => {
    const server = answering(files(zone('', '{ s: { region: seoul, AAAA: "2001:db8::1" } }')));
    expect(ask(server, type).data).toEqual(['1 . alpn="h2,h3" port=443 ipv6hint=2001:db8::1']);
  });

  test.each([
    ['none', 'when_all_down: none', 0],
    ['a static address', 'when_all_down: { A: 192.0.2.99 }', 0],
    ['a static name', 'when_all_down: { CNAME: sorry.example.net. }', 1],
  ])('with all VIPs down and %s there is no such record', (_what, down, names) => {
    const server = answering(files(zone(down)));
    for (const vip of ['s', 'v', 'x']) server.set(`www.example.com/${vip}`, { probed: PROBED.DOWN });
    const { answer, rcode } = server.ask('www.example.com.', type);
    expect(rcode).toBe(0);
    expect(answer.map((each) => each.type)).toEqual(new Array(names).fill(TYPE.CNAME));
  });
});

test('without svcb, HTTPS at a service is static', () => {
  const text = zone('')
    .replace(/ +svcb: .*\n/, '')
    .replace('records: {', 'records: { www: { HTTPS: "1 . port=8443" },');
  expect(ask(answering(files(text)), TYPE.HTTPS).data).toEqual(['1 . port=8443']);
});

test('static HTTPS records beside svcb are a mistake', () => {
  const text = zone('').replace('records: {', 'records: { www: { HTTPS: "1 . port=8443" },');
  expect(mistakesOf(files(text)).join('\n')).toContain(' error PH239: the service www.example.com has svcb');
});

test('an empty map makes records with hints alone', () => {
  const text = zone('steer: [failover: [seoul, virginia]]').replace(/svcb: .*/, 'svcb: {}');
  expect(ask(answering(files(text)), TYPE.HTTPS).data).toEqual(['1 . ipv4hint=192.0.2.1 ipv6hint=2001:db8::1']);
});
