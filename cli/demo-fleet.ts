/**
 * `pharos demo --fleet`: three nodes in three regions, each in a separate process, and a NATS server. Each node reaches
 * NATS over a wire that can be cut, and the backends can fail for one node alone.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { checkListen } from '../server/io/check-listen.ts';
import type { Backend } from './demo-backends.ts';
import type { NodeReady } from './demo-node.ts';
import {
  CLIENTS,
  commandName,
  DEMO_TOKEN,
  demoFile,
  demoVariables,
  digLines,
  endLine,
  startBackends,
  tell,
  temporaryFolder,
  toggleBackend,
  untilSignal,
  untilStopped,
} from './demo-parts.ts';
import { startSwitchboard, startWire, type Wire } from './demo-wires.ts';
import type { DemoOptions } from './demo.ts';
import {
  findNatsServer,
  installNatsServer,
  NatsServerError,
  NO_NATS_SERVER,
  startNatsServer,
  type NatsServer,
} from './nats-server.ts';
import { EXIT, fail, table, terminal, type Output } from './output.ts';
import { explainFailure } from './serve.ts';
import { checkoutRoot } from './version.ts';

/** Named after airports, as name servers often are. The keys 4, 5, 6 cut and join them. */
const NODES = [
  { node: 'icn1', region: 'seoul' },
  { node: 'iad1', region: 'virginia' },
  { node: 'dub1', region: 'dublin' },
] as const;
const SWITCHBOARD_PORT = 8104;
const STOP_MS = 15_000;

type DemoNode = (typeof NODES)[number] & NodeReady & { readonly child: ChildProcess };

/** Everything that runs. At the end, all of it is stopped in reverse order of the start. */
type Parts = {
  readonly backends: Backend[];
  readonly wires: Wire[];
  readonly nodes: DemoNode[];
  readonly children: ChildProcess[];
  nats: NatsServer | undefined;
  isStopping: boolean;
  switchboard: Awaited<ReturnType<typeof startSwitchboard>> | undefined;
};

/** The node did not start; its output says why. */
class NodeFailedError extends Error {}

/** Runs until `q`, Ctrl-C or SIGTERM. The ports are those of the first node; the others have the next ones. */
export async function fleetDemo({ port, statusPort }: DemoOptions): Promise<number> {
  const output = terminal();
  const { stopped, stop } = untilSignal();
  const last = 65_536 - NODES.length;
  if (port > last || statusPort > last) {
    return fail(
      'demo',
      `--port and --status-port of a fleet are at most ${last}: each node has a port`,
      EXIT.USAGE,
      output,
    );
  }
  const ports = portsFrom(port);
  const statusPorts = portsFrom(statusPort);
  const host = '127.0.0.1';
  const on = (each: number): { host: string; port: number } => ({ host, port: each });
  const taken = await checkListen(ports.map(on), statusPorts.map(on));
  if (taken) {
    explainFailure(taken, output);
    output.error('    choose other ports for the demo with --port and --status-port; 0 chooses free ones');
    return EXIT.FAILED;
  }
  const program = natsServer();
  if (program === undefined) return fail('demo', NO_NATS_SERVER, EXIT.FAILED, output);
  const folder = temporaryFolder();
  const parts: Parts = {
    ...{ backends: [], wires: [], nodes: [], children: [], nats: undefined, switchboard: undefined },
    isStopping: false,
  };
  void stopped.then(() => {
    parts.isStopping = true;
    parts.children.forEach(letGo);
  });
  try {
    await startAll(parts, { program, ports, statusPorts, folder: folder.path, output });
    if (parts.isStopping) return EXIT.OK;
    output.out(introduction(parts, output));
    for (const each of parts.nodes) readAlong(each, output);
    const cuts = parts.wires.map(toggleWire);
    await untilStopped([...parts.backends.map(toggleBackend), ...cuts], output, stopped, stop);
    return EXIT.OK;
  } catch (error) {
    // The error is that of a node that was told to end while it started.
    if (parts.isStopping) return EXIT.OK;
    if (error instanceof NatsServerError || error instanceof NodeFailedError) {
      return fail('demo', error.message, EXIT.FAILED, output);
    }
    throw error;
  } finally {
    await stopAll(parts);
    folder.remove();
  }
}

function portsFrom(first: number): readonly number[] {
  return NODES.map((_, at) => (first === 0 ? 0 : first + at));
}

function natsServer(): string | undefined {
  const { PATH } = process.env;
  const root = checkoutRoot();
  const found = findNatsServer(PATH);
  if (found !== undefined || root === undefined) return found;
  installNatsServer(root);
  return findNatsServer(PATH);
}

async function startAll(
  parts: Parts,
  options: {
    readonly program: string;
    readonly ports: readonly number[];
    readonly statusPorts: readonly number[];
    readonly folder: string;
    readonly output: Output;
  },
): Promise<void> {
  const { program, ports, statusPorts, folder, output } = options;
  await startBackends(parts.backends);
  const nats = (parts.nats = await startNatsServer(program, join(folder, 'nats')));
  for (const { node } of NODES) parts.wires.push(await startWire(node, nats.port));
  parts.switchboard = await startSwitchboard(parts.wires, SWITCHBOARD_PORT);
  if (parts.isStopping) return;
  output.out('Starting three nodes and a NATS server.');
  const starting = NODES.map(async (each, at): Promise<DemoNode> => {
    const own = {
      DEMO_PORT: ports[at] ?? 0,
      DEMO_STATUS_PORT: statusPorts[at] ?? 0,
      DEMO_STATE_DIR: join(folder, each.node),
    };
    const child = startNode({
      ...demoVariables(own, parts.backends),
      DEMO_NATS_PORT: String(parts.wires[at]?.port),
      DEMO_NODE: each.node,
      DEMO_REGION: each.region,
    });
    parts.children.push(child);
    return { ...each, ...(await readyOf(each.node, child)), child };
  });
  // Waits for all nodes, so that none is still starting when another one fails.
  const settled = await Promise.allSettled(starting);
  for (const each of settled) {
    if (each.status === 'rejected') throw each.reason;
    parts.nodes.push(each.value);
  }
}

