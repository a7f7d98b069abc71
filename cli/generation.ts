/**
 * One generation at work: what was loaded, with the shared memory that threads and the health room use for it.
 */
import type { Logger } from 'pino';
import type { Diagnostic } from '../config/diagnostics.ts';
import type { Health, HealthTarget } from '../health/engine.ts';
import { createHealthTable } from '../health/table.ts';
import type { AnswererPayload } from '../server/answerer.ts';
import type { RunningGeneration } from '../status/runtime.ts';
import type { LoadedGeneration } from '../zones/load.ts';
import { writeSerials } from '../zones/serials.ts';

/** 64 on x64, 128 on some arm64 processors. */
const CACHE_LINE_OCTETS = 128;

export type Current = RunningGeneration & {
  readonly loaded: LoadedGeneration;
  readonly health: SharedArrayBuffer;
  /** Counters of answers by slot, a block a thread. */
  readonly served: readonly SharedArrayBuffer[];
};

/** `threads` are all that answer, TCP's included. */
export function prepare(
  loaded: LoadedGeneration,
  number: number,
  warnings: readonly Diagnostic[],
  threads: number,
): Current {
  const slots = loaded.catalog.vips.length;
  return {
    number,
    loadedAt: new Date(),
    settings: loaded.settings,
    catalog: loaded.catalog,
    databases: loaded.databases,
    warnings,
    loaded,
    health: createHealthTable(slots),
    served: Array.from({ length: threads }, () => servedBlock(slots)),
  };
}

/** One thread's counters by slot, with a cache line to spare at the end: no thread may write into another one's. */
function servedBlock(slots: number): SharedArrayBuffer {
  return new SharedArrayBuffer(slots * Float64Array.BYTES_PER_ELEMENT + CACHE_LINE_OCTETS);
}

/** What its threads are given. */
export function payloadOf({ loaded, health, served, settings }: Current): AnswererPayload {
  return {
    image: loaded.image,
    atlas: loaded.atlas,
    health,
    served,
    nsid: Buffer.from(settings.dns.nsid ?? ''),
    version: Buffer.from(settings.dns.version ?? ''),
  };
}

/** Answers by slot, over all threads. */
export function servedOf({ served, catalog }: Current): Float64Array {
  const sum = new Float64Array(catalog.vips.length);
  for (const block of served)
    for (const [slot, count] of new Float64Array(block, 0, sum.length).entries()) sum[slot] = (sum[slot] ?? 0) + count;
  return sum;
}

/** Has the health room probe its targets and write its table. */
export function configureHealth(health: Health, { catalog, health: memory }: Current): void {
  const targets = catalog.vips.map((vip): HealthTarget => ({
    slot: vip.slot,
    target: vip.target,
    region: vip.region === 0 ? undefined : catalog.regions[vip.region]?.name,
    check: vip.check,
    host: vip.probeHost === '' ? undefined : vip.probeHost,
    port: vip.probePort,
    weight: vip.weight,
  }));
  health.configure(targets, memory, catalog.vips.length);
}

/** Once it is served: a serial that nobody saw need not be kept. */
export function keepSerials(loaded: LoadedGeneration, log: Logger): void {
  try {
    writeSerials(loaded.settings.stateDir, loaded.serials);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.warn(`the serials cannot be kept in ${loaded.settings.stateDir}, a restart may repeat one: ${reason}`);
  }
}
