/**
 * Overrides and weights as the API shows them, and when a drained VIP may be stopped.
 */
import type { ListedOverride } from '../health/engine.ts';
import { vipsOf } from '../zones/read/suggest-targets.ts';
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
    safe_at: safeAtOf(override),
  }));
}

/** None where it ends before the last answer has expired: from its end on, answers name the VIP again. */
export function safeAtOf({ safeAt, until }: Pick<ListedOverride, 'safeAt' | 'until'>): string | null {
  return safeAt === undefined || endsTooEarly({ safeAt, until }) ? null : safeAt;
}

function endsTooEarly({ safeAt, until }: Pick<ListedOverride, 'safeAt' | 'until'>): boolean {
  return safeAt !== undefined && until !== undefined && Date.parse(until) < Date.parse(safeAt);
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

/** `warnings` say, in words, why there is no such moment, and which clients get no answer. */
export type SafeToStop = { readonly safeAt: string | null; readonly warnings: readonly string[] };

/**
 * The moment at which no answer that named one of the VIPs can still be in a cache, as `health/last-answers.ts`
 * knows it of each. There is none while `when_all_down: serve_all` answers with one, since every VIP is out.
 */
export function safeToStop(
  runtime: Runtime,
  overrides: readonly Pick<ListedOverride, 'target' | 'state' | 'safeAt' | 'until' | 'present'>[],
): SafeToStop {
  const out = overrides.filter(({ state, present }) => state !== 'up' && present);
  const named = out.filter(({ safeAt }) => safeAt === undefined);
  const early = out.filter(endsTooEarly).map(({ target }) => target);
  const warnings = [
    ...warningsOf(runtime, new Set(out.map(({ target }) => target))),
    ...(early.length === 0 ? [] : [`it ends before the last answer naming ${early.join(', ')} has expired`]),
  ];
  if (out.length === 0 || named.length > 0 || early.length > 0) return { safeAt: null, warnings };
  const times = out.map(({ safeAt }) => safeAt ?? '').sort();
  return { safeAt: times.at(-1) ?? null, warnings };
}

/** Services, and types of their records, of which no VIP is left. */
function warningsOf(runtime: Runtime, targets: ReadonlySet<string>): readonly string[] {
  const { catalog } = runtime.generation();
  const out = new Set(
    runtime.health
      .overrides()
      .filter(({ state }) => state !== 'up')
      .map(({ target }) => target),
  );
  return catalog.services.flatMap((service) => {
    const { name, whenAllDown } = service;
    const vips = vipsOf(catalog, service);
    const own = vips.filter(({ target }) => targets.has(target));
    const left = vips.filter(({ target }) => !out.has(target));
    if (own.length === 0) return [];
    if (left.length === 0 && whenAllDown === 'serve_all') {
      const them = own.map(({ target }) => target).join(', ');
      return [
        `every VIP of ${name} is drained or forced down, so DNS answers name all of them, ${them} too (when_all_down: serve_all)`,
      ];
    }
    if (whenAllDown === 'static') {
      return left.length > 0 ? [] : [`no VIP of ${name} is left: DNS answers are the static ones of when_all_down`];
    }
    return (['a', 'aaaa', 'cname'] as const)
      .filter((type) => own.some((vip) => vip[type] !== undefined) && left.every((vip) => vip[type] === undefined))
      .map((type) => `no other VIP of ${name} has ${type.toUpperCase()}: queries for it get no data`);
  });
}
