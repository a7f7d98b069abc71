/**
 * A model of two processes of a fleet: random orders and updates by either node, orders for one node alone, loss of
 * NATS and of its data, restarts and kills, while both are queried all the time. What is refused changes nothing. What
 * is done holds at once on the node that was asked, and then on the other one. See whole-model.test.ts for one process.
 */
import { expect, test } from 'vitest';
import type { FleetDocument } from '../../status/fleet-document.ts';
import { formatAddress } from '../../wire/address.ts';
import { fleetServer, type FleetServer } from '../support/fleet-server.ts';
import { decodeMessage, encodeQuery, T } from '../support/message.ts';
import { HAS_NATS, startNats, type NatsServer } from '../support/nats.ts';
import { folderOf } from '../support/pharos.ts';
import { eventually } from '../support/process.ts';
import { createDice, printedSeed, trials, type Dice } from '../support/random.ts';
import { ask, change, keyNamed, sendUpdate, UPDATE_SECRET } from '../support/update-client.ts';

const STEPS = trials(8);
const KEY = keyNamed('k');
const VIPS = ['x', 'y', 'z'] as const;
type Vip = (typeof VIPS)[number];
const ADDRESS: Readonly<Record<Vip, string>> = { x: '203.0.113.1', y: '203.0.113.2', z: '203.0.113.3' };
const TEXTS = ['d0', 'd1'] as const;
const QUESTIONS = ['www', 'www', ...TEXTS] as const;
type Question = (typeof QUESTIONS)[number];
const NODES = ['a', 'b'] as const;
type Name = (typeof NODES)[number];
type Orders = Readonly<Partial<Record<Vip, 'up' | 'down' | 'drain'>>>;

const ZONE = `zone: ex
nameservers: [ns.out.example.]
services:
  www:
    ttl: 5
    vips: { ${VIPS.map((vip) => `${vip}: { A: ${ADDRESS[vip]} }`).join(', ')} }
    steer: [{ failover: [${VIPS.join(', ')}] }]
`;
const MORE = `transfer: { keys: { k: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } } }
updates: [{ key: k, names: ["*"], types: [TXT] }]
`;

/** What the fleet was told, and what each node was told alone. */
type Told = {
  readonly orders: Orders;
  readonly local: Readonly<Record<Name, Orders>>;
  readonly texts: Readonly<Record<string, string | undefined>>;
  readonly hasNats: boolean;
};

/** docs/steering.md#candidates, for one failover step and `when_all_down: serve_all`. */
function expectedAt(node: Name, question: Question, { orders, local, texts }: Told): string {
  if (question !== 'www') return texts[question] ?? 'NXDOMAIN';
  const isOut = (vip: Vip): boolean => ['down', 'drain'].includes(local[node][vip] ?? orders[vip] ?? '');
  return ADDRESS[VIPS.find((vip) => !isOut(vip)) ?? 'x'];
}

type Run = { readonly nodes: Readonly<Record<Name, FleetServer>>; readonly nats: NatsServer; told: Told };
type Operation = {
  readonly name: string;
  readonly after: Told;
  /** The node that is asked. */
  readonly at: Name | undefined;
  /** The node that does not answer meanwhile. */
  readonly pauses?: Name;
  readonly carryOut: () => Promise<void>;
};

function randomOperation(dice: Dice, { nodes, nats, told }: Run): Operation {
  const { hasNats } = told;
  const [at, vip] = [dice.pick(NODES), dice.pick(VIPS)];
  const state = dice.pick(['up', 'down', 'drain', 'drain', undefined] as const);
  const order = async (scope: string, expected: number): Promise<void> => {
    const reply = await nodes[at].call(state ? 'PUT' : 'DELETE', `/api/v1/overrides/www.ex/${vip}${scope}`, state && { state }); // prettier-ignore
    expect(reply.status, JSON.stringify(reply.value)).toBe(expected);
  };
  const kind = dice.pick(['order', 'order', 'order', 'order', 'local', 'update', 'update', 'nats', 'nats', 'restart', 'kill'] as const); // prettier-ignore
  switch (kind) {
    case 'order': {
      const after = hasNats ? { ...told, orders: { ...told.orders, [vip]: state } } : told;
      return { name: `${at}: ${state ?? 'auto'} ${vip}`, at, after, carryOut: () => order('', hasNats ? 200 : 503) };
    }
    case 'local': {
      const local = { ...told.local, [at]: { ...told.local[at], [vip]: state } };
      return { name: `${at} alone: ${state ?? 'auto'} ${vip}`, at, after: { ...told, local }, carryOut: () => order('?scope=node', 200) }; // prettier-ignore
    }
    case 'update': {
      const name = dice.pick(TEXTS);
      const text = dice.chance(0.7) ? String(dice.below(1000)) : undefined;
      const after = hasNats ? { ...told, texts: { ...told.texts, [name]: text } } : told;
      const isSame = told.texts[name] === text;
      const updates = [change('ex', `${name} ANY TXT`), ...(text ? [change('ex', `${name} IN TXT "${text}"`)] : [])];
      const carryOut = async (): Promise<void> => {
        const rcode = await sendUpdate(nodes[at].served().port, { zone: 'ex', updates }, KEY);
        if (!isSame) expect(rcode).toBe(hasNats ? 0 : 2);
      };
      return { name: `${at}: update ${name} ${text ?? 'away'}`, at, after, carryOut };
    }
    case 'nats': {
      const lose = dice.chance(0.4);
      const carryOut = (): Promise<void> => (hasNats ? nats.kill() : nats.start({ lose }));
      return { name: hasNats ? 'NATS ends' : `NATS starts${lose ? ' without its data' : ''}`, at: undefined, after: { ...told, hasNats: !hasNats }, carryOut }; // prettier-ignore
    }
    case 'restart':
    case 'kill': {
      const carryOut = async (): Promise<void> => {
        await nodes[at].served().stop(kind === 'kill' ? 'SIGKILL' : 'SIGTERM');
        await nodes[at].start();
      };
      return { name: `${kind} ${at}`, at: undefined, after: told, pauses: at, carryOut };
    }
  }
}

