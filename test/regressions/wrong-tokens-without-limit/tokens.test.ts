/**
 * A client could try tokens as fast as the network allowed, and every try was a line of the log; nothing counted them.
 * Now the refusal of a wrong token is delayed and counted, and few are logged. The right token is not delayed.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { createFakeRuntime, type FakeRuntime } from '../../unit/status/fake-runtime.ts';

let fake: FakeRuntime;
let server: StatusServer;
let lines: object[];
beforeEach(async () => {
  fake = await createFakeRuntime();
  lines = [];
  const keep = (fields: object): void => void lines.push(fields);
  server = await startStatusServer(fake.runtime, {
    listen: { host: '127.0.0.1', port: 0 },
    token: 'right',
    log: { info: keep, warn: keep, error: keep },
  });
});
afterEach(async () => {
  vi.useRealTimers();
  await server.close();
  await fake.stop();
});

const reload = (token: string, query = ''): Promise<Response> =>
  fetch(`http://127.0.0.1:${server.endpoint.port}/api/v1/reload${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });

test('wrong tokens are counted, delayed and logged at a limited rate; the right one is accepted meanwhile', async () => {
  // The delays are timers of this process: they end when the test says so.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let refused = 0;
  const wrong = Array.from({ length: 30 }, async () => {
    expect((await reload('wrong')).status).toBe(401);
    refused++;
  });
  const metrics = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${server.endpoint.port}/metrics`)).text();
  while (!(await metrics()).includes('\npharos_http_wrong_tokens_total 30\n'));
  expect((await reload('right')).status).toBe(200);
  expect(refused).toBe(0);
  vi.advanceTimersByTime(60_000);
  await Promise.all(wrong);
  expect(lines.filter((line) => 'wrong_tokens' in line)).toHaveLength(10);
  expect(lines.filter((line) => 'status' in line && line.status === 401)).toHaveLength(10);
});

test('a long URL is truncated in the log', async () => {
  expect((await reload('right', `?${'x'.repeat(5000)}`)).status).toBe(400);
  const [line] = lines as { url: string }[];
  expect(line?.url).toHaveLength(203);
});
