/**
 * Sources in JSON or YAML: one file, or the files of a folder.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Place, Report } from '../../config/diagnostics.ts';
import { lookAt } from '../../config/folder.ts';
import { readSource } from './values.ts';

/** A document and the file that it is in. */
export type ReadDocument = { readonly file: string; readonly content: unknown };

/** The file, or the files of the folder whose names match, in the order of their names. */
export function filesIn(path: string, pattern: RegExp): readonly string[] {
  if (lookAt(path).kind !== 'folder') return [path];
  const names = readdirSync(path).sort();
  return names.flatMap((name) => (pattern.test(name) && !name.startsWith('.') ? [join(path, name)] : []));
}

/** Returns the content of a JSON file. Undefined, with PH500 or PH501 in `report`, if it cannot be read. */
export function readJson(file: string, report: Report, hint: string): ReadDocument | undefined {
  const text = readSource(file, report);
  if (text === undefined) return undefined;
  try {
    return { file, content: JSON.parse(text) as unknown };
  } catch (error) {
    report.error('PH501', `${file} is not JSON`, placeInJson(file, text, error), hint);
    return undefined;
  }
}

/** The position in the parser's message; the file if the message has none. */
function placeInJson(file: string, text: string, error: unknown): Place {
  const offset = error instanceof SyntaxError ? /position (\d+)/.exec(error.message)?.[1] : undefined;
  if (offset === undefined) return { file };
  const before = text.slice(0, Number(offset)).split('\n');
  return { file, line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

/**
 * Returns the documents of a YAML file. Undefined, with PH500 or PH501 in `report`, if it cannot be read. Scalars stay
 * as written: 1.10 and NO are text.
 */
export function readYamlDocuments(file: string, report: Report): readonly ReadDocument[] | undefined {
  const text = readSource(file, report);
  if (text === undefined) return undefined;
  const documents = parseAllDocuments(text, { schema: 'failsafe', uniqueKeys: false, merge: true });
  const list = Array.isArray(documents) ? documents : [];
  const contents: ReadDocument[] = [];
  for (const document of list) {
    const [mistake] = document.errors;
    if (mistake) {
      const [start] = mistake.linePos ?? [];
      const place = { file, line: start?.line ?? 1, column: start?.col ?? 1 };
      report.error('PH501', mistake.message.split('\n')[0] ?? '', place);
      return undefined;
    }
    try {
      contents.push({ file, content: document.toJS() as unknown });
    } catch (error) {
      // A merge key of something that is not a map, or too many aliases.
      report.error('PH501', error instanceof Error ? error.message : String(error), { file });
      return undefined;
    }
  }
  return contents;
}
