/**
 * Overrides and weights as the API shows them, and when a drained VIP may be stopped.
 */
import type { ListedOverride } from '../health/engine.ts';
import type { VipInfo } from '../zones/catalog.ts';
import { vipsOf } from '../zones/targets.ts';
import type { Runtime } from './runtime.ts';

export type OverrideDocument = {
  readonly target: string;
  readonly state: 'up' | 'down' | 'drain';
  readonly reason: string | null;
  readonly since: string;
  readonly until: string | null;
  readonly by: 'operator' | 'schedule';
  /** False for a target that the configuration in force does not have; the override waits for its return. */
  readonly present: boolean;
  /** When the last answer naming it expires; null for `up`, and where it may go on being answered with. */
  readonly safe_at: string | null;
};

export function overrideDocuments(runtime: Runtime): readonly OverrideDocument[] {
  return runtime.health.overrides().map((override) => ({
    target: override.target,
    state: override.state,
    reason: override.reason ?? null,
    since: override.since,
    until: override.until ?? null,
    present: override.present,
    by: override.by,
    safe_at: override.safeAt ?? null,
  }));
}

export type WeightDocument = {
  readonly target: string;
  readonly weight: number;
  /** What the file says; null for a target that the configuration in force does not have. */
  readonly file_weight: number | null;
  readonly reason: string | null;
  readonly since: string;
  readonly by: 'operator' | 'schedule';
  readonly present: boolean;
};

export function weightDocuments(runtime: Runtime): readonly WeightDocument[] {
  return runtime.health.weights().map((weight) => ({
    target: weight.target,
    weight: weight.weight,
    file_weight: weight.fileWeight ?? null,
    reason: weight.reason ?? null,
    since: weight.since,
    by: weight.by,
    present: weight.present,
  }));
}

/** `warnings` say, in words, why there is no such moment. */
export type SafeToStop = { readonly safeAt: string | null; readonly warnings: readonly string[] };

/**
 * The moment at which no answer that named one of the VIPs can still be in a cache, as `health/last-answers.ts`
 * knows it of each. There is none while `when_all_down: serve_all` answers with one for want of any other VIP.
 */
export function safeToStop(
  runtime: Runtime,
  overrides: readonly Pick<ListedOverride, 'target' | 'state' | 'safeAt' | 'present'>[],
): SafeToStop {
  const out = overrides.filter(({ state, present }) => state !== 'up' && present);
  const warnings = warningsOf(
    runtime,
    out.filter(({ safeAt }) => safeAt === undefined).map(({ target }) => target),
  );
  if (out.length === 0 || warnings.length > 0) return { safeAt: null, warnings };
  const times = out.map(({ safeAt }) => safeAt ?? '').sort();
  return { safeAt: times.at(-1) ?? null, warnings };
}

/** Why each of the VIPs goes on being answered with; one line a service. */
function warningsOf(runtime: Runtime, targets: readonly string[]): readonly string[] {
  const { catalog } = runtime.generation();
  const named = new Set(targets);
  const out = new Set(
    runtime.health
      .overrides()
      .filter(({ state }) => state !== 'up')
      .map(({ target }) => target),
  );
  return catalog.services.flatMap((service) => {
    const vips = vipsOf(catalog, service);
    const own = vips.filter(({ target }) => named.has(target));
    if (own.length === 0) return [];
    const types = typesWithout(
      own,
      vips.filter(({ target }) => !out.has(target)),
    );
    if (types.length > 0) {
      return types.map(
        (type) =>
          `every VIP of ${service.name} with ${type} is drained or forced down: when_all_down: serve_all goes on answering with them`,
      );
    }
    const names = own.map(({ name }) => name).join(', ');
    return [
      `the steps of ${service.name} lead some clients to no VIP but ${names}: when_all_down: serve_all goes on answering them so`,
    ];
  });
}

/** Record types that some of `own` have and none of `left`. */
function typesWithout(own: readonly VipInfo[], left: readonly VipInfo[]): readonly string[] {
  return (['a', 'aaaa', 'cname'] as const)
    .filter((type) => own.some((vip) => vip[type] !== undefined) && left.every((vip) => vip[type] === undefined))
    .map((type) => type.toUpperCase());
}
