/**
 * The cable of this machine is unplugged. Its routes remain, so probes are lost as if the targets were silent: VIPs
 * went down, one or two of them without an alarm. A link that is down is a fault of this machine.
 */
import { execFileSync, spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { PATIENCE_MS } from '../../support/patience.ts';

const PORT = 8080;
const ip = (...args: readonly string[]): void => {
  execFileSync('ip', args, { stdio: 'pipe' });
};

let networks = 0;

/**
 * `near` has the uplink to 198.19.7.0/24 with a gateway, and a second link to 198.19.8.0/24. Undefined: network
 * namespaces are not permitted here.
 */
async function openNetwork() {
  const id = `${process.pid}-${networks++}`;
  const [near, far] = [`pharos-near-${id}`, `pharos-far-${id}`];
  try {
    ip('netns', 'add', near);
  } catch {
    return undefined;
  }
  const inNear = (...args: readonly string[]): void => {
    ip('-n', near, ...args);
  };
  const inFar = (...args: readonly string[]): void => {
    ip('-n', far, ...args);
  };
  const children: ChildProcess[] = [];
  const run = (space: string, ...script: readonly string[]) => {
    const child = spawn('ip', ['netns', 'exec', space, process.execPath, ...script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    return child;
  };
  ip('netns', 'add', far);
  for (const [link, network] of [
    ['up0', '198.19.7'],
    ['up1', '198.19.8'],
  ] as const) {
    inNear('link', 'add', link, 'type', 'veth', 'peer', 'name', link, 'netns', far);
    inNear('addr', 'add', `${network}.1/24`, 'dev', link);
    inNear('link', 'set', link, 'up');
    for (const host of [2, 3, 4, 254]) inFar('addr', 'add', `${network}.${host}/24`, 'dev', link);
    inFar('link', 'set', link, 'up');
  }
  for (const space of [inNear, inFar]) space('link', 'set', 'lo', 'up');
  for (const host of [1, 2]) inFar('addr', 'add', `203.0.113.${host}/32`, 'dev', 'lo');
  inNear('route', 'add', 'default', 'via', '198.19.7.254');
  const server = run(
    far,
    '-e',
    `require('net').createServer((c) => c.destroy()).listen(${PORT}, () => console.log('on'))`,
  );
  await once(server.stdout, 'data');
  return {
    inNear,
    inFar,
    room: (...addresses: readonly string[]) =>
      room(run(near, fileURLToPath(new URL('room.ts', import.meta.url)), String(PORT), ...addresses), addresses.length),
    [Symbol.asyncDispose]: async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }
      for (const space of [near, far]) ip('netns', 'del', space);
    },
  };
}

type Seen = { states: string[]; reasons: string[]; alarms: string[]; probes: number; downs: string[] };

/** A health room in `near` with this many targets; resolves with its report as soon as that is as wanted. */
async function room(child: ChildProcessByStdio<null, Readable, null>, targets: number) {
  let last: Seen | undefined;
  const waiting = new Set<(seen: Seen) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const seen = JSON.parse(line) as Seen;
    last = seen;
    for (const hear of waiting) hear(seen);
  });
  const until = (wanted: (seen: Seen) => boolean): Promise<Seen> =>
    new Promise((resolve, reject) => {
      const end = setTimeout(() => { reject(new Error(JSON.stringify(last))); }, PATIENCE_MS); // prettier-ignore
      const hear = (seen: Seen): void => {
        if (!wanted(seen)) return;
        clearTimeout(end);
        waiting.delete(hear);
        resolve(seen);
      };
      waiting.add(hear);
    });
  /** After this many more probes of each. */
  const after = async (rounds: number): Promise<Seen> => {
    const from = last?.probes ?? 0;
    return await until(({ probes }) => probes >= from + rounds * targets);
  };
  const whole = (): Promise<Seen> =>
    until(({ states, alarms }) => states.every((state) => state === 'up') && alarms.length === 0);
  await whole();
  return { until, after, whole };
}

const DEAD = /; the link up0 of this machine is down/;

test.concurrent.for([
  ['at the other end', 'inFar'],
  ['at this end', 'inNear'],
] as const)('all links are down %s: nothing goes down, and suspect is raised', async ([, end], context) => {
  await using network = await openNetwork();
  if (!network) return context.skip('network namespaces are not permitted here');
  const { until, after, whole } = await network.room('198.19.7.2', '198.19.7.3', '203.0.113.1', '198.19.8.2');
  for (const link of ['up0', 'up1']) network[end]('link', 'set', link, 'down');
  await until(({ alarms }) => alarms.includes('suspect'));
  const { states, downs } = await after(3);
  expect([states, downs]).toEqual([['up', 'up', 'up', 'up'], []]);
  for (const link of ['up0', 'up1']) network[end]('link', 'set', link, 'up');
  if (end === 'inNear') network.inNear('route', 'replace', 'default', 'via', '198.19.7.254');
  expect((await whole()).downs).toEqual([]);
});

test.concurrent(
  'the uplink is down: the states of the VIPs behind its gateway are frozen, although they are too few for suspect',
  async (context) => {
    await using network = await openNetwork();
    if (!network) return context.skip('network namespaces are not permitted here');
    const { until, after, whole } = await network.room(
      '203.0.113.1',
      '203.0.113.2',
      '198.19.8.2',
      '198.19.8.3',
      '198.19.8.4',
    );
    network.inFar('link', 'set', 'up0', 'down');
    await until(({ alarms }) => alarms.includes('not_probed'));
    const { states, downs, reasons } = await after(3);
    expect([states, downs]).toEqual([['up', 'up', 'up', 'up', 'up'], []]);
    expect(reasons.map((reason) => DEAD.test(reason))).toEqual([true, true, false, false, false]);
    network.inFar('link', 'set', 'up0', 'up');
    expect((await whole()).downs).toEqual([]);
  },
);

test.concurrent(
  'a target at the other end of a direct link may have been switched off: it goes down',
  async (context) => {
    await using network = await openNetwork();
    if (!network) return context.skip('network namespaces are not permitted here');
    const { until } = await network.room('198.19.8.2', '198.19.7.2', '198.19.7.3', '198.19.7.4', '203.0.113.1');
    network.inFar('link', 'set', 'up1', 'down');
    const { states } = await until(({ downs }) => downs.length > 0);
    expect(states).toEqual(['down', 'up', 'up', 'up', 'up']);
  },
);
