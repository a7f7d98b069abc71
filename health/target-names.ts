/**
 * TARGETs as operators name them (docs/commands.md#targets): `www.example.com/seoul-a`, `www.example.com/@seoul`,
 * `@seoul`. Pure.
 */
import { hash } from 'node:crypto';
import { checkTraits, isPush, type CheckSpec } from '../config/check-kinds.ts';
import { ownPort, type ProbeTarget } from './checks/probe.ts';

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
  /** The text that messages show in place of host and port, if these came from the environment. */
  readonly written?: string | undefined;
  /** The configured weight, 0 to 65535. */
  readonly weight: number;
  /** The time in which it returns to its full weight once it is available again; 0 or undefined: at once. */
  readonly rampMs?: number | undefined;
  /** Undefined: its load is ignored. */
  readonly shed?: ShedMarks | undefined;
  /** The load at which it is full, in the unit of its check's load; 1 when undefined. */
  readonly capacity?: number | undefined;
  /** Which answers name it; undefined where the time at which the last answer expires is not needed. */
  readonly answers?: AnswerTraits | undefined;
};

/** Shares of the capacity: the load from which a VIP sheds clients, and that from which it sheds all. `low` < `high` */
export type ShedMarks = { readonly low: number; readonly high: number };

/** The properties of the answers that name a VIP. */
export type AnswerTraits = {
  /** Of the records that it has: `A`, `TXT`. */
  readonly types: readonly string[];
  /** The service's TTL; equal where it is fixed. */
  readonly minTtlSeconds: number;
  readonly maxTtlSeconds: number;
  /** With `when_all_down: serve_all`: answers name it even when every VIP of the service is drained or forced down. */
  readonly whenAllAreOut: boolean;
};

/** Case of the service's name and a final dot do not matter; the VIP's and region's names are as the file has them. */
export function canonicalTarget(text: string): string {
  // Nearly all texts are canonical. A new string each time would cost more than the rest of the look-up.
  if (CANONICAL.test(text)) return text;
  const slash = text.lastIndexOf('/');
  if (slash < 0) return text;
  return `${text.slice(0, slash).toLowerCase().replace(/\.$/, '')}${text.slice(slash)}`;
}

/** Without capitals and a final dot in front of the last slash. */
const CANONICAL = /^(?:[^A-Z]*[^A-Z.])?\/[^/]*$|^[^/]*$/;

/** The targets that the text names; empty if it names none. */
export function expandTarget<T extends Pick<HealthTarget, 'target' | 'region'>>(
  text: string,
  targets: Iterable<T>,
): readonly T[] {
  const wanted = canonicalTarget(text);
  const slash = wanted.lastIndexOf('/');
  const last = wanted.slice(slash + 1);
  const service = slash < 0 ? undefined : wanted.slice(0, slash + 1);
  const found: T[] = [];
  for (const target of targets) {
    const name = canonicalTarget(target.target);
    if (last.startsWith('@')) {
      const inService = service === undefined || name.slice(0, name.lastIndexOf('/') + 1) === service;
      if (inService && target.region === last.slice(1)) found.push(target);
    } else if (name === wanted) found.push(target);
  }
  return found;
}

/** The host and port that the target's check connects to; undefined if it does not connect. */
export function probeTargetOf(target: HealthTarget): ProbeTarget | undefined {
  const { check, host } = target;
  if (check === undefined || host === undefined || isPush(check)) return undefined;
  const port = target.port ?? ownPort(check) ?? checkTraits(check).defaultPort;
  return target.written === undefined ? { host, port } : { host, port, written: target.written };
}

/**
 * `203.0.113.10:443`, `[2001:db8::1]:443`; the address alone when its check has no port, or those of its members;
 * `push` and `none` when nothing is connected to.
 */
export function addressText(target: HealthTarget): string {
  const where = probeTargetOf(target);
  if (where === undefined) return target.check !== undefined && isPush(target.check) ? target.check.kind : 'none';
  if (where.port === 0) return where.host;
  return where.host.includes(':') ? `[${where.host}]:${String(where.port)}` : `${where.host}:${String(where.port)}`;
}

/** The same for messages: without values of the environment. */
export function shownAddress(target: HealthTarget): string {
  return probeTargetOf(target)?.written ?? addressText(target);
}

/**
 * Equal for targets that one probe can serve: the same check, whatever its name, at the same address, and both written
 * in the same way in the files. In a fleet, targets with one key have one verdict. If they were written in different
 * ways, a variable of the environment could have another value on another node, and its vote would be on one of them
 * only. A `push` check belongs to one target alone.
 */
export function probeKey(target: HealthTarget, check: CheckSpec): string {
  const written = probeTargetOf(target)?.written;
  const where = isPush(check) ? canonicalTarget(target.target) : addressText(target);
  return `${where}${written === undefined ? '' : ` ${written}`} ${digestOf(check)}`;
}

/**
 * The key with values as written in the files: equal on nodes with the same files, even if a variable of the
 * environment or the folder of the files differs. It contains no value of the environment. Targets with one `probeKey`
 * have one.
 */
export function keyInFiles(target: HealthTarget, check: CheckSpec): string {
  const where = isPush(check) ? canonicalTarget(target.target) : shownAddress(target);
  return `${where} ${stableJson({ ...checkInFiles(check), name: '' })}`;
}

// Members keep their names, which results contain: checks whose members have other names are not one check.
function checkInFiles({ inFiles, ...check }: CheckSpec): object {
  const members = 'members' in check ? { members: check.members.map(checkInFiles) } : {};
  return { ...check, ...members, ...inFiles };
}

/** Checks are shared by many targets. */
const digests = new WeakMap<CheckSpec, string>();

/** Equal for equal checks that are written alike, whatever their names. Short: tens of thousands of keys are kept. */
function digestOf(check: CheckSpec): string {
  const known = digests.get(check);
  if (known !== undefined) return known;
  const digest = hash('sha256', stableJson({ ...check, name: '' }), 'base64url').slice(0, DIGEST_LETTERS);
  digests.set(check, digest);
  return digest;
}

/** 96 bits. */
const DIGEST_LETTERS = 16;

/** JSON with keys in order, so that equal values have equal texts. */
function stableJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
