/**
 * octoDNS: the YAML file of a zone in the format of its YamlProvider, `example.com.yaml`.
 */
import { basename } from 'node:path';
import { parseDocument } from 'yaml';
import type { Report } from '../../config/diagnostics.ts';
import type { Name } from '../../wire/name.ts';
import { TYPE_NUMBERS } from '../../wire/types.ts';
import { createDraft, note, type ZoneDraft } from './draft.ts';
import { addPools, valuesOf, type SteeredRecord } from './octodns-service.ts';
import { addText, fieldsOf, listOf, nameIn, numberOf, readSource, textOf, wholeName, type Fields } from './values.ts';

/** YamlProvider's default_ttl. */
const DEFAULT_TTL_SECONDS = 3600;

/** Returns the zone. Its apex is `apex`, or the name of the file. */
export function fromOctodns(path: string, apex: Name | undefined, report: Report): ZoneDraft | undefined {
  const text = readSource(path, report);
  if (text === undefined) return undefined;
  const place = { file: path };
  // Scalars stay as written: 1.10 and 010 are text.
  const document = parseDocument(text, { schema: 'failsafe', uniqueKeys: false });
  const [mistake] = document.errors;
  if (mistake) {
    const [start] = mistake.linePos ?? [];
    report.error('PH501', mistake.message.split('\n')[0] ?? '', {
      file: path,
      line: start?.line ?? 1,
      column: start?.col ?? 1,
    });
    return undefined;
  }
  const contents: unknown = document.toJS();
  const written = basename(path).replace(/\.ya?ml$/, '');
  const zone = apex ?? (written.includes('.') ? wholeName(written) : undefined);
  if (!zone) {
    report.error(
      'PH502',
      `the file name ${basename(path)} is not the name of a zone`,
      place,
      'state the zone: --zone example.com',
    );
    return undefined;
  }
  if (typeof contents !== 'object' || contents === null || Array.isArray(contents)) {
    report.error('PH501', `${path} is not a map of names to records`, place, 'give the YAML file of one zone');
    return undefined;
  }
  const draft = createDraft(zone, `octoDNS, ${path}`);
  for (const [name, value] of Object.entries(fieldsOf(contents))) {
    const owner = name === '' ? zone : nameIn(name, zone);
    if (owner) addName(draft, owner, listOf(value).map(fieldsOf));
    else note(draft, 'dropped', undefined, `${name}, which is not a domain name`);
  }
  return draft;
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
  if (number === undefined) {
    const what = written.map((value) => textOf(value) ?? JSON.stringify(value)).join(', ');
    const why = type === 'ALIAS' ? 'give the addresses, with a check' : 'not a type of DNS';
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
