/**
 * Machines in network namespaces, joined by bridges, and the programs that run on them. Needs root: tests skip
 * themselves where `whyNoNamespaces` has a reason.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually, has, PHAROS, start, type Running } from './process.ts';
import { layRoughCable, type RoughCable, type Roughness } from './rough-cable.ts';

/** Why a test with these programs cannot run here; undefined if it can. */
export function whyNoNamespaces(programs: readonly string[]): string | undefined {
  const missing = ['ip', ...programs].filter((program) => !has(program));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  const name = `pharos-try-${process.pid}`;
  const steps = [
    ['netns', 'add', name],
    ['-n', name, 'link', 'add', 'name', 'bridge', 'type', 'bridge'],
  ];
  const isAllowed = steps.every((args) => spawnSync('ip', args).status === 0);
  spawnSync('ip', ['netns', 'del', name]);
  return isAllowed ? undefined : 'this process may not make network namespaces (it needs root)';
}

export type Machine = {
  readonly name: string;
  /** Starts a program on this machine; it is ended with the lab. */
  run(command: string, ...args: readonly string[]): Running;
  /** Runs a program to its end and returns its output; throws if it fails. */
  call(command: string, ...args: readonly string[]): string;
  /** `pharos serve` in `folder`; resolves when it serves. */
  pharos(folder: string, env?: NodeJS.ProcessEnv): Promise<Running>;
  /** Cuts or joins the cable to a network. */
  link(network: string, state: 'up' | 'down'): void;
  addAddress(address: string, device?: string): void;
};

export type RoughEnd = { readonly machine: Machine; readonly address: string };

