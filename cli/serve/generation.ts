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
import type { Publication } from '../../server/contract.ts';
import type { SecondaryNotifier } from '../../server/transfer/notify-secondaries.ts';
import type { TransferPayload } from '../../server/transfer/transfer.ts';
import { answerTraits } from '../../status/answer-traits.ts';
import type { RunningGeneration } from '../../status/runtime.ts';
import type { Catalog } from '../../zones/catalog.ts';
import { viewImage } from '../../zones/image/image.ts';
import type { CompiledGeneration } from '../../zones/packed-generation.ts';

/** 64 on x64, 128 on some arm64 processors. */
const CACHE_LINE_OCTETS = 128;

export type Current = RunningGeneration & {
  readonly loaded: CompiledGeneration;
  readonly health: SharedArrayBuffer;
  /** Counters of answers by slot, one block per thread. */
  readonly served: readonly SharedArrayBuffer[];
  /** Sampled clients, one ring per thread. */
  readonly clients: readonly SharedArrayBuffer[];
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
    served: kept?.served ?? Array.from({ length: threads }, () => servedBlock(slots)),
    clients: kept?.clients ?? Array.from({ length: threads }, createClientRing),
  };
}

/** Whether services, VIPs and regions are the same. */
function hasSamePlan(before: CompiledGeneration, next: CompiledGeneration): boolean {
  return before.image.plan === next.image.plan;
}

/** One thread's counters by slot, with a spare cache line at the end, so that threads do not share one. */
function servedBlock(slots: number): SharedArrayBuffer {
  return new SharedArrayBuffer(slots * Float64Array.BYTES_PER_ELEMENT + CACHE_LINE_OCTETS);
}

/** The cookie secret if none is configured: one for all threads and generations of this process. */
const OWN_SECRET = Uint8Array.from(randomBytes(16));

/** The input of its threads. */
function payloadOf(
  { loaded, health, served, clients, settings }: Current,
  queryLog: QueryLogPayload | undefined,
): AnswererPayload {
  const nsid = Buffer.from(settings.dns.nsid ?? '');
  const { explainFrom } = settings.dns;
  return {
    image: loaded.image,
    atlas: loaded.atlas,
    health,
    served,
    clients,
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
function transferOf({ transfer }: Settings, { vips }: Catalog): TransferPayload | undefined {
  if (transfer.allow.length === 0 && transfer.keys.length === 0) return undefined;
  return { settings: transfer, weights: Int32Array.from(vips, ({ weight }) => weight) };
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
  const sum = new Float64Array(catalog.vips.length);
  for (const block of served)
    for (const [slot, count] of new Float64Array(block, 0, sum.length).entries()) sum[slot] = (sum[slot] ?? 0) + count;
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
  const serials = new Map(before?.catalog.zones.map(({ name, serial }) => [name, serial]));
  const changed = catalog.zones.filter(({ name, serial }) => serials.get(name) !== serial);
  const names = changed.map(({ name }) => name);
  notifier.tell(names, viewImage(loaded.image, loaded.atlas), settings.transfer, settings.listen);
}
