import { describe, expect, test } from 'vitest';
import type { CheckSpec } from '../../../config/check-kinds.ts';
import { addressText, keyInFiles, probeKey, probeTargetOf, type HealthTarget } from '../../../health/target-names.ts';
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
    [
      'not members with other names, which results contain',
      compoundCheck({ members: [tlsCheck()] }),
      compoundCheck({ members: [tlsCheck({ name: 'b' })] }),
      false,
    ],
    [
      'not a value that the files write in another way',
      tcpCheck({ send: 'HELO ams1', inFiles: { send: 'HELO ${NODE}' } }),
      tcpCheck({ send: 'HELO ams1' }),
      false,
    ],
    ['not other members', compoundCheck({ members: [tlsCheck()] }), compoundCheck({ members: [tcpCheck()] }), false],
  ])('%s', (_, a, b, same) => {
    expect(key(a) === key(b)).toBe(same);
    // The votes of a fleet are told apart in the same way.
    const target = vip({ slot: 0, target: 'a/b' });
    expect(keyInFiles(target, a) === keyInFiles(target, b)).toBe(same);
  });

  test.each<[string, Partial<HealthTarget>, Partial<HealthTarget>, boolean]>([
    ['one address', { port: 80 }, {}, true],
    ['one variable', { written: '${BACKEND}' }, { written: '${BACKEND}' }, true],
    ['not a variable and its value', { written: '${BACKEND}' }, {}, false],
    ['not two variables with one value', { written: '${BACKEND}' }, { written: '${OTHER}' }, false],
  ])('%s', (_, a, b, same) => {
    const check = httpCheck();
    const of = (change: Partial<HealthTarget>): HealthTarget => vip({ slot: 0, target: 'a/b', check, ...change });
    expect(probeKey(of(a), check) === probeKey(of(b), check)).toBe(same);
    expect(keyInFiles(of(a), check) === keyInFiles(of(b), check)).toBe(same);
  });
});
