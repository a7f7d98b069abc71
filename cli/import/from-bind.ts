/**
 * RFC 1035 master files, as BIND, NSD, Knot and PowerDNS have them.
 */
import type { Report } from '../../config/diagnostics.ts';
import { createReport } from '../../config/diagnostics.ts';
import { MAX_TEXT_OCTETS } from '../../config/limits.ts';
import { readRegularFile } from '../../config/read-file.ts';
import { isWithin, parseName, ROOT, NameError, type Name } from '../../wire/name.ts';
import { TYPE, TYPE_NUMBERS, typeText } from '../../wire/types.ts';
import { readMasterFile } from '../../zones/read/master-file.ts';
import { createRecordStore, ownerOf, rdataOf, type RecordStore } from '../../zones/read/record-store.ts';
import { addDraftRecord, createDraft, note, OUT_OF_ZONE, type ZoneDraft } from './draft.ts';

/** Made anew by whoever signs the zone. */
const SIGNATURES: ReadonlySet<number> = new Set(
  ['RRSIG', 'NSEC', 'NSEC3', 'NSEC3PARAM'].map((type) => TYPE_NUMBERS.get(type) ?? 0),
);

/** For records without any TTL in a file without an SOA: as NSD has it. */
const DEFAULT_TTL_SECONDS = 3600;

/**
 * The zone of a master file. `apex` wins over what the file says of it; mistakes of the file go to `report`, and
 * then, or where nothing tells the zone's name, there is none.
 */
export function fromBind(path: string, apex: Name | undefined, report: Report): ZoneDraft | undefined {
  const preview = previewOf(path, apex, report);
  if (!preview) return undefined;
  const zone = apex ?? preview.apex;
  if (!zone) {
    const place = { file: path };
    report.error('PH502', 'nothing in the file tells the name of the zone', place, 'give it: --zone example.com');
    return undefined;
  }
  const store = createRecordStore();
  readMasterFile({ path, origin: zone, defaultTtlSeconds: DEFAULT_TTL_SECONDS, store, report });
  if (report.diagnostics.some(({ severity }) => severity === 'error')) return undefined;
  const draft = createDraft(zone, `the master file ${path}`);
  addRecords(draft, store);
  return draft;
}

/** Puts every record in that Pharos can serve, and notes the others. `skip` takes those that are no records. */
export function addRecords(draft: ZoneDraft, store: RecordStore, skip: (row: number) => boolean = () => false): void {
  const signatures = new Map<number, number>();
  for (let row = 0; row < store.count; row++) {
    if (skip(row)) continue;
    const type = store.type[row] ?? 0;
    const owner = ownerOf(store, row).slice();
    if (!isWithin(owner, draft.apex)) {
      note(draft, 'dropped', owner, `${typeText(type)} ${OUT_OF_ZONE}, at ${placeOf(store, row)}`);
    } else if (SIGNATURES.has(type)) {
      signatures.set(type, (signatures.get(type) ?? 0) + 1);
    } else addDraftRecord(draft, owner, type, store.ttlSeconds[row] ?? 0, rdataOf(store, row).slice());
  }
  if (signatures.size === 0) return;
  const counts = [...signatures].map(([type, count]) => `${count} ${typeText(type)}`).join(', ');
  const advice = 'whoever signs the zone makes them anew; take the DS out of the parent before the zone moves unsigned';
  note(draft, 'dropped', undefined, `signatures of DNSSEC (${counts}): ${advice}`);
}

function placeOf(store: RecordStore, row: number): string {
  return `${store.files[store.file[row] ?? 0] ?? ''}:${store.line[row] ?? 0}`;
}

/**
 * What the file says of its zone's name, read as if it were the root's: an SOA's owner that is absolute, or below an
 * $ORIGIN, is the zone. Undefined where nothing of it can be read, which is reported.
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
    // The root itself is its owner only where that is written as a dot; `@` waits for a name.
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
