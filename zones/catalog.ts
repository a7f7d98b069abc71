/**
 * The names behind the numbers of an image, with the data of each zone, service and VIP that explain, the API, the
 * metrics and the health room need. Plain data; the packet path does not use it.
 */
import type { CheckSpec } from '../config/check-kinds.ts';
import type { Diagnostic } from '../config/diagnostics.ts';
import type { SigningInfo } from '../dnssec/zone-signer.ts';
import type { ShedMarks } from '../health/target-names.ts';
import type { StepSpec } from '../steering/steps.ts';
import type { AliasAnswer } from './read/model.ts';

export type Catalog = {
  readonly zones: readonly ZoneInfo[];
  /** By service number of the image. */
  readonly services: readonly ServiceInfo[];
  /** By slot, the index into the health table and the served counters. */
  readonly vips: readonly VipInfo[];
  /** By region number; 0 is the nameless region of VIPs without a region. */
  readonly regions: readonly RegionInfo[];
};

export type ZoneInfo = {
  /** `example.com`, canonical text without final dot (the root is `.`). */
  readonly name: string;
  readonly serial: number;
  readonly file: string;
  readonly records: number;
  readonly services: number;
  /** Number of records without the SOA and NS of the apex, plus VIPs; `reload.max_shrink` compares it. */
  readonly size: number;
  /** Number of services of other zones that its aliases lead to. Undefined: it has no aliases. */
  readonly foreignServices?: number | undefined;
  /** Undefined: there are none. */
  readonly aliases?: readonly AliasInfo[] | undefined;
  /** Undefined: the zone is not signed. */
  readonly signing: SigningInfo | undefined;
  /** Undefined: `updates` has no rule for the zone. */
  readonly dynamic?: DynamicInfo | undefined;
};

/** A name that answers with the addresses of another one. */
export type AliasInfo = {
  /** `example.com` */
  readonly name: string;
  /** The names on the way, from the target to the one with the addresses. */
  readonly path: readonly string[];
  readonly leadsTo: AliasAnswer['kind'];
  /** The name outside the zones that it leads to, in canonical text; undefined: there is none. */
  readonly foreign: string | undefined;
  /** The names (`nameKey`) of which a change may change its addresses. */
  readonly watched: readonly string[];
};

/** Counts of the sets (records of one name and type) in the journal of a zone. */
export type DynamicInfo = {
  /** Of a name and type without records in the files. */
  readonly added: number;
  /** In place of records in the files. */
  readonly replaced: number;
  /** Records in the files that are deleted. */
  readonly deleted: number;
  /** Not served: the files have others now. */
  readonly overruled: number;
  /** The marks (`markOfSet`) of those that the files state too. */
  readonly adopted: readonly string[];
};

export type ServiceInfo = {
  /** `www.example.com` */
  readonly name: string;
  readonly zone: string;
  readonly ttl: { readonly minSeconds: number; readonly maxSeconds: number };
  readonly steps: readonly StepSpec[];
  readonly answers: number;
  readonly whenAllDown: 'serve_all' | 'none' | 'static';
  readonly partial?: 'serve_all' | undefined;
  /** The time in which a recovered VIP returns to its full weight; 0 for at once. */
  readonly rampMs: number;
  readonly shed: ShedMarks | undefined;
  readonly firstSlot: number;
  readonly vipCount: number;
};

export type VipInfo = {
  readonly slot: number;
  readonly service: number;
  readonly name: string;
  /** `www.example.com/seoul-a` */
  readonly target: string;
  /** Number of its region. */
  readonly region: number;
  readonly a: string | undefined;
  readonly aaaa: string | undefined;
  readonly cname: string | undefined;
  /** Its records of other types, such as TXT, in presentation format; undefined: none. */
  readonly records?: readonly { readonly type: string; readonly data: readonly string[] }[] | undefined;
  /** The data of its HTTPS and SVCB records as text. */
  readonly svcb: string | undefined;
  /** The name of the service that answers in its place; undefined: it has records itself. */
  readonly inner?: string | undefined;
  readonly weight: number;
  /** The load at which it is full, in the unit of its check's load. */
  readonly capacity: number;
  readonly check: CheckSpec | undefined;
  /** Where the check connects: probe, else A, AAAA or CNAME. */
  readonly probeHost: string;
  readonly probePort: number | undefined;
  /** Shown instead of the probe's host and port if they come from the environment. */
  readonly probeWritten?: string | undefined;
};

export type RegionInfo = {
  readonly name: string;
  /** Degrees; undefined when the region has no place. */
  readonly point: { readonly latitude: number; readonly longitude: number } | undefined;
  /** 0 to 1. */
  readonly minHealthy: number;
};

/** A database in use, as `status` shows it. */
export type GeoDatabaseInfo = {
  readonly path: string;
  readonly type: string;
  /** ISO date of the build. */
  readonly built: string;
  readonly ageDays: number;
  /** The attribution that its licence requires; empty if none. */
  readonly attribution: string;
};

const FEW = 16;

/**
 * The zones of `next` that are not the same objects as in `before`. Most stay in their place from one generation to the
 * next.
 */
export function changedZones(before: readonly ZoneInfo[], next: readonly ZoneInfo[]): ZoneInfo[] {
  const changed = next.filter((zone, index) => zone !== before[index]);
  // A set of ten thousand zones takes longer than some look-ups in the list.
  if (changed.length < FEW) return changed.filter((zone) => !before.includes(zone));
  const known = new Set(before);
  return changed.filter((zone) => !known.has(zone));
}

/** The result of reading and compiling. */
export type Outcome<Generation> =
  | { readonly ok: true; readonly value: Generation; readonly diagnostics: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

const watchedBy = new WeakMap<readonly AliasInfo[], ReadonlySet<string>>();

/** Whether a change of any of these names (`nameKey`) may change the addresses of an alias. */
export function isWatched({ zones }: Pick<Catalog, 'zones'>, names: readonly string[]): boolean {
  for (const { aliases } of zones) {
    if (!aliases) continue;
    const watched = watchedBy.get(aliases) ?? new Set(aliases.flatMap((alias) => alias.watched));
    watchedBy.set(aliases, watched);
    if (names.some((name) => watched.has(name))) return true;
  }
  return false;
}
