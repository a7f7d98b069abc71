import { describe, expect, test } from 'vitest';
import { explainInLines } from '../../../../cli/serve/explain-lines.ts';
import { createAnswerer } from '../../../../server/answer/answerer.ts';
import { createExplains, startsWithExplain } from '../../../../server/answer/explain-query.ts';
import { packetOf, TRANSPORT, type StreamClient } from '../../../../server/contract.ts';
import { explainFrom } from '../../../../server/explain/explain-answer.ts';
import type { ExplainRequest } from '../../../../steering/trace.ts';
import { parseAddress, parsePrefix } from '../../../../wire/address.ts';
import { viewImage } from '../../../../zones/image/image.ts';
import { decodeMessage, encodeQuery, subnetOption, T, type QueryOptions } from '../../../support/message.ts';
import { load, NO_GEOGRAPHY, payloadOf } from '../../../support/pharos.ts';

const generation = load({
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': `
zone: example.com
nameservers: [ns1]
regions: { seoul: { at: KR }, dublin: { at: IE } }
records:
  ns1: { A: 192.0.2.1 }
  _explain.own: { TXT: [mine] }
  own: { A: 192.0.2.2 }
services:
  www:
    vips: { k: { region: seoul, A: 203.0.113.10, AAAA: "2001:db8::10" }, d: { region: dublin, A: 192.0.2.10 } }
    steer: [geo: { KR: seoul, default: [dublin, seoul] }]
  many: { vips: { ${Array.from({ length: 256 }, (_, i) => `${'v'.repeat(250)}${i}: { A: 192.0.2.${i} }`).join(', ')} }, steer: [all] }
`,
});
const from = ['127.0.0.0/8', '2001:db8:1::/48'].flatMap((text) => parsePrefix(text) ?? []);
const payload = payloadOf(generation, { explain: { from, nsid: new Uint8Array(0) } });
const image = viewImage(payload.image, payload.atlas);

type Ask = QueryOptions & { readonly from?: string };

function serve(reply?: (request: ExplainRequest) => unknown, nowMs: () => number = () => 0) {
  const explains = createExplains(
    image,
    { from, nsid: new Uint8Array(0) },
    (question) => {
      const request = question as ExplainRequest;
      return Promise.resolve(reply ? reply(request) : explainInLines(explainFrom(generation, request)));
    },
    nowMs,
  );
  const answer = createAnswerer({ generation: 1, payload }, new Float64Array(64), 0);
  const peerOf = (text = '127.0.0.1') => {
    const bytes = parseAddress(text) ?? new Uint8Array(4);
    return { bytes, at: 0, octets: bytes.length === 4 ? 4 : 16 } as const;
  };
  return {
    udp: (name: string, type: number, options: Ask = {}) => {
      const { bytes } = peerOf(options.from);
      const tx = encodeQuery(name, type, options);
      const memory = Buffer.alloc(2048);
      memory.set(tx);
      // In place, as the batches do.
      const length = answer({ ...packetOf(memory, bytes, TRANSPORT.UDP, memory), length: tx.length });
      return decodeMessage(memory.subarray(0, length));
    },
    /** Undefined if the normal answer is left to others. */
    stream: async (name: string, type: number, options: Ask = {}) => {
      const sent: Buffer[] = [];
      const client: StreamClient = {
        peer: peerOf(options.from),
        transport: TRANSPORT.TCP,
        send: (message) => {
          sent.push(Buffer.from(message));
          return Promise.resolve(true);
        },
      };
      const query = encodeQuery(name, type, options);
      const work = explains(client, query, 0, query.length);
      query.fill(0);
      await work;
      return sent[0] && decodeMessage(sent[0]);
    },
  };
}

/** The character-strings of a TXT record, of which decodeMessage gives the data in hex. */
function textOf(data: string): string {
  const bytes = Buffer.from(data, 'hex');
  let text = '';
  for (let at = 0; at < bytes.length; at += 1 + (bytes[at] ?? 0)) {
    text += bytes.toString('utf8', at + 1, at + 1 + (bytes[at] ?? 0));
  }
  return text;
}
const subnet = (address: string, bits: number) => ({
  edns: { options: [subnetOption(parseAddress(address) ?? new Uint8Array(4), bits)] },
});

describe('_explain.NAME TXT', () => {
  test('over UDP says TC and nothing else', () => {
    const { rcode, tc, answer } = serve().udp('_explain.www.example.com', T.TXT, { edns: {} });
    expect({ rcode, tc, answer }).toEqual({ rcode: 0, tc: true, answer: [] });
  });

  test('over a stream is the trace that `pharos explain` prints: a numbered TXT record a line, TTL 0', async () => {
    const response = await serve().stream('_Explain.www.example.com', T.TXT, subnet('192.0.2.77', 32));
    const request = { name: 'www.example.com', type: 'A', client: '192.0.2.77', resolver: '127.0.0.1' };
    const wanted = explainInLines(explainFrom(generation, request));
    expect(wanted.join('\n')).toContain('KR -> seoul');
    expect(response?.answer.map(({ data }) => textOf(data).replace(/^\d+ /, ''))).toEqual(wanted);
    expect(response?.answer.map(({ data }) => Number(textOf(data).slice(0, 2)))).toEqual(wanted.map((_, i) => i + 1));
    expect(new Set(response?.answer.map(({ ttl, type }) => `${ttl} ${type}`))).toEqual(new Set([`0 ${T.TXT}`]));
  });

  test.each<[string, Ask, Partial<ExplainRequest>]>([
    ['_explain.www.example.com', {}, { name: 'www.example.com', type: 'A', resolver: '127.0.0.1' }],
    ['_explain._aaaa.www.example.com', {}, { name: 'www.example.com', type: 'AAAA', resolver: '127.0.0.1' }],
    ['_explain.www.example.com', { from: '2001:db8:1::7' }, { resolver: '2001:db8:1::7' }],
    ['_explain.www.example.com', subnet('198.51.100.0', 24), { client: '198.51.100.0/24' }],
    ['_explain.www.example.com', subnet('2001:db8::', 56), { client: '2001:db8::/56' }],
    ['_explain.example.com', {}, { name: 'example.com' }],
    ['_explain.nothere.example.com', {}, { name: 'nothere.example.com' }],
  ])('%s with %j asks for %j', async (name, options, wanted) => {
    const asked: ExplainRequest[] = [];
    const server = serve((request) => {
      asked.push(request);
      return ['told'];
    });
    expect(textOf((await server.stream(name, T.TXT, options))?.answer[0]?.data ?? '')).toBe('1 told');
    expect(asked).toEqual([expect.objectContaining(wanted)]);
    if (!options.edns) expect(asked[0]).not.toHaveProperty('client');
  });

  test.each<[string, string, number, Ask]>([
    ['another type', '_explain.www.example.com', T.A, {}],
    ['another class', '_explain.www.example.com', T.TXT, { class: 3 }],
    ['another network', '_explain.www.example.com', T.TXT, { from: '192.0.2.1' }],
    ['a name of no zone', '_explain.www.example.org', T.TXT, {}],
    ['another version of EDNS', '_explain.www.example.com', T.TXT, { edns: { version: 1 } }],
    ['another opcode', '_explain.www.example.com', T.TXT, { flags: 0x2000 }],
    ['another first label', '_explains.www.example.com', T.TXT, {}],
    ['another first label of eight octets', '_explaim.www.example.com', T.TXT, {}],
    ['_explain further right', 'www._explain.example.com', T.TXT, {}],
  ])('%s gets the normal answer', async (_, name, type, options) => {
    const server = serve(() => ['told']);
    expect(await server.stream(name, type, options)).toBeUndefined();
    expect(server.udp(name, type, options).tc).toBe(false);
  });

  test('an existing name is answered normally for clients in no such network', () => {
    const mine = serve().udp('_explain.own.example.com', T.TXT, { from: '192.0.2.1' });
    expect(mine.answer.map(({ data }) => textOf(data))).toEqual(['mine']);
  });

  test('a line longer than a character-string is several of them', async () => {
    const response = await serve(() => ['x'.repeat(600)]).stream('_explain.www.example.com', T.TXT);
    expect(response?.answer.map(({ data }) => textOf(data))).toEqual([`1 ${'x'.repeat(600)}`]);
  });

  test('a trace longer than a message is cut, and says so', async () => {
    const response = await serve().stream('_explain.many.example.com', T.TXT, { edns: {} });
    expect(textOf(response?.answer.at(-1)?.data ?? '')).toMatch(/^\d+ \d+ more lines: run pharos explain --api/);
    expect(response?.tc).toBe(false);
  });

  test('there are 20 per second, and later clients are told so', async () => {
    let now = 0;
    let traces = 0;
    const server = serve(
      () => {
        traces++;
        return ['told'];
      },
      () => now,
    );
    const all = async () => {
      for (let i = 0; i < 30; i++) await server.stream('_explain.www.example.com', T.TXT);
      return traces;
    };
    expect(await all()).toBe(20);
    const late = await server.stream('_explain.www.example.com', T.TXT);
    expect(textOf(late?.answer[0]?.data ?? '')).toMatch(/busy/);
    now += 500;
    expect(await all()).toBe(30);
    now += 10_000;
    expect(await all()).toBe(50);
  });

  test('if the control thread has no reply, the answer says so', async () => {
    const response = await serve(() => undefined).stream('_explain.www.example.com', T.TXT);
    expect(textOf(response?.answer[0]?.data ?? '')).toMatch(/cannot explain this name/);
  });
});

test('a first label is recognised in any case, and wherever the message is', () => {
  const query = encodeQuery('_EXPLAIN.example.com', T.TXT);
  expect(startsWithExplain(query, 0)).toBe(true);
  expect(startsWithExplain(Buffer.concat([Buffer.alloc(7), query]), 7)).toBe(true);
  expect(startsWithExplain(query.subarray(0, 20), 0)).toBe(false);
});
