/**
 * Turns files into a generation: reads, checks and compiles everything, or reports every mistake. Runs in the calling
 * thread, which suits `check` and `explain`; the server calls it in a separate thread (load-thread.ts).
 */
import { dirname, join } from 'node:path';
import { serialize } from 'node:v8';
import { NO_CACHE, type CacheFolders } from '../config/cache-entry.ts';
import { createReport, hasErrors, type Diagnostic, type Report } from '../config/diagnostics.ts';
import type { Environment } from '../config/environment.ts';
import type { CheckedKeyPair } from '../config/key-pair.ts';
import type { Settings } from '../config/settings.ts';
import { createBeaconSamples } from '../geo/beacon-samples.ts';
import { isCountry } from '../geo/countries.ts';
import type { DatabaseInfo } from '../geo/database.ts';
import { findAtlas } from '../geo/find-atlas.ts';
import { BUNDLED_ATTRIBUTION, openGeography, type KnownDatabase } from '../geo/geography.ts';
import { createLatencyBuilder, type LatencyTable } from '../geo/latency-table.ts';
import type { Places } from '../geo/location.ts';
import { overlay } from '../geo/overlay-latency.ts';
import type { Allocate } from '../geo/packed-atlas.ts';
import { readLatencyFile } from '../geo/read-latency.ts';
import { NO_TABLE } from '../steering/latency-step.ts';
import { traitsOf } from '../steering/steps.ts';
import { canonical } from '../wire/name.ts';
import type { FleetSerials } from './agree-serial.ts';
import { readBeaconFile } from './beacon-file.ts';
import type { Catalog, GeoDatabaseInfo, Outcome } from './catalog.ts';
import { compile, type CompiledPlan, type CompiledZone, type ZoneSource } from './image/compile.ts';
import type { ImageMemory } from './image/image.ts';
import { addKnownPart, createPartStore, type PartStore } from './image/part-store.ts';
import { checkSchedules } from './read/check-schedules.ts';
import { stampFiles, type FileStamp } from './read/file-stamp.ts';
import type { ZoneModel, ZoneSummary } from './read/model.ts';
import { readChanges, shown, type ConfigurationInput, type KnownZones, type ZoneReading } from './read/read-all.ts';
import {
  agreedEntry,
  fleetSerial,
  readSerials,
  serialOf,
  type SerialEntry,
  type Serials,
  type ZoneForSerial,
} from './serials.ts';
import { cacheZone, findCachedZone, type CachedZone } from './zone-cache.ts';
import { signerOf, type SignersOptions } from './zone-signers.ts';

export type LoadInput = {
  /** Path of pharos.yaml; undefined: `./pharos.yaml`, or defaults if there is a folder `zones`. */
  readonly file: string | undefined;
  readonly cwd: string;
  readonly env: Environment;
  /** Cores of the machine, for `workers: auto`. */
  readonly cores: number;
  /** Serials in force; undefined: those of the state folder. */
  readonly serials?: Serials;
  /** Latencies that browsers measured; undefined: those of the state folder. Not used without a beacon. */
  readonly measured?: LatencyTable | undefined;
  /** The TLS key pair of the running server. It stays in use if its files can no longer be read. */
  readonly keyPairInUse?: CheckedKeyPair | undefined;
  /** The geography of the generation in force, whose unchanged parts are used again. */
  readonly geographyInUse?: GeographyInUse | undefined;
  /** The serials that the fleet knows; undefined until this node has heard from peers. */
  readonly fleetSerials?: FleetSerials | undefined;
  /** The cache for compiled zones and atlases; undefined: none is used. */
  readonly cache?: CacheUse | undefined;
  /** Whether zones must have their records: then all zones are read. */
  readonly needsRecords?: boolean;
};

export type GeographyInUse = Pick<LoadedGeneration, 'atlas' | 'knownDatabases'>;

/** `user` is the cache folder of the user who runs this. `keepsInState`: whether new entries go into `state_dir`. */
export type CacheUse = {
  readonly user: string | undefined;
  readonly keepsInState: boolean;
  /** The version of Pharos. The warnings of a cached zone are those of the version that read it. */
  readonly version: string;
};

