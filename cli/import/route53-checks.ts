/**
 * Health checks of Route 53: the list `HealthChecks` of `aws route53 list-health-checks`.
 */
import type { Name } from '../../wire/name.ts';
import { addCheck, note, type DraftValue, type ZoneDraft } from './draft.ts';
import { fieldsOf, listOf, numberOf, textOf, type Fields } from './values.ts';

/** `HealthCheckConfig` by `Id`. */
export type HealthChecks = ReadonlyMap<string, Fields>;

/** A record set: its addresses, and the identifiers of its health checks. */
export type CheckedSet = {
  readonly id: string;
  readonly a: readonly string[];
  readonly aaaa: readonly string[];
  readonly cname: string | undefined;
  readonly healthChecks: readonly string[];
};

/** Route 53 waits 4 s for the connection and 2 s for the response; of a TCP check, 10 s for the connection. */
const HTTP_TIMEOUT = '6s';
const TCP_TIMEOUT = '10s';
/** Route 53: RequestInterval, FailureThreshold. */
const DEFAULT_INTERVAL_SECONDS = 30;
const DEFAULT_THRESHOLD = 3;

export function readHealthChecks(list: readonly unknown[]): HealthChecks {
  return new Map(
    list.map(fieldsOf).flatMap((fields) => {
      const id = textOf(fields['Id']);
      return id === undefined ? [] : [[id, fieldsOf(fields['HealthCheckConfig'])]];
    }),
  );
}

/** The check of a set's VIPs: its name in the zone. `probe`: the address that Route 53 probes for all of the set. */
export type SetCheck = { readonly check: string; readonly probe: string | undefined };

/** Returns the check of each set that has one, by the set's identifier, and adds notes about what it cannot express. */
export function setChecks(
  draft: ZoneDraft,
  owner: Name,
  sets: readonly CheckedSet[],
  known: HealthChecks,
): ReadonlyMap<string, SetCheck> {
  const named = sets.flatMap(
    ({ id, healthChecks, a, aaaa, cname }) =>
    healthChecks.map((check) => ({ id, check, addresses: [...a, ...aaaa], isBare: a.length + aaaa.length === 0 && cname === undefined })), // prettier-ignore
  );
  const missing = named.filter(({ check }) => !known.has(check));
  if (missing.length > 0) {
    const listed = missing.map(({ id, check }) => `${check} (${id})`).join(', ');
    note(draft, 'changed', owner, `health checks are not in this file; give the service a check: ${listed}`);
  }
  const checks = new Map<string, SetCheck>();
  for (const { id, check, addresses, isBare } of named) {
    const config = known.get(check);
    if (!config) continue;
    const outcome = planOf(draft, config, known);
    if (typeof outcome === 'string') {
      note(draft, 'changed', owner, `the health check ${check} (${id}) ${outcome}`);
      continue;
    }
    if (checks.has(id)) {
      const message = `the sets of ${id} have different health checks: its VIP gets the first, and not ${check}`;
      note(draft, 'changed', owner, message);
      continue;
    }
    const probed = outcome.address ?? (isBare ? outcome.host : undefined);
    if (isBare && probed === undefined) {
      note(draft, 'changed', owner, `the health check ${check} (${id}) names no host, and the set has no address`);
      continue;
    }
    // Route 53 takes a whole set out by the one address that it probes.
    const isOwn = probed === undefined || (addresses.length === 1 && addresses[0] === probed);
    checks.set(id, { check: addCheck(draft, outcome.kind, outcome.spec()), probe: isOwn ? undefined : probed });
  }
  return checks;
}

type Check = { readonly kind: string; readonly spec: DraftValue };

/** A check and what it connects to, if that is stated. `spec` adds the checks that it is made of. */
type Plan = {
  readonly kind: string;
  readonly spec: () => DraftValue;
  readonly address: string | undefined;
  readonly host: string | undefined;
};

/** The check, or why there is none like it. */
function planOf(draft: ZoneDraft, config: Fields, known: HealthChecks): Plan | string {
  if (textOf(config['Type']) === 'CALCULATED') return calculated(draft, config, known);
  const check = checkOf(config);
  if (typeof check === 'string') return check;
  const [address, host] = [textOf(config['IPAddress']), textOf(config['FullyQualifiedDomainName'])];
  return { kind: check.kind, spec: () => check.spec, address, host };
}

/**
 * A calculated check, as a check made of others. It connects to one address, so that it can take the place only of
 * checks of one target.
 */
