/**
 * The only VIP with AAAA was drained, behind a VIP that is a service. With `when_all_down: serve_all` that service was
 * entered all the same, although other VIPs of both services were up: a drained VIP stays out until all are out.
 */
import { expect, test } from 'vitest';
import { FORCED } from '../../../health/health-table.ts';
import { T } from '../../support/message.ts';
import { answering, NO_GEOGRAPHY } from '../../support/pharos.ts';

const ZONE = `zone: example.com
nameservers: [ns.example.net.]
services:
  www:
    vips: { inner: { service: kr }, own: { A: 192.0.2.9 } }
  kr:
    when_all_down: { AAAA: "2001:db8::77" }
    vips: { a: { AAAA: "2001:db8::1" }, b: { A: 192.0.2.2 } }
`;

test('a VIP that is a service stays out while the only VIP with the type behind it is drained', () => {
  const server = answering({ ...NO_GEOGRAPHY, 'zones/example.com.yaml': ZONE });
  const dataOf = (): readonly string[] => server.ask('www.example.com', T.AAAA).answer.map(({ data }) => data);
  const drain = (vip: string): void => {
    server.set(vip, { forced: FORCED.DRAIN });
  };
  expect(dataOf()).toHaveLength(1);
  drain('kr.example.com/a');
  expect(dataOf()).toEqual([]);
  drain('kr.example.com/b');
  expect(dataOf()).toEqual([]);
  drain('www.example.com/own');
  expect(dataOf()).toHaveLength(1);
});