/** A loaded generation that is not yet served. It can be sent to another thread. */
export type LoadedGeneration = {
  readonly settings: Settings;
  readonly catalog: Catalog;
  readonly databases: readonly GeoDatabaseInfo[];
  /** The same databases, for the next load. */
  readonly knownDatabases: readonly KnownDatabase[];
  readonly image: ImageMemory;
  readonly atlas: SharedArrayBuffer;
  /** By class of the atlas: the locations that explain shows. */
  readonly locations: Places;
  /** By path: explain shows which measurement decided. */
  readonly latencyTables: ReadonlyMap<string, LatencyTable>;
  /** The files that it was read from. */
  readonly files: FileStamp;
  /** To be saved in the state folder once the generation is served. */
  readonly serials: Serials;
};

/** A generation, and the parts that a later load uses again if they have not changed. */
export type World = {
  readonly generation: LoadedGeneration;
  readonly known: KnownZones;
  /** By the zone's file. */
  readonly compiled: ReadonlyMap<string, CompiledZone>;
  readonly plan: CompiledPlan;
  readonly settingsKey: Buffer;
  /** The inputs of the plan other than zones. */
  readonly planKey: Buffer;
};

export type LoadedWorld = {
  readonly world: World;
  /** True if nothing has changed: the generation is that of the previous world. */
  readonly isUnchanged: boolean;
  /** The zones that were read, with their records. */
  readonly zones: readonly ZoneModel[];
};

const newMemory: Allocate = (octets) => new SharedArrayBuffer(octets);

export function loadGeneration(input: LoadInput, allocate: Allocate = newMemory): Outcome<LoadedGeneration> {
  const outcome = loadWorld(input, createPartStore(allocate));
  return outcome.ok ? { ...outcome, value: outcome.value.world.generation } : outcome;
}

/** Loads a generation and returns its zones' models too: `diff` compares records. */
export function loadWithZones(
  input: LoadInput,
  allocate: Allocate = newMemory,
): Outcome<{ readonly generation: LoadedGeneration; readonly zones: readonly ZoneModel[] }> {
  const outcome = loadWorld({ ...input, needsRecords: true }, createPartStore(allocate));
  if (!outcome.ok) return outcome;
  const { world, zones } = outcome.value;
  return { ...outcome, value: { generation: world.generation, zones } };
}

