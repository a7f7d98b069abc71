/**
 * The health room as the other rooms see it. `health/engine.ts` makes one.
 */
import type { Alarms } from '../config/alarms.ts';
import type { CheckSpec } from '../config/check-kinds.ts';
import type { Probe } from './checks/probe.ts';
import type { Clock } from './clock.ts';
import type { Electorate } from './electorate.ts';
import type { Author, OverrideRequest } from './overrides.ts';
import type { Foresee } from './pressure.ts';
import type { ProbeTimes } from './probe-times.ts';
import type { SavedOverride, SavedWeight } from './state-file.ts';
import type { HealthTarget } from './target-names.ts';
import type { LastResult } from './unit.ts';
import type { WeightRequest } from './weights.ts';

export type EffectiveState = 'up' | 'down' | 'drain' | 'unknown';

/**
 * `state`: the probed state changed. `override`: an operator or a schedule set, changed or cleared an override; `from`
 * and `to` are effective states. `weight`: the effective weight or its author changed.
 */
export type HealthEvent = {
  /** ISO 8601. */
  readonly at: string;
  readonly target: string;
  readonly reason: string;
  /** The name of the operator or program that gave the order; undefined for other events, and if it is not known. */
  readonly who?: string | undefined;
} & (
  | { readonly kind: 'state' | 'override'; readonly from: EffectiveState; readonly to: EffectiveState }
  | { readonly kind: 'weight'; readonly from: number; readonly to: number }
);

/** One VIP, for the status page and the API. */
export type VipHealth = {
  readonly slot: number;
  readonly target: string;
  readonly region: string | undefined;
  /** The check's name and kind; undefined when the VIP is not checked. */
  readonly check: { readonly name: string; readonly kind: CheckSpec['kind'] } | undefined;
  readonly checked: boolean;
  /** Where it is probed, `203.0.113.10:443`; `push` or `none` if its check does not connect. */
  readonly address: string;
  readonly probed: 'up' | 'down' | 'unknown';
  /** The override if there is one, else the probed state. */
  readonly effective: EffectiveState;
  readonly last: LastResult | undefined;
  /** Probes of this node that passed or failed, for all VIPs that share the check; undefined without one. */
  readonly probes: { readonly made: number; readonly failed: number } | undefined;
  /** ISO 8601: until when it is held down because it changed too often (`flap`); undefined where it is not. */
  readonly heldUntil: string | undefined;
  /** ISO 8601: when `probed` changed last; undefined while unknown. */
  readonly since: string | undefined;
  /** The last results in a row that were equal; undefined before the first result of this run. */
  readonly run: { readonly passed: boolean; readonly results: number } | undefined;
  /** The override with its present `safeAt`. */
  readonly override: SavedOverride | undefined;
  /** The weight set at run time if there is one, otherwise the file's. A ramp does not change it. */
  readonly weight: number;
  readonly fileWeight: number;
  readonly weightOverride: SavedWeight | undefined;
  /** The share of its weight that it has while it ramps, 0.01 to 1; undefined when it does not ramp. */
  readonly ramp: number | undefined;
  /** The load that its check reports, as a share of its capacity; undefined if the service does not shed. */
  readonly load: number | undefined;
  /** The share of its clients that it sheds because of its load, 0 to 1. */
  readonly shed: number;
};

/**
 * An override and whether its target is in the current generation. Without its target, it is kept until it is cleared
 * or ends.
 */
export type ListedOverride = SavedOverride & { readonly present: boolean };

/** A weight set at run time. Like an override, it is kept while its target is not configured. */
export type ListedWeight = SavedWeight & { readonly present: boolean; readonly fileWeight: number | undefined };

export type OverrideOutcome =
  | {
      readonly kind: 'ok';
      readonly targets: readonly string[];
      /** Targets that a schedule left unchanged, because an order of an operator has precedence. */
      readonly kept: readonly string[];
      /**
       * Resolves when the order is on the disk; with false if it could not be written: it then holds until a restart.
       */
      readonly saved: Promise<boolean>;
    }
  | { readonly kind: 'unknown target' };

