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
 * `state`: the probed state changed. `override`: what an operator or a schedule says changed; `from` and `to` are
 * effective states. `weight`: the effective weight changed, or who says it.
 */
export type HealthEvent = {
  /** ISO 8601. */
  readonly at: string;
  readonly target: string;
  readonly reason: string;
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
  /** Where it is probed, `203.0.113.10:443`; `push` or `none` when nothing is connected to. */
  readonly address: string;
  readonly probed: 'up' | 'down' | 'unknown';
  /** The override if there is one, else the probed state. */
  readonly effective: EffectiveState;
  readonly last: LastResult | undefined;
  /** ISO 8601: until when it is held down because it changed too often (`flap`); undefined where it is not. */
  readonly heldUntil: string | undefined;
  /** ISO 8601: since when `probed` is what it is; undefined while unknown. */
  readonly since: string | undefined;
  /** The last results that were alike, in a row; undefined before the first of this run. */
  readonly run: { readonly passed: boolean; readonly results: number } | undefined;
  /** `safeAt` is of this moment. */
  readonly override: SavedOverride | undefined;
  /** The effective weight: that set at run time where there is one, else the file's; a ramp's share not taken off. */
  readonly weight: number;
  readonly fileWeight: number;
  readonly weightOverride: SavedWeight | undefined;
  /** The share of its weight while it comes back (`ramp`), 0.01 to 1; undefined when it does not ramp. */
  readonly ramp: number | undefined;
  /** What its check says of its load, as a share of its capacity; undefined where the service does not shed. */
  readonly load: number | undefined;
  /** The share of its clients that it gives up for its load, 0 to 1. */
  readonly shed: number;
};

/**
 * An override and whether its target is in the current generation. An override without its target is kept until it is
 * taken back or ends.
 */
export type ListedOverride = SavedOverride & { readonly present: boolean };

/** A weight set at run time; as an override it is kept while its target is gone. */
export type ListedWeight = SavedWeight & { readonly present: boolean; readonly fileWeight: number | undefined };

export type OverrideOutcome =
  | {
      readonly kind: 'ok';
      readonly targets: readonly string[];
      /** What a schedule left as it was, because an operator had spoken. */
      readonly kept: readonly string[];
      /** When it is on the disk; false when it could not be written (it holds all the same, until a restart). */
      readonly saved: Promise<boolean>;
    }
  | { readonly kind: 'unknown target' };

/** Since the start; for the metrics. */
export type HealthStats = {
  readonly probes: number;
  /** Failed by a fault of the target. */
  readonly failedProbes: number;
  /** Probes that say nothing of the target, since the fault was this machine's. They are not among the failed ones. */
  readonly notProbed: number;
  /** Of the probes that passed or failed. */
  readonly probeTimes: ProbeTimes;
  /** Faults of this program in or around a probe; each was also told through `warn`. */
  readonly faults: number;
  readonly failedSaves: number;
  readonly inFlight: number;
  /** Probes that wait because too many are in flight. */
  readonly waiting: number;
  readonly watched: number;
  /** Checks that run; targets that share one count once. */
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
   * A new generation: writes all of its table before it returns, stops probes that are no longer wanted and
   * starts new ones. A check at an address that the last generation had keeps its state and its rhythm. A target
   * whose check changed but whose address did not keeps its state until the first result. Throws RangeError, before
   * it changes anything, for a slot outside of the table or one that two targets have.
   */
  configure(targets: readonly HealthTarget[], memory: SharedArrayBuffer, slots: number): void;
  /** Every probed target of the current generation has had its first result. Does not wait for `push` reports. */
  readonly firstRound: Promise<void>;
  /** A report on a target with a `push` check; `load` in the unit of the VIP's capacity. */
  report(target: string, healthy: boolean, load?: number): 'ok' | 'unknown target' | 'not a push check';
  /**
   * Forces a state, or with undefined gives it back to the probes. `target` as in docs/commands.md#targets. A schedule
   * changes nothing where an operator's override holds.
   */
  override(target: string, request: OverrideRequest | undefined, by?: Author): OverrideOutcome;
  /** Each with `safeAt` as of now. */
  overrides(): readonly ListedOverride[];
  /** Sets the effective weight, or with undefined gives it back to the file. Otherwise as `override`. */
  weigh(target: string, request: WeightRequest | undefined, by?: Author): OverrideOutcome;
  weights(): readonly ListedWeight[];
  /** While states hold because too many VIPs failed at once (docs/health.md#suspect); `since` is ISO 8601. */
  suspected(): { readonly since: string; readonly message: string } | undefined;
  /** Certificates that probes of the current generation have seen, with the VIPs behind them. */
  certificates(): readonly SeenCertificate[];
  /** In order of slots. With thousands of VIPs it takes many milliseconds: `find` looks at one. */
  list(): readonly VipHealth[];
  /** The VIP with this target as a catalog has it; undefined where the current generation has none. */
  find(target: string): VipHealth | undefined;
  stats(): HealthStats;
  /** Ends all probes, closes all connections, writes what is to be kept. */
  stop(): Promise<void>;
};

export type HealthOptions = {
  /** Undefined: nothing is kept over a restart. */
  readonly stateDir: string | undefined;
  readonly log: (event: HealthEvent) => void;
  /** What the operator should know, in words. */
  readonly warn: (message: string) => void;
  /** The share of VIPs, 0 to 1, that failing at once raises doubt; 0, or undefined: none does. */
  readonly suspect?: () => number;
  /** Where faults of this machine and flapping VIPs are raised. */
  readonly alarms?: Alarms;
  /** Told of VIPs that went with a load. */
  readonly foresee?: Foresee;
  /** The fleet that decides; undefined: this node decides alone. */
  readonly electorate?: Electorate | undefined;
  /** The link of this machine to a host, where that is down; undefined: this machine is looked at. */
  readonly deadLink?: (host: string) => string | undefined;
  readonly clock?: Clock;
  readonly probe?: Probe;
};
