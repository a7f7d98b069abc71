/**
 * A drain for 10 s of a service with TTL 20 had a `safe_at` in 20 s: by then answers had named the VIP again for 10 s.
 */
import { expect, test } from 'vitest';
import { createApp } from '../../../status/http.ts';
import { createFakeLog, createFakeRuntime } from '../../unit/status/fake-runtime.ts';

const headers = { authorization: 'Bearer s3cret' };

test.each([
  ['10s', null, ['the override ends before the last cached answer naming www.example.com/seoul-a has expired']],
  ['30m', expect.any(String) as unknown, []],
])('drained for %s', async (lasting, safeAt, warnings) => {
  const fake = await createFakeRuntime();
  const { app } = createApp(fake.runtime, { token: 's3cret', log: createFakeLog().log });
  const url = '/api/v1/overrides/www.example.com/seoul-a';
  const set = await app.inject({ method: 'PUT', url, headers, payload: { state: 'drain', for: lasting } });
  expect(set.json()).toMatchObject({ safe_at: safeAt, warnings });
  const list = await app.inject({ url: '/api/v1/overrides', headers });
  expect(list.json()).toMatchObject([{ safe_at: safeAt }]);
  const vips = await app.inject({ url: '/api/v1/health', headers });
  expect(vips.json()).toMatchObject([{ override: { safe_at: safeAt } }, {}, {}, {}]);
  await app.close();
  await fake.stop();
});
