/**
 * Readers of the values of checks.
 */
import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { NameError, formatName, parseName } from '../wire/name.ts';
import { typeNumber, isMetaType } from '../wire/types.ts';
import type { Report } from './diagnostics.ts';
import { EXPRESSION_FLAGS, expressionMistake } from './expression.ts';
import {
  asWritten,
  dictionary,
  firstWord,
  fromEnvironment,
  integer,
  list,
  scalar,
  show,
  text,
  type Read,
} from './fields.ts';
import { isHostName, withoutFinalDot } from './host-name.ts';
import { anyOf, described, like, pattern, SCALAR } from './schema.ts';
import { hideShapes } from './secrets.ts';
import { isDoubleQuoted, placeInText, nodePlace, type YamlNode } from './yaml.ts';

/** Text to find, or a regular expression to match. */
export type BodyMatch =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'regex'; readonly source: string; readonly flags: string };

/** HTTP statuses, both ends included. */
export type StatusRange = { readonly from: number; readonly to: number };

export const port = integer({ min: 1, max: 65_535 });

/**
 * The path of a request with its query (RFC 9112 3.2.1), of characters that RFC 3986 allows there. Other characters are
 * refused, not encoded, so that the request has the path as written.
 */
export const path: Read<string> = described(pattern(/^\/(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2})*$/), readPath);

