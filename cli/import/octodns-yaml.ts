/**
 * The YAML of octoDNS, in which `!include` reads other files.
 */
import { dirname, resolve } from 'node:path';
import { isCollection, isScalar, parseDocument, type CollectionTag, type ScalarTag } from 'yaml';
import type { Report } from '../../config/diagnostics.ts';
import { fieldsOf, readSource, textOf } from './values.ts';

/** Deepest nesting of `!include`: more than people use, and well below the depth of the stack. */
const MAX_INCLUDE_DEPTH = 16;

/**
 * Returns the content of a file, with included files in their places. `above` has the resolved paths of the files that
 * include this one. Mistakes go to `report`; as in octoDNS, a tag other than `!include` is one. Scalars stay as
 * written:
 * 1.10 and 010 are text.
 */
export function readOctodnsYaml(path: string, report: Report, above: readonly string[] = []): unknown {
  const text = readSource(path, report);
  if (text === undefined) return undefined;
  const document = parseDocument(text, {
    schema: 'failsafe',
    uniqueKeys: false,
    merge: true,
    customTags: includeTags(path, report, [...above, resolve(path)]),
  });
  const [mistake] = [...document.errors, ...document.warnings];
  if (!mistake) {
    try {
      return document.toJS();
    } catch (error) {
      // A merge key of something that is not a map, or too many aliases.
      report.error('PH501', error instanceof Error ? error.message : String(error), { file: path });
      return undefined;
    }
  }
  const [start] = mistake.linePos ?? [];
  const place = { file: path, line: start?.line ?? 1, column: start?.col ?? 1 };
  report.error('PH501', mistake.message.split('\n')[0] ?? '', place);
  return undefined;
}

/** `!include FILE` and `!include [FILE, ...]`, with paths relative to the folder of the file that includes. */
function includeTags(path: string, report: Report, within: readonly string[]): [ScalarTag, CollectionTag] {
  const include = (written: string, onError: (message: string) => void): unknown => {
    const target = resolve(dirname(path), written);
    if (within.includes(target)) onError(`!include ${written}: the file includes itself`);
    else if (within.length > MAX_INCLUDE_DEPTH) onError(`!include ${written}: files include each other too deeply`);
    else return readOctodnsYaml(target, report, within);
    return undefined;
  };
  return [
    { tag: '!include', resolve: include },
    {
      tag: '!include',
      collection: 'seq',
      resolve: (list, onError) => {
        const items: readonly unknown[] = isCollection(list) ? list.items : [];
        const written = items.map((item) => (isScalar(item) ? (textOf(item.value) ?? '') : ''));
        return merged(
          written.map((file) => include(file, onError)).filter((content) => content !== undefined && content !== null),
          onError,
        );
      },
    },
  ];
}

/** Lists are joined. Maps are merged: of equal keys, the last one is kept. */
function merged(contents: readonly unknown[], onError: (message: string) => void): unknown {
  if (contents.every(Array.isArray)) return contents.flat(1);
  if (contents.every((content) => typeof content === 'object' && !Array.isArray(content))) {
    return Object.assign({}, ...contents.map(fieldsOf)) as unknown;
  }
  onError('!include of several files: all of them must be maps, or all of them lists');
  return undefined;
}
