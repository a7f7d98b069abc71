/**
 * Overrides as the API shows them, and when a drained VIP may be stopped.
 */
import type { ListedOverride } from '../health/engine.ts';
import type { ServiceInfo, VipInfo } from '../zones/catalog.ts';
import type { Runtime } from './runtime.ts';
import { vipsOf } from './targets.ts';

export type OverrideDocument = {
  readonly target: string;
  readonly state: 'up' | 'down' | 'drain';
  readonly reason: string | null;
  readonly since: string;
  readonly until: string | null;
  /** False for a target that the configuration in force does not have; the override waits for its return. */
  readonly present: boolean;
  /** When the last answer naming it expires; null for `up`, and where it goes on being answered with. */
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
    safe_at: safeToStop(runtime, [override], new Date(override.since)).safeAt,
  }));
}

/** `warnings` say, in words, why there is no such moment. */
export type SafeToStop = { readonly safeAt: string | null; readonly warnings: readonly string[] };

/**
 * The moment at which no answer from before `from` that named one of the VIPs can still be in a cache: the
 * largest TTL of their services later. There is none while `when_all_down: serve_all` answers with them for
 * want of any other VIP.
 */
export function safeToStop(
  runtime: Runtime,
  overrides: readonly Pick<ListedOverride, 'target' | 'state'>[],
  from: Date,
): SafeToStop {
  const { catalog } = runtime.generation();
  const out = new Set(
    runtime.health
      .overrides()
      .filter(({ state }) => state !== 'up')
      .map(({ target }) => target),
  );
  const wanted = new Set(overrides.filter(({ state }) => state !== 'up').map(({ target }) => target));
  const vips = catalog.vips.filter(({ target }) => wanted.has(target));
  if (vips.length === 0) return { safeAt: null, warnings: [] };
  const services = new Map<number, ServiceInfo>();
  for (const { service } of vips) {
    const info = catalog.services[service];
    if (info) services.set(service, info);
  }
  const warnings = [...services.values()]
    .filter((service) => service.whenAllDown === 'serve_all')
    .flatMap((service) => {
      const left = vipsOf(catalog, service).filter(({ target }) => !out.has(target));
      const own = vips.filter((vip) => catalog.services[vip.service] === service);
      return typesWithout(own, left).map(
        (type) =>
          `every VIP of ${service.name} with ${type} is drained or forced down: when_all_down: serve_all goes on answering with them`,
      );
    });
  const seconds = Math.max(...[...services.values()].map(({ ttl }) => ttl.maxSeconds));
  const safeAt = warnings.length > 0 ? null : new Date(from.getTime() + seconds * 1000).toISOString();
  return { safeAt, warnings };
}

/** Record types that some of `own` have and none of `left`. */
function typesWithout(own: readonly VipInfo[], left: readonly VipInfo[]): readonly string[] {
  return (['a', 'aaaa', 'cname'] as const)
    .filter((type) => own.some((vip) => vip[type] !== undefined) && left.every((vip) => vip[type] === undefined))
    .map((type) => type.toUpperCase());
}
