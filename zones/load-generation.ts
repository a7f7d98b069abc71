/**
 * Turns files into a generation: reads, checks and compiles everything, or reports every mistake. Runs in the calling
 * thread, which suits `check` and `explain`; the server calls it in a separate thread (load-thread.ts).
 */
import { dirname, join, relative } from 'node:path';
import { serialize } from 'node:v8';
import { NO_CACHE, type CacheFolders } from '../config/cache-entry.ts';
import { createReport, hasErrors, type Diagnostic, type Report } from '../config/diagnostics.ts';
import type { Environment } from '../config/environment.ts';
import { heapOctets, shrinkGrownHeap } from '../config/garbage.ts';
import type { CheckedKeyPair } from '../config/key-pair.ts';
import type { Settings } from '../config/settings.ts';
import type { OnlineZone } from '../dnssec/online-signer.ts';
import type { ZoneSigner } from '../dnssec/zone-signer.ts';
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
import { withoutSharedMap } from '../steering/geo-step.ts';
import { NO_TABLE } from '../steering/latency-step.ts';
import { traitsOf } from '../steering/steps.ts';
import { canonical, formatName, nameKey, type Name } from '../wire/name.ts';
import { isLaterSerial } from '../wire/serial.ts';
import type { FleetSerials } from './agree-serial.ts';
import { readBeaconFile } from './beacon-file.ts';
import type { Catalog, GeoDatabaseInfo, Outcome } from './catalog.ts';
import type { ForeignNames } from './foreign-names.ts';
import { compile, type CompiledPlan, type CompiledZone, type ZoneSource } from './image/compile.ts';
import { viewImage, type Image, type ImageMemory } from './image/image.ts';
import { addKnownPart, createPartStore, keepParts, likelyOctets, type PartStore } from './image/part-store.ts';
import { historyPath, lastDifference } from './journal/zone-history.ts';
import { withEntries } from './layered-map.ts';
import { postpone, takesLong, type PostponedZones } from './postponed.ts';
import { sameFiles, type ByFile } from './read/by-file.ts';
import { checkSchedules } from './read/check-schedules.ts';
import { foldersOf, stampFiles, type FileStamp } from './read/file-stamp.ts';
import { foreignServices, type ZoneModel, type ZoneSummary } from './read/model.ts';
import {
  readChanges,
  readUpdated,
  shown,
  type ConfigurationInput,
  type ConfigurationReading,
  type KnownZones,
  type ZoneReading,
} from './read/read-all.ts';
import type { HeldName } from './read/resolve-aliases.ts';
import {
  agreedEntry,
  entrySignedBy,
  fleetSerial,
  readSerials,
  serialOf,
  type SerialEntry,
  type Serials,
  type ZoneForSerial,
} from './serials.ts';
import { findServed } from './served-names.ts';
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
  /** By `nameKey` of the apex: the digest of the keys with which all nodes of the fleet sign the zone. */
  readonly agreedKeys?: ReadonlyMap<string, string> | undefined;
  /** The cache for compiled zones and atlases; undefined: none is used. */
  readonly cache?: CacheUse | undefined;
  /** Whether the server becomes `user` of pharos.yaml: then there must be such a user. */
  readonly becomesUser?: boolean;
  /** Whether zones must have their records: then all zones are read. */
  readonly needsRecords?: boolean;
  /** Whether the atlas must have the databases even if no service needs it. */
  readonly needsPlaces?: boolean;
  /** Files of zones whose dynamic records have changed: only these records are read. Ignored without `before`. */
  readonly updated?: readonly string[] | undefined;
  /** The addresses of names outside the zones that aliases lead to; undefined: those of the state folder. */
  readonly foreign?: ForeignNames | undefined;
  /** The serials of zones that have been changed in place since `before` was loaded. */
  readonly moved?: ReadonlyMap<string, SerialEntry> | undefined;
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
  /** The zones with compact denial, for answering threads. */
  readonly online: readonly OnlineZone[];
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
  readonly compiled: ByFile<CompiledZone>;
  /** In the order of `compiled`, which they all are. */
  readonly sources: readonly ZoneSource[];
  readonly hasServices: boolean;
  /** False if no zone is signed. */
  readonly hasSigners: boolean;
  /** The folders of the zone files. */
  readonly zoneFolders: ReadonlySet<string>;
  /** The zones whose files have other marks than when the generation was stamped; undefined: it may be any. */
  readonly restamped: readonly number[] | undefined;
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

