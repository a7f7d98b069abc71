/**
 * Explain: which measurement decided a latency step (docs/latency.md#which-time-counts).
 */
import { basename } from 'node:path';
import { latencyOf, networkRow, sourcesOf, type LatencyTable } from '../../geo/latency-table.ts';
import type { Location } from '../../geo/location.ts';
import { measuredRow } from '../../steering/latency-step.ts';

/**
 * Such as `measured for 192.0.2.0/24: rtt.csv`, or `measured for KR: browsers (12 networks)`; '' without a measurement
 * for this client. `regions` are those of the service; `path` is the file of the table.
 */
export function whyMeasured(
  table: LatencyTable,
  path: string,
  regions: readonly string[],
  location: Location,
  address: Uint8Array | undefined,
): string {
  const network = address && networkRow(table, address);
  const row = measuredRow({ table, networkRow: () => network?.row ?? -1 }, location);
  if (row < 0) return '';
  const fromFile: string[] = [];
  const fromBrowsers: { readonly region: string; readonly count: number }[] = [];
  for (const region of new Set(regions)) {
    const column = table.regions.indexOf(region);
    if (latencyOf(table, row, column) === undefined) continue;
    const count = sourcesOf(table, row, column);
    if (count === 0) fromFile.push(region);
    else fromBrowsers.push({ region, count });
  }
  const key = network?.network ?? (table.asns.has(location.asn) ? `AS${location.asn}` : location.country);
  const counts = fromBrowsers.map(({ count }) => count);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const voices = `${least === most ? least : `${least} to ${most}`} ${network ? 'source' : 'network'}${most === 1 ? '' : 's'}`;
  const browsers = `browsers (${voices})`;
  if (fromBrowsers.length === 0) return fromFile.length === 0 ? '' : `measured for ${key}: ${basename(path)}`;
  if (fromFile.length === 0) return `measured for ${key}: ${browsers}`;
  return `measured for ${key}: ${browsers}, and for ${fromFile.join(', ')} ${basename(path)}`;
}
