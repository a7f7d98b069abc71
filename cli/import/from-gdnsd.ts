/**
 * gdnsd: the configuration and its zone files, whose DYNA and DYNC records become services.
 */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createReport, hasErrors, type Report } from '../../config/diagnostics.ts';
import { MAX_TEXT_OCTETS } from '../../config/limits.ts';
import { readRegularFile } from '../../config/read-file.ts';
import { formatName, nameKey, ROOT, type Name } from '../../wire/name.ts';
import { parsePeriod } from '../../wire/rdata/text.ts';
import { soaMinimum } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';
import { readMasterFile } from '../../zones/read/master-file.ts';
import {
  createRecordStore,
  ownerOf,
  rdataOf,
  recordTtl,
  recordType,
  type RecordStore,
} from '../../zones/read/record-store.ts';
import { createDraft, type ZoneDraft } from './draft.ts';
import { addRecords } from './from-bind.ts';
import { addDynamic } from './gdnsd-service.ts';
import { readSource, wholeName } from './values.ts';
import { hashOf, readVscf, stringOf, VscfError, type VscfHash } from './vscf.ts';

/** gdnsd.config(5): defaults of options. */
const DEFAULTS = { zones_default_ttl: 86_400, min_ttl: 5, max_ttl: 3_600_000, max_ncache_ttl: 10_800 } as const;

/** DYNA and DYNC are read as records of this private type (RFC 6895 3.1), with their text as data. */
const DYNAMIC_TYPE = 65_410;

/**
 * `path` is the configuration or its folder. Returns the zone `apex`, or every zone of the folder `zones` but those
 * with mistakes: one after the other, so that they are not in memory at once.
 */
export function* fromGdnsd(path: string, apex: Name | undefined, report: Report): Generator<ZoneDraft> {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const folder = isFolder ? path : dirname(path);
  const file = isFolder ? join(path, 'config') : path;
  const config = readConfig(file, report);
  if (!config) return;
  const zones = zoneFiles(join(folder, 'zones'));
  const wanted = zones.filter(({ zone }) => !apex || nameKey(zone) === nameKey(apex));
  if (wanted.length === 0) {
    const asked = apex ? `the zone ${formatName(apex)}` : 'a zone';
    const names = zones.map(({ zone }) => formatName(zone)).join(', ');
    const hint = names === '' ? 'zone files must be there, named like their zones' : `it has ${names}`;
    report.error('PH502', `no file for ${asked} in ${join(folder, 'zones')}`, { file }, hint);
  }
  for (const { path: zoneFile, zone } of wanted) {
    const draft = readZone(zoneFile, zone, config, report);
    if (draft) yield draft;
  }
}

function readConfig(file: string, report: Report): VscfHash | undefined {
  // Reports if the file cannot be read.
  if (readSource(file, report) === undefined) return undefined;
  try {
    return hashOf(readVscf(file));
  } catch (error) {
    if (error instanceof VscfError) {
      report.error('PH501', error.message, { file: error.file, line: error.line, column: 1 });
      return undefined;
    }
    const why = error instanceof Error ? error.message : String(error);
    report.error('PH500', `cannot read an included file: ${why}`, { file });
    return undefined;
  }
}

/**
 * gdnsd(8): a file has the name of its zone, with `@` for a slash, or ROOT_ZONE; one that begins with a dot is not
 * read.
 */
function zoneFiles(folder: string): { readonly path: string; readonly zone: Name }[] {
  const stat = statSync(folder, { throwIfNoEntry: false });
  const names = stat?.isDirectory() ? readdirSync(folder).sort() : [];
  return names.flatMap((name) => {
    const path = join(folder, name);
    const zone = name.startsWith('.') ? undefined : name === 'ROOT_ZONE' ? ROOT : wholeName(name.replaceAll('@', '/'));
    return zone && statSync(path).isFile() ? [{ path, zone }] : [];
  });
}