/**
 * Loads what has changed since `before`, whose parts are in `store`. `postponed`: zones that are signed in the
 * background; undefined: signing is not postponed.
 */
export function loadWorld(
  input: LoadInput,
  store: PartStore,
  loaded?: World,
  postponed?: PostponedZones,
): Outcome<LoadedWorld> {
  const before = loaded && withMoved(loaded, input.moved);
  const [cached, heapBefore] = [new Map<string, CachedZone>(), heapOctets()];
  const configuration = readInput(input, cached, before, postponed);
  const { settings, readings, known, changed } = configuration;
  if (!before) shrinkGrownHeap(heapBefore);
  if (!settings || !known) return { ok: false, diagnostics: configuration.diagnostics };
  const report = createReport();
  // Databases and tables are read even if zones have mistakes, so that all mistakes are shown at once.
  const cache = cacheFolders(input.cache, settings);
  const inUse = before?.generation ?? input.geographyInUse;
  const { sources, info } = openGeography(settings.geo, report, { cache, known: inUse?.knownDatabases ?? [] });
  const databases = sources.map((source) => source.known);
  const measured = measuredFor(settings, input.measured, report);
  const { isSamePlan, hasServices } = compareServices(configuration, before);
  // No packet needs the place of a client if there is no service. Without the databases the atlas takes 22 MB less.
  const needsPlaces = input.needsPlaces === true || settings.beacon !== undefined || hasServices;
  const forAtlas = needsPlaces ? { sources, cache: cacheForAtlas(cache, measured) } : { sources: [], cache: NO_CACHE };
  const keys = keysOf(settings, databases, measured, needsPlaces);
  const isPlanKept = isSamePlan && before?.planKey.equals(keys.plan) === true;
  const latencyTables = isPlanKept
    ? before.generation.latencyTables
    : readLatencyTables(readings.map(({ summary }) => summary), settings, measured, report); // prettier-ignore
  const soFar = (): Diagnostic[] =>
    configuration.diagnostics.concat(shown(report.diagnostics, input.cwd, settings.shownPaths));
  if (hasErrors(soFar())) return { ok: false, diagnostics: soFar() };
  const agreement = agreeOnSerials(input, settings, readings, before, report);
  const areSerialsKept = agreement.entries.size === 0;
  const read = changed ? changed.flatMap((index) => readings[index] ?? []) : readings;
  const isKept = read.every(({ model }) => !model) && readings.length === before?.compiled.items.length;
  if (isKept && areSerialsKept && isPlanKept && before.settingsKey.equals(keys.settings)) {
    report.diagnostics.push(...before.plan.warnings);
    const world = { ...before, known, restamped: addRestamped(before, changed) };
    return { ok: true, value: { world, isUnchanged: true, zones: [] }, diagnostics: soFar() };
  }
  // The others are the same objects.
  const others = before && areSerialsKept ? changed : undefined;
  const serials = new Map(agreement.entries);
  const signers = signersFor(input, settings, { cache, report, last: agreement.last });
  const zones = sourcesOf(readings, {
    ...{ before, others, cached, agreement, serials, store, signers, postponed },
    isUpdate: input.updated !== undefined,
  });
  if (hasErrors(report.diagnostics)) return { ok: false, diagnostics: soFar() };
  const made = compile({
    settings,
    zones,
    kept: before && others ? { zones: before.compiled.items, changed: others } : undefined,
    atlasFor: (inputs) => findAtlas(inputs, { ...forAtlas, inUse: inUse?.atlas, allocate: store.allocate }),
    latencyTables,
    store,
    ...{ cores: input.cores, isUpdate: input.updated !== undefined },
    plan: isPlanKept ? before.plan : undefined,
    planBefore: before?.plan,
    report,
  });
  const { image, catalog, plan } = made;
  // Releases the records of the readings.
  keepParts(store, () => []);
  checkSchedules(settings.schedules, catalog, report);
  const diagnostics = soFar();
  if (hasErrors(diagnostics)) return { ok: false, diagnostics };
  for (const { signer } of others ? others.flatMap((index) => zones[index] ?? []) : zones) signer?.keep(cache);
  const parts = partsOf(made.zones, zones, known, before, others);
  const stamped = stampZones(settings, readings, known, before, changed);
  const generation: LoadedGeneration = {
    settings,
    catalog,
    databases: info.map(describeDatabase),
    knownDatabases: databases,
    image,
    atlas: plan.atlas,
    locations: plan.locations,
    online: parts.hasSigners ? made.zones.flatMap(({ signer }) => signer?.online ?? []) : [],
    latencyTables,
    files: stamped.files,
    // Removed zones keep their entry, so that their serial still rises if they return.
    serials: withEntries(agreement.last, serials),
  };
  if (!before) keepZones(readings, made.zones, { key: cacheKey(known.key, input), cache, store });
  const world: World = {
    generation,
    known,
    ...parts,
    hasServices,
    zoneFolders: stamped.zoneFolders,
    restamped: [],
    ...{ plan, settingsKey: keys.settings, planKey: keys.plan },
  };
  return {
    ok: true,
    value: { world, isUnchanged: false, zones: read.flatMap(({ model }) => model ?? []) },
    diagnostics,
  };
}

