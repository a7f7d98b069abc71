/**
 * The `body` and `expect` of a check were searched without a limit: if a target sent text that is hard for the
 * expression, the control thread did nothing else any more, no probe, no status page, no reload.
 */
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CheckSpec } from '../../../config/check-kinds.ts';
import { runProbe } from '../../../health/checks/run-probe.ts';
import { createDice } from '../../support/random.ts';
import { httpCheck, listen, never, tcpCheck, type TestServer } from '../../unit/health/support.ts';

const dice = createDice(1);
/** The right `a` is known only at the end, so all of them are kept in mind. */
const hard = Array.from({ length: 60_000 }, () => 'ab'[dice.below(2)]).join('');
let served: TestServer;
beforeAll(async () => {
  served = await listen(
    createServer((socket) => {
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${hard.length + 1}\r\n\r\n${hard}!`);
      });
    }),
  );
});
afterAll(() => served.close());

const regex = (source: string) => ({ kind: 'regex', source, flags: '' }) as const;
const timeoutMs = 30_000;
const words = (source: string): string => `/${source}/ takes more than 100 ms over what was received; simplify it`;

const slow = '[ab]*a[ab]{900}$';
// Half a second and more without a limit.
test.each([
  ['http', httpCheck({ timeoutMs, body: regex(slow) }), words(slow)],
  ['tcp', tcpCheck({ timeoutMs, send: 'x', expect: regex(slow) }), words(slow)],
] as const satisfies readonly (readonly [string, CheckSpec, string])[])('%s: it fails, and gives the reason', async (_, check, reason) => {
  expect(await runProbe({ host: '127.0.0.1', port: served.port }, check, never)).toMatchObject({ passed: false, reason });
}); // prettier-ignore
