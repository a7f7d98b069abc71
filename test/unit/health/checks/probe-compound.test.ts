import * as http from 'node:http';
import * as net from 'node:net';
import { describe, expect, test } from 'vitest';
import { probeCompound } from '../../../../health/checks/probe-compound.ts';
import type { Probe, ProbeResult, ProbeTarget } from '../../../../health/checks/probe.ts';
import { runProbe } from '../../../../health/checks/run-probe.ts';
import { systemClock } from '../../../../health/clock.ts';
import { createWatch } from '../../../../health/watch.ts';
import { compoundCheck, dnsCheck, grpcCheck, httpCheck, listen, never, tcpCheck, tlsCheck } from '../support.ts';

const HERE: ProbeTarget = { host: '192.0.2.1', port: 0 };

/** Members by their names: one that passes, fails, or ends only when it is told to. */
type Outcome = 'passes' | 'fails' | 'hangs' | number;
function play(outcomes: Readonly<Record<string, Outcome>>, asked: ProbeTarget[] = []): Probe {
  return (target, { name }, signal) => {
    asked.push(target);
    const outcome = outcomes[name];
    if (typeof outcome === 'number')
      return Promise.resolve({ passed: true, reason: 'fine', load: outcome, elapsedMs: 1 });
    if (outcome !== 'hangs') return Promise.resolve({ passed: outcome === 'passes', reason: `it ${outcome ?? ''}`, elapsedMs: 1 }); // prettier-ignore
    return new Promise<ProbeResult>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve({ passed: false, reason: 'probe cancelled', elapsedMs: 1 });
      });
    });
  };
}

const [a, b, c] = ['a', 'b', 'c'].map((name) => tcpCheck({ name })) as [ReturnType<typeof tcpCheck>, ReturnType<typeof tcpCheck>, ReturnType<typeof tcpCheck>]; // prettier-ignore
const withLoad = httpCheck({ name: 'b', loadPath: 'load' });
const otherLoad = httpCheck({ name: 'other', loadPath: 'load' });

describe('what its members come to', () => {
  test.each([
    ['all_of', 2, [a, b], { a: 'passes', b: 'passes' }, true, 'all 2 passed'],
    ['all_of', 2, [a, b], { a: 'passes', b: 'fails' }, false, 'b: it fails'],
    ['all_of', 2, [a, b], { a: 'hangs', b: 'fails' }, false, 'b: it fails'],
    ['all_of', 2, [a, b], { a: 'passes', b: 'hangs' }, false, 'b: no answer in 30 ms'],
    ['all_of', 2, [a, b], { a: 'hangs', b: 'hangs' }, false, 'a: no answer in 30 ms; b: no answer in 30 ms'],
    ['any_of', 1, [a, b], { a: 'fails', b: 'passes' }, true, '1 of 2 passed; a: it fails'],
    ['any_of', 1, [a, b], { a: 'hangs', b: 'passes' }, true, '1 of 2 passed'],
    ['any_of', 1, [a, b], { a: 'fails', b: 'fails' }, false, '2 of 2 failed, 1 must pass; a: it fails; b: it fails'],
    ['at_least', 2, [a, b, c], { a: 'passes', b: 'passes', c: 'hangs' }, true, '2 of 3 passed'],
    ['at_least', 2, [a, b, c], { a: 'fails', b: 'fails', c: 'hangs' }, false, '2 of 3 failed, 2 must pass; a: it fails; b: it fails'], // prettier-ignore
    ['at_least', 2, [a, b, c], { a: 'passes', b: 'fails', c: 'hangs' }, false, '2 of 3 failed, 2 must pass; b: it fails; c: no answer in 30 ms'], // prettier-ignore
  ] as const)('%s %i %j %j', async (kind, needed, members, outcomes, passed, reason) => {
    const spec = compoundCheck({ kind, needed, members, timeoutMs: 30 });
    expect(await probeCompound(HERE, spec, never, play(outcomes))).toMatchObject({ passed, reason });
  });

  test.each([
    ['the greatest counts', [withLoad, otherLoad], { other: 0.2, b: 0.7 }, { load: 0.7 }],
    ['one that failed has none', [a, b], { a: 0.2, b: 'fails' }, { load: 0.2 }],
    ['one that would tell is waited for', [a, withLoad], { a: 'passes', b: 0.4 }, { load: 0.4 }],
    ['though not beyond the deadline', [a, withLoad], { a: 'passes', b: 'hangs' }, { reason: '1 of 2 passed; b: no answer in 30 ms' }], // prettier-ignore
  ] as const)('load: %s', async (_, members, outcomes, expected) => {
    const spec = compoundCheck({ kind: 'any_of', members, timeoutMs: 30 });
    expect(await probeCompound(HERE, spec, never, play(outcomes))).toMatchObject({ passed: true, ...expected });
  });
});

test.each([
  ['each at its own port, or that of its kind', 0, [1, 80, 443, 53, 50_051, 443]],
  ['a probe port is for those that state none', 8443, [1, 8443, 8443, 53, 8443, 8443]],
])('%s', async (_, port, expected) => {
  const asked: ProbeTarget[] = [];
  const members = [
    tcpCheck({ port: 1 }),
    httpCheck(),
    tlsCheck(),
    compoundCheck({ kind: 'any_of', members: [dnsCheck(), grpcCheck(), grpcCheck({ tls: true })] }),
  ];
  const play: Probe = (target, spec, signal) => {
    if ('members' in spec) return probeCompound(target, spec, signal, play);
    asked.push(target);
    return new Promise<ProbeResult>((resolve) => {
      setImmediate(() => {
        resolve({ passed: true, reason: '', elapsedMs: 0 });
      });
    });
  };
  await probeCompound({ host: '192.0.2.1', port }, compoundCheck({ members }), never, play);
  expect(asked.map((target) => target.port)).toEqual(expected);
});

test('its members leave their connections to the watch, and the loss of any is a loss', async () => {
  const web = await listen(http.createServer((_, response) => response.end('ok')));
  const other = await listen(net.createServer());
  const lost: string[] = [];
  const watch = createWatch(systemClock, (key) => lost.push(key));
  const members = [httpCheck({ port: web.port }), tcpCheck({ port: other.port }), tcpCheck({ port: other.port, watch: false })]; // prettier-ignore
  const result = await runProbe({ host: '127.0.0.1', port: 0 }, compoundCheck({ members }), never, {
    keep: (connection) => {
      watch.keep('unit', connection);
    },
  });
  expect(result.reason).toBe('all 3 passed');
  await expect.poll(() => watch.size()).toBe(2);
  await other.close();
  await expect.poll(() => lost).toEqual(['unit']);
  expect(watch.size()).toBe(1);
  watch.drop('unit');
  await web.quiet();
  expect([watch.size(), lost]).toEqual([0, ['unit']]);
  await web.close();
});