/** `changed`: the readings that are not those of `before`. */
function stampZones(
  settings: Settings,
  readings: readonly ZoneReading[],
  { marks }: KnownZones,
  before: World | undefined,
  changed: readonly number[] | undefined,
): Pick<World, 'zoneFolders'> & Pick<LoadedGeneration, 'files'> {
  const restamped = before && addRestamped(before, changed);
  if (!before || !restamped) {
    const zoneFolders = foldersOf(settings.zoneFiles);
    return { zoneFolders, files: stampFiles(settings, zoneFolders, readings, marks) };
  }
  const { zoneFolders, generation, known } = before;
  const last = { files: generation.files, marks: known.marks, changed: restamped };
  return { zoneFolders, files: stampFiles(settings, zoneFolders, readings, marks, last) };
}

/** The zones in `changed` too. */
function addRestamped({ restamped }: World, changed: readonly number[] | undefined): readonly number[] | undefined {
  return restamped && changed && [...new Set([...restamped, ...changed])];
}

/** What a later load uses again of the compiled zones. `changed`: those that are not the ones of `before`. */
function partsOf(
  compiled: readonly CompiledZone[],
  zones: readonly ZoneSource[],
  known: KnownZones,
  before: World | undefined,
  changed: readonly number[] | undefined,
): Pick<World, 'compiled' | 'sources' | 'hasSigners'> {
  const isSigned = ({ signer }: CompiledZone): boolean => signer !== undefined;
  const others = changed ? changed.flatMap((index) => compiled[index] ?? []) : compiled;
  return {
    compiled: sameFiles(compiled, known.readings),
    sources: compiledSources(zones, compiled, changed),
    hasSigners: (changed && before?.hasSigners === true) || others.some(isSigned),
  };
}

/** The sources without records. Those at other indexes than `changed` have none. */
function compiledSources(
  zones: readonly ZoneSource[],
  compiled: readonly CompiledZone[],
  changed: readonly number[] = [...zones.keys()],
): ZoneSource[] {
  const sources = zones.slice();
  for (const index of changed) {
    const [source, zone] = [zones[index], compiled[index]];
    if (!source || !zone) continue;
    const { summary, children, serial } = source;
    sources[index] = { summary, children, serial, compiled: zone };
  }
  return sources;
}

/**
 * A world in which these zones have other serials. Their parts are the same: their heads lead to the versions in force.
 */
function withMoved(world: World, moved: LoadInput['moved']): World {
  if (!moved || moved.size === 0) return world;
  const { generation } = world;
  return { ...world, generation: { ...generation, serials: withEntries(generation.serials, moved) } };
}

/** Reads what has changed: the dynamic records of some zones only, or all files. */
function readInput(
  input: LoadInput,
  cached: Map<string, CachedZone>,
  before: World | undefined,
  postponed: PostponedZones | undefined,
): ConfigurationReading {
  const { updated, cwd } = input;
  if (before && updated) {
    const aliases = { findServed: servedBy(before), foreign: input.foreign };
    return readUpdated(before.generation.settings, before.known, new Set(updated), cwd, aliases);
  }
  return readChanges(configurationInput(input, cached, before, postponed), before?.known);
}

/** Finds names in the zones of a generation as they are served. */
function servedBy({ generation: { image, atlas } }: World): (name: Name) => HeldName {
  let view: Image | undefined;
  return (name) => findServed((view ??= viewImage(image, atlas)), name);
}

function configurationInput(
  input: LoadInput,
  cached: Map<string, CachedZone>,
  before: World | undefined,
  postponed: PostponedZones | undefined,
): ConfigurationInput {
  const { file, cwd, env, cores, keyPairInUse, updated, becomesUser } = input;
  return {
    ...(file === undefined ? {} : { file }),
    ...{ cwd, env, cores, isCountry, keyPairInUse, becomesUser, judgesUpdate: updated !== undefined },
    isDue: hasDue(before, postponed)
      ? (zoneFile) => postponed?.get(zoneFile)?.isDone ?? isSigningDue(before, zoneFile, input)
      : undefined,
    ...{ findServed: before && servedBy(before), foreign: input.foreign },
    findZone: before || input.needsRecords ? undefined : zoneFinder(input, cached),
  };
}

/** Whether any zone may have to be signed again. */
function hasDue(before: World | undefined, postponed: PostponedZones | undefined): boolean {
  return before?.hasSigners === true || (postponed?.size ?? 0) > 0;
}

function signersFor(
  { cache: use, agreedKeys }: LoadInput,
  { fleet, transfer }: Settings,
  { cache, report, last }: Pick<SignersOptions, 'cache' | 'report'> & Pick<Agreement, 'last'>,
): SignersOptions {
  const makesKeys = use?.keepsInState === true;
  const signedBefore = (zone: string): readonly string[] | undefined => last.get(zone)?.keys;
  const settings = { hasFleet: fleet !== undefined, hasSecondaries: transfer.allow.length > 0 };
  return { cache, nowSeconds: now(), makesKeys, ...settings, agreedKeys, signedBefore, report };
}

