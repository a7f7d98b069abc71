/**
 * Checks the targets that schedules name. They are known once the zones are compiled.
 */
import type { Report } from '../../config/diagnostics.ts';
import type { ScheduleSpec } from '../../config/settings.ts';
import { expandTarget } from '../../health/target-names.ts';
import type { Catalog } from '../catalog.ts';
import { unknownTarget } from './suggest-targets.ts';

/** Reports targets of schedules that match no VIP. */
export function checkSchedules(schedules: readonly ScheduleSpec[], catalog: Catalog, report: Report): void {
  const vips = catalog.vips.map(({ target, region }) => ({ target, region: catalog.regions[region]?.name }));
  for (const { target, place } of schedules.flatMap((schedule) => schedule.set)) {
    if (expandTarget(target, vips).length > 0) continue;
    const { detail, hint } = unknownTarget(catalog, target);
    report.error('PH071', `a schedule sets ${target}: ${detail}`, place, hint);
  }
}
