/**
 * Cookies with independent programs: dig and kdig as clients, NSD and Knot as servers with the same secret (RFC 9018:
 * each accepts the cookies of the others).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../wire/address.ts';
import { runKnot } from '../conformance/knot.ts';
import { decodeMessage, encodeQuery, T, type DecodedMessage } from '../support/message.ts';
import { NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, run } from '../support/process.ts';
import { runNsd, runPharos, udpAsker, type Running } from '../support/run.ts';

const OLD = '00112233445566778899aabbccddeeff';
const NEW = 'ffeeddccbbaa99887766554433221100';
const CLIENT = Buffer.from('0102030405060708', 'hex');
const BADCOOKIE = 23;
const MASTER = {
  'example.com': [
    'example.com. 300 IN SOA ns1.example.com. hostmaster.example.com. 1 7200 1800 1209600 60',
    'example.com. 300 IN NS ns1.example.com.',
    'ns1.example.com. 300 IN A 192.0.2.53',
    '',
  ].join('\n'),
};
const FILES = {
  ...NO_GEOGRAPHY,
  'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
};
const pharos = (secrets: readonly string[], listen?: readonly Endpoint[]): Promise<Running> =>
  runPharos(FILES, listen, { cookieSecrets: secrets.map((secret) => Uint8Array.from(Buffer.from(secret, 'hex'))) });

const first = ({ endpoints }: Running): Endpoint => {
  const [endpoint] = endpoints;
  if (!endpoint) throw new Error('a server without an address');
  return endpoint;
};

/** Asks for `ns1`, or without a question. */
async function ask(server: Running, cookie: Uint8Array, question = true): Promise<DecodedMessage> {
  const options = [{ code: 10, data: cookie }];
  const query = encodeQuery(question ? 'ns1.example.com' : '.', T.A, { edns: { options } });
  const bare = Buffer.concat([query.subarray(0, 12), query.subarray(17)]);
  bare.writeUInt16BE(0, 4);
  using client = await udpAsker(first(server));
  return decodeMessage(await client.ask(question ? query : bare));
}

const cookieOf = ({ edns }: DecodedMessage): Buffer =>
  Buffer.from(edns?.options.find(({ code }) => code === 10)?.data ?? Buffer.alloc(0));

const altered = (cookie: Buffer): Buffer => {
  const octets = Buffer.from(cookie);
  octets[23] = (octets[23] ?? 0) ^ 1;
  return octets;
};

describe('with the same secret', () => {
  let servers: { readonly pharos: Running; readonly nsd: Running; readonly knot: Running };
  beforeAll(async () => {
    servers = { pharos: await pharos([OLD]), nsd: await runNsd(MASTER, OLD), knot: await runKnot(MASTER, OLD) };
  });
  afterAll(async () => {
    for (const server of Object.values(servers)) await server[Symbol.asyncDispose]();
  });

  test.each(['nsd', 'knot'] as const)('a cookie of %s is valid, and one with a changed bit is not', async (other) => {
    const made = cookieOf(await ask(servers[other], CLIENT));
    expect(made.length).toBe(24);
    // RFC 7873 5.4: only here does a server report its opinion of a cookie.
    const confirmed = await ask(servers.pharos, made, false);
    expect([confirmed.rcode, cookieOf(confirmed)]).toEqual([0, made]);
    expect((await ask(servers.pharos, altered(made), false)).rcode).toBe(BADCOOKIE);
  });

  test('Knot accepts ours, and not one with a changed bit', async () => {
    const made = cookieOf(await ask(servers.pharos, CLIENT));
    expect(await ask(servers.knot, made)).toMatchObject({ rcode: 0, answer: [{ type: T.A }] });
    expect(await ask(servers.knot, altered(made))).toMatchObject({ rcode: BADCOOKIE, answer: [] });
  });

  test('NSD makes the same cookie in the same second', async () => {
    let pair: readonly [Buffer, Buffer] | undefined;
    // A second may end between two queries, and servers notice it at different moments.
    const inOneSecond = async (): Promise<boolean> => {
      pair = [cookieOf(await ask(servers.pharos, CLIENT)), cookieOf(await ask(servers.nsd, CLIENT))];
      return pair[0].readUInt32BE(12) === pair[1].readUInt32BE(12);
    };
    await eventually(inOneSecond, (isSame) => isSame);
    expect(pair?.[0]).toEqual(pair?.[1]);
  });
});

test('a secret is replaced without effect on clients (RFC 9018 5)', async () => {
  await using before = await runKnot(MASTER, OLD);
  await using rolling = await pharos([NEW, OLD]);
  await using after = await runKnot(MASTER, NEW);
  const old = cookieOf(await ask(before, CLIENT));
  const confirmed = await ask(rolling, old, false);
  expect(confirmed.rcode).toBe(0);
  expect((await ask(after, cookieOf(confirmed))).rcode, 'what it gives is of the new one').toBe(0);
  expect((await ask(after, old)).rcode).toBe(BADCOOKIE);
});

describe('clients', () => {
  let server: Running;
  beforeAll(async () => {
    server = await pharos(
      [OLD],
      [
        { host: '127.0.0.1', port: 0 },
        { host: '::1', port: 0 },
      ],
    );
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const print = async (command: string, ...args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await run(args, { command });
    expect(stderr).toBe('');
    return stdout;
  };

  test.each([0, 1])('dig accepts the cookie, address %i', async (index) => {
    const { host, port } = server.endpoints[index] ?? first(server);
    const asked = ['-p', String(port), `@${host}`, 'ns1.example.com', 'A', '+norec', '+tries=1', '+time=60'];
    const text = await print('dig', ...asked, '+cookie=0102030405060708');
    const cookie = /; COOKIE: ([0-9a-f]{48}) \(good\)/.exec(text)?.[1] ?? '';
    expect(cookie).toMatch(/^0102030405060708010{6}/);
    expect(text).not.toContain('WARNING');
    // All of it is returned unchanged.
    expect(await print('dig', ...asked, `+cookie=${cookie}`)).toContain(`; COOKIE: ${cookie} (good)`);
    expect(await print('dig', ...asked, '+tcp', '+keepalive')).toContain('; TCP KEEPALIVE: 10.0 secs');
  });

  test('dig asks for a cookie only', async () => {
    const { host, port } = first(server);
    const text = await print('dig', '-p', String(port), `@${host}`, '+header-only', '+cookie', '+tries=1', '+time=60');
    expect(text).toMatch(/status: NOERROR[^]*QUERY: 0, ANSWER: 0[^]*; COOKIE: [0-9a-f]{48} \(good\)/);
  });

  test('kdig reads it', async () => {
    const { host, port } = first(server);
    const text = await print(
      'kdig',
      '-p',
      String(port),
      `@${host}`,
      'ns1.example.com',
      '+cookie',
      '+retry=0',
      '+timeout=60',
    );
    expect(text).toMatch(/COOKIE: [0-9A-Fa-f ]+/);
    expect(text).toContain('192.0.2.53');
    expect(text).not.toContain('WARNING');
  });
});
