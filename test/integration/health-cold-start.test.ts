/**
 * The first answers of a server: with the saved states of the last run, without them, and with outdated states. Never
 * empty.
 */
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { addressesOf } from '../support/failover-lab.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually, serve, type Served } from '../support/process.ts';

const [A, B] = ['127.79.0.1', '127.79.0.2'];
type Behaviour = 'good' | 'bad' | 'silent';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close().closeAllConnections();
});

/** Both targets use one port; the behaviour of each can be changed. */
async function targets(a: Behaviour, b: Behaviour) {
  const moods: Record<string, Behaviour> = { [A]: a, [B]: b };
  const server = createServer((request, response) => {
    const mood = moods[request.socket.localAddress ?? ''];
    if (mood !== 'silent') response.writeHead(mood === 'good' ? 200 : 500).end();
  }).listen(0, '0.0.0.0');
  await once(server, 'listening');
  open.push(server);
  const address = server.address();
  return { moods, port: typeof address === 'object' && address ? address.port : 0 };
}

function folderFor(port: number, wait: string, saved?: Readonly<Record<string, 'up' | 'down'>>) {
  const folder = folderOf({
    'pharos.yaml': `listen: ["127.0.0.1:0"]\nworkers: 1\nzones: [zone.yaml]\nstatus: { listen: "127.0.0.1:0" }\nstate_dir: ./state\nhealth: { wait: ${wait} }\n`,
    'zone.yaml': [
      ...[
        'zone: example.com',
        'nameservers: [ns1]',
        'soa: { contact: hostmaster }',
        'records: { ns1: { A: 192.0.2.53 } }',
      ],
      `checks: { web: { type: http, port: ${port}, interval: 60s, timeout: 20s, fast: 100ms } }`,
      ...['services:', '  www:', '    check: web', '    answers: all', '    steer: [all]'],
      `    vips: { a: { A: ${A} }, b: { A: ${B} } }`,
      '',
    ].join('\n'),
  });
  if (saved !== undefined) {
    const list = Object.entries(saved).map(([address, probed]) => ({
      target: `www.example.com/${address === A ? 'a' : 'b'}`,
      address: `${address}:${port}`,
      probed,
      since: '2020-01-01T00:00:00.000Z',
    }));
    mkdirSync(join(folder.path, 'state'));
    writeFileSync(join(folder.path, 'state', 'health.json'), JSON.stringify({ version: 1, targets: list }));
  }
  return folder;
}

const answersOf = async (pharos: Served): Promise<string> =>
  [...(await addressesOf(pharos.port, 'www.example.com'))].sort().join(' ');

describe('the first answer', () => {
  test.each([
    ['without saved states, and no response in time: all, because they are unknown', 'silent', 'silent', '200ms', undefined, `${A} ${B}`],
    ['without saved states: those that pass, after the first round', 'good', 'bad', '10s', undefined, A],
    ['with saved states, without waiting: those that were up', 'silent', 'silent', '0s', { [A]: 'down', [B]: 'up' }, B],
    ['with outdated saved states: the real states, after the first round', 'bad', 'good', '10s', { [A]: 'up', [B]: 'down' }, B],
    ['with all saved as down: all', 'silent', 'silent', '0s', { [A]: 'down', [B]: 'down' }, `${A} ${B}`],
    ['with all down: all', 'bad', 'bad', '10s', undefined, `${A} ${B}`],
    ['with one saved as up and one unknown: both', 'silent', 'silent', '0s', { [B]: 'up' }, `${A} ${B}`],
  ] as const)('%s', async (_, a, b, wait, saved, expected) => {
    const { port } = await targets(a, b);
    using folder = folderFor(port, wait, saved);
    await using pharos = await serve([join(folder.path, 'pharos.yaml')]);
    expect(await answersOf(pharos)).toBe(expected);
  }); // prettier-ignore
});

test('outdated states are corrected by the first result, and no answer is empty meanwhile', async () => {
  const { port, moods } = await targets('silent', 'silent');
  using folder = folderFor(port, '0s', { [A]: 'up', [B]: 'down' });
  await using pharos = await serve([join(folder.path, 'pharos.yaml')]);
  expect(await answersOf(pharos)).toBe(A);
  const seen = new Set<string>();
  moods[A] = 'bad';
  moods[B] = 'good';
  // The probes in progress get no response; a reload with other timing starts new ones.
  const file = join(folder.path, 'zone.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('interval: 60s', 'interval: 50s'));
  pharos.child.kill('SIGHUP');
  await eventually(
    async () => {
      const answers = await answersOf(pharos);
      seen.add(answers);
      return answers;
    },
    (answers) => answers === B,
  );
  expect([...seen]).not.toContain('');
});

test('after kill -9, the next run begins with the states of this one', async () => {
  const { port, moods } = await targets('bad', 'good');
  using folder = folderFor(port, '10s');
  {
    await using first = await serve([join(folder.path, 'pharos.yaml')]);
    expect(await answersOf(first)).toBe(B);
    await eventually(() => Promise.resolve(readFileSync(join(folder.path, 'state', 'health.json'), 'utf8')), (text) => text.includes('"down"')); // prettier-ignore
    await first.stop('SIGKILL');
  }
  moods[A] = 'silent';
  moods[B] = 'silent';
  writeFileSync(join(folder.path, 'pharos.yaml'), readFileSync(join(folder.path, 'pharos.yaml'), 'utf8').replace('wait: 10s', 'wait: 0s')); // prettier-ignore
  await using second = await serve([join(folder.path, 'pharos.yaml')]);
  expect(await answersOf(second)).toBe(B);
});
