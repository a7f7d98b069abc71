/**
 * A model of the whole: random results of probes, votes of other nodes, orders, reloads, restarts, updates, key rolls
 * and steps of the wall clock in the real health room, fleet room, dnssec room and image, and answers that must be
 * those that the reference allows at that moment. A failure is shortened and printed as a list of steps.
 */
import { afterAll, expect, test, vi } from 'vitest';
import { createDice, deepTrials, printedSeed } from '../../support/random.ts';
import { wrongAddress, wrongDenial, wrongKeys, wrongText } from './answers.ts';
import { withoutChance } from './chance.ts';
import { look } from './fleet-reference.ts';
import { abstainPeer, cut, toggle, votePeer, wrongVerdict } from './fleet.ts';
import {
  change,
  hasFleet,
  lookAtKeys,
  reload,
  restart,
  retire,
  roll,
  startMachine,
  update,
  type Machine,
} from './machine.ts';
import { expire } from './reference.ts';
import { randomStep, type Step } from './steps.ts';
import { worldOf, ZONES } from './world.ts';

const STEPS = 10_000;
/** CI plays a million steps: .ci/run. */
const EPISODES = deepTrials(4, 10);
/** A part is one test, so that a long run has more time. */
const EPISODES_OF_PART = 10;
/** What nodes of a fleet may believe is noted at least this often. */
const LOOK_MS = 500;

/** What is wrong after the step; undefined if nothing is. */
async function take(machine: Machine, step: Step): Promise<string | undefined> {
  const { clock, reference, passes, fleet } = machine;
  switch (step.kind) {
    case 'ask':
      return wrongAddress(machine, step);
    case 'read':
      return wrongText(machine, step.zone, step.name);
    case 'miss':
      return wrongDenial(machine);
    case 'keys':
      return wrongKeys(machine);
    case 'verdict':
      return fleet && wrongVerdict(fleet, step.node, step.unit, clock.now());
    case 'wait':
      return wait(machine, step.ms);
    case 'clock':
      clock.stepWall(step.ms);
      return lookAtKeys(machine);
    case 'host':
      passes[step.host] = step.passes;
      return undefined;
    case 'order': {
      const target = targetOf(machine, step.vip);
      const { state, forMs } = step;
      machine.health.override(target, state === 'auto' ? undefined : { state, forMs });
      if (state === 'auto') reference.orders.delete(target);
      else reference.orders.set(target, { state, endMs: clock.now() + (forMs ?? Infinity) });
      return undefined;
    }
    case 'weigh': {
      const target = targetOf(machine, step.vip);
      machine.health.weigh(target, step.weight === undefined ? undefined : { weight: step.weight });
      if (step.weight === undefined) reference.weights.delete(target);
      else reference.weights.set(target, step.weight);
      return undefined;
    }
    case 'update':
      update(machine, step.text, step.value);
      return undefined;
    case 'change':
      await change(machine, step.name, step.value === undefined ? undefined : String(step.value));
      return undefined;
    case 'reload':
      reload(machine, step.seed);
      return undefined;
    case 'restart': {
      // Over a restart the wall clock counts, and the ends of orders are corrected every second.
      const why = await wait(machine, 1000);
      await restart(machine);
      return why;
    }
    case 'roll':
      roll(machine, step.zsk, step.algorithm);
      if (step.reloads) reload(machine);
      return undefined;
    case 'retire':
      retire(machine, step);
      if (step.reloads) reload(machine);
      return undefined;
    default:
      if (fleet) takeInFleet(fleet, step, clock.now());
      return undefined;
  }
}

function takeInFleet(
  fleet: NonNullable<Machine['fleet']>,
  step: Extract<Step, { kind: 'vote' | 'abstain' | 'lose' | 'cut' }>,
  nowMs: number,
): void {
  // prettier-ignore
  switch (step.kind) {
    case 'vote':
      votePeer(fleet, step.peer, step.unit, step.isUp, nowMs);
      return;
    case 'abstain':
      abstainPeer(fleet, step.peer, step.abstains, nowMs);
      return;
    case 'lose':
      toggle(fleet, step.peer, nowMs);
      return;
    case 'cut':
      cut(fleet, step.groups, nowMs);
      return;
  }
}

