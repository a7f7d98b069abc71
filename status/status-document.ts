/**
 * `GET /api/v1/status` (docs/http-api.md#get-apiv1status): the state of the running server as JSON, with snake_case
 * keys and ISO 8601 times in UTC.
 */
import type { Alarm } from '../config/alarms.ts';
import { withoutForeignLines, type Diagnostic } from '../config/diagnostics.ts';
import { hidePaths } from '../config/environment.ts';
import type { SigningInfo } from '../dnssec/zone-signer.ts';
import type { CountedClients } from '../server/forecast/client-counts.ts';
import { ttlBounds } from '../steering/steps.ts';
import { showEndpoint } from '../wire/address.ts';
import type { AliasInfo, ServiceInfo } from '../zones/catalog.ts';
import { inTurns, type Octets } from './assemble-reply.ts';
import { fleetLine, type FleetLine } from './fleet-document.ts';
import type { RecentTraffic, Runtime } from './runtime.ts';
import type { VipDocument } from './vip-fields.ts';
import { writeVips } from './vip-json.ts';
import { vipStates, type VipState } from './vips.ts';

export type StatusDocument = {
  readonly build: { readonly product: 'Pharos'; readonly version: string; readonly node: string };
  readonly started_at: string;
  readonly uptime_seconds: number;
  readonly ready: boolean;
  /** Texts about what is missing; empty when ready. */
  readonly not_ready: readonly string[];
  readonly io: 'batch' | 'dgram';
  readonly workers: number;
  readonly listen: readonly string[];
  /** Addresses of DNS over TLS; empty without it. */
  readonly listen_tls: readonly string[];
  readonly generation: number;
  readonly loaded_at: string;
  readonly last_reload: { readonly ok: boolean; readonly at: string; readonly diagnostics: readonly Diagnostic[] };
  /** Warnings about the current configuration. */
  readonly warnings: readonly Diagnostic[];
  readonly alarms: readonly Alarm[];
  /** Null when this server is not part of a fleet. */
  readonly fleet: FleetLine | null;
  /** Rates of the last minute; of a shorter time after a start. */
  readonly traffic: TrafficDocument;
  readonly zones: readonly {
    readonly name: string;
    readonly serial: number;
    readonly file: string;
    readonly records: number;
    readonly services: number;
    /** Queries for names of the zone: since the start, and in the last minute. */
    readonly queries: number;
    readonly queries_last_minute: number;
    /** Null if the zone is not signed. */
    readonly dnssec: ZoneSigningDocument | null;
    /** While its signatures are made in the background. */
    readonly signing: { readonly made: number; readonly total: number } | null;
    /** Names that answer with the addresses of others: `path` has the names on the way, the last of which has them. */
    readonly aliases: readonly {
      readonly name: string;
      readonly path: readonly string[];
      readonly leads_to: AliasInfo['leadsTo'];
    }[];
  }[];
  readonly services: readonly ServiceDocument[];
  readonly vips: readonly VipDocument[];
  readonly geo: readonly {
    readonly path: string;
    readonly type: string;
    readonly built: string;
    readonly age_days: number;
    readonly attribution: string;
  }[];
};

export type TrafficDocument = {
  /** The time measured. */
  readonly seconds: number;
  readonly queries_per_second: number;
  readonly nxdomain_per_second: number;
  readonly servfail_per_second: number;
};

export type ServiceDocument = {
  readonly name: string;
  readonly zone: string;
  readonly ttl: { readonly min: number; readonly max: number };
  /** Kinds of the steps, in order. */
  readonly steer: readonly string[];
  readonly answers: number;
  readonly when_all_down: 'serve_all' | 'none' | 'static';
  readonly partial: 'serve_up' | 'serve_all';
  readonly vips: number;
  readonly vips_available: number;
  /** Answers that named one of its VIPs: since the start, and in the last minute. */
  readonly served: number;
  readonly served_last_minute: number;
  readonly clients: ClientsDocument;
};

/** Countries of a service's clients, from a sample of recent queries. */
export type ClientsDocument = {
  /** Sum of the weights of the samples, rounded. A weight falls with age. */
  readonly samples: number;
  /** The largest first, at most MAX_COUNTRIES. `country` is '' if unknown. */
  readonly countries: readonly { readonly country: string; readonly share: number }[];
  /** The share of all other countries. */
  readonly rest: number;
};

/** Countries listed per service. */
const MAX_COUNTRIES = 20;

/** Adds the document as JSON. */
export async function writeStatus(runtime: Runtime, octets: Octets): Promise<void> {
  // The whole document is from one generation, even if a reload happens meanwhile.
  const { services } = runtime.generation().catalog;
  octets.text(`${JSON.stringify(withoutLists(runtime)).slice(0, -1)},"services":[`);
  const states = await vipStates(runtime);
  let between = '';
  await inTurns(services, (service) => {
    const clients = clientsDocument(runtime.clients.of(service.name));
    octets.text(`${between}${JSON.stringify({ ...serviceDocument(service, states), clients })}`);
    between = ',';
  });
  octets.text('],"vips":');
  await writeVips(states, octets);
  octets.text('}');
}

