/**
 * Weights set at run time: each replaces the file's weight until it is cleared, also over restarts.
 */
import { isoTime, type Clock } from './clock.ts';
import type { Author } from './overrides.ts';
import type { SavedWeight, StateStore } from './state-file.ts';
import { canonicalTarget } from './target-names.ts';

/** `weight`: 0 to 65535. */
export type WeightRequest = { readonly weight: number; readonly reason?: string | undefined };

export type Weights = {
  get(target: string): SavedWeight | undefined;
  list(): readonly SavedWeight[];
  /**
   * Sets the weights; with undefined, clears them. Resolves when they are on the disk; with false if they could not be.
   */
  set(targets: readonly string[], request: WeightRequest | undefined, by: Author, who?: string): Promise<boolean>;
};

export function createWeights(store: StateStore, clock: Clock): Weights {
  const current = new Map<string, SavedWeight>();
  for (const weight of store.weights) current.set(canonicalTarget(weight.target), weight);
  return {
    get: (target) => (current.size === 0 ? undefined : current.get(canonicalTarget(target))),
    list: () => [...current.values()],
    set(targets, request, by, who) {
      for (const target of targets) {
        const key = canonicalTarget(target);
        if (request === undefined) current.delete(key);
        else {
          const { weight, reason } = request;
          current.set(key, { target, weight, reason, since: isoTime(clock), by, who });
        }
      }
      return store.saveWeights([...current.values()]);
    },
  };
}
