/**
 * Overrides and weights as JSON, and the time from which a drained VIP is safe to stop.
 */
import type { Author, ListedOverride } from '../health/engine.ts';
import { vipsOf } from '../zones/read/suggest-targets.ts';
import { typesOfVip } from './answer-traits.ts';
import type { Runtime } from './runtime.ts';

export type OverrideDocument = {
  readonly target: string;
  readonly state: 'up' | 'down' | 'drain';
  readonly reason: string | null;
  readonly since: string;
  readonly until: string | null;
  readonly by: Author;
  /** The name of the token or client certificate; null if it is not known. */
  readonly who: string | null;
  /** False if the target is not configured; the override applies again if it returns. */
  readonly present: boolean;
  /** When the last cached answer that names it expires; null for `up` and while DNS answers name it. */
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
    who: override.who ?? null,
    safe_at: safeAtOf(override),
  }));
}

/** Null if the override ends before the last answer has expired: answers then name the VIP again. */
export function safeAtOf({ safeAt, until }: Pick<ListedOverride, 'safeAt' | 'until'>): string | null {
  return safeAt === undefined || endsTooEarly({ safeAt, until }) ? null : safeAt;
}

function endsTooEarly({ safeAt, until }: Pick<ListedOverride, 'safeAt' | 'until'>): boolean {
  return safeAt !== undefined && until !== undefined && Date.parse(until) < Date.parse(safeAt);
}

export type WeightDocument = {
  readonly target: string;
  readonly weight: number;
  /** The weight of the zone file; null if the target is not configured. */
  readonly file_weight: number | null;
  readonly reason: string | null;
  readonly since: string;
  readonly by: Author;
  readonly who: string | null;
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
    who: weight.who ?? null,
    present: weight.present,
  }));
}

/** `warnings` are texts: why this time is missing, and which queries get no data. */
export type SafeToStop = { readonly safeAt: string | null; readonly warnings: readonly string[] };

/**
 * The time from which no cache has an answer that names one of the VIPs; `health/last-answers.ts` has it per VIP. The
 * time is unknown while answers name one of them because of `when_all_down: serve_all`.
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
    ...(early.length === 0
      ? []
      : [`the override ends before the last cached answer naming ${early.join(', ')} has expired`]),
  ];
  if (out.length === 0 || named.length > 0 || early.length > 0) return { safeAt: null, warnings };
  const times = out.map(({ safeAt }) => safeAt ?? '').sort();
  return { safeAt: times.at(-1) ?? null, warnings };
}

/** Warnings about services, and record types of services, without a VIP left. */
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
        `every VIP of ${name} is drained or forced down, so DNS answers name all of them, including ${them} (when_all_down: serve_all)`,
      ];
    }
    if (whenAllDown === 'static') {
      return left.length > 0 ? [] : [`no VIP of ${name} is left: DNS answers are the static answers of when_all_down`];
    }
    const kept = new Set(left.flatMap(typesOfVip));
    return [...new Set(own.flatMap(typesOfVip))]
      .filter((type) => !kept.has(type))
      .map((type) => `no other VIP of ${name} has ${type}: queries for it get no data`);
  });
}