/** Loads what has changed since `before`, whose parts are in `store`. */
export function loadWorld(input: LoadInput, store: PartStore, before?: World): Outcome<LoadedWorld> {
  const { cwd } = input;
  const cached = new Map<string, CachedZone>();
  const configuration = readChanges(configurationInput(input, cached, before), before?.known);
  const { settings, readings, known } = configuration;
  if (!settings || !known) return { ok: false, diagnostics: configuration.diagnostics };
  const report = createReport();
  // Databases and tables are read even if zones have mistakes, so that all mistakes are shown at once.
  const cache = cacheFolders(input.cache, settings);
  const inUse = before?.generation ?? input.geographyInUse;
  const { sources, info } = openGeography(settings.geo, report, { cache, known: inUse?.knownDatabases ?? [] });
  const databases = sources.map((source) => source.known);
  const measured = measuredFor(settings, input.measured, report);
  const keys = keysOf(settings, databases, measured);
  const isPlanKept = before?.planKey.equals(keys.plan) === true && hasSamePlan(readings, before);
  const latencyTables = isPlanKept
    ? before.generation.latencyTables
    : readLatencyTables(readings.map(({ summary }) => summary), settings, measured, report); // prettier-ignore
  const soFar = (): Diagnostic[] => [
    ...configuration.diagnostics,
    ...shown(report.diagnostics, cwd, settings.shownPaths),
  ];
  if (hasErrors(soFar())) return { ok: false, diagnostics: soFar() };
  const agreement = agreeOnSerials(input, settings, readings, before, report);
  const areSerialsKept = agreement.entries.size === 0;
  const isKept = readings.every(({ model }) => model === undefined) && readings.length === before?.compiled.size;
  if (isKept && areSerialsKept && isPlanKept && before.settingsKey.equals(keys.settings)) {
    report.diagnostics.push(...before.plan.warnings);
    return { ok: true, value: { world: { ...before, known }, isUnchanged: true, zones: [] }, diagnostics: soFar() };
  }

  const serials = new Map(agreement.entries);
  const signers = signersFor(input, settings, cache, report);
  const zones = sourcesOf(readings, { before, cached, agreement, serials, store, signers });
  const {
    image,
    catalog,
    zones: compiled,
    plan,
  } = compile({
    settings,
    zones,
    // Measurements of browsers change all the time, so an atlas that depends on them is not worth keeping.
    atlasFor: (inputs) =>
      findAtlas(inputs, {
        sources,
        cache: measured ? { ...cache, write: [] } : cache,
        inUse: inUse?.atlas,
        allocate: store.allocate,
      }),
    latencyTables,
    store,
    plan: isPlanKept ? before.plan : undefined,
    report,
  });
  checkSchedules(settings.schedules, catalog, report);
  const diagnostics = soFar();
  if (hasErrors(diagnostics)) return { ok: false, diagnostics };
  for (const { signer } of zones) signer?.keep(cache);
  const generation: LoadedGeneration = {
    settings,
    catalog,
    databases: info.map(describeDatabase),
    knownDatabases: databases,
    image,
    atlas: plan.atlas,
    locations: plan.locations,
    latencyTables,
    files: stampFiles(settings, readings.flatMap(({ marks }) => marks)), // prettier-ignore
    // Removed zones keep their entry, so that their serial still rises if they return.
    serials: serials.size === 0 ? agreement.last : { ...agreement.last, ...Object.fromEntries(serials) },
  };
  if (!before) keepZones(readings, compiled, { key: cacheKey(known.key, input), cache, store });
  const world: World = {
    generation,
    known,
    compiled: new Map(readings.flatMap(({ summary }, index) => {
      const zone = compiled[index];
      return zone ? [[summary.file, zone] as const] : [];
    })), // prettier-ignore
    plan,
    settingsKey: keys.settings,
    planKey: keys.plan,
  };
  return {
    ok: true,
    value: { world, isUnchanged: false, zones: readings.flatMap(({ model }) => model ?? []) },
    diagnostics,
  };
}

function configurationInput(
  input: LoadInput,
  cached: Map<string, CachedZone>,
  before: World | undefined,
): ConfigurationInput {
  const { file, cwd, env, cores, keyPairInUse } = input;
  return {
    ...(file === undefined ? {} : { file }),
    ...{ cwd, env, cores, isCountry, keyPairInUse },
    isDue: (zoneFile) => isRefreshDue(before, zoneFile),
    findZone: before || input.needsRecords ? undefined : zoneFinder(input, cached),
  };
}

function signersFor(input: LoadInput, { fleet }: Settings, cache: CacheFolders, report: Report): SignersOptions {
  const makesKeys = input.cache?.keepsInState === true;
  return { cache, nowSeconds: now(), makesKeys, hasFleet: fleet !== undefined, report };
}

/** Whether the signatures of a zone must be made again. */
function isRefreshDue(before: World | undefined, zoneFile: string): boolean {
  return (before?.compiled.get(zoneFile)?.signer?.refreshAt ?? Infinity) <= now();
}

/** Finds zones in the cache, and puts them into `cached` by their files. */
function zoneFinder(input: LoadInput, cached: Map<string, CachedZone>): NonNullable<ConfigurationInput['findZone']> {
  return (file, settings, key) => {
    const found = findCachedZone(file, settings, cacheKey(key, input), cacheFolders(input.cache, settings));
    if (found) cached.set(file, found);
    return found?.reading;
  };
}

/** Saves in the cache the zones that this load has read. */
function keepZones(
  readings: readonly ZoneReading[],
  compiled: readonly CompiledZone[],
  { key, cache, store }: { readonly key: Buffer; readonly cache: CacheFolders; readonly store: PartStore },
): void {
  for (const [index, reading] of readings.entries()) {
    const zone = compiled[index];
    if (zone && reading.model) cacheZone({ reading, ...zone }, reading.model, key, cache, store);
  }
}

