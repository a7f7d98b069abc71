/**
 * Checks (SPEC 5), as pharos.yaml, zone files and services state them.
 */
import { isIP } from 'node:net';
import { NameError, formatName, parseName } from '../wire/name.ts';
import { typeNumber, isMetaType } from '../wire/types.ts';
import type { Place, Report } from './diagnostics.ts';
import {
  boolean,
  choice,
  dictionary,
  duration,
  integer,
  list,
  map,
  optional,
  required,
  scalar,
  text,
  valueOf,
  withDefault,
  type Read,
  entriesOf,
} from './fields.ts';
import {
  MAX_CHECK_INTERVAL_MS,
  MAX_CHECK_TIMEOUT_MS,
  MAX_RISE_OR_FALL,
  MIN_CHECK_INTERVAL_MS,
  MIN_CHECK_TIMEOUT_MS,
} from './limits.ts';
import type { BodyMatch, CheckSpec, CheckTiming } from './settings.ts';
import { reportUnavailableCheck } from './unavailable.ts';
import { formatDuration } from './units.ts';
import { placeOf, type YamlNode } from './yaml.ts';

const KINDS = ['http', 'https', 'tcp', 'dns', 'push'] as const;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS'] as const;

const DEFAULT_INTERVAL_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 2000;
const DEFAULT_FAST_MS = 1000;
/** A push check has gone quiet when this many reports in a row are missing. */
const INTERVALS_TO_EXPIRE = 3;

const interval = duration({ minMs: MIN_CHECK_INTERVAL_MS, maxMs: MAX_CHECK_INTERVAL_MS });

/** What every check has. `type` has been read when these are. */
const common = {
  type: required(text(), ''),
  interval: withDefault(interval, DEFAULT_INTERVAL_MS),
  timeout: withDefault(duration({ minMs: MIN_CHECK_TIMEOUT_MS, maxMs: MAX_CHECK_TIMEOUT_MS }), DEFAULT_TIMEOUT_MS),
  fast: optional(interval),
  rise: withDefault(integer({ min: 1, max: MAX_RISE_OR_FALL }), 2),
  fall: withDefault(integer({ min: 1, max: MAX_RISE_OR_FALL }), 3),
};

const port = integer({ min: 1, max: 65_535 });

const path = scalar(
  'a path that begins with /',
  (value) => (/^\/[\x21-\x7e]*$/.test(value) ? value : undefined), //
  { code: 'PH041', hint: 'such as /health; a host belongs to "host", a port to "port"' },
);

const status = scalar(
  'a status from 100 to 599, or a range of them',
  (value) => {
    const match = /^(\d{3})(?:\s*-\s*(\d{3}))?$/.exec(value);
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    return from >= 100 && to <= 599 && from <= to ? { from, to } : undefined;
  },
  { code: 'PH042', hint: 'such as 200, 200-399, or a list: [200, 204, 300-302]' },
);

const host = scalar('a host name', (value) => (/^[\w.-]+$/.test(value) || isIP(value) ? value : undefined), {
  code: 'PH047',
  hint: 'the name alone, such as www.example.com; a port belongs to "port"',
});

const queryName = scalar(
  'a domain name',
  (value) => {
    try {
      return formatName(parseName(value.endsWith('.') ? value : `${value}.`));
    } catch (error) {
      if (error instanceof NameError) return undefined;
      throw error;
    }
  },
  { code: 'PH049', hint: 'such as www.example.com; it is never relative' },
);

const queryType = scalar(
  'a record type',
  (value) => {
    const type = typeNumber(value);
    return type !== undefined && !isMetaType(type) ? value.toUpperCase() : undefined;
  },
  { code: 'PH049', hint: 'such as A, AAAA or SOA' },
);

/** Text, or `/regex/flags`, which is compiled here once to know that it can be. */
const body: Read<BodyMatch> = (node, name, report) => {
  const value = text()(node, name, report);
  const regex = value === undefined ? null : /^\/(.+)\/([a-zA-Z]*)$/s.exec(value);
  if (value === undefined || !regex) return value === undefined ? undefined : { kind: 'text', text: value };
  const [, source = '', flags = ''] = regex;
  const hint = 'write /regex/ with the flags i, m, s or u, or a text that does not begin and end with /';
  if (!/^[imsu]*$/.test(flags)) {
    report.error('PH043', `${name} has flags that mean nothing here: ${flags}`, placeOf(node), hint);
    return undefined;
  }
  try {
    new RegExp(source, flags);
    return { kind: 'regex', source, flags };
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : String(error);
    report.error('PH043', `${name} is not a regular expression: ${why}`, placeOf(node), hint);
    return undefined;
  }
};

const headers = dictionary(({ key, value }, report): [string, string] | undefined => {
  // RFC 9110 5.1, 5.5: a token, and a value without line breaks.
  if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(key.text)) {
    report.error('PH045', `${key.text} is not a header's name`, placeOf(key), 'such as X-Probe');
    return undefined;
  }
  const content = text({ allowEmpty: true })(value, key.text, report);
  if (content === undefined) return undefined;
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(content)) {
    const message = `header ${key.text} holds a character that headers cannot`;
    report.error('PH045', message, placeOf(value), 'no line breaks, no control characters');
    return undefined;
  }
  return [key.text, content];
});

