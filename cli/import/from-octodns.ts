/**
 * octoDNS: the YAML files of zones in the format of its YamlProvider, such as `example.com.yaml`.
 */
import { readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Report } from '../../config/diagnostics.ts';
import { lookAt } from '../../config/folder.ts';
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { TYPE_NUMBERS } from '../../wire/types.ts';
import { addAlias, createDraft, note, type ZoneDraft } from './draft.ts';
import { addPools, valuesOf, type SteeredRecord } from './octodns-service.ts';
import { readOctodnsYaml } from './octodns-yaml.ts';
import { addText, fieldsOf, listOf, nameIn, numberOf, textOf, wholeName, type Fields } from './values.ts';

/** YamlProvider's default_ttl. */
const DEFAULT_TTL_SECONDS = 3600;

/** A zone and its files. Without a name, it is unknown. */
type Source = { readonly zone: Name | undefined; readonly files: readonly string[] };

/**
 * Returns the zones of a file, of a folder of such files, or of the folder of a split zone. `apex` selects one of
 * several; of one file, it is the name of the zone.
 */
export function fromOctodns(path: string, apex: Name | undefined, report: Report): ZoneDraft[] {
  if (lookAt(path).kind !== 'folder') return readZone({ zone: apex ?? zoneOf(basename(path)), files: [path] }, report);
  const sources = isSplit(path)
    ? [{ ...splitZone(path), ...(apex ? { zone: apex } : {}) }]
    : zonesIn(path).filter(({ zone }) => !apex || (zone && nameKey(zone) === nameKey(apex)));
  if (sources.length === 0) {
    const hint = 'files are named like their zones: example.com.yaml, or a folder "example.com."';
    report.error('PH502', `no file for ${apex ? formatName(apex) : 'a zone'} in ${path}`, { file: path }, hint);
  }
  return sources.flatMap((source) => readZone(source, report));
}

/** A folder of a split zone has the name of the zone with its final dot, or a file `$example.com.yaml`. */
function isSplit(folder: string): boolean {
  return basename(resolve(folder)).endsWith('.') || yamlFiles(folder).some((file) => basename(file).startsWith('$'));
}

/** All files of the folder are of one zone. */
function splitZone(folder: string): Source {
  const files = yamlFiles(folder);
  const rest = files.map((file) => basename(file)).find((file) => file.startsWith('$'));
  return { zone: zoneOf(rest?.slice(1) ?? basename(resolve(folder))), files };
}

/** Files without a dot in their names are not those of zones. A zone may have both a file and a folder. */
function zonesIn(folder: string): readonly Source[] {
  const folders = readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => lookAt(path).kind === 'folder' && isSplit(path));
  const found = [
    ...yamlFiles(folder).map((file): Source => ({ zone: zoneOf(basename(file)), files: [file] })),
    ...folders.map(splitZone),
  ];
  const byName = new Map<string, Source>();
  for (const { zone, files } of found) {
    if (!zone) continue;
    byName.set(nameKey(zone), { zone, files: [...(byName.get(nameKey(zone))?.files ?? []), ...files] });
  }
  return [...byName.values()];
}

function yamlFiles(folder: string): string[] {
  const names = readdirSync(folder).sort();
  return names.filter((name) => /\.ya?ml$/.test(name)).map((name) => join(folder, name));
}

/** Undefined if the name is not that of a zone. */
function zoneOf(fileName: string): Name | undefined {
  const written = fileName.replace(/\.ya?ml$/, '');
  return written.includes('.') ? wholeName(written) : undefined;
}