/** Whether the signatures of a zone must be made again, or its CDS must appear or go. */
function isSigningDue(before: World | undefined, zoneFile: string, { agreedKeys }: LoadInput): boolean {
  const signer = before?.compiled.get(zoneFile)?.signer;
  if (!signer || !before.generation.settings.fleet) return (signer?.refreshAt ?? Infinity) <= now();
  const isAgreed = agreedKeys?.get(nameKey(signer.apex)) === signer.keysDigest;
  return signer.refreshAt <= now() || (signer.cds !== 'none' && isAgreed === (signer.cds === 'withheld'));
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
    // A zone with dynamic records is always read.
    if (zone && reading.model && !reading.again) cacheZone({ reading, ...zone }, reading.model, key, cache, store);
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
    others,
    cached,
    agreement,
    serials,
    store,
    signers,
    postponed,
    isUpdate,
  }: {
    readonly before: World | undefined;
    /** The readings that are not those of `before`; undefined: it may be any. */
    readonly others: readonly number[] | undefined;
    /** By the zone's file. */
    readonly cached: ReadonlyMap<string, CachedZone>;
    readonly agreement: Agreement;
    readonly serials: Map<string, SerialEntry>;
    readonly store: PartStore;
    readonly signers: SignersOptions;
    readonly postponed: PostponedZones | undefined;
    /** Whether only dynamic records were read. */
    readonly isUpdate: boolean;
  },
): ZoneSource[] {
  const known = ({ model, summary }: ZoneReading): CompiledZone | undefined =>
    model ? undefined : before?.compiled.get(summary.file);
  // A new arena gets the parts of this generation only. The previous generation keeps its arena until it is replaced.
  const expected = readings.reduce((sum, { model }) => sum + (model ? likelyOctets(model.records) : 0), 0);
  keepParts(store, () => readings.flatMap((reading) => known(reading)?.part ?? []), expected);
  forgetOthers(postponed, readings);
  const sourceOf = (reading: ZoneReading): ZoneSource => {
    const { summary, model, children, key } = reading;
    const compiled = known(reading);
    if (compiled) {
      const serial = agreement.entries.get(key)?.serial ?? compiled.info.serial;
      return { summary, children, serial, compiled };
    }
    const kept = cached.get(summary.file);
    const last = before?.compiled.get(summary.file);
    let signer = model && signerOf(model, postponed?.get(summary.file)?.signer.state ?? last?.signer?.state, signers);
    // While the parent may have a DS, a zone is not served unsigned: its signatures are made now, however long it
    // takes.
    const mustBeSigned = last?.signer === undefined && signers.signedBefore(key) !== undefined;
    const isLong = postponed !== undefined && !mustBeSigned && model && signer && takesLong(signer, model);
    if (isUpdate && last && model) {
      // Signatures of unchanged records are used again, so an update needs few.
      if (isBeingSigned(postponed, summary) || (isLong === true && !hasSameTimes(signer, last.signer))) {
        const message = `the signatures of ${formatName(summary.apex)} are being made: no update is possible meanwhile`;
        signers.report.error('PH431', message, { file: summary.file }, 'send the update again later');
        return { summary, children, serial: last.info.serial, compiled: last };
      }
    } else if (model && signer && postponed && isLong === true) {
      const isSame = last?.signer !== undefined && isSameSteering(reading, before?.known.readings.get(summary.file));
      // A change of services cannot wait.
      if (isSame || last?.signer === undefined) postpone(postponed, model, signer, children);
      if (isSame) {
        store.added.push(last.part);
        return { summary, children, serial: last.info.serial, compiled: last };
      }
      if (last?.signer === undefined) signer = undefined;
    }
    if (isLong !== true || isUpdate) postponed?.delete(summary.file);
    const entry = entrySignedBy(
      agreement.next(model ?? mustBeKnown(kept, summary.file).content, signer?.epoch),
      signer?.entryKeys,
    );
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
  };
  if (!before || !others) return readings.map(sourceOf);
  const sources = before.sources.slice();
  for (const index of others) {
    const reading = readings[index];
    if (reading) sources[index] = sourceOf(reading);
  }
  return sources;
}

/** Whether the signatures of a zone are being made in the background. */
function isBeingSigned(postponed: PostponedZones | undefined, { file }: ZoneSummary): boolean {
  return postponed?.get(file)?.isDone === false;
}

/** Whether the signatures of the last load are used again. */
function hasSameTimes(signer: ZoneSigner | undefined, last: ZoneSigner | undefined): boolean {
  return (
    signer !== undefined && signer.state.signedAt === last?.state.signedAt && signer.state.basis === last.state.basis
  );
}

/** Removes postponed zones whose file is gone. */
function forgetOthers(postponed: PostponedZones | undefined, readings: readonly ZoneReading[]): void {
  if (!postponed || postponed.size === 0) return;
  const files = new Set(readings.map(({ summary }) => summary.file));
  for (const [file, { underWay }] of postponed) {
    if (files.has(file)) continue;
    underWay?.stop();
    postponed.delete(file);
  }
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
  const seen =
    (fleetSerials?.isServed === false ? undefined : (inForce ?? serials)) ??
    withUpdates(savedSerials(settings, report), settings, readings);
  const last = inForce ?? seen;
  if (!settings.fleet) {
    return { last, next: (model, epoch) => serialOf(model, seen, now(), epoch), entries: new Map() };
  }
  const entries = new Map<string, SerialEntry>();
  for (const { key, model } of fleetSerials ? readings : []) {
    const entry = last.get(key);
    if (model || !entry) continue;
    const agreed = agreedEntry(key, entry, seen.get(key), fleetSerials?.known);
    if (agreed !== entry) entries.set(key, agreed);
  }
  return {
    last,
    next: (model, epoch) => fleetSerial(model, seen, { nowSeconds: now(), known: fleetSerials?.known, epoch }),
    entries,
  };
}

