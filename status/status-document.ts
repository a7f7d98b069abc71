/**
 * `GET /api/v1/status` (docs/http-api.md): everything that an operator may ask of a running server, as plain
 * JSON with snake_case keys and ISO 8601 times in UTC.
 */
import type { Diagnostic } from '../config/diagnostics.ts';
import { formatEndpoint } from '../wire/address.ts';
import type { Catalog } from '../zones/catalog.ts';
import type { Alarm, Runtime } from './runtime.ts';
import { vipDocument, vipStates, type VipDocument, type VipState } from './vips.ts';

export type StatusDocument = {
  readonly build: { readonly product: 'Pharos'; readonly version: string; readonly node: string };
  readonly started_at: string;
  readonly uptime_seconds: number;
  readonly ready: boolean;
  /** What is missing, in words; empty when ready. */
  readonly not_ready: readonly string[];
  readonly io: 'batch' | 'dgram';
  readonly workers: number;
  readonly listen: readonly string[];
  /** DNS over TLS; empty when it is off. */
  readonly listen_tls: readonly string[];
  readonly generation: number;
  readonly loaded_at: string;
  readonly last_reload: { readonly ok: boolean; readonly at: string; readonly diagnostics: readonly Diagnostic[] };
  /** Of the configuration in force. */
  readonly warnings: readonly Diagnostic[];
  readonly alarms: readonly Alarm[];
  readonly zones: readonly {
    readonly name: string;
    readonly serial: number;
    readonly file: string;
    readonly records: number;
    readonly services: number;
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

export type ServiceDocument = {
  readonly name: string;
  readonly zone: string;
  readonly ttl: { readonly min: number; readonly max: number };
  /** Names of the steps, in order. */
  readonly steer: readonly string[];
  readonly answers: number;
  readonly when_all_down: 'serve_all' | 'none' | 'static';
  readonly vips: number;
  readonly vips_available: number;
  /** Answers that named a VIP of it, since the start. */
  readonly served: number;
};

/** `now` is a parameter so that ages can be tested. */
export function statusDocument(runtime: Runtime, now: Date): StatusDocument {
  const { number, loadedAt, settings, catalog, databases, warnings } = runtime.generation();
  const notReady = runtime.notReady();
  const last = runtime.lastReload();
  const states = vipStates(runtime);
  return {
    build: { product: 'Pharos', version: runtime.version, node: process.version },
    started_at: runtime.startedAt.toISOString(),
    uptime_seconds: Math.max(0, Math.floor((now.getTime() - runtime.startedAt.getTime()) / 1000)),
    ready: notReady.length === 0,
    not_ready: notReady,
    io: runtime.io(),
    workers: settings.workers,
    listen: settings.listen.map(formatEndpoint),
    listen_tls: settings.tls?.listen.map(formatEndpoint) ?? [],
    generation: number,
    loaded_at: loadedAt.toISOString(),
    last_reload: { ok: last.ok, at: last.at.toISOString(), diagnostics: last.diagnostics },
    warnings,
    alarms: runtime.alarms(),
    zones: catalog.zones.map(({ name, serial, file, records, services }) => ({
      name,
      serial,
      file,
      records,
      services,
    })),
    services: serviceDocuments(catalog, states),
    vips: states.map(vipDocument),
    geo: databases.map(({ path, type, built, ageDays, attribution }) => ({
      path,
      type,
      built,
      age_days: ageDays,
      attribution,
    })),
  };
}

/** `states` are those of the catalog's VIPs, by slot. */
export function serviceDocuments(catalog: Catalog, states: readonly VipState[]): readonly ServiceDocument[] {
  return catalog.services.map((service) => {
    const own = states.slice(service.firstSlot, service.firstSlot + service.vipCount);
    return {
      name: service.name,
      zone: service.zone,
      ttl: { min: service.ttl.minSeconds, max: service.ttl.maxSeconds },
      steer: service.steps.map(({ kind }) => kind),
      answers: service.answers,
      when_all_down: service.whenAllDown,
      vips: own.length,
      vips_available: own.filter(({ available }) => available).length,
      served: own.reduce((sum, { served }) => sum + served, 0),
    };
  });
}

/** Whether a value from the network has the shape, as far as rendering goes into it. */
export function isStatusDocument(value: unknown): value is StatusDocument {
  if (typeof value !== 'object' || value === null) return false;
  const { build, services, vips, alarms, not_ready: notReady } = value as Readonly<Record<string, unknown>>;
  const isObject = typeof build === 'object' && build !== null;
  return isObject && [services, vips, alarms, notReady].every((part) => Array.isArray(part));
}