async function answerOf(node: FleetServer, question: Question): Promise<string | undefined> {
  const query = encodeQuery(`${question}.ex`, question === 'www' ? T.A : T.TXT);
  const response = await ask(node.served().port, query, 'udp');
  if (!response) return undefined;
  const { rcode, answer } = decodeMessage(response);
  const [data] = answer.map((record) => Buffer.from(record.data, 'hex'));
  if (!data) return rcode === 3 ? 'NXDOMAIN' : `RCODE ${rcode}`;
  return question === 'www' ? formatAddress(data) : data.subarray(1).toString();
}

/** Waits until each node hears the other one, or has noticed that NATS is away. */
async function noticed({ nodes, told }: Run): Promise<void> {
  for (const node of NODES) {
    await eventually(
      async () => (await nodes[node].call('GET', '/api/v1/fleet')).value as FleetDocument,
      (fleet) => fleet.connected === told.hasNats && (!told.hasNats || fleet.nodes.filter(({ state }) => state !== 'lost').length === 2), // prettier-ignore
    );
  }
}

/** Throws if an answer is not allowed. */
async function checkAnswers(run: Run, operation: Operation, isOver: () => boolean, dice: Dice): Promise<void> {
  const { nodes, told } = run;
  const { after, pauses } = operation;
  while (!isOver()) {
    // A node that starts again has another port, and another process may have the old one.
    const node = dice.pick(NODES.filter((name) => name !== pauses));
    const question = dice.pick(QUESTIONS);
    const got = await answerOf(nodes[node], question);
    const allowed = [expectedAt(node, question, told), expectedAt(node, question, after)];
    if (!allowed.includes(got ?? '')) expect.fail(`${node}: ${question}: ${allowed.join(' or ')} expected, got ${got}`);
  }
}

/** The node that was asked does what it was told; the other one soon. */
async function checkOutcome(run: Run, { at }: Operation): Promise<void> {
  const { nodes, told } = run;
  for (const node of NODES) {
    for (const question of new Set(QUESTIONS)) {
      const expected = expectedAt(node, question, told);
      if (node === at) expect(await answerOf(nodes[node], question), `${node}: ${question}`).toBe(expected);
      else await eventually(() => answerOf(nodes[node], question), (got) => got === expected); // prettier-ignore
    }
  }
}

test.skipIf(!HAS_NATS)('whatever happens to a fleet, each node answers as the fleet was told', async () => {
  const dice = createDice(printedSeed('a model of the processes of a fleet'));
  using folder = folderOf({});
  await using nats = await startNats({ folder: folder.path });
  const [a, b] = NODES.map((name) => fleetServer(name, nats.url, ZONE, MORE));
  if (!a || !b) throw new Error('two nodes');
  const run: Run = { nodes: { a, b }, nats, told: { orders: {}, local: { a: {}, b: {} }, texts: {}, hasNats: true } };
  const history: string[] = [];
  try {
    await Promise.all([a.start(), b.start()]);
    await noticed(run);
    for (let step = 0; step < STEPS; step++) {
      const operation = randomOperation(dice, run);
      history.push(operation.name);
      let isOver = false;
      const working = operation.carryOut().finally(() => (isOver = true));
      working.catch(() => undefined);
      await checkAnswers(run, operation, () => isOver, dice);
      await working;
      run.told = operation.after;
      await noticed(run);
      await checkOutcome(run, operation);
    }
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${history.join('\n')}`, { cause: error });
  } finally {
    await a.close();
    await b.close();
  }
});
