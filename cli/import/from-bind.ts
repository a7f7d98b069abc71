/**
 * RFC 1035 master files, as BIND, NSD, Knot and PowerDNS read them.
 */
import type { Report } from '../../config/diagnostics.ts';
import { createReport } from '../../config/diagnostics.ts';
import { MAX_TEXT_OCTETS } from '../../config/limits.ts';
import { readRegularFile } from '../../config/read-file.ts';
import { isWithin, parseName, ROOT, NameError, skipName, type Name } from '../../wire/name.ts';
import { nameAt } from '../../wire/rdata.ts';
import { TYPE, TYPE_NUMBERS, typeText } from '../../wire/types.ts';
import { readMasterFile, type LeavesOut } from '../../zones/read/master-file.ts';
import {
  createRecordStore,
  ownerOf,
  rdataOf,
  recordFile,
  recordLine,
  type RecordStore,
  recordTtl,
  recordType,
} from '../../zones/read/record-store.ts';
import { addAlias, addDraftRecord, createDraft, note, OUT_OF_ZONE, type ZoneDraft } from './draft.ts';
import { nameIn } from './values.ts';

/** The signer generates these again. */
const SIGNATURES: ReadonlySet<number> = new Set(
  ['RRSIG', 'NSEC', 'NSEC3', 'NSEC3PARAM'].map((type) => TYPE_NUMBERS.get(type) ?? 0),
);

/**
 * Records that a master file of another program may have although DNS has no such type, or no longer, and the remedy.
 */
const OF_ONE_PROGRAM: ReadonlyMap<string, string> = new Map([
  ['ALIAS', 'it needs one name'],
  ['ANAME', 'it needs one name'],
  ['LUA', 'write a service, or use import powerdns'],
  ['NXT', 'obsolete (RFC 3755); a signer makes NSEC records'],
]);

/** Types of PowerDNS by number, as they are in a transfer: with data in RFC 3597 form. */
const NUMBERED: ReadonlyMap<number, string> = new Map([
  [65401, 'ALIAS'],
  [65402, 'LUA'],
]);

/** For records without a TTL in a file without an SOA; the default of NSD. */
const DEFAULT_TTL_SECONDS = 3600;

/** Takes a LUA record of PowerDNS. `data`: the type of its answers, and its script in quotes. */
export type TakesLua = (draft: ZoneDraft, owner: Name, ttlSeconds: number, data: string) => void;

/**
 * Returns the zone of a master file. `apex` overrides the apex that the file states. Returns undefined if the file has
 * mistakes, which go to `report`, or if neither states the apex. Without `takesLua`, LUA records are dropped with a
 * note.
 */
export function fromBind(
  path: string,
  apex: Name | undefined,
  report: Report,
  takesLua?: TakesLua,
): ZoneDraft | undefined {
  const preview = apex ? { apex } : previewOf(path, report);
  if (!preview) return undefined;
  const zone = preview.apex;
  if (!zone) {
    const place = { file: path };
    report.error('PH502', 'the file does not state the name of the zone', place, 'state it: --zone example.com');
    return undefined;
  }
  const store = createRecordStore();
  const draft = createDraft(zone, `the master file ${path}`);
  const leavesOut: LeavesOut = (owner, type, data, ttlSeconds) => {
    const advice = OF_ONE_PROGRAM.get(type);
    if (advice === undefined) return false;
    const target = (type === 'ALIAS' || type === 'ANAME') && nameIn(data.trim(), zone);
    if (target) addAlias(draft, owner, ttlSeconds, target, type);
    else if (type === 'LUA' && takesLua && isWithin(owner, zone)) takesLua(draft, owner, ttlSeconds, data);
    else note(draft, 'dropped', owner, `${type} ${data}: ${advice}`);
    return true;
  };
  readMasterFile({ path, origin: zone, defaultTtlSeconds: DEFAULT_TTL_SECONDS, store, report, leavesOut });
  if (report.diagnostics.some(({ severity }) => severity === 'error')) return undefined;
  const last = store.count - 1;
  addRecords(draft, store, (row) => row === last && repeatsFirst(store, row), takesLua);
  return draft;
}

/**
 * Adds every record that Pharos can serve, and a note for each of the others. `skip` leaves out rows that are not
 * records.
 */