function cacheKey(key: Buffer, { cache }: LoadInput): Buffer {
  return Buffer.concat([key, Buffer.from(cache?.version ?? '')]);
}

/** The zones to compile, and the parts of the others. Adds new serials to `serials`. */
function sourcesOf(
  readings: readonly ZoneReading[],
  {
    before,
    cached,
    agreement,
    serials,
    store,
    signers,
  }: {
    readonly before: World | undefined;
    /** By the zone's file. */
    readonly cached: ReadonlyMap<string, CachedZone>;
    readonly agreement: Agreement;
    readonly serials: Map<string, SerialEntry>;
    readonly store: PartStore;
    readonly signers: SignersOptions;
  },
): ZoneSource[] {
  const known = ({ model, summary }: ZoneReading): CompiledZone | undefined =>
    model ? undefined : before?.compiled.get(summary.file);
  // A new arena gets the parts of this generation only. The previous generation keeps its arena until it is replaced.
  store.parts = new Set(readings.flatMap((reading) => known(reading)?.part ?? []));
  return readings.map((reading): ZoneSource => {
    const { summary, model, children, key } = reading;
    const compiled = known(reading);
    if (compiled) {
      const serial = agreement.entries.get(key)?.serial ?? compiled.info.serial;
      return { summary, children, serial, compiled };
    }
    const kept = cached.get(summary.file);
    const signer = model && signerOf(model, before?.compiled.get(summary.file)?.signer?.state, signers);
    const entry = agreement.next(model ?? mustBeKnown(kept, summary.file).content, signer?.epoch);
    serials.set(key, entry);
    const { serial } = entry;
    if (model) return { summary, children, serial, model, signer };
    const { part: octets, info } = mustBeKnown(kept, summary.file);
    const part = addKnownPart(store, octets, serial);
    return {
      summary,
      children,
      serial,
      compiled: { info: { ...info, serial }, apex: canonical(summary.apex), part, signer: undefined },
    };
  });
}

function mustBeKnown(zone: CachedZone | undefined, file: string): CachedZone {
  if (!zone) throw new Error(`${file} was neither read nor compiled before`);
  return zone;
}

/** How zones get their serials in this load. */
type Agreement = {
  /** The serials before this load, also those of zones that are not served any more. */
  readonly last: Serials;
  /** The serial of a zone that was read now. */
  readonly next: (zone: ZoneForSerial, epoch?: string) => SerialEntry;
  /** New serials, which the fleet agreed on, of zones that were not read again. By `nameKey`. */
  readonly entries: ReadonlyMap<string, SerialEntry>;
};

function agreeOnSerials(
  { serials, fleetSerials }: LoadInput,
  settings: Settings,
  readings: readonly ZoneReading[],
  before: World | undefined,
  report: Report,
): Agreement {
  const inForce = before?.generation.serials;
  // The serials that secondaries may have seen.
  const seen = (fleetSerials?.isServed === false ? undefined : (inForce ?? serials)) ?? savedSerials(settings, report);
  const last = inForce ?? seen;
  if (!settings.fleet) {
    return { last, next: (model, epoch) => serialOf(model, seen, now(), epoch), entries: new Map() };
  }
  const entries = new Map<string, SerialEntry>();
  for (const { key, model } of fleetSerials ? readings : []) {
    const entry = last[key];
    if (model || !entry) continue;
    const agreed = agreedEntry(key, entry, seen[key], fleetSerials?.known);
    if (agreed !== entry) entries.set(key, agreed);
  }
  return {
    last,
    next: (model, epoch) => fleetSerial(model, seen, { nowSeconds: now(), known: fleetSerials?.known, epoch }),
    entries,
  };
}

function savedSerials({ stateDir }: Settings, report: Report): Serials {
  return readSerials(stateDir, (message) => {
    report.warning('PH382', message, { file: join(stateDir, 'serials.json') }, 'remove it, or restore it');
  });
}