function readPath(node: YamlNode, name: string, report: Report): string | undefined {
  if (node.kind === 'scalar' && node.text.startsWith('/') && !/[\s\p{Cc}]/u.test(node.text)) {
    if (PATH.test(node.text)) return node.text;
    const at = node.text.search(NOT_IN_PATH);
    const fragment = node.text[at] === '#';
    const found = fragment
      ? 'a "#", and what follows it is never sent'
      : `"${String(node.text.match(NOT_IN_PATH)?.[0])}"`;
    const encoded = node.text.replaceAll(NOT_IN_PATHS, (sign) =>
      Array.from(Buffer.from(sign), (octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    );
    const hint = fragment ? 'remove it; for the character itself write %23' : `write ${show(hideShapes(encoded))}`;
    const message = `${name} has ${found}${fragment ? '' : ', which is not allowed in a path'}`;
    report.error('PH041', message, placeInText(node, at), hint);
    return undefined;
  }
  return anyPath(node, name, report);
}

const anyPath = scalar<string>('a path that begins with / and has no spaces', () => undefined, {
  code: 'PH041',
  hint: 'such as /health; a host belongs to "host", a port to "port"',
});
/** RFC 3986 3.3, 3.4. */
const PATH = /^\/(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2})*$/;
const NOT_IN_PATH = /[^\w.~!$&'()*+,;=:@/?%-]|%(?![0-9a-fA-F]{2})/u;
const NOT_IN_PATHS = new RegExp(NOT_IN_PATH, 'gu');

export const httpStatus: Read<StatusRange> = scalar(
  'a status from 100 to 599, or a range of them',
  (value) => {
    const match = /^(\d{3})(?:\s*-\s*(\d{3}))?$/.exec(value);
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    return from >= 100 && to <= 599 && from <= to ? { from, to } : undefined;
  },
  {
    code: 'PH042',
    hint: 'such as 200, 200-399, or a list: [200, 204, 300-302]',
    schema: anyOf({ type: 'integer', minimum: 100, maximum: 599 }, pattern(/^[1-5]\d\d(?:\s*-\s*[1-5]\d\d)?$/)),
  },
);

/** Without a final dot, as in SNI, the Host header and certificates. */
export const host = scalar(
  'a host name',
  (value) => {
    const name = withoutFinalDot(value);
    return isHostName(name) || isIP(value) ? name : undefined;
  },
  {
    schema: anyOf(
      pattern(/^(?:[\w-]{1,63}(?:\.[\w-]{1,63})*\.?|[0-9a-fA-F:.]+)$/),
      { type: 'boolean' },
      { type: 'number' },
    ),
    code: 'PH047',
    hint: 'the name alone, such as www.example.com; a port belongs to "port"',
  },
);

export const queryName = scalar(
  'a domain name',
  (value) => {
    try {
      return formatName(parseName(value.endsWith('.') ? value : `${value}.`));
    } catch (error) {
      if (error instanceof NameError) return undefined;
      throw error;
    }
  },
  { code: 'PH049', hint: 'such as www.example.com; it is always absolute' },
);

export const queryType = scalar(
  'a record type',
  (value) => {
    const type = typeNumber(value);
    return type !== undefined && !isMetaType(type) ? value.toUpperCase() : undefined;
  },
  { code: 'PH049', hint: 'such as A, AAAA or SOA', schema: pattern(/^[A-Za-z][A-Za-z0-9-]*$/) },
);

/** Text, or `/regex/flags`, which is compiled here once to check it. */
export const body: Read<BodyMatch> = like(text(), (node: YamlNode, name: string, report: Report) => {
  const value = text()(node, name, report);
  const regex = value === undefined ? null : /^\/(.+)\/([a-zA-Z]*)$/s.exec(value);
  if (value === undefined || !regex) {
    warnOfEscapes(node, name, report);
    return value === undefined ? undefined : { kind: 'text', text: value };
  }
  const [, source = '', flags = ''] = regex;
  const hint = 'write /regex/ with the flags i, m, s or u, or a text that does not begin and end with /';
  if (!EXPRESSION_FLAGS.test(flags)) {
    report.error('PH043', `${name} has unknown flags: ${flags}`, nodePlace(node), hint);
    return undefined;
  }
  const mistake = expressionMistake(source, flags);
  if (mistake === undefined) return { kind: 'regex', source, flags };
  const message = `${name} is not a valid RE2 regular expression: ${mistake}`;
  report.error('PH043', message, nodePlace(node), 'RE2 has no look-ahead and no back-references');
  return undefined;
});

/** The text that is sent, and the text as written in the file. */
export const sent: Read<{ readonly text: string; readonly inFile: string }> = fromEnvironment(
  like(text(), (node: YamlNode, name: string, report: Report) => {
    warnOfEscapes(node, name, report);
    const value = text()(node, name, report);
    return value === undefined ? undefined : { text: value, inFile: node.kind === 'scalar' ? asWritten(node) : value };
  }),
);

/**
 * YAML resolves escapes only in double quotes: elsewhere `PING\r\n` ends with backslashes and letters, and the target
 * waits for the end of the line.
 */
function warnOfEscapes(node: YamlNode, name: string, report: Report): void {
  // A value of the environment is not YAML.
  if (node.kind !== 'scalar' || node.written !== undefined || isDoubleQuoted(node)) return;
  const found = /\\(?:[rnt0abefv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})/.exec(node.text)?.[0];
  if (found === undefined) return;
  const message = `${found} in ${name} is not an escape here: YAML resolves escapes only in double quotes`;
  const hint = `write it in double quotes, such as "PING\\r\\n"; there a backslash is \\\\`;
  report.warning('PH090', message, nodePlace(node), hint);
}

/** A header, and its value as the file has it. */
type HeaderField = { readonly name: string; readonly value: string; readonly inFile: string };

export const headers = dictionary(
  ({ key, value }, report): HeaderField | undefined => {
    // RFC 9110 5.1, 5.5: a token, and a value without line breaks.
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(key.text)) {
      report.error('PH045', `${firstWord(key)} is not a valid header name`, nodePlace(key), 'such as X-Probe');
      return undefined;
    }
    const content = fromEnvironment(text({ allowEmpty: true }))(value, key.text, report);
    if (content === undefined) return undefined;
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(content)) {
      const message = `header ${key.text} has a character that is not allowed in headers`;
      report.error('PH045', message, nodePlace(value), 'no line breaks, no control characters');
      return undefined;
    }
    return {
      name: key.text,
      value: key.text.toLowerCase() === 'host' ? withoutFinalDot(content) : content,
      inFile: value.kind === 'reference' ? value.written : content,
    };
  },
  text({ allowEmpty: true }),
  pattern(/^[!#$%&'*+.^_`|~\w-]+$/),
);

/** Header names with their values, or with the values as written in the file. */
export function headersOf(
  fields: readonly HeaderField[],
  which: 'value' | 'inFile' = 'value',
): Readonly<Record<string, string>> {
  return Object.fromEntries(fields.map((field) => [field.name, field[which]]));
}

/** Keys and indexes separated by dots. */
export const loadPath = scalar(
  'keys separated by dots',
  (value) => (/^[^.\s]+(?:\.[^.\s]+)*$/.test(value) ? value : undefined),
  { schema: pattern(/^[^.\s]+(?:\.[^.\s]+)*$/), code: 'PH054', hint: 'such as load, metrics.cpu or nodes.0.load' },
);

type Command = readonly [string, ...string[]];

/**
 * A list of the program and its arguments, or a line that is split at spaces: there is no shell. A program with a slash
 * is relative to the folder of the YAML file.
 */
export const command: Read<{ readonly run: Command; readonly inFile: Command }> = described(
  anyOf(
    pattern(/^[^"'`\\|&;<>$*?(){}]*[^"'`\\|&;<>$*?(){}\s][^"'`\\|&;<>$*?(){}]*$/),
    {
      type: 'array',
      items: [anyOf({ type: 'string', minLength: 1 }, { type: ['number', 'boolean'] })],
      additionalItems: SCALAR,
      minItems: 1,
    },
    { type: ['number', 'boolean'] },
  ),
  readCommand,
);

function readCommand(
  node: YamlNode,
  name: string,
  report: Report,
): { readonly run: Command; readonly inFile: Command } | undefined {
  const place = nodePlace(node, 0, 1);
  const hint = 'write [program, argument, ...]; for a shell: [sh, -c, "..."]';
  let words: readonly string[] | undefined;
  if (node.kind === 'list') words = list(text({ allowEmpty: true }))(node, name, report);
  else {
    const line = text({ hint })(node, name, report);
    if (line !== undefined && /["'`\\|&;<>$*?(){}]/.test(line)) {
      report.error('PH053', `${name} has shell syntax, but commands run without a shell`, place, hint);
      return undefined;
    }
    words = line?.split(/\s+/).filter((word) => word !== '');
  }
  if (words === undefined) return undefined;
  const [program = '', ...rest] = words;
  if (program === '' || words.some((word) => word.includes('\0'))) {
    report.error('PH053', `${name} names no program`, place, hint);
    return undefined;
  }
  const run = program.includes('/') ? resolve(dirname(place.file), program) : program;
  return { run: [run, ...rest], inFile: [program, ...rest] };
}