export function addRecords(
  draft: ZoneDraft,
  store: RecordStore,
  skip: (row: number) => boolean = () => false,
  takesLua?: TakesLua,
): void {
  const signatures = new Map<number, number>();
  for (let row = 0; row < store.count; row++) {
    if (skip(row)) continue;
    const type = recordType(store, row);
    // The store is complete, so its octets stay where they are.
    const owner = ownerOf(store, row);
    if (!isWithin(owner, draft.apex)) {
      note(draft, 'dropped', owner, `${typeText(type)} ${OUT_OF_ZONE}, at ${placeOf(store, row)}`);
    } else if (SIGNATURES.has(type)) {
      signatures.set(type, (signatures.get(type) ?? 0) + 1);
    } else if (NUMBERED.has(type)) {
      const name = NUMBERED.get(type) ?? '';
      const words = dataWords(name, rdataOf(store, row));
      const target = name === 'ALIAS' ? nameInData(rdataOf(store, row)) : undefined;
      if (target) addAlias(draft, owner, recordTtl(store, row), target);
      else if (name === 'LUA' && takesLua) takesLua(draft, owner.slice(), recordTtl(store, row), words);
      else note(draft, 'dropped', owner, `${name} ${words}: ${OF_ONE_PROGRAM.get(name) ?? ''}`);
    } else addDraftRecord(draft, owner, type, recordTtl(store, row), rdataOf(store, row));
  }
  if (signatures.size === 0) return;
  const counts = [...signatures].map(([type, count]) => `${count} ${typeText(type)}`).join(', ');
  const advice = 'a signer makes them again; remove the DS from the parent before the zone moves unsigned';
  note(draft, 'dropped', undefined, `DNSSEC signatures (${counts}): ${advice}`);
}

/** The data of an ALIAS in a transfer, if they are one whole name. */
function nameInData(data: Uint8Array): Name | undefined {
  return skipName(data, 0) === data.length ? nameAt(data, 0).slice() : undefined;
}

/** A zone transfer ends with the SOA that it began with (RFC 5936 2.2). */
function repeatsFirst(store: RecordStore, row: number): boolean {
  const isSoa = row > 0 && recordType(store, row) === TYPE.SOA && recordType(store, 0) === TYPE.SOA;
  return isSoa && Buffer.compare(rdataOf(store, row).slice(), rdataOf(store, 0).slice()) === 0;
}

/** A LUA record has the type of its answers, then the script in texts, each after its length. An ALIAS has a name. */
function dataWords(name: string, data: Uint8Array): string {
  if (name !== 'LUA') return `of ${data.length} octets`;
  let script = '';
  for (let at = 2; at < data.length; at += 1 + (data[at] ?? 0)) {
    script += Buffer.from(data.subarray(at + 1, at + 1 + (data[at] ?? 0))).toString('latin1');
  }
  return `${typeText(((data[0] ?? 0) << 8) | (data[1] ?? 0))} "${script}"`;
}

function placeOf(store: RecordStore, row: number): string {
  return `${recordFile(store, row)}:${recordLine(store, row)}`;
}

/**
 * Finds the apex that the file states, by reading it with the origin `.`: the owner of the SOA, if it is absolute or
 * relative to an $ORIGIN. Returns undefined and reports if the file cannot be read.
 */
function previewOf(path: string, report: Report): { readonly apex: Name | undefined } | undefined {
  const store = createRecordStore();
  const scratch = createReport();
  readMasterFile({ path, origin: ROOT, defaultTtlSeconds: DEFAULT_TTL_SECONDS, store, report: scratch });
  if (store.count === 0 && scratch.diagnostics.length > 0) {
    report.diagnostics.push(...scratch.diagnostics);
    return undefined;
  }
  for (let row = 0; row < store.count; row++) {
    if (store.type[row] !== TYPE.SOA) continue;
    const owner = ownerOf(store, row).slice();
    // With this origin `@` and `.` both read as the root. Only a written dot means the root zone.
    return { apex: owner.length > 1 ? owner : undefined };
  }
  return { apex: originOf(path) };
}

/** The first $ORIGIN of a file without an SOA. */
function originOf(path: string): Name | undefined {
  const written = /^\$ORIGIN\s+(\S+\.)\s*(?:;.*)?$/im.exec(
    readRegularFile(path, { maxOctets: MAX_TEXT_OCTETS }).octets.toString('latin1'),
  )?.[1];
  try {
    return written === undefined ? undefined : parseName(written);
  } catch (error) {
    if (error instanceof NameError) return undefined;
    throw error;
  }
}