function withoutLists(runtime: Runtime): Omit<StatusDocument, 'services' | 'vips'> {
  const { number, loadedAt, settings, catalog, databases, warnings } = runtime.generation();
  const notReady = runtime.notReady();
  const [recent, queries] = [runtime.recent(), runtime.zoneQueries()];
  const last = runtime.lastReload();
  const progress = new Map(runtime.signing().map(({ zone, made, total }) => [zone, { made, total }]));
  return {
    build: { product: 'Pharos', version: runtime.version, node: process.version },
    started_at: runtime.startedAt.toISOString(),
    uptime_seconds: Math.floor(runtime.uptimeSeconds()),
    ready: notReady.length === 0,
    not_ready: notReady,
    io: runtime.io(),
    workers: settings.workers,
    listen: settings.listen.map(showEndpoint),
    listen_tls: settings.tls?.listen.map(showEndpoint) ?? [],
    generation: number,
    loaded_at: loadedAt.toISOString(),
    last_reload: { ok: last.ok, at: last.at.toISOString(), diagnostics: withoutForeignLines(last.diagnostics) },
    warnings,
    alarms: runtime.alarms(),
    fleet: fleetLine(runtime),
    traffic: trafficDocument(recent),
    zones: catalog.zones.map(({ name, serial, file, records, services, signing, aliases = [] }, place) => ({
      name,
      serial,
      file: hidePaths(file, settings.shownPaths),
      records,
      services,
      queries: queries[place] ?? 0,
      queries_last_minute: recent.zoneQueries[place] ?? 0,
      dnssec: signing ? zoneSigningDocument(signing, runtime.whyNoCds(name)) : null,
      signing: progress.get(name) ?? null,
      aliases: aliases.map((alias) => ({ name: alias.name, path: alias.path, leads_to: alias.leadsTo })),
    })),
    geo: databases.map(({ path, type, built, ageDays, attribution }) => ({
      path: hidePaths(path, settings.shownPaths),
      type,
      built,
      age_days: ageDays,
      attribution,
    })),
  };
}

/** `states` are the states of all VIPs, by slot. */
export function serviceDocument(service: ServiceInfo, states: readonly VipState[]): Omit<ServiceDocument, 'clients'> {
  const own = states.slice(service.firstSlot, service.firstSlot + service.vipCount);
  const ttl = ttlBounds(service.ttl, service.steps);
  return {
    name: service.name,
    zone: service.zone,
    ttl: { min: ttl.least, max: ttl.most },
    steer: service.steps.map(({ kind }) => kind),
    answers: service.answers,
    when_all_down: service.whenAllDown,
    partial: service.partial ?? 'serve_up',
    vips: own.length,
    vips_available: own.filter(({ available }) => available).length,
    served: own.reduce((sum, { served }) => sum + served, 0),
    served_last_minute: own.reduce((sum, { servedLately }) => sum + servedLately, 0),
  };
}

export function trafficDocument(recent: RecentTraffic): TrafficDocument {
  // Rates have three decimals; more would be meaningless.
  const round = (rate: number): number => Math.round(rate * 1000) / 1000;
  return {
    seconds: round(recent.seconds),
    queries_per_second: round(recent.queriesPerSecond),
    nxdomain_per_second: round(recent.nxdomainPerSecond),
    servfail_per_second: round(recent.servfailPerSecond),
  };
}

function clientsDocument({ samples, countries }: CountedClients): ClientsDocument {
  const listed = [...countries]
    .sort(([a, most], [b, least]) => least - most || (a < b ? -1 : 1))
    .slice(0, MAX_COUNTRIES);
  // Shares have six decimals, as in simulate.
  const shareOf = (count: number): number => (samples === 0 ? 0 : Math.round((count / samples) * 1e6) / 1e6);
  return {
    samples: Math.round(samples),
    countries: listed.map(([country, count]) => ({ country, share: shareOf(count) })),
    rest: shareOf(samples - listed.reduce((sum, [, count]) => sum + count, 0)),
  };
}

/** The inverse of `clientsDocument`. Countries in `rest` are lost. */
export function clientsOf({ samples, countries, rest }: ClientsDocument): CountedClients {
  return {
    samples,
    countries: new Map(countries.map(({ country, share }) => [country, share * samples])),
    others: rest * samples,
  };
}

/** Whether a value from the network has the members that rendering reads. */
export function isStatusDocument(value: unknown): value is StatusDocument {
  if (typeof value !== 'object' || value === null) return false;
  const { build, traffic, services, vips, alarms, not_ready: notReady } = value as Readonly<Record<string, unknown>>;
  const isObject = (part: unknown): boolean => typeof part === 'object' && part !== null;
  if (
    !isObject(build) ||
    !isObject(traffic) ||
    ![services, vips, alarms, notReady].every((part) => Array.isArray(part))
  )
    return false;
  return (services as readonly Partial<ServiceDocument>[]).every(({ clients }) => Array.isArray(clients?.countries));
}

/** How a zone is signed. Times are ISO 8601. */
export type ZoneSigningDocument = {
  readonly keys: readonly { readonly tag: number; readonly algorithm: number; readonly entry_point: boolean }[];
  readonly denial: SigningInfo['denial'];
  readonly signed_at: string;
  /** The time at which signatures are made again. */
  readonly refresh_at: string;
  /** The earliest end of a signature. */
  readonly expires_at: string;
  readonly cds: SigningInfo['cds'];
  /** Why `cds` is `withheld`; null if it is not. */
  readonly cds_withheld: string | null;
};

function zoneSigningDocument(
  { keys, denial, signedAt, refreshAt, expiresAt, cds }: SigningInfo,
  why: string | undefined,
): ZoneSigningDocument {
  const time = (seconds: number): string => new Date(seconds * 1000).toISOString();
  return {
    keys: keys.map(({ tag, algorithm, isEntryPoint }) => ({ tag, algorithm, entry_point: isEntryPoint })),
    denial,
    signed_at: time(signedAt),
    refresh_at: time(refreshAt),
    expires_at: time(expiresAt),
    cds,
    cds_withheld: cds === 'withheld' ? (why ?? 'the nodes of the fleet are being asked') : null,
  };
}