const readHttp = map('check', {
  ...common,
  port: optional(port),
  method: withDefault(choice(METHODS, { code: 'PH048' }), 'GET'),
  path: withDefault(path, '/'),
  host: optional(host),
  headers: withDefault(headers, []),
  status: withDefault(list(status, { min: 1 }), [{ from: 200, to: 399 }]),
  body: optional(body),
  insecure: withDefault(boolean(), false),
  watch: withDefault(boolean(), true),
});

const readTcp = map('check', {
  ...common,
  port: optional(port),
  send: optional(text()),
  expect: optional(body),
  watch: withDefault(boolean(), true),
});

const readDns = map('check', {
  ...common,
  port: withDefault(port, 53),
  name: required(queryName, 'the name to ask for, such as name: www.example.com'),
  rtype: withDefault(queryType, 'A'),
});

const readPush = map('check', { ...common, expires: optional(duration({ minMs: 1000 })) });

/** One check. `checkName` is what the status page and the log call it. */
export function check(checkName: string): Read<CheckSpec> {
  return (node, name, report) => {
    if (!entriesOf(node, name, report)) return undefined;
    const kind = readKind(node, name, report);
    return kind && readOfKind(kind, checkName, node, name, report);
  };
}

/** Checks by name. */
export const checks: Read<ReadonlyMap<string, CheckSpec>> = (node, name, report) => {
  const found = dictionary(({ key, value }, inner) => check(key.text)(value, `check ${key.text}`, inner))(
    node,
    name,
    report,
  );
  return found && new Map(found.map((spec) => [spec.name, spec]));
};

function readKind(node: YamlNode, name: string, report: Report): (typeof KINDS)[number] | undefined {
  const type = valueOf(node, 'type');
  if (!type) {
    const place = placeOf(node.kind === 'map' ? (node.entries[0]?.key ?? node) : node);
    report.error('PH012', `${name} needs the key type`, place, `one of ${KINDS.join(', ')}`);
    return undefined;
  }
  if (type.kind === 'scalar' && reportUnavailableCheck(report, type.text, placeOf(type))) return undefined;
  return choice(KINDS, { code: 'PH040' })(type, `type of ${name}`, report);
}

function readOfKind(
  kind: (typeof KINDS)[number],
  checkName: string,
  node: YamlNode,
  name: string,
  report: Report,
): CheckSpec | undefined {
  switch (kind) {
    case 'http':
    case 'https': {
      const read = readHttp(node, name, report);
      if (!read) return undefined;
      const { port, method, path, host, status, body, insecure, watch } = read;
      const headers = Object.fromEntries(read.headers);
      const timing = timingOf(read, node, report);
      return { name: checkName, kind, ...timing, port, method, path, host, headers, status, body, insecure, watch };
    }
    case 'tcp': {
      const read = readTcp(node, name, report);
      if (!read) return undefined;
      const { port = 0, send, expect, watch } = read;
      return { name: checkName, kind, ...timingOf(read, node, report), port, send, expect, watch };
    }
    case 'dns': {
      const read = readDns(node, name, report);
      if (!read) return undefined;
      const timing = timingOf(read, node, report);
      return { name: checkName, kind, ...timing, port: read.port, query: read.name, rtype: read.rtype };
    }
    case 'push': {
      const read = readPush(node, name, report);
      if (!read) return undefined;
      const expiresMs = read.expires ?? INTERVALS_TO_EXPIRE * read.interval;
      return { name: checkName, kind, ...timingOf(read, node, report), expiresMs };
    }
  }
}

type Timing = {
  readonly interval: number;
  readonly timeout: number;
  readonly fast: number | undefined;
  readonly rise: number;
  readonly fall: number;
};

function timingOf(read: Timing, node: YamlNode, report: Report): CheckTiming {
  const { interval: intervalMs, timeout: timeoutMs, rise, fall } = read;
  const placeOfKey = (...keys: readonly string[]): Place =>
    placeOf(keys.flatMap((key) => valueOf(node, key) ?? [])[0] ?? node);
  if (read.fast !== undefined && read.fast > intervalMs) {
    const message = `fast (${formatDuration(read.fast)}) is longer than interval (${formatDuration(intervalMs)})`;
    report.warning('PH044', message, placeOfKey('fast'), 'a failure would be seen later than without it');
  }
  if (timeoutMs > intervalMs) {
    const message = `timeout (${formatDuration(timeoutMs)}) is longer than interval (${formatDuration(intervalMs)})`;
    report.warning('PH044', message, placeOfKey('timeout', 'interval'), 'the next probe waits for it: shorten it');
  }
  return { intervalMs, timeoutMs, fastMs: read.fast ?? Math.min(DEFAULT_FAST_MS, intervalMs), rise, fall };
}