const NODE_MODULE = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './demo-node.ts' : './demo-node.js', import.meta.url),
);

/** The node gets a separate session, so that Ctrl-C reaches only the demo, which ends the nodes in order. */
function startNode(variables: Readonly<Record<string, string>>): ChildProcess {
  return fork(NODE_MODULE, [demoFile('fleet.yaml')], {
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
}

async function readyOf(node: string, child: ChildProcess): Promise<NodeReady> {
  let said = '';
  const listen = (text: Buffer): void => {
    said = (said + text.toString()).slice(-2000);
  };
  child.stdout?.on('data', listen);
  child.stderr?.on('data', listen);
  const ready = await Promise.race([
    once(child, 'message').then(([message]) => message as NodeReady),
    once(child, 'exit').then(() => undefined),
  ]);
  child.stdout?.off('data', listen);
  child.stderr?.off('data', listen);
  if (ready === undefined) throw new NodeFailedError(`the node ${node} did not start\n${said.trimEnd()}`);
  return ready;
}

/** Prints what the node logs. */
function readAlong({ node, child }: DemoNode, output: Output): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      tell(output, `${node}  ${line}`);
    });
  }
}

function toggleWire(wire: Wire): () => string {
  return () => {
    wire.cut(!wire.isCut());
    return `${wire.node} is ${wire.isCut() ? 'cut off from' : 'joined to'} NATS`;
  };
}

async function stopAll({ backends, wires, children, nats, switchboard }: Parts): Promise<void> {
  await Promise.all(children.map(stopNode));
  await switchboard?.close();
  await Promise.all(wires.map((wire) => wire.close()));
  await nats?.stop();
  await Promise.all(backends.map((backend) => backend.close()));
}

async function stopNode(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  letGo(child);
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(late);
}

/** Closes the channel of a node, at which the node ends. If this process is killed, the channel is closed too. */
function letGo(child: ChildProcess): void {
  if (child.connected) child.disconnect();
}

function introduction({ backends, nodes, switchboard }: Parts, output: Output): string {
  const { style } = output;
  const pharos = commandName();
  const [seoul] = backends;
  const [first, second, third] = nodes.map(({ statusPort }) => `--api http://127.0.0.1:${statusPort}`);
  const expect = (text: string): string => `      ${style('dim', `# ${text}`)}`;
  const post = (port: number | undefined, path: string): string =>
    `  curl -X POST http://127.0.0.1:${port ?? 0}${path}`;
  const [korea] = CLIENTS;
  const ask = digLines(nodes[1]?.port ?? 0, korea);
  return [
    '',
    style('bold', 'Pharos demo: a fleet of three nodes in three regions, on this machine'),
    '',
    ...table([
      ['  NODE', 'REGION', 'DNS', 'STATUS PAGE AND API'],
      ...nodes.map(({ node, region, port, statusPort }) => [
        ...[`  ${node}`, region, `127.0.0.1:${port}`, `http://127.0.0.1:${statusPort}/`],
      ]),
    ]).split('\n'),
    '',
    'Copy the commands into another terminal. The nodes, and how they vote:',
    `  ${pharos} fleet --all ${first ?? ''}`,
    '',
    style('bold', '1. Let the backend in seoul fail for one node only'),
    post(seoul?.port, '/fail/icn1'),
    `  ${pharos} fleet ${third ?? ''}`,
    expect('icn1 votes down, the others up: the verdict is up'),
    ask,
    expect(`a client in ${korea.place} still gets ${korea.answer}`),
    'Now for a second node. Two regions of three decide for all nodes:',
    post(seoul?.port, '/fail/dub1'),
    ask,
    expect('198.51.100.10'),
    `  ${pharos} explain www.example.com --country KR ${second ?? ''}`,
    expect('who votes what, and why'),
    post(seoul?.port, '/recover'),
    '',
    style('bold', '2. Drain a region from any node'),
    `  ${pharos} drain @seoul --token ${DEMO_TOKEN} ${second ?? ''}`,
    expect('safe to stop when the last node says so'),
    digLines(nodes[2]?.port ?? 0, korea),
    expect('198.51.100.10, from another node'),
    `  ${pharos} auto @seoul --token ${DEMO_TOKEN} ${third ?? ''}`,
    '',
    style('bold', '3. Cut a node off from NATS'),
    post(switchboard?.port, '/cut/dub1'),
    `  ${pharos} fleet ${third ?? ''}`,
    expect('after three seconds: alone. It probes and answers by itself'),
    `  curl http://127.0.0.1:${nodes[2]?.statusPort ?? 0}/readyz`,
    expect('still ready'),
    `  ${pharos} drain @seoul --token ${DEMO_TOKEN} ${first ?? ''}`,
    expect('not safe to stop: dub1 has not confirmed it'),
    post(switchboard?.port, '/join/dub1'),
    `  ${pharos} fleet ${first ?? ''}`,
    expect('within half a minute dub1 is fresh, and has the drain'),
    `  ${pharos} auto @seoul --token ${DEMO_TOKEN} ${first ?? ''}`,
    '',
    process.stdin.isTTY
      ? 'Keys: 1 2 3 let a backend fail and recover for all nodes; 4 5 6 cut a node off and\njoin it.'
      : 'The nodes log here what changes.',
    endLine(output),
    '',
  ].join('\n');
}
