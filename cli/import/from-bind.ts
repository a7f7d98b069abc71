/**
 * RFC 1035 master files, as BIND, NSD, Knot and PowerDNS read them.
 */
import type { Report } from '../../config/diagnostics.ts';
import { createReport } from '../../config/diagnostics.ts';
import { MAX_TEXT_OCTETS } from '../../config/limits.ts';
import { readRegularFile } from '../../config/read-file.ts';
import { isWithin, parseName, ROOT, NameError, type Name } from '../../wire/name.ts';
import { TYPE, TYPE_NUMBERS, typeText } from '../../wire/types.ts';
import { readMasterFile } from '../../zones/read/master-file.ts';
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
import { addDraftRecord, createDraft, note, OUT_OF_ZONE, type ZoneDraft } from './draft.ts';

/** The signer generates these again. */
const SIGNATURES: ReadonlySet<number> = new Set(
  ['RRSIG', 'NSEC', 'NSEC3', 'NSEC3PARAM'].map((type) => TYPE_NUMBERS.get(type) ?? 0),
);

/** For records without a TTL in a file without an SOA; the default of NSD. */
const DEFAULT_TTL_SECONDS = 3600;

/**
 * Returns the zone of a master file. `apex` overrides the apex that the file states. Returns undefined if the file has
 * mistakes, which go to `report`, or if neither states the apex.
 */
export function fromBind(path: string, apex: Name | undefined, report: Report): ZoneDraft | undefined {
  const preview = previewOf(path, apex, report);
  if (!preview) return undefined;
  const zone = apex ?? preview.apex;
  if (!zone) {
    const place = { file: path };
    report.error('PH502', 'the file does not state the name of the zone', place, 'state it: --zone example.com');
    return undefined;
  }
  const store = createRecordStore();
  readMasterFile({ path, origin: zone, defaultTtlSeconds: DEFAULT_TTL_SECONDS, store, report });
  if (report.diagnostics.some(({ severity }) => severity === 'error')) return undefined;
  const draft = createDraft(zone, `the master file ${path}`);
  addRecords(draft, store);
  return draft;
}

/**
 * Adds every record that Pharos can serve, and a note for each of the others. `skip` leaves out rows that are not
 * records.
 */
export function addRecords(draft: ZoneDraft, store: RecordStore, skip: (row: number) => boolean = () => false): void {
  const signatures = new Map<number, number>();
  for (let row = 0; row < store.count; row++) {
    if (skip(row)) continue;
    const type = recordType(store, row);
    const owner = ownerOf(store, row).slice();
    if (!isWithin(owner, draft.apex)) {
      note(draft, 'dropped', owner, `${typeText(type)} ${OUT_OF_ZONE}, at ${placeOf(store, row)}`);
    } else if (SIGNATURES.has(type)) {
      signatures.set(type, (signatures.get(type) ?? 0) + 1);
    } else addDraftRecord(draft, owner, type, recordTtl(store, row), rdataOf(store, row).slice());
  }
  if (signatures.size === 0) return;
  const counts = [...signatures].map(([type, count]) => `${count} ${typeText(type)}`).join(', ');
  const advice = 'a signer makes them again; remove the DS from the parent before the zone moves unsigned';
  note(draft, 'dropped', undefined, `DNSSEC signatures (${counts}): ${advice}`);
}

function placeOf(store: RecordStore, row: number): string {
  return `${recordFile(store, row)}:${recordLine(store, row)}`;
}

/**
 * Finds the apex that the file states, by reading it with the origin `.`: the owner of the SOA, if it is absolute or
 * relative to an $ORIGIN. Returns undefined and reports if the file cannot be read.
 */
function previewOf(
  path: string,
  apex: Name | undefined,
  report: Report,
): { readonly apex: Name | undefined } | undefined {
  const store = createRecordStore();
  const scratch = createReport();
  readMasterFile({ path, origin: apex ?? ROOT, defaultTtlSeconds: DEFAULT_TTL_SECONDS, store, report: scratch });
  if (store.count === 0 && scratch.diagnostics.length > 0) {
    report.diagnostics.push(...scratch.diagnostics);
    return undefined;
  }
  for (let row = 0; row < store.count; row++) {
    if (store.type[row] !== TYPE.SOA) continue;
    const owner = ownerOf(store, row).slice();
    // With this origin `@` and `.` both read as the root. Only a written dot means the root zone.
    return { apex: owner.length > 1 ? owner : apex };
  }
  return { apex: apex ?? originOf(path) };
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
