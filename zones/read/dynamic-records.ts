/**
 * Puts the records of dynamic updates into the records that a zone's files state. The files win: where they have
 * changed since the update, its records are left out, and a warning says so.
 */
import type { Place, Report } from '../../config/diagnostics.ts';
import { canonical, formatName, nameKey, type Name } from '../../wire/name.ts';
import { BESIDE_CNAME } from '../../wire/rdata/table.ts';
import { soaSerial, withSoaSerial } from '../../wire/rdata.ts';
import { isLaterSerial } from '../../wire/serial.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import type { DynamicInfo } from '../catalog.ts';
import { journalPath, readJournal, type DynamicRecords, type ReadJournal } from '../journal/journal-file.ts';
import { digestOfData, markOfSet, setKey, type DynamicSet, type JoinedSet } from '../journal/record-set.ts';
import type { ServiceModel } from './model.ts';
import {
  addFile,
  addRecord,
  createRecordStore,
  ownerOctets,
  ownerOf,
  rdataOf,
  recordTtl,
  recordType,
  type RecordStore,
} from './record-store.ts';

type Zone = {
  readonly apex: Name;
  readonly stateDir: string;
  readonly services: readonly Pick<ServiceModel, 'owner'>[];
  /** Rows from here on are not written in a file. */
  readonly madeFrom: number;
  readonly place: Place;
  readonly report: Report;
  readonly autoSerial: boolean;
};

/** Reads the dynamic records of a zone. Returns undefined if there are none. */
export function readDynamic(apex: Name, stateDir: string, place: Place, report: Report): ReadJournal | undefined {
  const path = journalPath(stateDir, apex);
  let journal: ReadJournal;
  try {
    journal = readJournal(path);
  } catch (error) {
    const hint = 'correct the permissions of the file; until then the zone is served without these records';
    report.warning('PH427', `dynamic records cannot be read from ${path}: ${(error as Error).message}`, place, hint);
    return undefined;
  }
  if (journal.damage !== undefined) {
    report.warning('PH427', `${path}: ${journal.damage}; updates from there on are lost`, place, 'send them again');
  }
  return journal;
}

/** The records to serve, the place of the first of them that no file states, and the sets of the journal. */
type Joined = {
  readonly store: RecordStore;
  readonly madeFrom: number;
  readonly sets: readonly JoinedSet[];
};

export function mergeDynamic(store: RecordStore, journal: DynamicRecords, zone: Zone): Joined {
  const { apex, stateDir, madeFrom, autoSerial } = zone;
  if (journal.sets.size === 0 && journal.serial === 0) return { store, madeFrom, sets: [] };
  const path = journalPath(stateDir, apex);
  const rows = rowsOf(store, journal.sets);
  const same = new Map([...journal.sets].filter(([key, set]) => isSame(set, store, rows.bySet.get(key))));
  const sets = [...journal.sets].map(([key, set]): JoinedSet => {
    const own = rows.bySet.get(key) ?? [];
    const files = [...new Set(own.map((row) => store.files[store.file[row] ?? 0] ?? ''))];
    if (isAdopted(set, store, own)) return { set, files, state: 'adopted' };
    return { set, files, state: isOverruled(set, same, rows, zone) ? 'overruled' : 'used' };
  });
  const used = sets.flatMap(({ set, state }) => (state === 'used' ? [set] : []));
  return { ...merge(store, used, rows, { madeFrom, path, serial: autoSerial ? undefined : journal.serial }), sets };
}

/** Whether the files have the records that the update made. If they have changed since the update, their TTL wins. */
function isAdopted({ type, base, ttlSeconds, data }: DynamicSet, store: RecordStore, rows: readonly number[]): boolean {
  const stated = digestOfData(type, rows.map((row) => rdataOf(store, row))); // prettier-ignore
  if (stated !== digestOfData(type, data)) return false;
  return stated !== base || rows.every((row) => recordTtl(store, row) === ttlSeconds);
}

type Rows = {
  /** The rows of a set, by `setKey`. */
  readonly bySet: ReadonlyMap<string, readonly number[]>;
  /** By owner (`nameKey`): the types in the files. Only owners with dynamic records are here. */
  readonly types: ReadonlyMap<string, ReadonlySet<number>>;
};

