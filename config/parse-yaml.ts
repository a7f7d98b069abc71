/**
 * Reads a YAML file (1.2, core schema) to the tree of yaml.ts, and explains in plain words why a file is not YAML.
 */
import { isUtf8 } from 'node:buffer';
import { parseDocument, type YAMLParseError } from 'yaml';
import { MAX_NAME_OCTETS } from '../wire/limits.ts';
import { convertYaml } from './convert-yaml.ts';
import type { PlaceInFile, Report } from './diagnostics.ts';
import type { Environment } from './environment.ts';
import { MAX_SYNTAX_ERRORS, MAX_YAML_BYTES, MAX_YAML_DEPTH } from './limits.ts';
import { faultOf, readRegularFile } from './read-file.ts';
import { hideInMessage, secretsInText, secretSpans, type ShownWords } from './secrets.ts';
import { isSecret, yamlPlace, placeOfFile, type YamlFile, type YamlNode } from './yaml.ts';

/** Restrictions on a file. */
export type YamlLimits = {
  /** The folder that must contain it. */
  readonly below?: string | undefined;
  /** Variables that it must not use. */
  readonly withheld?: ReadonlySet<string>;
  /** A file of tokens: diagnostics show no values but these roles. */
  readonly shown?: ShownWords;
};

/** Reads one file. Returns undefined for one that cannot be read or is not YAML, which it reports. */
export function readYaml(
  path: string,
  env: Environment,
  report: Report,
  limits: YamlLimits = {},
): YamlNode | undefined {
  const text = readText(path, limits.below, report);
  return text === undefined ? undefined : parseYaml(path, text, env, report, limits);
}

/** Reads text; `path` is for diagnostics. */
export function parseYaml(
  path: string,
  text: string,
  env: Environment,
  report: Report,
  { withheld = new Set(), shown }: Omit<YamlLimits, 'below'> = {},
): YamlNode | undefined {
  const lines = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.push(at + 1);
  // uniqueKeys compares every key with every other: 104 s for 100,000 records. convert-yaml.ts finds duplicates.
  const document = parseDocument(text, { uniqueKeys: false, prettyErrors: false, resolveKnownTags: false });
  const file: YamlFile = { path, text, lines, secrets: secretSpans(document.contents, text, shown) };
  const mistakes = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  if (mistakes.length > 0) {
    reportSyntax({ ...file, secrets: [...file.secrets, ...secretsInText(text, lines, shown)] }, mistakes, report);
    return undefined;
  }
  return convertYaml(document.contents, file, env, withheld, report);
}

function readText(path: string, below: string | undefined, report: Report): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(path, { maxOctets: MAX_YAML_BYTES, below }).octets;
  } catch (error) {
    const { code, why, hint = 'check the name and the folder that it is relative to' } = faultOf(error);
    if (code === 'TOO_LARGE') {
      const message = `the file is too large to be read as YAML: at most ${MAX_YAML_BYTES / 1024 ** 2} MiB`;
      const bulk = 'put large numbers of records into a master file: include: [bulk.db]';
      report.error('PH007', message, placeOfFile(path), bulk);
    } else if (code === 'OUTSIDE') report.error('PH385', `${path} is not read: ${why}`, placeOfFile(path), hint);
    else report.error('PH001', `cannot read ${path}: ${why}`, placeOfFile(path), hint);
    return undefined;
  }
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes);
  // In UTF-8 a newline octet is never part of another character, so lines can be checked one by one.
  let line = 1;
  for (let at = 0; at < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0 || !isUtf8(bytes.subarray(at, end))) break;
    at = end + 1;
  }
  report.error('PH003', 'the file is not UTF-8 text', { file: path, line, column: 1 }, 'save it as UTF-8');
  return undefined;
}

