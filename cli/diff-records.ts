/**
 * Finds the records in which two configurations differ, by RRset.
 */
import { formatName, nameKey, type Name } from '../wire/name.ts';
import { formatRdata } from '../wire/rdata.ts';
import { typeText } from '../wire/types.ts';
import type { ZoneModel } from '../zones/read/model.ts';
import {
  createRecordStore,
  ownerOf,
  rdataOf,
  type RecordStore,
  recordTtl,
  recordType,
} from '../zones/read/record-store.ts';

/** One side of an RRset; `values` in presentation format, in order. */
export type RrsetText = { readonly ttl: number; readonly values: readonly string[] };

/** `before` is null if the RRset was added, `after` is null if it was removed. */
export type RecordChange = {
  readonly zone: string;
  readonly owner: string;
  readonly type: string;
  readonly before: RrsetText | null;
  readonly after: RrsetText | null;
};

/** By zone, in the order of the files. A zone that only one side has counts with all its records. */
export function diffRecords(before: readonly ZoneModel[], after: readonly ZoneModel[]): RecordChange[] {
  const old = new Map(before.map((zone) => [nameKey(zone.apex), zone]));
  const now = new Map(after.map((zone) => [nameKey(zone.apex), zone]));
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key) => {
    const apex = (now.get(key) ?? old.get(key))?.apex;
    return apex === undefined ? [] : diffZone(apex, old.get(key)?.records, now.get(key)?.records);
  });
}

function diffZone(apex: Name, before = createRecordStore(), after = createRecordStore()): RecordChange[] {
  // Zones may have millions of records, and a change touches few: equal rows at both ends are skipped.
  const most = Math.min(before.count, after.count);
  let head = 0;
  while (head < most && sameRow(before, head, after, head)) head++;
  let tail = 0;
  while (tail < most - head && sameRow(before, before.count - 1 - tail, after, after.count - 1 - tail)) tail++;
  const touched = new Set<string>();
  for (let row = head; row < before.count - tail; row++) touched.add(keyOf(before, row));
  for (let row = head; row < after.count - tail; row++) touched.add(keyOf(after, row));
  if (touched.size === 0) return [];
  // Other records of the changed RRsets may be anywhere.
  const old = rrsetsOf(before, touched);
  const now = rrsetsOf(after, touched);
  return [...touched].flatMap((key): RecordChange[] => {
    const [was, is] = [old.get(key), now.get(key)];
    const first = is ?? was;
    if (first === undefined || sameText(was?.text, is?.text)) return [];
    const { owner, type } = first;
    return [{ zone: formatName(apex), owner, type, before: was?.text ?? null, after: is?.text ?? null }];
  });
}

type Rrset = { readonly owner: string; readonly type: string; readonly text: RrsetText & { values: string[] } };

function rrsetsOf(store: RecordStore, wanted: ReadonlySet<string>): Map<string, Rrset> {
  const found = new Map<string, Rrset>();
  for (let row = 0; row < store.count; row++) {
    const key = keyOf(store, row);
    if (!wanted.has(key)) continue;
    const type = recordType(store, row);
    const value = formatRdata(type, rdataOf(store, row));
    const known = found.get(key);
    if (known) {
      known.text.values.push(value);
      continue;
    }
    const text = { ttl: recordTtl(store, row), values: [value] };
    found.set(key, { owner: formatName(ownerOf(store, row)), type: typeText(type), text });
  }
  for (const { text } of found.values()) text.values.sort();
  return found;
}

function keyOf(store: RecordStore, row: number): string {
  return `${recordType(store, row)} ${nameKey(ownerOf(store, row))}`;
}

function sameRow(a: RecordStore, aRow: number, b: RecordStore, bRow: number): boolean {
  return (
    a.type[aRow] === b.type[bRow] &&
    a.ttlSeconds[aRow] === b.ttlSeconds[bRow] &&
    Buffer.compare(ownerOf(a, aRow), ownerOf(b, bRow)) === 0 &&
    Buffer.compare(rdataOf(a, aRow), rdataOf(b, bRow)) === 0
  );
}

function sameText(a: RrsetText | undefined, b: RrsetText | undefined): boolean {
  return a?.ttl === b?.ttl && a?.values.join('\n') === b?.values.join('\n');
}
