/**
 * `latency`: regions by measured round-trip time; then regions without a measurement, nearest first.
 */
import { latencyOf } from '../geo/latency-table.ts';
import type { Location } from '../geo/location.ts';
import { byDistance } from './nearest-step.ts';
import { rankRegions, type LatencySource, type PlaceContext, type PlaceStep } from './place.ts';

export type LatencyStep = {
  /** Absolute path of the CSV, or NO_TABLE. */
  readonly table: string;
  readonly withinMs: number;
};

/** The table of a step that names no file: it has only measurements of browsers. No file has an empty path. */
export const NO_TABLE = '';

/** `detail` of a preference is the time in ms; NaN if unknown. */
export function prepareLatency(step: LatencyStep, context: PlaceContext): PlaceStep {
  const source = context.latency.get(step.table);
  if (!source) throw new Error(`the latency table ${step.table} has not been read`);
  const { table } = source;
  const all = context.regions.map((_, region) => region);
  // VIPs without a region, and regions without a measurement, have no column.
  const columns = context.regions.map((region) => table.regions.indexOf(region.name));
  return (location) => {
    const row = measuredRow(source, location);
    const measured = all.flatMap((region) => {
      const ms = latencyOf(table, row, columns[region] ?? -1);
      return ms === undefined ? [] : [{ region, detail: ms }];
    });
    const preferences = rankRegions(measured, step.withinMs);
    const unmeasured = all.filter((region) => !preferences.some((known) => known.region === region));
    const known = preferences.length;
    for (const { region, end } of byDistance(location, context.regions, unmeasured, new Map(), 0)) {
      preferences.push({ region, end: known + end, detail: Number.NaN });
    }
    return preferences;
  };
}

/** The row that decides for a location: its network's, else its AS's, else its country's; -1 for none. */
export function measuredRow({ table, networkRow }: LatencySource, location: Location): number {
  const row = networkRow(location);
  return row >= 0 ? row : (table.asns.get(location.asn) ?? table.countries.get(location.country) ?? -1);
}