function readZone(path: string, zone: Name, config: VscfHash, report: Report): ZoneDraft | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'pharos-import-'));
  try {
    const originals = new Map<string, string>();
    const copy = rewrite(path, zone, folder, originals);
    const options = hashOf(config.get('options'));
    const option = (name: keyof typeof DEFAULTS): number => Number(stringOf(options.get(name)) ?? DEFAULTS[name]);
    const store = createRecordStore();
    const defaultTtlSeconds = option('zones_default_ttl');
    const own = createReport();
    readMasterFile({ path: copy, origin: zone, defaultTtlSeconds, store, report: own, dialect: 'gdnsd' });
    for (const each of own.diagnostics) {
      const file = originals.get(each.place.file) ?? each.place.file;
      report.diagnostics.push({ ...each, place: { ...each.place, file } });
    }
    if (hasErrors(own.diagnostics)) return undefined;
    store.files.forEach((file, index) => (store.files[index] = originals.get(file) ?? file));
    const draft = createDraft(zone, `gdnsd, ${path}`);
    const [least, most] = [option('min_ttl'), option('max_ttl')];
    const limited = (seconds: number): number => Math.min(most, Math.max(least, seconds));
    limitTtls(store, limited, option('max_ncache_ttl'));
    addRecords(draft, store, (row) => store.type[row] === DYNAMIC_TYPE);
    for (let row = 0; row < store.count; row++) {
      if (store.type[row] !== DYNAMIC_TYPE) continue;
      const [reference = '', min] = Buffer.from(rdataOf(store, row)).toString('utf8').split(' ');
      const written = recordTtl(store, row);
      const maxSeconds = limited(written);
      const stated = min === undefined ? undefined : parsePeriod(min);
      const minSeconds = Math.min(maxSeconds, Math.max(least, stated ?? Math.floor(written / 2)));
      addDynamic({ reference, minSeconds, maxSeconds }, { draft, owner: ownerOf(store, row).slice(), config });
    }
    return draft;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Static records get the TTL that gdnsd serves: within `min_ttl` and `max_ttl`. Of an SOA, the minimum is within
 * `min_ttl` and `max_ncache_ttl`, and the TTL is not above it.
 */
function limitTtls(store: RecordStore, limited: (seconds: number) => number, maxNegativeTtl: number): void {
  for (let row = 0; row < store.count; row++) {
    const type = recordType(store, row);
    if (type === DYNAMIC_TYPE) continue;
    const ttlSeconds = limited(recordTtl(store, row));
    store.ttlSeconds[row] = ttlSeconds;
    if (type !== TYPE.SOA) continue;
    const rdata = rdataOf(store, row);
    const minimum = Math.min(maxNegativeTtl, limited(soaMinimum(rdata)));
    new DataView(rdata.buffer, rdata.byteOffset).setUint32(rdata.length - 4, minimum);
    store.ttlSeconds[row] = Math.min(ttlSeconds, minimum);
  }
}

/** Copies a zone file and its includes line by line, rewritten so that the reader of master files understands them. */
function rewrite(
  path: string,
  zone: Name,
  folder: string,
  originals: Map<string, string>,
  above: readonly string[] = [],
): string {
  const copy = join(folder, `${originals.size}-${basename(path)}`);
  originals.set(copy, path);
  const zoneText = formatName(zone) === '.' ? '.' : `${formatName(zone)}.`;
  const lines = readRegularFile(path, { maxOctets: MAX_TEXT_OCTETS })
    .octets.toString('utf8')
    .split('\n')
    .map((line) =>
      line
        .replace(/(^|[\s.])@[ZF](?=\s|$)/g, (_, before: string) => `${before}${zoneText}`)
        .replace(/^(\$INCLUDE\s+)("?)([^\s";]+)\2/i, (whole, directive: string, quote: string, written: string) => {
          const target = resolve(dirname(path), written);
          if (!statSync(target, { throwIfNoEntry: false })?.isFile()) return whole;
          // The reader of master files reports a file that includes itself.
          const within = [...above, resolve(path)];
          const isCircle = within.includes(target);
          return `${directive}${quote}${isCircle ? target : rewrite(target, zone, folder, originals, within)}${quote}`;
        })
        .replace(/^([^";]*\s)DYN[AC]\s+([^\s;]+)/i, (_, before: string, reference: string) => {
          const ttl = /\s(\w+)\/(\w+)(?=\s)/.exec(before);
          const payload = Buffer.from(ttl ? `${reference} ${ttl[2] ?? ''}` : reference);
          const head = ttl ? before.replace(`${ttl[1] ?? ''}/${ttl[2] ?? ''}`, ttl[1] ?? '') : before;
          return `${head}TYPE${DYNAMIC_TYPE} \\# ${payload.length} ${payload.toString('hex')}`;
        }),
    );
  writeFileSync(copy, lines.join('\n'));
  return copy;
}
