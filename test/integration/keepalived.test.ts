/**
 * Two servers behind one address, with the files of deploy/keepalived: keepalived and Pharos in network namespaces, and
 * a client that counts lost answers. docs/high-availability.md has figures measured with PHAROS_LAB_FIGURES=1.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  type Machine,
} from '../support/namespaces.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { ROOT, type Running } from '../support/process.ts';

const whyNot = whyNoNamespaces(['keepalived', 'curl', 'dig']);
if (whyNot !== undefined) console.warn(`SKIPPED: two servers, one address: ${whyNot}`);

const ADDRESS = '192.0.2.53';
/** Usually none; a machine that runs other tests may drop a packet. Without `shutdown.grace` hundreds are lost. */
const FEW = 2;

function filesOf(index: number) {
  const host = (node: number): string => `192.0.2.1${node}`;
  const peer = 3 - index;
  const config = readFileSync(`${ROOT}deploy/keepalived/keepalived.conf`, 'utf8')
    .replace('/usr/share/pharos/', `${ROOT}deploy/keepalived/`)
    .replace('script_user nobody', 'script_user root')
    .replace('interface eth0', 'interface lan')
    .replace('priority 100', `priority ${101 - index}`)
    .replace(/unicast_src_ip .*/, `unicast_src_ip ${host(index)}`)
    .replace(/(unicast_peer \{\s+)\S+/, `$1${host(peer)}`);
  return {
    ...NO_GEOGRAPHY,
    'pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}listen: "${ADDRESS}:53"
freebind: true
workers: 1
shutdown: { grace: 10m }
`,
    'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records: { ns1: { A: ${ADDRESS} }, which: { A: 192.0.2.${index} } }
`,
    'keepalived.conf': config,
  };
}

/** A program that keeps the event loop of the server busy until this file is gone, through its debugger. */
const HANG = `
const [target] = await (await fetch('http://127.0.0.1:9229/json')).json();
const socket = new WebSocket(target.webSocketDebuggerUrl);
socket.onopen = () => {
  const expression = 'while (process.getBuiltinModule("fs").existsSync(' + JSON.stringify(process.argv[1]) + '));';
  socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }));
};
socket.onmessage = () => process.exit();
`;

type Node = { readonly machine: Machine; readonly folder: string; server: Running };

async function startNode(lab: Lab, index: number, folder: string): Promise<Node> {
  const machine = lab.machine(`node${index}`, { lan: `192.0.2.1${index}/24` });
  const server = await machine.pharos(folder);
  const pids = (name: string): string => join(folder, `${name}.pid`);
  machine.run(
    'keepalived',
    ...['--dont-fork', '--log-console', '--vrrp', '-f', join(folder, 'keepalived.conf')],
    ...['-p', pids('keepalived'), '-r', pids('vrrp')],
  );
  return { machine, folder, server };
}

describe.skipIf(whyNot !== undefined)('two servers, one address', () => {
  test('the address follows the server that is ready, and a planned restart loses nothing', async () => {
    await using lab = openNamespaces();
    using first = folderOf(filesOf(1));
    using second = folderOf(filesOf(2));
    // Neither has the address yet when it starts to listen: "freebind".
    const [one, two] = await Promise.all([startNode(lab, 1, first.path), startNode(lab, 2, second.path)]);
    const client = await steadyClient(lab.machine('client', { lan: '192.0.2.99/24' }), ADDRESS, 'which.example.com');
    await client.answeredBy('1');
    // A packet that still comes to the node that has just given the address up is answered, as
    // docs/high-availability.md describes.
    for (const { machine } of [one, two]) {
      machine.call('sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=1', 'net.ipv4.conf.all.arp_announce=2');
      machine.addAddress(`${ADDRESS}/32`);
    }
    await client.loss();

    // A planned restart: the peer takes the address while this node still answers, and gives it back afterwards.
    await standDown(one.server, () => client.answeredBy('2'));
    one.server = await one.machine.pharos(one.folder);
    await client.answeredBy('1');
    const planned = await client.loss();
    printLoss('planned restart', planned);
    expect(planned.sent).toBeGreaterThan(100);
    expect(planned.lost).toBeLessThanOrEqual(FEW);

    // The event loop of the control thread hangs; queries are answered by other threads.
    await one.server.stop('SIGKILL');
    one.server = await one.machine.pharos(one.folder, { NODE_OPTIONS: '--inspect=127.0.0.1:9229' });
    await client.answeredBy('1');
    await client.loss();
    const hanging = join(one.folder, 'hanging');
    writeFileSync(hanging, '');
    one.machine.run(process.execPath, '-e', HANG, hanging);
    await client.answeredBy('2');
    rmSync(hanging);
    await client.answeredBy('1');
    const loop = await client.loss();
    printLoss('event loop hangs', loop);
    expect(loop.lost).toBeLessThanOrEqual(FEW);

    // A hang: the process is there, and does nothing.
    one.server.child.kill('SIGSTOP');
    await client.answeredBy('2');
    // When it continues, it answers what has waited in its socket: queries that are lost by then.
    printLoss('SIGSTOP', await client.loss());
    one.server.child.kill('SIGCONT');
    await client.answeredBy('1');
    await noteLoss('SIGCONT', client);

    // A crash.
    await client.loss();
    await one.server.stop('SIGKILL');
    await client.answeredBy('2');
    const crash = await client.loss();
    printLoss('kill -9', crash);
    expect(crash.lost).toBeGreaterThan(0);
    one.server = await one.machine.pharos(one.folder);
    await client.answeredBy('1');
    await noteLoss('start after kill -9', client);

    // The machine is gone.
    one.machine.link('lan', 'down');
    await client.answeredBy('2');
    await noteLoss('cable cut', client);
    one.machine.link('lan', 'up');
    await client.answeredBy('1');
    await noteLoss('cable back', client);
  });
});