function rowsOf(store: RecordStore, sets: ReadonlyMap<string, DynamicSet>): Rows {
  const bySet = new Map<string, number[]>();
  const types = new Map<string, Set<number>>();
  for (const { name } of sets.values()) types.set(nameKey(name), new Set());
  const lengths = new Set([...sets.values()].map(({ name }) => name.length));
  for (let row = 0; row < store.count; row++) {
    if (!lengths.has(ownerOctets(store, row))) continue;
    const owner = nameKey(ownerOf(store, row));
    const type = recordType(store, row);
    types.get(owner)?.add(type);
    const key = `${owner}/${type}`;
    if (!sets.has(key)) continue;
    const of = bySet.get(key);
    if (of) of.push(row);
    else bySet.set(key, [row]);
  }
  return { bySet, types };
}

/** Whether the files have the records that the update changed. */
function isSame({ type, base }: DynamicSet, store: RecordStore, rows: readonly number[] = []): boolean {
  return digestOfData(type, rows.map((row) => rdataOf(store, row))) === base; // prettier-ignore
}

/**
 * Whether the files, which win, have other records now. `same` are the sets whose records in the files are the same.
 */
function isOverruled(
  set: DynamicSet,
  same: ReadonlyMap<string, DynamicSet>,
  { types }: Rows,
  { services, report, place }: Zone,
): boolean {
  const { name, type, data } = set;
  const key = nameKey(name);
  const isSteered = services.some(({ owner }) => nameKey(owner) === key);
  // An owner with a CNAME has nothing else, and the files may have got one of the two.
  const excludes = (each: number): boolean =>
    each !== type &&
    (each === TYPE.CNAME ? !BESIDE_CNAME.has(type) : type === TYPE.CNAME && !BESIDE_CNAME.has(each)) &&
    !same.has(setKey(name, each));
  const isBesideCname = data.length > 0 && [...(types.get(key) ?? [])].some(excludes);
  if (same.has(setKey(name, type)) && !isSteered && !isBesideCname) return false;
  const why = isSteered ? 'a service' : 'other records';
  const message = `the files have ${why} for ${formatName(name)} now: the dynamic ${typeText(type)} records are dropped`;
  report.warning('PH426', message, place, 'files win over dynamic updates');
  return true;
}

/** A store without the rows that are replaced, and with the records that replace them. */
function merge(
  store: RecordStore,
  sets: readonly DynamicSet[],
  { bySet }: Rows,
  { madeFrom, path, serial }: { readonly madeFrom: number; readonly path: string; readonly serial: number | undefined },
): { store: RecordStore; madeFrom: number } {
  const gone = new Set(sets.flatMap(({ name, type }) => bySet.get(setKey(name, type)) ?? []));
  const merged = createRecordStore();
  for (const file of store.files) addFile(merged, file);
  const copy = (row: number): void => {
    if (gone.has(row)) return;
    const type = recordType(store, row);
    const data = rdataOf(store, row);
    const isOlder = type === TYPE.SOA && serial !== undefined && isLaterSerial(serial, soaSerial(data));
    const [file, line] = [store.file[row] ?? 0, store.line[row] ?? 1];
    addRecord(merged, ownerOf(store, row), type, recordTtl(store, row), isOlder ? withSoaSerial(data, serial) : data, file, line); // prettier-ignore
  };
  for (let row = 0; row < madeFrom; row++) copy(row);
  const file = addFile(merged, path);
  for (const { name, type, ttlSeconds, data } of sets) {
    for (const each of data) addRecord(merged, canonical(name), type, ttlSeconds, each, file, 1);
  }
  const kept = merged.count;
  for (let row = madeFrom; row < store.count; row++) copy(row);
  return { store: merged, madeFrom: kept };
}

/** Counts for the catalog. */
export function dynamicInfo(sets: readonly JoinedSet[]): DynamicInfo {
  const used = sets.filter(({ state }) => state === 'used');
  const replaced = used.filter(({ set }) => set.base !== '' && set.data.length > 0);
  const deleted = used.filter(({ set }) => set.base !== '' && set.data.length === 0);
  return {
    added: used.length - replaced.length - deleted.length,
    replaced: replaced.length,
    deleted: deleted.length,
    overruled: sets.filter(({ state }) => state === 'overruled').length,
    adopted: sets.flatMap(({ set, state }) => (state === 'adopted' ? markOfSet(set) : [])),
  };
}
