/**
 * The names behind the numbers of an image, with the data of each zone, service and VIP that explain, the API, the
 * metrics and the health room need. Plain data; the packet path does not use it.
 */
import type { CheckSpec } from '../config/check-kinds.ts';
import type { Diagnostic } from '../config/diagnostics.ts';
import type { SigningInfo } from '../dnssec/zone-signer.ts';
import type { ShedMarks } from '../health/target-names.ts';
import type { StepSpec } from '../steering/steps.ts';

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
  /** Undefined: the zone is not signed. */
  readonly signing: SigningInfo | undefined;
};

export type ServiceInfo = {
  /** `www.example.com` */
  readonly name: string;
  readonly zone: string;
  readonly ttl: { readonly minSeconds: number; readonly maxSeconds: number };
  readonly steps: readonly StepSpec[];
  readonly answers: number;
  readonly whenAllDown: 'serve_all' | 'none' | 'static';
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

/** The result of reading and compiling. */
export type Outcome<Generation> =
  | { readonly ok: true; readonly value: Generation; readonly diagnostics: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };
