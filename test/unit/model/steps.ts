/**
 * What can happen to the server of the model, and how often. Most steps are cheap: they ask something, or change
 * something that takes no reload.
 */
import type { Dice } from '../../support/random.ts';
import { NAMES } from './updates.ts';
import { HOSTS, TEXTS, type ModelZone } from './world.ts';

export const PEERS = ['b', 'c'] as const;
type Peer = (typeof PEERS)[number];

export type Step =
  /**
   * Questions: an address, a text, a name that does not exist, the keys of the signed zone, the verdicts of a node, and
   * who probes.
   */
  | { readonly kind: 'ask'; readonly service: number; readonly isA: boolean; readonly client: number }
  | { readonly kind: 'read'; readonly zone: ModelZone; readonly name: string }
  | { readonly kind: 'miss' | 'keys' }
  | { readonly kind: 'verdict'; readonly node: 'a' | Peer; readonly unit: number }
  /** Time, and the targets of probes. */
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'clock'; readonly ms: number }
  | { readonly kind: 'host'; readonly host: number; readonly passes: boolean }
  /** Orders. */
  | { readonly kind: 'order'; readonly vip: number; readonly state: 'up' | 'down' | 'drain' | 'auto'; readonly forMs: number | undefined } // prettier-ignore
  | { readonly kind: 'weigh'; readonly vip: number; readonly weight: number | undefined }
  | { readonly kind: 'update'; readonly text: number; readonly value: number }
  /** Of the signed zone. */
  | { readonly kind: 'change'; readonly name: string; readonly value: number | undefined }
  | { readonly kind: 'reload'; readonly seed: number }
  | { readonly kind: 'restart' }
  /** Keys of the signed zone. */
  | { readonly kind: 'roll'; readonly zsk: boolean; readonly algorithm: string | undefined; readonly reloads: boolean }
  | {
      readonly kind: 'retire';
      readonly zsk: boolean;
      readonly seconds: number;
      readonly gap: number;
      readonly reloads: boolean;
    }
  /** The fleet: votes of other nodes, nodes that end and start again, and nodes that do not hear each other. */
  | { readonly kind: 'vote'; readonly peer: Peer; readonly unit: number; readonly isUp: boolean }
  | { readonly kind: 'abstain'; readonly peer: Peer; readonly abstains: boolean }
  | { readonly kind: 'lose'; readonly peer: Peer }
  | { readonly kind: 'cut'; readonly groups: readonly [number, number, number] };

/** Milliseconds. */
const WAITS = [1, 20, 100, 300, 500, 1000, 1000, 4000];
const STEPS_OF_CLOCK = [-3_600_000, -1000, 1000, 3_700_000, 14_400_000, 86_400_000];

export function randomStep(dice: Dice, hasFleet: boolean): Step {
  const roll = dice.below(10_000);
  if (roll < 5200) return { kind: 'ask', service: dice.below(3), isA: dice.chance(0.7), client: dice.below(1 << 30) };
  if (roll < 5700) return dice.chance(0.5) ? { kind: 'read', zone: 'ex', name: `t${dice.below(TEXTS)}` } : { kind: 'read', zone: 'sx', name: dice.pick(NAMES) }; // prettier-ignore
  if (roll < 5800) return { kind: dice.pick(['miss', 'keys']) };
  if (roll < 7500) return { kind: 'wait', ms: dice.pick(WAITS) };
  if (roll < 8100) return { kind: 'host', host: 1 + dice.below(HOSTS), passes: dice.chance(0.6) };
  if (roll < 8600) return { kind: 'order', vip: dice.below(12), state: dice.pick(['up', 'down', 'drain', 'auto', 'auto', 'auto']), forMs: dice.pick([undefined, 1000, 30_000]) }; // prettier-ignore
  if (roll < 8800) return { kind: 'weigh', vip: dice.below(12), weight: dice.pick([undefined, undefined, 0, 1, 7]) };
  if (roll < 9050) return { kind: 'update', text: dice.below(TEXTS), value: dice.below(1000) };
  if (roll < 9100) return { kind: 'clock', ms: dice.pick(STEPS_OF_CLOCK) };
  if (roll < 9106) return { kind: 'change', name: dice.pick(NAMES), value: dice.pick([undefined, dice.below(1000)]) };
  if (roll < 9110) return { kind: 'reload', seed: dice.below(1 << 30) };
  if (roll < 9112) return { kind: 'restart' };
  if (roll < 9116) return { kind: 'roll', zsk: dice.chance(0.4), algorithm: dice.pick([undefined, undefined, 'ed25519', 'ecdsap256sha256']), reloads: dice.chance(0.9) }; // prettier-ignore
  if (roll < 9122) return { kind: 'retire', zsk: dice.chance(0.4), seconds: dice.pick([60, 3600, 90_000]), gap: dice.pick([0, 60, 7200]), reloads: dice.chance(0.9) }; // prettier-ignore
  return hasFleet ? randomStepOfFleet(dice) : { kind: 'ask', service: 2, isA: true, client: dice.below(1 << 30) };
}

function randomStepOfFleet(dice: Dice): Step {
  const roll = dice.below(100);
  const peer = dice.pick(PEERS);
  if (roll < 40) return { kind: 'verdict', node: dice.pick(['a', ...PEERS]), unit: dice.below(12) };
  if (roll < 90) return { kind: 'vote', peer, unit: dice.below(12), isUp: dice.chance(0.6) };
  if (roll < 93) return { kind: 'abstain', peer, abstains: dice.chance(0.3) };
  if (roll < 97) return { kind: 'lose', peer };
  return {
    kind: 'cut',
    groups: dice.pick([
      [0, 0, 0],
      [0, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
      [0, 1, 1],
      [0, 1, 2],
    ] as const),
  };
}
