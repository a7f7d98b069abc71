/**
 * What operators and schedules say of targets: forced states and weights, over what the probes and the file say, and
 * when a VIP that they took out of the answers is safe to stop. The engine asks, and is told what to write anew.
 */
import { MAX_WEIGHT } from '../config/limits.ts';
import type { Clock } from './clock.ts';
import type { HealthTable } from './health-table.ts';
import type { EffectiveState, Health, HealthEvent } from './health.ts';
import { createLastAnswers } from './last-answers.ts';
import { createOverrides, type Author } from './overrides.ts';
import type { SavedOverride, SavedWeight, StateStore } from './state-file.ts';
import { canonicalTarget, expandTarget, type HealthTarget } from './target-names.ts';
import { createWeights } from './weights.ts';

/** An event of the health room without its time. */
export type Untimed = HealthEvent extends infer E ? (E extends HealthEvent ? Omit<E, 'at'> : never) : never;

/** What orders need of the engine: `write` and `writeWeight` put into the table what now holds. */
export type Ordered = {
  /** By canonical name, of the current generation. */
  readonly targets: () => ReadonlyMap<string, HealthTarget>;
  readonly effectiveOf: (target: HealthTarget) => EffectiveState;
  readonly write: (target: HealthTarget) => void;
  readonly writeWeight: (target: HealthTarget) => void;
  readonly announce: (event: Untimed) => void;
};

export type Orders = Pick<Health, 'override' | 'overrides' | 'weigh' | 'weights'> & {
  /** The override of a target. */
  stateOf(target: HealthTarget): SavedOverride | undefined;
  /** The same, with `safeAt` of this moment. */
  shown(target: HealthTarget): SavedOverride | undefined;
  /** For how many whole seconds it holds the state yet. */
  holdSeconds(override: SavedOverride): number;
  /** The effective weight. */
  weightOf(target: HealthTarget): number;
  weightOverride(target: HealthTarget): SavedWeight | undefined;
  /** A new generation, once all of its table is written. */
  configure(table: HealthTable): void;
  /** After the target's word was stored; `before` is the previous word. */
  changed(target: HealthTarget, before: number): void;
  stop(): void;
};

export function createOrders(store: StateStore, clock: Clock, room: Ordered): Orders {
  const find = (name: string): HealthTarget | undefined => room.targets().get(canonicalTarget(name));
  const lastAnswers = createLastAnswers(clock);

  const withSafeAt = (override: SavedOverride): SavedOverride => {
    const safeAtMs = override.state === 'up' ? undefined : lastAnswers.safeAtMs(override.target);
    return { ...override, safeAt: safeAtMs === undefined ? undefined : new Date(safeAtMs).toISOString() };
  };

  const overrides = createOverrides(
    store,
    clock,
    ({ target: name, state }) => {
      const target = find(name);
      if (target === undefined) return;
      room.write(target);
      const to = room.effectiveOf(target);
      room.announce({ kind: 'override', target: name, from: state, to, reason: 'the override ended' });
    },
    () => {
      for (const target of room.targets().values()) {
        if (overrides.get(target.target) !== undefined) room.write(target);
      }
    },
    withSafeAt,
  );
  const weights = createWeights(store, clock);
  for (const { target, safeAt } of overrides.list()) {
    if (safeAt !== undefined) lastAnswers.remember(target, Date.parse(safeAt));
  }

  const weightOf = (target: HealthTarget): number => weights.get(target.target)?.weight ?? fileWeightOf(target);

  return {
    override(text, request, by = 'operator') {
      const about = addressed(text, request !== undefined, room.targets().values(), overrides, by);
      if (about === undefined) return { kind: 'unknown target' };
      const { found, names, kept } = about;
      const before = found.map(room.effectiveOf);
      const saved = overrides.set(names, request, by);
      const reason = request === undefined ? 'given back to the probes' : (request.reason ?? AUTHORS[by]);
      found.forEach((target, index) => {
        room.write(target);
        const from = before[index] ?? 'unknown';
        room.announce({ kind: 'override', target: target.target, from, to: room.effectiveOf(target), reason });
      });
      return { kind: 'ok', targets: names, kept, saved };
    },
    overrides: () =>
      overrides.list().map((override) => ({ ...withSafeAt(override), present: find(override.target) !== undefined })),
    weigh(text, request, by = 'operator') {
      if (request !== undefined && !isWeight(request.weight)) {
        throw new RangeError(`a weight is 0 to ${String(MAX_WEIGHT)}, got ${String(request.weight)}`);
      }
      const about = addressed(text, request !== undefined, room.targets().values(), weights, by);
      if (about === undefined) return { kind: 'unknown target' };
      const { found, names, kept } = about;
      const before = found.map(weightOf);
      const saved = weights.set(names, request, by);
      const reason = request === undefined ? 'given back to the file' : (request.reason ?? AUTHORS[by]);
      found.forEach((target, index) => {
        room.writeWeight(target);
        const to = weightOf(target);
        room.announce({ kind: 'weight', target: target.target, from: before[index] ?? to, to, reason });
      });
      return { kind: 'ok', targets: names, kept, saved };
    },
    weights: () =>
      weights.list().map((weight) => {
        const target = find(weight.target);
        const fileWeight = target === undefined ? undefined : fileWeightOf(target);
        return { ...weight, present: target !== undefined, fileWeight };
      }),
    stateOf: ({ target }) => overrides.get(target),
    shown({ target }) {
      const override = overrides.get(target);
      return override && withSafeAt(override);
    },
    holdSeconds: (override) => overrides.holdSeconds(override),
    weightOf,
    weightOverride: ({ target }) => weights.get(target),
    configure(table) {
      lastAnswers.configure(room.targets().values(), table);
      overrides.keep();
    },
    changed(target, before) {
      lastAnswers.changed(target, before);
    },
    stop() {
      overrides.stop();
    },
  };
}

/** The reason of an order without one. */
const AUTHORS = { operator: 'by an operator', schedule: 'by a schedule' } as const;

/** Which targets an order is about; undefined where the text means none. `kept` are left to an operator's word. */
function addressed(
  text: string,
  isSet: boolean,
  targets: Iterable<HealthTarget>,
  said: { get(target: string): { readonly target: string; readonly by: Author } | undefined },
  by: Author,
):
  | { readonly found: readonly HealthTarget[]; readonly names: readonly string[]; readonly kept: readonly string[] }
  | undefined {
  const isFree = ({ target }: { readonly target: string }): boolean =>
    by === 'operator' || said.get(target)?.by !== 'operator';
  const all = expandTarget(text, targets);
  if (all.length > 0) {
    const found = all.filter(isFree);
    const kept = all.filter((target) => !isFree(target)).map(({ target }) => target);
    return { found, names: found.map(({ target }) => target), kept };
  }
  // What was said of a target that is gone can still be taken back.
  const gone = isSet ? undefined : said.get(text);
  if (gone === undefined) return undefined;
  return isFree(gone) ? { found: [], names: [gone.target], kept: [] } : { found: [], names: [], kept: [gone.target] };
}

/** A file's weight is in range; another caller's is put there. */
export function fileWeightOf({ weight }: HealthTarget): number {
  return Math.min(Math.max(0, weight), MAX_WEIGHT);
}

function isWeight(weight: number): boolean {
  return Number.isInteger(weight) && weight >= 0 && weight <= MAX_WEIGHT;
}