export type Lab = {
  /** A machine with one interface per network: `{ lan: '10.0.0.1/24' }`. */
  machine(name: string, interfaces: Readonly<Record<string, string>>): Machine;
  /** A cable between two machines that loses, delays and reorders; see rough-cable.ts. */
  roughCable(ends: readonly [RoughEnd, RoughEnd], how: Roughness): Promise<RoughCable>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

let labs = 0;

/** Bridges are in a namespace of their own; nothing of the lab is visible to the rest of the machine. */
export function openNamespaces(): Lab {
  const prefix = `pharos-${process.pid}-${labs++}`;
  const hub = `${prefix}-hub`;
  const spaces: string[] = [];
  const running: Running[] = [];
  const bridges = new Set<string>();
  const addSpace = (name: string): void => {
    ip('netns', 'add', name);
    spaces.push(name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  };
  addSpace(hub);
  let ports = 0;
  const join = (space: string, network: string, address: string): string => {
    if (!bridges.has(network)) {
      ip('-n', hub, 'link', 'add', 'name', network, 'type', 'bridge');
      ip('-n', hub, 'link', 'set', network, 'up');
      bridges.add(network);
    }
    const port = `port${ports++}`;
    ip('-n', hub, 'link', 'add', 'name', port, 'type', 'veth', 'peer', 'name', network, 'netns', space);
    ip('-n', hub, 'link', 'set', port, 'master', network, 'up');
    ip('-n', space, 'addr', 'add', address, 'dev', network);
    ip('-n', space, 'link', 'set', network, 'up');
    return port;
  };
  return {
    machine(name, interfaces) {
      const space = `${prefix}-${name}`;
      addSpace(space);
      const cables = new Map(
        Object.entries(interfaces).map(([network, address]) => [network, join(space, network, address)]),
      );
      const inside = (command: string, args: readonly string[]): string[] => ['netns', 'exec', space, command, ...args];
      const run = (command: string, ...args: readonly string[]): Running => {
        const program = start(inside(command, args), { command: 'ip' });
        running.push(program);
        return program;
      };
      return {
        name,
        run,
        call: (command, ...args) =>
          execFileSync('ip', inside(command, args), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
        async pharos(folder, env) {
          const server = start(inside(PHAROS, ['serve', `${folder}/pharos.yaml`]), {
            command: 'ip',
            ...(env && { env }),
          });
          running.push(server);
          await server.until(/"msg":"serving"/);
          return server;
        },
        link: (network, state) => {
          ip('-n', hub, 'link', 'set', cables.get(network) ?? '', state);
        },
        addAddress: (address, device = 'lo') => {
          ip('-n', space, 'addr', 'add', address, 'dev', device);
        },
      };
    },
    async roughCable(ends, how) {
      const { program, cable } = await layRoughCable(ends.map(({ machine: { name } }) => `${prefix}-${name}`), how); // prettier-ignore
      running.push(program);
      for (const { machine, address } of ends) {
        const space = `${prefix}-${machine.name}`;
        // An address in doubt cannot be used for seconds.
        ip('-n', space, 'addr', 'add', address, 'dev', 'rough', ...(address.includes(':') ? ['nodad'] : []));
        ip('-n', space, 'link', 'set', 'rough', 'mtu', String(how.mtu), 'up');
      }
      return cable;
    },
    async [Symbol.asyncDispose]() {
      // A program that was stopped by SIGSTOP ends by SIGKILL only.
      await Promise.all(running.map((program) => program.stop('SIGKILL')));
      for (const space of spaces) {
        // What the programs of the lab have started: scripts, workers.
        const left = spawnSync('ip', ['netns', 'pids', space], { encoding: 'utf8' }).stdout.split('\n');
        for (const pid of left) if (pid !== '') spawnSync('kill', ['-9', pid]);
        ip('netns', 'del', space);
      }
    },
  };
}

export type Loss = {
  readonly sent: number;
  readonly lost: number;
  /** From the first query without an answer to the last. */
  readonly spanMs: number;
};

const CLIENT = fileURLToPath(new URL('steady-client.ts', import.meta.url));

/** A client on `machine` that asks `address` for `name` at a steady rate; the answer's last octet tells the server. */
export async function steadyClient(machine: Machine, address: string, name: string, intervalMs = 5, sockets = 1) {
  const client = machine.run(process.execPath, CLIENT, address, '53', name, String(intervalMs), String(sockets));
  await client.until(/asking/);
  const printed = (): string[] => client.stdout().match(/^answers from .*$/gm) ?? [];
  let counts = 0;
  return {
    /** Which servers answer now, such as `1 and 2`. */
    servers: () => printed().at(-1)?.slice('answers from '.length) ?? '',
    /** Resolves when exactly these servers answer. */
    answeredBy: (servers: string) =>
      eventually(
        () => Promise.resolve(printed().at(-1)),
        (last) => last === `answers from ${servers}`,
      ),
    /** What was lost since the last call. */
    async loss(): Promise<Loss> {
      client.child.kill('SIGUSR2');
      counts++;
      const [, json = ''] = await client.until(new RegExp(`(?:^count .*$[^]*){${counts - 1}}^count (.*)$`, 'm'));
      return JSON.parse(json) as Loss;
    },
  };
}

/** Prints what was lost since the last call, for the figures in docs. Only with PHAROS_LAB_FIGURES=1. */
export async function noteLoss(what: string, client: { loss(): Promise<Loss> }): Promise<void> {
  if (process.env['PHAROS_LAB_FIGURES'] !== undefined) printLoss(what, await client.loss());
}

/** The same of a loss that a test judges. */
export function printLoss(what: string, { sent, lost, spanMs }: Loss): void {
  if (process.env['PHAROS_LAB_FIGURES'] === undefined) return;
  console.log(`${what}: ${String(lost)} of ${String(sent)} lost, within ${String(spanMs)} ms`);
}

/** A planned stop: the server answers, and is not ready, until the address has moved; that ends its grace time. */
export async function standDown(server: Running, moved: () => Promise<unknown>): Promise<void> {
  server.child.kill('SIGTERM');
  await moved();
  server.child.kill('SIGINT');
  await server.finished;
}