/** Lets time pass. */
async function wait(machine: Machine, ms: number): Promise<string | undefined> {
  const { clock, reference, fleet } = machine;
  for (let left = ms; left > 0; left -= LOOK_MS) {
    await clock.advance(Math.min(left, LOOK_MS));
    if (fleet) look(fleet.reference, clock.now());
  }
  expire(reference, clock.now());
  return lookAtKeys(machine);
}

/** One of the present VIPs. */
function targetOf({ reference }: Machine, number: number): string {
  const targets = reference.world.services.flatMap(({ vips }) => vips.map(({ target }) => target));
  return targets[number % targets.length] ?? '';
}

type Outcome = { readonly at: number; readonly why: string };

/** The number of the step that fails and why, or undefined. */
async function play(seed: number, steps: readonly Step[], trace?: Machine['trace']): Promise<Outcome | undefined> {
  chance.begin(seed);
  const machine = await startMachine(seed, trace);
  try {
    for (const [at, step] of steps.entries()) {
      const why = await take(machine, step).catch((error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error))); // prettier-ignore
      const wrong = why ?? machine.warned[0];
      if (wrong !== undefined) return { at, why: wrong };
    }
    return undefined;
  } finally {
    machine.keeper.stop();
    await machine.health.stop();
    await machine.updates.stop();
    machine.folder[Symbol.dispose]();
    vi.useRealTimers();
  }
}

/** So many steps are played again at most to shorten a failure. */
const MOST_PLAYED = 400_000;

/** Leaves out steps without which it still fails. */
async function shortened(seed: number, failing: readonly Step[]): Promise<readonly Step[]> {
  let steps = failing;
  let played = 0;
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < steps.length && played < MOST_PLAYED;) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)];
      const outcome = await play(seed, fewer);
      played += fewer.length;
      if (outcome) steps = fewer.slice(0, outcome.at + 1);
      else at += size;
    }
  }
  return steps;
}

function told(seed: number): string {
  const { regionsYaml, yamlOf, texts } = worldOf(seed);
  return `regions: { ${regionsYaml} }\n${ZONES.map((zone) => yamlOf(zone, texts)).join('\n')}`;
}

function shown(step: Step): string {
  return JSON.stringify(step) + (step.kind === 'reload' ? `\n${told(step.seed)}` : '');
}

const parts = Array.from({ length: Math.ceil(EPISODES / EPISODES_OF_PART) }, (_, part) => part);
const runSeed = printedSeed('a model of the whole');
const chance = withoutChance();
afterAll(chance.end);

test.each(parts)('after any history, every answer is one that the reference allows: part %i', async (part) => {
  const dice = createDice(runSeed + part);
  for (let episode = 0; episode < Math.min(EPISODES, EPISODES_OF_PART); episode++) {
    const seed = dice.below(1 << 30);
    const steps = Array.from({ length: STEPS }, () => randomStep(dice, hasFleet(seed)));
    const outcome = await play(seed, steps);
    if (!outcome) continue;
    console.log(`step ${outcome.at}: ${outcome.why}; it is shortened now`);
    const short = await shortened(seed, steps.slice(0, outcome.at + 1));
    const last = await play(seed, short);
    const found = (part * EPISODES_OF_PART + episode) * STEPS + outcome.at;
    expect.fail(`${last?.why}\nstep ${found}, world ${seed}\n${told(seed)}\n${short.map(shown).join('\n')}`);
  }
});

test('a history has the same answers each time', async () => {
  const dice = createDice(runSeed);
  const seed = 1 + 2 * dice.below(1 << 29);
  const steps = Array.from({ length: 1000 }, () => randomStep(dice, hasFleet(seed)));
  const answers = async (): Promise<readonly string[]> => {
    const all: string[] = [];
    await play(seed, steps, (answer) => void all.push(answer));
    return all;
  };
  expect(await answers()).toEqual(await answers());
});
