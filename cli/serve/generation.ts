/**
 * A generation in use: the loaded configuration, with the shared memory for threads and the health room.
 */
import { randomBytes } from 'node:crypto';
import type { Diagnostic } from '../../config/diagnostics.ts';
import type { Settings } from '../../config/settings.ts';
import type { Health, HealthTarget } from '../../health/engine.ts';
import { createHealthTable } from '../../health/health-table.ts';
import type { AnswererPayload } from '../../server/answer/answerer.ts';
import { createClientRing } from '../../server/answer/client-samples.ts';
import type { QueryLogPayload } from '../../server/answer/query-samples.ts';
import { createRareSetMemory, type RareSetMemory } from '../../server/answer/rare-sets.ts';
import type { Publication } from '../../server/contract.ts';
import type { SecondaryNotifier } from '../../server/transfer/notify-secondaries.ts';
import type { TransferPayload } from '../../server/transfer/transfer.ts';
import { answerTraits } from '../../status/answer-traits.ts';
import type { RunningGeneration } from '../../status/runtime.ts';
import { changedZones, type Catalog } from '../../zones/catalog.ts';
import { viewImage } from '../../zones/image/image.ts';
import type { CompiledGeneration } from '../../zones/packed-generation.ts';

/** 64 on x64, 128 on some arm64 processors. */
const CACHE_LINE_OCTETS = 128;

export type Current = RunningGeneration & {
  readonly loaded: CompiledGeneration;
  readonly health: SharedArrayBuffer;
  /** Counters of answers by slot, one block per thread. */
  readonly served: readonly SharedArrayBuffer[];
  /** Counters of queries by zone, one block per thread. */
  readonly zoneQueries: readonly SharedArrayBuffer[];
  /** Sampled clients, one ring per thread. */
  readonly clients: readonly SharedArrayBuffer[];
  /** Undefined: no zone with services is signed. */
  readonly rareSets: RareSetMemory | undefined;
  /** Whether nothing but dynamic records differs from the generation before. */
  readonly isUpdate?: boolean;
};

/** `threads`: all that answer, including the one for TCP. `before` is the generation in force. */
export function prepare(
  loaded: CompiledGeneration,
  number: number,
  warnings: readonly Diagnostic[],
  threads: number,
  before?: Current,
): Current {
  const slots = loaded.catalog.vips.length;
  const kept = before && hasSamePlan(before.loaded, loaded) ? before : undefined;
  return {
    number,
    loadedAt: new Date(),
    settings: loaded.settings,
    catalog: loaded.catalog,
    databases: loaded.databases,
    warnings,
    loaded,
    health: kept?.health ?? createHealthTable(slots),
    served: kept?.served ?? Array.from({ length: threads }, () => countersBlock(slots)),
    zoneQueries: zoneQueriesOf(loaded.catalog, threads, before),
    clients: kept?.clients ?? Array.from({ length: threads }, createClientRing),
    rareSets: rareSetsOf(loaded, threads, kept),
  };
}

/** The memory for rare sets; that of `kept`, which has the same services, if the keys and times are the same too. */
function rareSetsOf(
  { catalog }: CompiledGeneration,
  threads: number,
  kept: Current | undefined,
): RareSetMemory | undefined {
  const signingOf = ({ zones }: Catalog): string => JSON.stringify(zones.flatMap(({ name, services, signing }) => signing && services > 0 ? [name, signing.signedAt, signing.keys] : [])); // prettier-ignore
  const signing = signingOf(catalog);
  if (signing === '[]') return undefined;
  return kept?.rareSets && signingOf(kept.catalog) === signing ? kept.rareSets : createRareSetMemory(threads);
}

/** Whether services, VIPs and regions are the same. */
function hasSamePlan(before: CompiledGeneration, next: CompiledGeneration): boolean {
  return before.image.plan === next.image.plan;
}

/** The counters of `before` if it has the same zones in the same order. */
function zoneQueriesOf({ zones }: Catalog, threads: number, before: Current | undefined): Current['zoneQueries'] {
  const last = before?.catalog.zones;
  if (before && last?.length === zones.length && zones.every(({ name }, place) => name === last[place]?.name)) {
    return before.zoneQueries;
  }
  return Array.from({ length: threads }, () => countersBlock(zones.length));
}

/** One thread's counters, with a spare cache line at the end, so that threads do not share one. */
function countersBlock(places: number): SharedArrayBuffer {
  return new SharedArrayBuffer(places * Float64Array.BYTES_PER_ELEMENT + CACHE_LINE_OCTETS);
}

/** The cookie secret if none is configured: one for all threads and generations of this process. */
const OWN_SECRET = Uint8Array.from(randomBytes(16));

