/**
 * `dig TXT _explain.NAME` to a running server, compared with the output of `pharos explain --api`, and `log.queries`.
 */
import { expect, describe, test } from 'vitest';
import { folderOf } from '../support/pharos.ts';
import { dig, eventually, has, run, serve } from '../support/process.ts';

const ZONE = `
zone: example.com
nameservers: [ns1]
regions: { seoul: { at: KR }, dublin: { at: IE } }
records: { ns1: { A: 192.0.2.53 } }
services:
  www:
    ttl: 20
    vips: { seoul-a: { region: seoul, A: 203.0.113.10 }, dublin-a: { region: dublin, A: 192.0.2.10 } }
    steer: [geo: { KR: seoul, default: [dublin, seoul] }]
`;
const files = (more = '') => ({
  'pharos.yaml': `listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: secret }\ngeo: { networks: { 198.51.100.0/24: KR } }\n${more}`,
  'zones/example.com.yaml': ZONE,
});
/** dig's lines without quotes and numbers. */
const lines = (text: string): string[] =>
  text
    .split('\n')
    .sort()
    .map((line) => line.replace(/^"\d+ (.*)"$/, '$1').replaceAll('\\"', '"'));

describe.skipIf(!has('dig'))('dig TXT _explain.www.example.com', () => {
  test('shows what pharos explain shows, over UDP and TCP, and follows an override', async () => {
    using folder = folderOf(files());
    await using server = await serve([], { cwd: folder.path });
    const question = ['TXT', '_explain.www.example.com', '+subnet=198.51.100.7/32'];
    const explained = async (): Promise<string[]> => {
      const words = ['--client', '198.51.100.7', '--resolver', '127.0.0.1', '--api', server.api];
      const { stdout } = await run(['explain', 'www.example.com', ...words], { env: { NO_COLOR: '1' } });
      return stdout.split('\n').filter((line) => line !== '');
    };
    const wanted = await explained();
    expect(wanted[0]).toBe('www.example.com A = 203.0.113.10 (seoul-a)');
    expect(lines(await dig(server.port, ...question))).toEqual(wanted);
    expect(lines(await dig(server.port, '+tcp', ...question))).toEqual(wanted);
    const drained = await run(['drain', 'www.example.com/seoul-a', '--api', server.api, '--token', 'secret']);
    expect(drained).toMatchObject({ stderr: '' });
    expect(lines(await dig(server.port, ...question))).toEqual(await explained());
    expect(await dig(server.port, ...question)).toContain('drained by an operator');
  });

  test('does not exist for clients outside dns.explain_from', async () => {
    using folder = folderOf(files('dns: { explain_from: [192.0.2.0/24] }\n'));
    await using server = await serve([], { cwd: folder.path });
    for (const how of ['+notcp', '+tcp']) {
      const args = [`@127.0.0.1`, '-p', String(server.port), how, 'TXT', '_explain.www.example.com'];
      expect((await run(args, { command: 'dig' })).stdout).toMatch(/status: NXDOMAIN[\s\S]*flags: qr aa/);
    }
  });

  test('log.queries: 1 writes one line per query, over UDP and TCP', async () => {
    using folder = folderOf(files('log: { queries: 1 }\n'));
    await using server = await serve([], { cwd: folder.path });
    await dig(server.port, 'www.example.com', '+subnet=198.51.100.0/24');
    await dig(server.port, '+tcp', 'AAAA', 'nothere.example.com');
    const logged = () =>
      server
        .stdout()
        .split('\n')
        .filter((line) => line.includes('"msg":"query"'))
        .map((line) => JSON.parse(line) as object);
    await eventually(
      () => Promise.resolve(logged().length),
      (count) => count === 2,
    );
    expect(logged()).toEqual([
      expect.objectContaining({
        level: 'info',
        name: 'www.example.com',
        type: 'A',
        client: '127.0.0.1',
        subnet: '198.51.100.0/24',
        transport: 'udp',
        rcode: 'NOERROR',
        answer: ['A 203.0.113.10'],
      }),
      expect.objectContaining({ name: 'nothere.example.com', transport: 'tcp', rcode: 'NXDOMAIN', answer: [] }),
    ]);
    const metrics = await (await fetch(`${server.api}/metrics`)).text();
    expect(metrics).toContain('pharos_query_samples_dropped_total 0');
  });
});