function calculated(draft: ZoneDraft, config: Fields, known: HealthChecks): Plan | string {
  const general = unusable(config);
  if (general !== undefined) return general;
  const ids = listOf(config['ChildHealthChecks']).flatMap((child) => textOf(child) ?? []);
  const children = ids.map((id) => known.get(id) ?? {});
  const missing = ids.filter((id) => !known.has(id));
  if (missing.length > 0) return `is calculated of ${missing.join(', ')}, not in this file: give the service a check`;
  const checks = children.map((child) =>
    textOf(child['Type']) === 'CALCULATED' ? 'is calculated itself' : checkOf(child),
  );
  for (const [at, check] of checks.entries()) {
    if (typeof check === 'string') return `is calculated, and ${ids[at] ?? ''} ${check}`;
  }
  const usable = checks.flatMap((check) => (typeof check === 'string' ? [] : check));
  const targets = new Set(
    children.map((child) => textOf(child['IPAddress']) ?? textOf(child['FullyQualifiedDomainName']) ?? ''),
  );
  if (targets.size > 1) return `is calculated of checks of ${targets.size} targets, and a check connects to one: give the service a check`; // prettier-ignore
  const [first = {}] = children;
  const least = numberOf(config['HealthThreshold']) ?? ids.length;
  if (least === 0 || ids.length === 0) return 'needs no healthy check: its VIP is not checked';
  if (least > ids.length) return `needs ${least} healthy checks of ${ids.length}, and is never healthy: drain the VIP`;
  const most = (key: string, otherwise: number): number => Math.max(...children.map((child) => numberOf(child[key]) ?? otherwise)); // prettier-ignore
  const threshold = most('FailureThreshold', DEFAULT_THRESHOLD);
  const common = {
    interval: `${most('RequestInterval', DEFAULT_INTERVAL_SECONDS)}s`,
    rise: threshold,
    fall: threshold,
  };
  const spec = (): DraftValue => {
    const names = [...new Set(usable.map((check) => addCheck(draft, check.kind, check.spec)))];
    if (least === ids.length) return { all_of: names, ...common };
    return least === 1 ? { any_of: names, ...common } : { at_least: least, of: names, ...common };
  };
  const kind = least === ids.length ? 'all' : least === 1 ? 'any' : 'most';
  return { kind, spec, address: textOf(first['IPAddress']), host: textOf(first['FullyQualifiedDomainName']) };
}

/** Why a check of any type has no equivalent. */
function unusable(config: Fields): string | undefined {
  if (textOf(config['Disabled']) === 'true') return 'is disabled: its VIP is not checked, as in Route 53';
  if (textOf(config['Inverted']) !== 'true') return undefined;
  return 'is inverted, and no check passes while its target fails: give the service a check';
}

/** The check, or why there is none like it. The address that is probed is that of the VIP. */
function checkOf(config: Fields): Check | string {
  const written = textOf(config['Type']) ?? '';
  const general = unusable(config);
  if (general !== undefined) return general;
  const threshold = numberOf(config['FailureThreshold']) ?? DEFAULT_THRESHOLD;
  const port = numberOf(config['Port']);
  const interval = `${numberOf(config['RequestInterval']) ?? DEFAULT_INTERVAL_SECONDS}s`;
  const common = { interval, rise: threshold, fall: threshold };
  if (written === 'TCP') {
    const spec = { type: 'tcp', ...(port === undefined ? {} : { port }), ...common, timeout: TCP_TIMEOUT };
    return { kind: 'tcp', spec };
  }
  const [, scheme, matches] = /^(HTTPS?)(_STR_MATCH)?$/.exec(written) ?? [];
  if (scheme === undefined) return `is of the type ${written}, which has no equivalent: give the service a check`;
  const isTls = scheme === 'HTTPS';
  const host = textOf(config['FullyQualifiedDomainName']);
  const search = matches === undefined ? undefined : textOf(config['SearchString']);
  const spec = {
    type: isTls ? 'https' : 'http',
    path: `/${(textOf(config['ResourcePath']) ?? '').replace(/^\//, '')}`,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined || port === (isTls ? 443 : 80) ? {} : { port }),
    ...(search === undefined ? {} : { body: bodyOf(search) }),
    // Route 53 accepts every certificate.
    ...(isTls ? { insecure: true } : {}),
    ...common,
    timeout: HTTP_TIMEOUT,
  };
  return { kind: spec.type, spec };
}

/** A text that begins with a slash would be read as a regular expression. */
function bodyOf(search: string): string {
  return search.startsWith('/') ? `/${search.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}/` : search;
}