/**
 * The serials of the last run, also of updates that it served and whose serials a crash kept it from saving. The last
 * difference of a zone tells the serial and the content; the journal tells a serial that may have been served.
 */
function withUpdates(saved: Serials, { updates, stateDir }: Settings, readings: readonly ZoneReading[]): Serials {
  if (!updates) return saved;
  const serials = new Map(saved);
  for (const { key, summary } of readings) {
    const { updatedSerial = 0, apex } = summary;
    if (updatedSerial === 0) continue;
    const before = saved.get(key);
    let entry = before;
    const last = lastDifference(historyPath(stateDir, apex));
    if (last && last.digest !== '' && (!entry || isLaterSerial(last.to, entry.serial))) {
      entry = { ...before, serial: last.to, digest: last.digest };
    }
    if (!entry || isLaterSerial(updatedSerial, entry.serial)) entry = { ...before, serial: updatedSerial, digest: '' };
    if (entry !== before) serials.set(key, entry);
  }
  return serials;
}

function savedSerials({ stateDir }: Settings, report: Report): Serials {
  return readSerials(stateDir, (message) => {
    report.warning('PH382', message, { file: join(stateDir, 'serials.json') }, 'remove it, or restore it');
  });
}

/**
 * Measurements of browsers change all the time, so an atlas that depends on them is not worth keeping. Neither is one
 * without databases.
 */
function cacheForAtlas(cache: CacheFolders, measured: LatencyTable | undefined): CacheFolders {
  return measured ? { ...cache, write: [] } : cache;
}

/** Keys are equal if the settings are equal, apart from the zones' files, which are compared one by one. */
function keysOf(
  settings: Settings,
  databases: readonly KnownDatabase[],
  measured: LatencyTable | undefined,
  needsPlaces: boolean,
): { readonly settings: Buffer; readonly plan: Buffer } {
  const digests = databases.map(({ path, digest }) => [path, digest]);
  return {
    settings: serialize({ ...settings, zoneFiles: [] }),
    plan: serialize([settings.regions, settings.geo, digests, measured, needsPlaces]),
  };
}

function compareServices(
  { readings, changed }: Pick<ConfigurationReading, 'readings' | 'changed'>,
  before: World | undefined,
): { readonly isSamePlan: boolean; readonly hasServices: boolean } {
  const isSamePlan = before !== undefined && hasSamePlan(readings, before, changed);
  const hasServices = isSamePlan ? before.hasServices : readings.some(({ summary }) => summary.services.length > 0);
  return { isSamePlan, hasServices };
}

/** Whether the services and regions of all zones are those of the previous world. */
function hasSamePlan(readings: readonly ZoneReading[], before: World, changed: readonly number[] | undefined): boolean {
  const steering = ({ summary }: ZoneReading): boolean =>
    summary.services.length > 0 || summary.regions.size > 0 || foreignServices(summary).length > 0;
  if (changed) {
    return changed.every((index) => {
      const [now, then] = [readings[index], before.known.readings.items[index]];
      if (!now || !then || steering(now) !== steering(then)) return false;
      return !steering(now) || now.summary === then.summary || isSameSteering(now, then);
    });
  }
  const now = readings.filter(steering);
  const then = before.known.readings.items.filter(steering);
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

function steeringText(summary: ZoneSummary): string {
  const { services, regions, apex } = summary;
  const led = foreignServices(summary).map(({ name }) => name);
  return JSON.stringify([[...apex], services, regions, led], (key, value: unknown) =>
    key === 'place'
      ? undefined
      : value instanceof Map || value instanceof Set
        ? [...(value as Iterable<unknown>)]
        : value instanceof RegExp
          ? String(value)
          : withoutSharedMap(value),
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
    const folder = settings.files === 'anywhere' ? undefined : dirname(file);
    for (const step of services.flatMap((service) => service.steps)) {
      const path = traitsOf(step).table?.path;
      if (path === undefined || tried.has(path)) continue;
      tried.add(path);
      // Only a template of pharos.yaml can name a file outside the folder of the zone.
      const below = folder !== undefined && relative(folder, path).startsWith('..') ? undefined : folder;
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
