/**
 * Two nodes that announce one address to a router, with the files of deploy/anycast: one by bird, the other by exabgp,
 * in network namespaces. docs/anycast.md has figures measured with PHAROS_LAB_FIGURES=1.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  noteLoss,
  openNamespaces,
  printLoss,
  standDown,
  steadyClient,
  whyNoNamespaces,
  type Lab,
} from '../support/namespaces.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, ROOT } from '../support/process.ts';

const whyNot = whyNoNamespaces(['bird', 'birdc', 'exabgp', 'curl']);
if (whyNot !== undefined) console.warn(`SKIPPED: anycast: ${whyNot}`);

const ADDRESS = '192.0.2.53';
const DEPLOY = `${ROOT}deploy/anycast`;

const filesOf = (index: number) => ({
  ...NO_GEOGRAPHY,
  'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}listen: "${ADDRESS}:53"
workers: 1
shutdown: { grace: 10m }
`,
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: ${ADDRESS} }, which: { A: 192.0.2.${index} } }
# Nothing listens there: this service is down all the time.
checks: { closed: { type: tcp, port: 9, interval: 1s, fall: 1 } }
services:
  www: { check: closed, vips: { a: { A: 127.0.0.1 }, b: { A: 127.0.0.2 } } }
`,
});

/** A node with the address on its loopback interface, and a cable to the router. */
function nodeOf(lab: Lab, index: number) {
  const machine = lab.machine(`node${index}`, { [`net${index}`]: `10.53.${index}.2/24` });
  machine.addAddress(`${ADDRESS}/32`);
  machine.call('ip', 'route', 'add', 'default', 'via', `10.53.${index}.1`);
  return machine;
}

describe.skipIf(whyNot !== undefined)('anycast', () => {
  test('a node is withdrawn by /readyz only: a planned restart loses nothing', async () => {
    await using lab = openNamespaces();
    using first = folderOf(filesOf(1));
    using second = folderOf(filesOf(2));
    const router = lab.machine('router', { net1: '10.53.1.1/24', net2: '10.53.2.1/24', clients: '10.53.9.1/24' });
    router.call('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.fib_multipath_hash_policy=1');
    const [one, two] = [nodeOf(lab, 1), nodeOf(lab, 2)];
    const where = lab.machine('client', { clients: '10.53.9.2/24' });
    where.call('ip', 'route', 'add', 'default', 'via', '10.53.9.1');

    router.run('bird', '-f', '-c', `${DEPLOY}/bird-router.conf`, '-s', join(first.path, 'router.ctl'));
    const socket = join(first.path, 'bird.ctl');
    one.run('bird', '-f', '-c', `${DEPLOY}/bird.conf`, '-s', socket);
    const route = one.run(`${DEPLOY}/pharos-route`, 'anycast', 'http://127.0.0.1:8053', socket);
    const exabgp = ['exabgp.api.cli=false', 'exabgp.daemon.user=root', 'exabgp.log.level=ERR'];
    two.run('env', ...exabgp, 'exabgp', `${DEPLOY}/exabgp.conf`);
    const servers = await Promise.all([one.pharos(first.path), two.pharos(second.path)]);
    const client = await steadyClient(where, ADDRESS, 'which.example.com', 5, 16);
    await client.answeredBy('1 and 2');

    // All backends are down, and both nodes keep their routes.
    for (const machine of [one, two]) {
      const status = (): Promise<string> =>
        Promise.resolve(machine.call('curl', '--silent', 'http://127.0.0.1:8053/api/v1/status'));
      await eventually(status, (text) => text.includes('"service_down"'));
      machine.call('curl', '--silent', '--fail', 'http://127.0.0.1:8053/readyz');
    }
    expect(client.servers()).toBe('1 and 2');
    await client.loss();

    // A planned restart of either node: the route is withdrawn while the node still answers.
    await standDown(servers[0], () => client.answeredBy('2'));
    expect(route.stdout()).toMatch(/route withdrawn\n$/);
    servers[0] = await one.pharos(first.path);
    await client.answeredBy('1 and 2');
    await standDown(servers[1], () => client.answeredBy('1'));
    servers[1] = await two.pharos(second.path);
    await client.answeredBy('1 and 2');
    const planned = await client.loss();
    printLoss('planned restarts', planned);
    expect(planned.sent).toBeGreaterThan(100);
    // Usually none; a machine that runs other tests may drop a packet. Without `shutdown.grace` hundreds are lost.
    expect(planned.lost).toBeLessThanOrEqual(2);

    // A crash: the clients of the other node notice nothing.
    await servers[0].stop('SIGKILL');
    await client.answeredBy('2');
    const bird = await client.loss();
    printLoss('kill -9, bird', bird);
    expect(bird.lost).toBeGreaterThan(0);
    servers[0] = await one.pharos(first.path);
    await client.answeredBy('1 and 2');
    await noteLoss('start after kill -9, bird', client);
    await servers[1].stop('SIGKILL');
    await client.answeredBy('1');
    await noteLoss('kill -9, exabgp', client);
  });
});
