/**
 * `pharos status --watch` without a server at the address, or for an unknown service, reported that every two seconds
 * without end: a script waited for an exit code that never came. A server that responded before is still waited for.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runStatus } from '../../../cli/status.ts';
import { startStatusServer } from '../../../status/http.ts';
import { freePort } from '../../support/free-port.ts';
import { captureOutput } from '../../unit/cli/captured-output.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
let fake: FakeRuntime;
beforeAll(async () => {
  fake = await createFakeRuntime();
});
afterAll(() => fake.stop());

const openServer = () => startStatusServer(fake.runtime, { listen: LOOPBACK, token: 't', log: createFakeLog().log });

async function watch(port: number, service: string | undefined, onError: (text: string) => void, signal: AbortSignal) {
  const { output, error } = captureOutput();
  const reach = { api: `127.0.0.1:${port}`, token: undefined, config: undefined, cwd: '/', env: {} };
  const seen = {
    ...output,
    error: (text: string) => {
      output.error(text);
      onError(text);
    },
  };
  const options = { ...reach, service, watch: true, intervalMs: 1, json: false, screen: undefined, signal };
  const code = await runStatus(options, seen);
  return { code, error: error() };
}

test('no server at the first request: 1', async () => {
  const stop = new AbortController();
  // Limits the run, so that a failure of this test ends.
  let said = 0;
  const ran = await watch(
    await freePort(),
    undefined,
    () => {
      said += 1;
      if (said === 3) stop.abort();
    },
    stop.signal,
  );
  expect(ran).toMatchObject({
    code: 1,
    error: expect.stringMatching(/^pharos status: cannot reach [^\n]*$/) as string,
  });
});

test('no such service: 1', async () => {
  const server = await openServer();
  const stop = new AbortController();
  let said = 0;
  const ran = await watch(
    server.endpoint.port,
    'ww',
    () => {
      said += 1;
      if (said === 3) stop.abort();
    },
    stop.signal,
  );
  await server.close();
  expect(ran).toMatchObject({
    code: 1,
    error: expect.stringMatching(/^[^\n]*unknown service ww[^\n]*$/) as string,
  });
});

test('a server that stops responding is asked until the end', async () => {
  const server = await openServer();
  const { output } = captureOutput();
  const stop = new AbortController();
  const rest = { token: undefined, config: undefined, cwd: '/', env: {}, service: undefined };
  let closed: Promise<void> | undefined;
  let missed = 0;
  const seen = {
    ...output,
    out: () => {
      closed ??= server.close();
    },
    error: () => {
      missed += 1;
      if (missed === 3) stop.abort();
    },
  };
  const how = { watch: true, intervalMs: 1, json: false, screen: undefined, signal: stop.signal };
  expect(await runStatus({ api: `127.0.0.1:${server.endpoint.port}`, ...rest, ...how }, seen)).toBe(0);
  expect(missed).toBe(3);
  await closed;
});
