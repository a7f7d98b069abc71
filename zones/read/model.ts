/**
 * A zone as its files state it (docs/configuration.md#zone-files), checked and with all defaults, before it is
 * compiled.
 */
import type { CheckSpec } from '../../config/check-kinds.ts';
import type { Place } from '../../config/diagnostics.ts';
import type { RegionSpec } from '../../config/settings.ts';
import type { Signing } from '../../dnssec/read-signing.ts';
import type { ShedMarks } from '../../health/target-names.ts';
import type { StepSpec } from '../../steering/steps.ts';
import type { Name } from '../../wire/name.ts';
import type { NameTable } from './name-table.ts';
import type { RecordStore } from './record-store.ts';

export type ZoneModel = {
  /** Absolute path of the zone's YAML file. */
  readonly file: string;
  readonly apex: Name;
  /** Every record, SOA and apex NS included, whichever file it came from. With `serial: auto` the SOA has serial 0. */
  readonly records: RecordStore;
  /** Their owners, as validation numbered them; undefined: the compiler numbers them. */
  readonly owners?: NameTable | undefined;
  /** Whether Pharos assigns the serial (`soa.serial: auto`, docs/transfer.md#serials). */
  readonly autoSerial: boolean;
  readonly services: readonly ServiceModel[];
  /** Undefined: the zone is not signed. */
  readonly signing: Signing | undefined;
  /** The zone's own regions; those of pharos.yaml are in Settings. */
  readonly regions: ReadonlyMap<string, RegionSpec>;
  /** Absolute paths of all its files: the YAML, includes, latency tables. */
  readonly files: readonly string[];
};

/** A zone without its records, which take most of the memory. */
export type ZoneSummary = Omit<ZoneModel, 'records' | 'owners'>;

export type ServiceModel = {
  readonly owner: Name;
  /** `www.example.com`: the owner in canonical text, as targets and the API name it. */
  readonly name: string;
  /** Both are equal if the TTL is fixed. */
  readonly ttl: { readonly minSeconds: number; readonly maxSeconds: number };
  readonly vips: readonly VipModel[];
  readonly steps: readonly StepSpec[];
  /** Number of VIPs in an answer: 1 to 8, or 256 for `all`. */
  readonly answers: number;
  readonly whenAllDown: WhenAllDown;
  /** The time in which a recovered VIP returns to its full weight; 0 for at once. */
  readonly rampMs: number;
  /** Undefined: load has no effect. */
  readonly shed: ShedMarks | undefined;
  readonly place: Place;
};

export type WhenAllDown =
  | { readonly kind: 'serve_all' }
  | { readonly kind: 'none' }
  | {
      readonly kind: 'static';
      readonly a: readonly string[];
      readonly aaaa: readonly string[];
      readonly cname: Name | undefined;
    };

/** Has `a`, `aaaa` or both, or `cname` alone. If one VIP of a service has `cname`, all have. */
export type VipModel = {
  readonly name: string;
  /** Undefined: in no region, so steps that choose by region never prefer it. */
  readonly region: string | undefined;
  readonly a: Uint8Array | undefined;
  readonly aaaa: Uint8Array | undefined;
  readonly cname: Name | undefined;
  /** 0 to 65535; 0 is standby. */
  readonly weight: number;
  /** The load at which it is full, in the unit of its check's load; above 0. */
  readonly capacity: number;
  /** Undefined: never probed, and available unless forced down or drained. */
  readonly check: CheckSpec | undefined;
  /** The endpoint to check if it is not the published address; port undefined: that of the check. */
  readonly probe:
    | {
        readonly host: string;
        readonly port: number | undefined;
        /** The text in the file, if the value comes from the environment. */
        readonly written?: string | undefined;
      }
    | undefined;
  readonly place: Place;
};