function readZone({ zone, files }: Source, report: Report): ZoneDraft[] {
  const [first = ''] = files;
  const contents = files.map((file) => readRecords(file, report));
  if (contents.includes(undefined)) return [];
  if (!zone) {
    const message = `the file name ${basename(first)} is not the name of a zone`;
    report.error('PH502', message, { file: first }, 'state the zone: --zone example.com');
    return [];
  }
  const byName = new Map<string, readonly Fields[]>();
  for (const [name, value] of contents.flatMap((each) => Object.entries(each ?? {}))) {
    byName.set(name, [...(byName.get(name) ?? []), ...listOf(value).map(fieldsOf)]);
  }
  const draft = createDraft(zone, `octoDNS, ${files.length === 1 ? first : dirname(first)}`);
  for (const [name, records] of byName) {
    const owner = name === '' ? zone : nameIn(name, zone);
    if (owner) addName(draft, owner, records);
    else note(draft, 'dropped', undefined, `${name}, which is not a domain name`);
  }
  return [draft];
}

/** The records of a file by name. Returns undefined and reports if it has a mistake. */
function readRecords(path: string, report: Report): Fields | undefined {
  const mistakes = report.diagnostics.length;
  const contents = readOctodnsYaml(path, report);
  if (report.diagnostics.length > mistakes) return undefined;
  // An empty file has no records.
  if (typeof contents === 'object' && !Array.isArray(contents)) return fieldsOf(contents);
  const message = `${path} is not a map of names to records`;
  report.error('PH501', message, { file: path }, 'give the YAML file of one zone');
  return undefined;
}

function addName(draft: ZoneDraft, owner: Name, records: readonly Fields[]): void {
  const typed = records.map((fields) => ({
    type: (textOf(fields['type']) ?? '').toUpperCase(),
    ttl: numberOf(fields['ttl']) ?? DEFAULT_TTL_SECONDS,
    fields,
  }));
  const steered = typed.filter((record): record is SteeredRecord => isSteered(record.type, record.fields));
  const rest = typed.filter(({ type, fields }) => !isSteered(type, fields));
  const addresses = steered.length > 0 ? rest.filter(({ type }) => type === 'A' || type === 'AAAA') : [];
  const beside = Object.fromEntries(addresses.map(({ type, fields }) => [type, valuesOf(type, fields)]));
  addPools(draft, owner, steered, beside);
  for (const record of rest) if (!addresses.includes(record)) addStatic(draft, owner, record);
  for (const { fields } of typed) noteSettings(draft, owner, fields);
}

function isSteered(type: string, fields: Fields): boolean {
  const canBe = type === 'A' || type === 'AAAA' || type === 'CNAME';
  return canBe && (fields['dynamic'] !== undefined || fields['geo'] !== undefined);
}

type Typed = { readonly type: string; readonly ttl: number; readonly fields: Fields };

function addStatic(draft: ZoneDraft, owner: Name, { type, ttl, fields }: Typed): void {
  const number = TYPE_NUMBERS.get(type);
  const written = listOf(fields['values'] ?? fields['value']);
  const [only] = written;
  if (type === 'ALIAS' && written.length === 1 && textOf(only) !== undefined) {
    const target = wholeName(textOf(only) ?? '');
    if (target) {
      addAlias(draft, owner, ttl, target);
      return;
    }
  }
  if (number === undefined) {
    const what = written.map((value) => textOf(value) ?? JSON.stringify(value)).join(', ');
    const why = type === 'ALIAS' ? 'it needs one name' : 'not a type of DNS';
    note(draft, 'dropped', owner, `${type} ${what}: ${why}`);
    return;
  }
  const values = valuesOf(type, fields);
  if (values.length < written.length || written.length === 0) {
    note(draft, 'dropped', owner, `an incomplete ${type} value: ${JSON.stringify(written)}`);
  }
  for (const value of values) addText(draft, owner, number, ttl, value);
}

/** Notes the settings of a record for octoDNS itself, health checks excepted. */
function noteSettings(draft: ZoneDraft, owner: Name, fields: Fields): void {
  const settings = Object.keys(fieldsOf(fields['octodns'])).filter((key) => key !== 'healthcheck' && key !== 'lenient');
  if (settings.length > 0) note(draft, 'dropped', owner, `settings of octoDNS: ${settings.join(', ')}`);
}
