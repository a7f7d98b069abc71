import { describe, expect, test } from 'vitest';
import type { CheckSpec } from '../../../config/check-kinds.ts';
import { addressText, probeKey, probeTargetOf } from '../../../health/target-names.ts';
import {
  compoundCheck,
  dnsCheck,
  execCheck,
  grpcCheck,
  httpCheck,
  pushCheck,
  tcpCheck,
  tlsCheck,
  vip,
} from './support.ts';

describe('where a check connects', () => {
  test.each<[string, CheckSpec, number | undefined, string]>([
    ['http', httpCheck(), undefined, '192.0.2.1:80'],
    ['https', httpCheck({ kind: 'https' }), undefined, '192.0.2.1:443'],
    ['tls', tlsCheck(), undefined, '192.0.2.1:443'],
    ['grpc', grpcCheck(), undefined, '192.0.2.1:50051'],
    ['grpc over TLS', grpcCheck({ tls: true }), undefined, '192.0.2.1:443'],
    ['dns', dnsCheck(), undefined, '192.0.2.1:53'],
    ['a port of its own', tlsCheck({ port: 853 }), undefined, '192.0.2.1:853'],
    ['the port of the probe comes first', tlsCheck({ port: 853 }), 8443, '192.0.2.1:8443'],
    ['tcp, whose port is that of the probe', tcpCheck({ port: 0 }), 25, '192.0.2.1:25'],
    ['exec needs no port', execCheck(), undefined, '192.0.2.1'],
    ['exec with one', execCheck({ port: 80 }), undefined, '192.0.2.1:80'],
    ['the ports of members are their own', compoundCheck({ members: [tlsCheck()] }), undefined, '192.0.2.1'],
    ['push', pushCheck(), undefined, 'push'],
  ])('%s', (_, check, port, expected) => {
    expect(addressText(vip({ slot: 0, target: 'a/b', check, port }))).toBe(expected);
  });

  test('without a port it is 0, for the probe to know', () => {
    expect(probeTargetOf(vip({ slot: 0, target: 'a/b', check: execCheck() }))).toEqual({ host: '192.0.2.1', port: 0 });
  });
});

describe('one probe serves', () => {
  const key = (check: CheckSpec): string => probeKey(vip({ slot: 0, target: 'a/b', check }), check);
  test.each<[string, CheckSpec, CheckSpec, boolean]>([
    ['equal commands', execCheck({ name: 'a' }), execCheck({ name: 'b' }), true],
    ['not other arguments', execCheck({ command: ['x', 'a'] }), execCheck({ command: ['x', 'b'] }), false],
    ['not another load', httpCheck({ loadPath: 'a' }), httpCheck({ loadPath: 'b' }), false],
    [
      'equal members',
      compoundCheck({ members: [tlsCheck()] }),
      compoundCheck({ name: 'b', members: [tlsCheck()] }),
      true,
    ],
    ['not other members', compoundCheck({ members: [tlsCheck()] }), compoundCheck({ members: [tcpCheck()] }), false],
  ])('%s', (_, a, b, same) => {
    expect(key(a) === key(b)).toBe(same);
  });
});
