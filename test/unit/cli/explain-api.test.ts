import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { explain, type ExplainOptions } from '../../../cli/explain.ts';
import { renderTrace } from '../../../cli/render-trace.ts';
import { startStatusServer, type StatusServer } from '../../../status/http.ts';
import { traceDocument } from '../../../status/trace-document.ts';
import type { Explained, ExplainRequest } from '../../../steering/trace.ts';
import { freePort } from '../../support/free-port.ts';
import { createFakeLog, createFakeRuntime, type FakeRuntime } from '../status/fake-runtime.ts';
import { captureOutput } from './captured-output.ts';
import { steered } from './traces.ts';

let fake: FakeRuntime;
let server: StatusServer;
let url: string;
let asked: ExplainRequest | undefined;
let reply: Explained;

beforeAll(async () => {
  fake = await createFakeRuntime();
  fake.knobs.explain = (request) => {
    asked = request;
    return reply;
  };
  server = await startStatusServer(fake.runtime, {
    listen: { host: '127.0.0.1', port: 0 },
    token: 's3cret',
    log: createFakeLog().log,
  });
  url = `http://127.0.0.1:${server.endpoint.port}`;
});
beforeEach(() => {
  reply = { ok: true, trace: steered };
  asked = undefined;
});
afterAll(async () => {
  await server.close();
  await fake.stop();
});

const request: ExplainRequest = {
  name: 'www.example.com',
  type: 'AAAA',
  client: '2001:db8::/32',
  down: ['@seoul', 'a/b'],
};

async function run(options: Partial<ExplainOptions>): Promise<{ code: number; out: string; error: string }> {
  const { output, out, error } = captureOutput();
  const code = await explain(
    { request, config: undefined, api: url, token: undefined, json: false, ...options },
    output,
  );
  return { code, out: out(), error: error() };
}

describe('pharos explain --api', () => {
  it('sends the request to the server, and shows its trace', async () => {
    const shown = renderTrace(traceDocument(steered), (_style, text) => text);
    expect(await run({})).toEqual({ code: 0, out: shown, error: '' });
    expect(asked).toEqual(request);
  });

  it('--json prints the reply of the API', async () => {
    const { code, out } = await run({ json: true });
    expect({ code, trace: JSON.parse(out) as unknown }).toEqual({
      code: 0,
      trace: JSON.parse(JSON.stringify(traceDocument(steered))) as unknown,
    });
  });

  it.each<[title: string, parameter: string, code: number]>([
    ['a name that no zone contains exits 1', 'name', 1],
    ['an unknown target exits 1', 'down', 1],
    ['a malformed address exits 2', 'client', 2],
    ['an unknown type exits 2', 'type', 2],
  ])('%s', async (_title, parameter, code) => {
    reply = { ok: false, parameter, message: 'no such thing' };
    expect(await run({})).toEqual({ code, out: '', error: 'pharos explain: no such thing' });
  });

  it('exits 1 with the hint when the token is wrong', async () => {
    const { code, error } = await run({ token: 'guess' });
    expect({ code, error }).toEqual({ code: 1, error: 'pharos explain: wrong token: it differs from status.token' });
  });

  it('exits 1 without a server', async () => {
    const api = `http://127.0.0.1:${await freePort()}`;
    const { code, error } = await run({ api });
    expect(code).toBe(1);
    expect(error).toContain(`cannot reach ${api}: connection refused; is \`pharos serve\` running there`);
  });

  it.each([
    ['no JSON', '<html>', 'did not return JSON'],
    ['other JSON', '{}', 'did not return a trace'],
  ])('exits 1 if another program replies with %s', async (_title, body, message) => {
    const other = createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const { code, error } = await run({
      api: `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`,
    });
    other.close();
    expect(code).toBe(1);
    expect(error).toContain(message);
  });
});
