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
import { nameKey, type Name } from '../../wire/name.ts';
import type { JoinedSet } from '../journal/record-set.ts';
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
  /** Undefined: there are none. */
  readonly aliases?: readonly AliasModel[] | undefined;
  /** What they lead to, in their order; undefined before it is known. */
  readonly resolved?: readonly AliasAnswer[] | undefined;
  /** Undefined: the zone is not signed. */
  readonly signing: Signing | undefined;
  /** The zone's own regions; those of pharos.yaml are in Settings. */
  readonly regions: ReadonlyMap<string, RegionSpec>;
  /** Whether dynamic updates may change it (`updates`). */
  readonly isUpdated?: boolean | undefined;
  /** Absolute paths of all its files: the YAML, includes, latency tables. */
  readonly files: readonly string[];
  /** The sets of its journal; undefined: `updates` has no rule for the zone. */
  readonly dynamic?: readonly JoinedSet[] | undefined;
  /** The serial of the last update in its journal; 0 or undefined: there is none. */
  readonly updatedSerial?: number | undefined;
  /** The records of the files, if `records` has others; undefined: it has the same. */
  readonly written?: RecordStore | undefined;
};

/** A zone without its records, which take most of the memory. */
export type ZoneSummary = Omit<ZoneModel, 'records' | 'owners' | 'written'>;

/** A name that answers with the addresses of another name (`ALIAS`). */
export type AliasModel = {
  readonly owner: Name;
  readonly target: Name;
  /** The TTL that the file states for it; undefined: there is none. Records with a longer TTL get this one. */
  readonly ttlSeconds: number | undefined;
  readonly place: Place;
};

/** Records of one type that an alias answers with. */
export type AliasSet = { readonly type: number; readonly ttlSeconds: number; readonly data: readonly Uint8Array[] };

/** What an alias leads to. */
export type AliasAnswer = {
  /** The names (`nameKey`) that it depends on: those on the way, those above them, and wildcards there. */
  readonly watched: readonly string[];
  /** The names on the way, from the target to the name with the addresses, in canonical text. */
  readonly path: readonly string[];
} &
  /** `foreign`: the name outside the zones that has them, in canonical text; undefined: a zone has them. */
  (
    | { readonly kind: 'records'; readonly sets: readonly AliasSet[]; readonly foreign: string | undefined }
    /** It leads to a name outside the zones whose addresses are not known yet. */
    | { readonly kind: 'unresolved'; readonly foreign: string }
    /** `zone`: its apex (`nameKey`). */
    | { readonly kind: 'service'; readonly service: ServiceModel; readonly zone: string }
    /** The zones have no addresses for it. */
    | { readonly kind: 'nothing' }
  );

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
  /** `serve_all`: the VIPs of a region that are down are served too while another of its VIPs is up. */
  readonly partial?: 'serve_all' | undefined;
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
      /** Of other types, sorted by type; undefined: none. */
      readonly rrsets: readonly RrsetModel[] | undefined;
    };

/** The records of one type, each once. */
export type RrsetModel = { readonly type: number; readonly rdata: readonly Uint8Array[] };

/**
 * Has `a`, `aaaa`, `rrsets` or several of these, or `cname` or `inner` alone. If one VIP of a service has `cname`, all
 * have, or lead to such services.
 */
export type VipModel = {
  readonly name: string;
  /** Undefined: in no region, so steps that choose by region never prefer it. */
  readonly region: string | undefined;
  readonly a: Uint8Array | undefined;
  readonly aaaa: Uint8Array | undefined;
  readonly cname: Name | undefined;
  /** The records of other types, such as TXT, sorted by type; undefined: none. */
  readonly rrsets: readonly RrsetModel[] | undefined;
  /** The service that answers in its place (`service`); then it has no records. */
  readonly inner?: ServiceModel | undefined;
  /** The data of its HTTPS and SVCB records; undefined: the service has no `svcb`, or none for this VIP (see HAS). */
  readonly svcb: Uint8Array | undefined;
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

/** What types of records depend on. */
type VipTypes = Pick<VipModel, 'rrsets' | 'inner'>;

/**
 * The types of `rrsets` of a service's VIPs, and of services that these lead to, sorted: their order in the tables of
 * steering.
 */
export function otherTypes({ vips }: { readonly vips: readonly VipTypes[] }): readonly number[] {
  const types = new Set(vips.flatMap(otherTypesOfVip));
  return [...types].sort((a, b) => a - b);
}

/** The same for one VIP, in no order. */
export function otherTypesOfVip({ rrsets = [], inner }: VipTypes): readonly number[] {
  return inner ? otherTypes(inner) : rrsets.map(({ type }) => type);
}

/** The records of one of the other types; empty if there are none. */
export function rdataOfType({ rrsets }: Pick<VipModel, 'rrsets'>, type: number): readonly Uint8Array[] {
  return rrsets?.find((rrset) => rrset.type === type)?.rdata ?? [];
}

/** Whether a VIP, or a service that it leads to, has the data. */
export function hasData(vip: Partial<Pick<VipModel, Data | 'inner'>>, data: Data): boolean {
  return vip[data] !== undefined || vip.inner?.vips.some((each) => hasData(each, data)) === true;
}

type Data = 'a' | 'aaaa' | 'cname' | 'svcb';

/**
 * The services that VIPs of a service lead to, directly or over others, each once: in the order of its VIPs, each
 * followed by those that it leads to itself.
 */
export function innerServices({
  vips,
}: {
  readonly vips: readonly Pick<VipModel, 'inner'>[];
}): readonly ServiceModel[] {
  const found = new Set<ServiceModel>();
  const add = (inner: ServiceModel | undefined): void => {
    if (inner === undefined || found.has(inner)) return;
    found.add(inner);
    for (const vip of inner.vips) add(vip.inner);
  };
  for (const vip of vips) add(vip.inner);
  return [...found];
}

/** The services of other zones that aliases of this zone lead to, directly or over others, each once. */
export function foreignServices({ apex, resolved = [] }: ZoneSummary): readonly ServiceModel[] {
  if (resolved.length === 0) return [];
  const own = nameKey(apex);
  const services = new Map<string, ServiceModel>();
  for (const answer of resolved) {
    if (answer.kind !== 'service' || answer.zone === own) continue;
    for (const each of [answer.service, ...innerServices(answer.service)]) services.set(each.name, each);
  }
  return [...services.values()];
}