/** Counts since the start, for the metrics. */
export type HealthStats = {
  readonly probes: number;
  /** Failed by a fault of the target. */
  readonly failedProbes: number;
  /** Probes that say nothing about the target, because of a fault of this machine. They do not count as failed. */
  readonly notProbed: number;
  /** Of the probes that passed or failed. */
  readonly probeTimes: ProbeTimes;
  /** Faults of this program in or around a probe. Each was also reported through `warn`. */
  readonly faults: number;
  readonly failedSaves: number;
  readonly inFlight: number;
  /** Probes that wait because too many are in flight. */
  readonly waiting: number;
  readonly watched: number;
  /** Checks that run. A check that targets share counts once. */
  readonly checks: number;
};

/** The certificate that a check's last handshake saw. */
export type SeenCertificate = {
  /** VIPs that share the check; at least one. */
  readonly targets: readonly string[];
  /** Where it was seen: `203.0.113.10:443`. */
  readonly address: string;
  /** Wall clock, milliseconds since 1970. */
  readonly endsMs: number;
};

export type Health = {
  /**
   * Begins a generation: writes all of its table before it returns, stops probes that are no longer wanted and starts
   * new ones. A check at an address that the last generation had keeps its state and its rhythm. A target whose check
   * changed but whose address did not keeps its state until the first result. Throws RangeError, before it changes
   * anything, for a slot that is outside of the table or that two targets have.
   */
  configure(targets: readonly HealthTarget[], memory: SharedArrayBuffer, slots: number): void;
  /** Every probed target of the current generation has had its first result. Does not wait for `push` reports. */
  readonly firstRound: Promise<void>;
  /** Takes a report on a target with a `push` check; `load` is in the unit of the VIP's capacity. */
  report(target: string, healthy: boolean, load?: number): 'ok' | 'unknown target' | 'not a push check';
  /**
   * Forces a state; with undefined, clears the override, so that health checks decide again. `target` is as in
   * docs/commands.md#targets. A schedule does not change a target that has an operator's override. `why`: the reason of
   * clearing it, for the event.
   */
  override(target: string, request: OverrideRequest | undefined, by?: Author, who?: string, why?: string): OverrideOutcome; // prettier-ignore
  /** All overrides, each with its present `safeAt`. */
  overrides(): readonly ListedOverride[];
  /** Sets the effective weight; with undefined, restores the file's weight. Otherwise like `override`. */
  weigh(target: string, request: WeightRequest | undefined, by?: Author, who?: string, why?: string): OverrideOutcome;
  weights(): readonly ListedWeight[];
  /** The freeze (docs/health.md#suspect); undefined unless states are frozen. `since` is ISO 8601. */
  suspected(): { readonly since: string; readonly message: string } | undefined;
  /** Certificates that probes of the current generation have seen, with the VIPs behind them. */
  certificates(): readonly SeenCertificate[];
  /** All VIPs in order of slots. With thousands of VIPs this takes many milliseconds: `find` returns a single one. */
  list(): readonly VipHealth[];
  /** The VIP with this target, written as in a catalog; undefined if the current generation does not have it. */
  find(target: string): VipHealth | undefined;
  stats(): HealthStats;
  /** Ends all probes, closes all connections, and writes the files of `stateDir`. */
  stop(): Promise<void>;
};

export type HealthOptions = {
  /** Undefined: nothing is kept over a restart. */
  readonly stateDir: string | undefined;
  readonly log: (event: HealthEvent) => void;
  /** Called with messages for the operator. */
  readonly warn: (message: string) => void;
  /** The share of VIPs, 0 to 1, that must fail at once for states to be frozen; 0 or undefined: never. */
  readonly suspect?: () => number;
  /** Gets the alarms for faults of this machine and for flapping VIPs. */
  readonly alarms?: Alarms;
  /** Called with VIPs that had a load when they became unavailable. */
  readonly foresee?: Foresee;
  /** The fleet that decides; undefined: this node decides alone. */
  readonly electorate?: Electorate | undefined;
  /** The link of this machine to a host, if it is down; undefined: the links are read from the system. */
  readonly deadLink?: (host: string) => string | undefined;
  readonly clock?: Clock;
  readonly probe?: Probe;
};
