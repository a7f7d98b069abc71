/**
 * TARGETs as operators name them (SPEC 1): `www.example.com/seoul-a`, `www.example.com/@seoul`, `@seoul`. Pure.
 */
import type { CheckSpec } from '../config/settings.ts';
import type { ProbeTarget } from './probe.ts';

/** One VIP of a generation, and how it is checked. */
export type HealthTarget = {
  /** Its place in the health table. */
  readonly slot: number;
  /** `www.example.com/seoul-a` */
  readonly target: string;
  readonly region: string | undefined;
  /** Undefined: never probed, available unless forced down. */
  readonly check: CheckSpec | undefined;
  /** Address or host name to connect to. */
  readonly host: string | undefined;
  /** Undefined: the check's own. */
  readonly port: number | undefined;
  /** The configured weight, 0 to 65535. */
  readonly weight: number;
};

/** Case of the service's name and a final dot do not matter; the VIP's and region's names are as the file has them. */
export function canonicalTarget(text: string): string {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return text;
  return `${text.slice(0, slash).toLowerCase().replace(/\.$/, '')}${text.slice(slash)}`;
}

/** The targets that the text means; empty when it means none. */
export function expandTarget(text: string, targets: Iterable<HealthTarget>): readonly HealthTarget[] {
  const wanted = canonicalTarget(text);
  const slash = wanted.lastIndexOf('/');
  const last = wanted.slice(slash + 1);
  const service = slash < 0 ? undefined : wanted.slice(0, slash + 1);
  const found: HealthTarget[] = [];
  for (const target of targets) {
    const name = canonicalTarget(target.target);
    if (last.startsWith('@')) {
      const inService = service === undefined || name.slice(0, name.lastIndexOf('/') + 1) === service;
      if (inService && target.region === last.slice(1)) found.push(target);
    } else if (name === wanted) found.push(target);
  }
  return found;
}

/** Where the target's check connects; undefined when nothing is connected to. */
export function probeTargetOf(target: HealthTarget): ProbeTarget | undefined {
  const { check, host } = target;
  if (check === undefined || host === undefined || check.kind === 'push') return undefined;
  const fallback = check.kind === 'https' ? 443 : 80;
  return { host, port: target.port ?? check.port ?? fallback };
}

/** `203.0.113.10:443`, `[2001:db8::1]:443`; `push` and `none` when nothing is connected to. */
export function addressText(target: HealthTarget): string {
  const where = probeTargetOf(target);
  if (where === undefined) return target.check?.kind === 'push' ? 'push' : 'none';
  return where.host.includes(':') ? `[${where.host}]:${String(where.port)}` : `${where.host}:${String(where.port)}`;
}

/**
 * Equal for targets that one probe can serve: the same check, whatever its name, at the same address. A `push`
 * check is of one target alone.
 */
export function probeKey(target: HealthTarget, check: CheckSpec): string {
  const where = check.kind === 'push' ? canonicalTarget(target.target) : addressText(target);
  return `${where} ${stableJson({ ...check, name: '' })}`;
}

/** JSON with keys in order, so that equal values have equal texts. */
function stableJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
