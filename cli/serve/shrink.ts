/**
 * A reload that makes a zone much smaller is probably a mistake: half of a file may be valid YAML, and a folder that is
 * not mounted has no files. Such a reload is rejected unless it is forced.
 */
import type { Diagnostic } from '../../config/diagnostics.ts';
import type { Settings } from '../../config/settings.ts';
import { changedZones, type Catalog, type ZoneInfo } from '../../zones/catalog.ts';

/** A zone may always lose fewer records than this: from 3 to 1 is a normal change. */
const MIN_LOST = 10;

/** The zones of `before` that lose too much, as errors (PH384). None if `reload.max_shrink` is 100 %. */
export function findShrunk(
  before: Pick<Catalog, 'zones'>,
  next: { readonly catalog: Pick<Catalog, 'zones'>; readonly settings: Pick<Settings, 'reload'> },
): Diagnostic[] {
  const { maxShrink } = next.settings.reload;
  if (maxShrink >= 1) return [];
  const changed = changedZones(before.zones, next.catalog.zones);
  const sizes = new Map(changed.map((zone) => [zone.name, zone.size]));
  return changedZones(next.catalog.zones, before.zones).flatMap((zone) => {
    const what = shrinkage(zone, sizes.get(zone.name), maxShrink);
    if (what === undefined) return [];
    const hint = 'if that is intended: "pharos reload --force"; reload.max_shrink sets the limit';
    const place = { file: zone.file };
    return [{ code: 'PH384', severity: 'error', message: `the zone ${zone.name} ${what}`, place, hint }];
  });
}

/** The message; undefined if the loss is allowed. `after` is undefined if the zone is gone. */
function shrinkage({ size }: ZoneInfo, after: number | undefined, maxShrink: number): string | undefined {
  if (after === undefined) return 'is gone from the configuration';
  const lost = size - after;
  if (lost <= 0) return undefined;
  if (after === 0) return `would lose all of its ${size} records and VIPs`;
  if (lost < MIN_LOST || lost <= size * maxShrink) return undefined;
  const share = `${Math.floor((lost / size) * 100)}% of its records and VIPs (${size} before, ${after} now)`;
  return `would lose ${share}; at most ${Math.round(maxShrink * 100)}% may be lost in one reload`;
}
