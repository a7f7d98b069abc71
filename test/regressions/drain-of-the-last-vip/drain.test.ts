/**
 * `drain` of the last VIP said "no new answer names it", then that answers did, and exited with 0; and the safe time of
 * the VIP drained before was not withdrawn. Now it is rejected unless forced; then it reports the facts.
 */
import { expect, test } from 'vitest';
import { forceState } from '../../../cli/control.ts';
import { startStatusServer } from '../../../status/http.ts';
import { captureOutput } from '../../unit/cli/captured-output.ts';
import { createFakeLog, createFakeRuntime } from '../../unit/status/fake-runtime.ts';

const WWW = 'www.example.com';

test('the last VIP of a service', async () => {
  const fake = await createFakeRuntime();
  const start = () =>
    startStatusServer(fake.runtime, { listen: { host: '127.0.0.1', port: 0 }, token: 't', log: createFakeLog().log });
  const server = await start();
  const api = `127.0.0.1:${server.endpoint.port}`;
  const rest = { token: 't', config: undefined, cwd: '/', env: {}, json: false, forText: undefined, reason: undefined };
  const drain = async (target: string, more: object = {}) => {
    const { output, out, error } = captureOutput();
    const code = await forceState(target, 'drain', { api, ...rest, ...more }, output);
    return { code, out: out(), error: error() };
  };

  // seoul-b is down.
  const first = await drain(`${WWW}/seoul-a`);
  expect(first).toMatchObject({ code: 0, error: '' });
  expect(first.out).toMatch(
    /^Draining www.example.com\/seoul-a: removed from DNS answers\nOn this server only: .*\nSafe to stop at \d\d:\d\d:\d\d UTC \(in \d+ s\), when cached answers expire\.$/,
  );

  const refused = await drain(`${WWW}/virginia-a`);
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.error).toMatch(/refused, nothing was changed: .*no available VIP left.*VIPs that are down.*--force/);
  expect(fake.runtime.health.overrides()).toHaveLength(1);

  const forced = await drain(`${WWW}/virginia-a`, { force: true });
  expect(forced).toMatchObject({ code: 0, error: '' });
  expect(forced.out).toContain('Safe to stop at');

  // This is the last VIP that is not drained or forced down: now answers name all again.
  expect(await drain(`${WWW}/seoul-b`)).toMatchObject({ code: 1, out: '' });
  const all = await drain(`${WWW}/seoul-b`, { force: true });
  expect(all).toMatchObject({ code: 0, out: '' });
  expect(all.error).toMatch(/^Not safe to stop: every VIP of www.example.com .*serve_all/);
  expect(all.error).toMatch(/No longer safe to stop: www.example.com\/seoul-a, www.example.com\/virginia-a\. /);

  // With several servers, a failure of one is a failure, and nothing is safe then.
  for (const { target } of fake.runtime.health.overrides()) fake.runtime.health.override(target, undefined);
  const other = await start();
  const both = await drain(`${WWW}/seoul-a`, { alsoApis: [`127.0.0.1:${other.endpoint.port}`] });
  expect(both).toMatchObject({ code: 0, error: '' });
  expect(both.out).toMatch(/\nOn these 2 servers only: .*\nSafe to stop at /);
  await other.close();
  const half = await drain(`${WWW}/seoul-a`, { alsoApis: [`127.0.0.1:${other.endpoint.port}`] });
  expect(half.code).toBe(1);
  expect(half.out).not.toContain('Safe to stop');
  expect(half.error).toMatch(/cannot reach .*\n.*not changed on /);
  await server.close();
  await fake.stop();
});