function reportSyntax(
  file: YamlFile,
  mistakes: readonly {
    readonly code: YAMLParseError['code'];
    readonly message: string;
    readonly pos: [number, number];
  }[],
  report: Report,
): void {
  const lines = new Set<number>();
  let lostKey = false;
  for (const { code, message, pos } of mistakes) {
    // A mistake after the last line break is shown at the end of the text.
    const at = Math.min(pos[0], file.text.trimEnd().length);
    const place = yamlPlace(file, at, pos[1] - pos[0]);
    if (lines.has(place.line) || lines.size === MAX_SYNTAX_ERRORS) continue; // one mistake per line
    // Once the parser has lost the structure, it repeats this for every following line.
    if (lines.size > 0 && message.includes('in YAML stream')) continue;
    // Lines below an invalid key are reported with a wrong indentation.
    if (lostKey && code === 'BAD_INDENT') continue;
    lines.add(place.line);
    if (code === 'RESOURCE_EXHAUSTION') {
      report.error('PH007', `nested more than ${MAX_YAML_DEPTH} deep`, place);
      return;
    }
    const bare = bareName(file, at);
    if (bare) {
      lostKey = true;
      const { word, start } = bare;
      const why = word.startsWith('*') ? 'without quotes it is an alias in YAML' : 'YAML reserves the sign @';
      const hint = `put it in quotes: "${word}"`;
      report.error('PH002', `${word} needs quotes: ${why}`, yamlPlace(file, start, word.length), hint);
      continue;
    }
    report.error(
      'PH002',
      syntaxMessage(file, code, message, pos),
      place,
      syntaxHint(code, message, lineOf(file, place)),
    );
  }
}

/**
 * The unquoted name at `at`, or whose colon is at `at`: the apex (`@`) and wildcards (`*.dev`) need quotes in YAML.
 */
function bareName(file: YamlFile, at: number): { readonly word: string; readonly start: number } | undefined {
  const { text } = file;
  const lineAt = text.lastIndexOf('\n', at - 1) + 1;
  const start = at - (/(?<=^|[\s,[{])\*[\w.*-]*$/.exec(text.slice(lineAt, at))?.[0].length ?? 0);
  const word = /^(?:@|\*[\w.*-]*)(?=[\s:,\]}]|$)/.exec(text.slice(start, start + MAX_NAME_OCTETS))?.[0];
  return word === undefined || isSecret(file, start, start + word.length) ? undefined : { word, start };
}

/** The parser's message, without secrets and without names of the parser's functions. */
function syntaxMessage(file: YamlFile, code: string, message: string, pos: readonly [number, number]): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here';
  if (code === 'TAG_RESOLVE_FAILED') return 'unexpected YAML tag';
  const [line = message] = message.split('\n');
  return isSecret(file, ...pos) ? hideInMessage(line, file.text.slice(...pos)) : line;
}

function lineOf({ text, lines }: YamlFile, { line }: PlaceInFile): string {
  return text.slice(lines[line - 1], lines[line]);
}

function syntaxHint(code: string, message: string, line: string): string | undefined {
  if (code === 'MULTIPLE_DOCS') return 'a file has one document: remove the "---"';
  if (code === 'TAB_AS_INDENT') return 'indent with spaces';
  if (code === 'TAG_RESOLVE_FAILED') return 'tags such as !name are not used here';
  if (/[^"'\w]\$\{/.test(line)) return 'put quotes around "${NAME}"';
  if (code === 'UNEXPECTED_TOKEN' && /flow-(?:seq|map)-(?:start|end)/.test(message))
    return 'put quotes around a value that contains brackets or braces';
  if (code === 'UNEXPECTED_TOKEN' && /"[^"]*"\s+"/.test(line))
    return `put single quotes around all of them: '"one" "two"'`;
  if (line.includes('::')) return 'put quotes around an IPv6 address that ends with ":" or has brackets';
  if (/(?:[:,[]|-\s)\s*[*@`%&|>]/.test(line)) return 'put quotes around a value that begins with a special character';
  if (code === 'BLOCK_AS_IMPLICIT_KEY') return 'put quotes around a value that contains ": "';
  if (code === 'MISSING_CHAR' && message.includes('map values')) return 'a colon is missing: write "key: value"';
  if (code === 'MISSING_CHAR' && message.includes('quote')) return 'an earlier quote is not closed';
  if (code === 'BAD_INDENT') return 'check the indentation and the brackets';
  return undefined;
}