/** The input of its threads. */
function payloadOf(
  { loaded, health, served, zoneQueries, clients, rareSets, settings }: Current,
  queryLog: QueryLogPayload | undefined,
): AnswererPayload {
  const nsid = Buffer.from(settings.dns.nsid ?? '');
  const { explainFrom } = settings.dns;
  return {
    image: loaded.image,
    atlas: loaded.atlas,
    health,
    served,
    zoneQueries,
    clients,
    rareSets,
    online: loaded.online,
    nsid,
    version: Buffer.from(settings.dns.version ?? ''),
    cookieSecrets: settings.dns.cookieSecrets.length === 0 ? [OWN_SECRET] : settings.dns.cookieSecrets,
    rrl: settings.limits.rrl === 0 ? undefined : { perSecond: settings.limits.rrl, slip: settings.limits.slip },
    explain: explainFrom.length === 0 ? undefined : { from: explainFrom, nsid },
    queryLog,
    transfer: transferOf(settings, loaded.catalog),
  };
}

/** For the threads; undefined without configured peers, so that they skip this code. */
function transferOf({ transfer, updates }: Settings, { vips }: Catalog): TransferPayload | undefined {
  if (transfer.allow.length === 0 && transfer.keys.length === 0 && !transfer.catalog) return undefined;
  return {
    settings: transfer,
    hasUpdates: updates !== undefined,
    weights: Int32Array.from(vips, ({ weight }) => weight),
  };
}

/** The input of the server. `before` is the generation in force. */
export function publicationOf(current: Current, queryLog: QueryLogPayload | undefined, before?: Current): Publication {
  const { cert, key } = current.settings.tls?.keyPair ?? {};
  return {
    generation: current.number,
    sharesMemory: before !== undefined && sharesMemory(before.loaded, current.loaded),
    payload: payloadOf(current, queryLog),
    ...(cert === undefined || key === undefined ? {} : { tls: { cert, key } }),
  };
}

/** Whether two generations share their large memory, so that the older one leaves little garbage. */
export function sharesMemory(before: CompiledGeneration, next: CompiledGeneration): boolean {
  return (
    before.image.arena === next.image.arena && before.image.plan === next.image.plan && before.atlas === next.atlas
  );
}

/** Answers by slot, over all threads. */
export function servedOf({ served, catalog }: Current): Float64Array {
  return sumOf(served, catalog.vips.length);
}

/** Queries by zone, over all threads. */
export function zoneQueriesSince({ zoneQueries, catalog }: Current): Float64Array {
  return sumOf(zoneQueries, catalog.zones.length);
}

function sumOf(blocks: readonly SharedArrayBuffer[], places: number): Float64Array {
  const sum = new Float64Array(places);
  for (const block of blocks) {
    const counts = new Float64Array(block, 0, places);
    for (let place = 0; place < places; place++) sum[place] = (sum[place] ?? 0) + (counts[place] ?? 0);
  }
  return sum;
}

/** Answers of one slot, over all threads. */
export function servedOfSlot({ served }: Current, slot: number): number {
  return served.reduce((sum, block) => sum + (new Float64Array(block, slot * 8, 1)[0] ?? 0), 0);
}

/** Makes the health room check its targets and write its table. */
export function configureHealth(health: Health, { catalog, health: memory }: Current, before?: Current): void {
  // The same table has the same targets.
  if (before?.health === memory) return;
  const traits = answerTraits(catalog);
  const targets = catalog.vips.map((vip): HealthTarget => ({
    slot: vip.slot,
    target: vip.target,
    region: vip.region === 0 ? undefined : catalog.regions[vip.region]?.name,
    check: vip.check,
    host: vip.probeHost === '' ? undefined : vip.probeHost,
    port: vip.probePort,
    written: vip.probeWritten,
    weight: vip.weight,
    rampMs: catalog.services[vip.service]?.rampMs,
    shed: catalog.services[vip.service]?.shed,
    capacity: vip.capacity,
    answers: traits[vip.slot],
  }));
  health.configure(targets, memory, catalog.vips.length);
}

/** Sends NOTIFY for each zone whose serial has changed. At a start that is every zone, since any may have changed. */
export function tellSecondaries(notifier: SecondaryNotifier, next: Current, before: Current | undefined): void {
  const { catalog, loaded, settings } = next;
  const last = before?.catalog.zones ?? [];
  const changed = changedZones(last, catalog.zones);
  const replaced = changed.length === 0 ? [] : changedZones(catalog.zones, last);
  const serials = new Map(replaced.map(({ name, serial }) => [name, serial]));
  const names = changed.flatMap(({ name, serial }) => (serials.get(name) === serial ? [] : name));
  notifier.tell(names, viewImage(loaded.image, loaded.atlas), settings.transfer, settings.listen);
}
