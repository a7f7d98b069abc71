/**
 * Readers for parsed JSON and YAML. A value of the wrong type counts as absent.
 */
import type { Report } from '../../config/diagnostics.ts';
import { MAX_TEXT_OCTETS } from '../../config/limits.ts';
import { faultOf, readRegularFile } from '../../config/read-file.ts';
import { NameError, parseName, ROOT, type Name } from '../../wire/name.ts';
import { parseRdataText, RdataError } from '../../wire/rdata.ts';
import { typeText } from '../../wire/types.ts';
import { addDraftRecord, note, type DraftValue, type ZoneDraft } from './draft.ts';

export type Fields = { readonly [key: string]: unknown };

/** A map's fields; empty for anything else. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** A list; empty for a missing value; any other value as a list of one, as in most YAML formats. */
export function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? (value as readonly unknown[]) : [value];
}

/** Text; numbers and booleans as text. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** An integer of 0 or more, also written as text. */
export function numberOf(value: unknown): number | undefined {
  const text = textOf(value);
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** The file's text. Returns undefined and reports PH500 if the file cannot be read. */
export function readSource(path: string, report: Report): string | undefined {
  try {
    const { octets } = readRegularFile(path, { maxOctets: MAX_TEXT_OCTETS });
    // Windows PowerShell's `>` writes UTF-16; decoding removes the byte order mark.
    const mark = octets.toString('hex', 0, 2);
    const encoding = mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8';
    return new TextDecoder(encoding).decode(octets);
  } catch (error) {
    const { why, hint = 'check the path' } = faultOf(error);
    report.error('PH500', `cannot read ${path}: ${why}`, { file: path }, hint);
    return undefined;
  }
}

/** An absolute name of another system, with or without the final dot. */
export function wholeName(text: string): Name | undefined {
  return nameIn(text.endsWith('.') ? text : `${text}.`, ROOT);
}

export function nameIn(text: string, origin: Name): Name | undefined {
  try {
    return parseName(text, origin);
  } catch (error) {
    if (error instanceof NameError) return undefined;
    throw error;
  }
}

/** Adds a value in presentation format to the draft. A mistake in it becomes a note. Names in it are absolute. */
export function addText(
  draft: ZoneDraft,
  owner: Name,
  type: number,
  ttlSeconds: number,
  text: string,
  origin: Name = ROOT,
): void {
  const rdata = readData(draft, owner, type, text, origin);
  if (rdata) addDraftRecord(draft, owner, type, ttlSeconds, rdata);
}

/** Reads a value in presentation format. A mistake in it becomes a note. Names in it are absolute. */
export function readData(
  draft: ZoneDraft,
  owner: Name,
  type: number,
  text: string,
  origin: Name = ROOT,
): Uint8Array | undefined {
  try {
    return parseRdataText(type, text, origin);
  } catch (error) {
    if (!(error instanceof RdataError || error instanceof NameError)) throw error;
    note(draft, 'dropped', owner, `${typeText(type)} ${text}: ${error.message}`);
    return undefined;
  }
}

/** A name without blanks, `/` and `@`, which targets cannot contain (docs/commands.md#targets). */
export function targetName(text: string): string {
  const name = text.trim().replace(/[\s/@]+/g, '-');
  return name === '' ? 'unnamed' : name;
}

/** A text as one label of a host name. */
export function labelOf(text: string): string {
  const label = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_LABEL)
    .replace(/^-+|-+$/g, '');
  return label === '' ? 'unnamed' : label;
}

/** Less than the 63 octets of RFC 1035 2.3.4, for a number behind it. */
const MAX_LABEL = 56;

/** A list of names in the shortest form: one alone is no list. */
export function oneOrList(names: readonly string[]): DraftValue {
  const [first] = names;
  return names.length === 1 && first !== undefined ? first : [...names];
}
