/**
 * A process that ended while events of a plain connection were waiting was aborted: the event loop runs once more at
 * the end, and the events' callback was called when no JavaScript can run.
 */
import { execFile } from 'node:child_process';
import * as net from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { whyNoLibc } from '../../../config/libc.ts';
import { listen } from '../../unit/health/support.ts';

test.runIf(whyNoLibc() === undefined)('the process ends in order', async () => {
  const served = await listen(net.createServer());
  const file = fileURLToPath(new URL('../../../health/plain-connection.ts', import.meta.url));
  // It is connected when the call returns, so its event waits when the script ends.
  const script = `
    const { connectPlain } = await import(${JSON.stringify(file)});
    connectPlain('127.0.0.1', ${String(served.port)});
    console.log('end');
  `;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  expect([stdout, stderr]).toEqual(['end\n', '']);
  await served.close();
});
