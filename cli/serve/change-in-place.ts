/**
 * Puts updates of one zone in force without the compile thread: the image changes in place, so all threads serve it
 * with their next packet. The generation keeps its number.
 */
import type { ServedZone } from '../../server/transfer/zone-messages.ts';
import { nameKey, type Name } from '../../wire/name.ts';
import type { ZoneInfo } from '../../zones/catalog.ts';
import { createZoneChanger, type ZoneChanger } from '../../zones/image/change-zone.ts';
import { viewImage } from '../../zones/image/image.ts';
import type { DynamicRecords } from '../../zones/journal/journal-file.ts';
import type { NameChange, SetsOfName } from '../../zones/journal/process-update.ts';
import { withEntries } from '../../zones/layered-map.ts';
import { updatedEntry } from '../../zones/serials.ts';
import type { Current } from './generation.ts';

/** Updates of one zone that are in its journal. */
export type ZoneUpdate = {
  readonly apex: Name;
  readonly info: ZoneInfo;
  readonly served: ServedZone;
  readonly serial: number;
  readonly names: readonly NameChange[];
  /** The sets of a name before the updates. */
  readonly setsOf: (name: Name) => SetsOfName | undefined;
  readonly journal: DynamicRecords;
};

export type InPlace = {
  /** The generation with these updates; undefined, with nothing changed, if the zone must be compiled. */
  readonly change: (current: Current, update: ZoneUpdate) => Current | undefined;
};

type Kept = { readonly arena: SharedArrayBuffer; readonly zone: number; readonly changer: ZoneChanger | undefined };

export function createInPlace(): InPlace {
  const changers = new Map<string, Kept>();
  return {
    change: (current, update) => {
      const { loaded, catalog } = current;
      const { apex, info, served, names, serial } = update;
      const key = nameKey(apex);
      const entry = loaded.serials.get(key);
      const place = catalog.zones.indexOf(info);
      if (!entry || place < 0 || current.settings.fleet) return undefined;
      const { arena } = loaded.image;
      let kept = changers.get(key);
      if (kept?.arena !== arena || kept.zone !== served.zone) {
        const image = viewImage(loaded.image, loaded.atlas);
        kept = { arena, zone: served.zone, changer: createZoneChanger(image, served.zone) };
        changers.set(key, kept);
      }
      if (kept.changer?.change(names, serial) !== true) return undefined;
      const more = names.reduce((sum, { name, sets }) => sum + countOf(sets) - countOf(update.setsOf(name)), 0);
      const next: ZoneInfo = { ...info, serial, records: info.records + more, size: info.size + more };
      const zones = catalog.zones.with(place, next);
      const serials = withEntries(loaded.serials, new Map([[key, updatedEntry(entry, serial, update.journal.sets.values())]])); // prettier-ignore
      const changed = { ...catalog, zones };
      return { ...current, catalog: changed, loaded: { ...loaded, catalog: changed, serials }, isUpdate: true };
    },
  };
}

function countOf(sets: SetsOfName | undefined): number {
  let count = 0;
  for (const { data } of sets?.values() ?? []) count += data.length;
  return count;
}