/** Keys are equal if the settings are equal, apart from the zones' files, which are compared one by one. */
function keysOf(
  settings: Settings,
  databases: readonly KnownDatabase[],
  measured: LatencyTable | undefined,
): { readonly settings: Buffer; readonly plan: Buffer } {
  const digests = databases.map(({ path, digest }) => [path, digest]);
  return {
    settings: serialize({ ...settings, zoneFiles: [] }),
    plan: serialize([settings.regions, settings.geo, digests, measured]),
  };
}

/** Whether the services and regions of all zones are those of the previous world. */
function hasSamePlan(readings: readonly ZoneReading[], before: World): boolean {
  const steering = ({ summary }: ZoneReading): boolean => summary.services.length > 0 || summary.regions.size > 0;
  const now = readings.filter(steering);
  const then = [...before.known.readings.values()].filter(steering);
  return (
    now.length === then.length &&
    now.every((reading, index) => reading.summary === then[index]?.summary || isSameSteering(reading, then[index]))
  );
}

function isSameSteering({ summary }: ZoneReading, before: ZoneReading | undefined): boolean {
  // A table is in a file that may have changed.
  const hasTable = summary.services.some(({ steps }) => steps.some((step) => traitsOf(step).table !== undefined));
  return before?.summary.file === summary.file && !hasTable && steeringText(summary) === steeringText(before.summary);
}

function steeringText({ services, regions, apex }: ZoneSummary): string {
  return JSON.stringify([[...apex], services, regions], (key, value: unknown) =>
    key === 'place'
      ? undefined
      : value instanceof Map || value instanceof Set
        ? [...(value as Iterable<unknown>)]
        : value instanceof RegExp
          ? String(value)
          : value,
  );
}

/**
 * The cache folders for a configuration. As root, only the folder of root: `state_dir` may belong to the user that the
 * server becomes.
 */
function cacheFolders(use: CacheUse | undefined, { stateDir }: Settings): CacheFolders {
  if (!use) return NO_CACHE;
  const user = use.user === undefined ? [] : [use.user];
  if (process.geteuid?.() === 0) return { read: user, write: user };
  const read = [join(stateDir, 'cache'), ...user];
  return { read, write: use.keepsInState ? read : user };
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** Figures of the beacon. Without figures in memory (`check`, `explain`, a start): those of the last run. */
function measuredFor(
  { beacon, stateDir }: Settings,
  known: LatencyTable | undefined,
  report: Report,
): LatencyTable | undefined {
  if (!beacon || known) return beacon && known;
  const saved = readBeaconFile(stateDir, (message) => {
    const place = { file: join(stateDir, 'beacon.json') };
    report.warning('PH383', message, place, 'remove it, or restore it');
  });
  const samples = createBeaconSamples();
  samples.restore(saved, Date.now());
  return samples.figures({ sinceMs: Date.now() - beacon.windowMs, minSources: beacon.minSources });
}

/** Reads each table once. Its regions may be any that a zone defines. */
function readLatencyTables(
  zones: readonly ZoneSummary[],
  settings: Settings,
  measured: LatencyTable | undefined,
  report: Report,
): ReadonlyMap<string, LatencyTable> {
  const regions = [...settings.regions.keys(), ...zones.flatMap((zone) => [...zone.regions.keys()])];
  const tables = new Map<string, LatencyTable>();
  const tried = new Set<string>();
  for (const { services, file } of zones) {
    const below = settings.files === 'anywhere' ? undefined : dirname(file);
    for (const step of services.flatMap((service) => service.steps)) {
      const path = traitsOf(step).table?.path;
      if (path === undefined || tried.has(path)) continue;
      tried.add(path);
      const builder = path === NO_TABLE ? createLatencyBuilder() : readLatencyFile(path, report, regions, below);
      if (!builder) continue;
      if (measured) overlay(builder, measured);
      tables.set(path, builder.done());
    }
  }
  return tables;
}

function describeDatabase(info: DatabaseInfo): GeoDatabaseInfo {
  const { text, url, licence } = BUNDLED_ATTRIBUTION;
  return {
    path: info.path,
    type: info.type,
    built: new Date(info.builtAtMs).toISOString(),
    ageDays: Math.floor(info.ageDays),
    attribution: info.bundled ? `${text} (${url}), ${licence}` : '',
  };
}
