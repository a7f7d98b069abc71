/**
 * Checks (SPEC 5), as pharos.yaml, zone files and services state them.
 */
import {
  body,
  command,
  headers,
  host,
  loadPath,
  path,
  port,
  queryName,
  queryType,
  sent,
  httpStatus,
} from './check-fields.ts';
import { timingFields, timingOf, warnShortTimeout, type Timing } from './check-timing.ts';
import type { Report, ReportOnce } from './diagnostics.ts';
import { judgeCommand } from './file-rights.ts';
import {
  boolean,
  choice,
  dictionary,
  duration,
  entriesOf,
  integer,
  list,
  map,
  optional,
  required,
  text,
  valueOf,
  withDefault,
  type Read,
} from './fields.ts';
import { MAX_COMPOUND_DEPTH, MAX_DAYS_LEFT } from './limits.ts';
import { nearestHint } from './nearest-word.ts';
import { judgeDaysLeft, judgeHttpCheck, judgeMatch } from './never-passes.ts';
import { COMPOUND_KINDS, isCompoundKind, readCompound } from './read-compound.ts';
import type { CheckSpec, CheckTiming } from './settings.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

const KINDS = ['http', 'https', 'tcp', 'tls', 'dns', 'grpc', 'exec', 'push', ...COMPOUND_KINDS] as const;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS'] as const;

/** A push check has gone quiet when this many reports in a row are missing. */
const INTERVALS_TO_EXPIRE = 3;

/** What every check has. `type` has been read when these are. */
const common = { type: required(text(), ''), ...timingFields };

const readHttp = map('check', {
  ...common,
  port: optional(port),
  method: withDefault(choice(METHODS, { code: 'PH048' }), 'GET'),
  path: withDefault(path, '/'),
  host: optional(host),
  headers: withDefault(headers, []),
  status: withDefault(list(httpStatus, { min: 1 }), [{ from: 200, to: 399 }]),
  body: optional(body),
  load_path: optional(loadPath),
  insecure: withDefault(boolean(), false),
  watch: withDefault(boolean(), true),
});

const readTcp = map('check', {
  ...common,
  port: optional(port),
  send: optional(sent),
  expect: optional(body),
  watch: withDefault(boolean(), true),
});

const readTls = map('check', {
  ...common,
  port: optional(port),
  host: optional(host),
  insecure: withDefault(boolean(), false),
  min_days_left: optional(integer({ min: 0, max: MAX_DAYS_LEFT, hint: 'whole days, such as 14' })),
  watch: withDefault(boolean(), true),
});

const readGrpc = map('check', {
  ...common,
  port: optional(port),
  service: withDefault(text({ allowEmpty: true, maxOctets: 255 }), ''),
  tls: withDefault(boolean(), false),
  host: optional(host),
  insecure: withDefault(boolean(), false),
});

const readExec = map('check', {
  ...common,
  port: optional(port),
  command: required(command, 'the program and its arguments, such as command: [/usr/local/bin/check-web, -v]'),
});

const readDns = map('check', {
  ...common,
  port: withDefault(port, 53),
  name: required(queryName, 'the name to ask for, such as name: www.example.com'),
  rtype: withDefault(queryType, 'A'),
});

const readPush = map('check', { ...common, expires: optional(duration({ minMs: 1000 })) });

/** Finds the check that a name means, and reports where there is none or it cannot be used; then it is undefined. */
export type FindCheck = (named: string, node: YamlNode, report: Report) => CheckSpec | undefined;

/** Among the checks that have been read; to name a broken one, which has been reported, is no second mistake. */
export function findAmong(
  known: ReadonlyMap<string, CheckSpec>,
  broken: ReadonlySet<string>,
  once: ReportOnce,
): FindCheck {
  return (named, node) => {
    const found = known.get(named);
    if (!found && !broken.has(named)) {
      const hint = nearestHint(named, [...known.keys(), ...broken]);
      once(`check ${named}`, 'PH207', `there is no check ${named}`, nodePlace(node), hint);
    }
    return found;
  };
}

/** One check. `checkName` is what the status page and the log call it; `find` knows those that it may be made of. */
export function checkField(checkName: string, find: FindCheck): Read<CheckSpec> {
  return (node, name, report) => {
    if (!entriesOf(node, name, report)) return undefined;
    const kind = readKind(node, name, report);
    return kind && readOfKind(kind, checkName, find, node, name, report);
  };
}

/** The name of a check, or a check, which is then called `checkName`. */
export function checkOrName(checkName: string | undefined, find: FindCheck): Read<CheckSpec> {
  return (node, name, report) => {
    if (node.kind === 'map') return checkField(checkName ?? (kindOf(node) || 'check'), find)(node, name, report);
    const named = text({ hint: 'the name of a check, or a check: { type: tcp, port: 443 }' })(node, name, report);
    return named === undefined ? undefined : find(named, node, report);
  };
}

/** Checks by name. They may be made of each other, in any order, and of the `shared` ones, which they shadow. */
export function checks(shared: ReadonlyMap<string, CheckSpec> = new Map()): Read<ReadonlyMap<string, CheckSpec>> {
  return (node, name, report) => {
    const entries = dictionary(({ key, value }) => [key.text, value] as const)(node, name, report);
    if (!entries) return undefined;
    const nodes = new Map(entries);
    /** Undefined: broken, and reported. */
    const done = new Map<string, CheckSpec | undefined>();
    const open: string[] = [];

    const read = (each: string, value: YamlNode): CheckSpec | undefined => {
      if (done.has(each)) return done.get(each);
      open.push(each);
      const spec = checkField(each, find)(value, `check ${each}`, report);
      open.pop();
      done.set(each, spec);
      return spec;
    };
    const find: FindCheck = (named, at, inner) => {
      const value = nodes.get(named);
      if (value === undefined) {
        const found = shared.get(named);
        const names = [...nodes.keys(), ...shared.keys()].filter((known) => !open.includes(known));
        if (!found) inner.error('PH207', `there is no check ${named}`, nodePlace(at), nearestHint(named, names));
        return found;
      }
      const circle = open.includes(named) ? [...open.slice(open.indexOf(named)), named] : undefined;
      if (circle !== undefined) {
        const message = `check ${named} is made of itself: ${circle.join(' -> ')}`;
        inner.error('PH050', message, nodePlace(at), 'take one of them out of the circle');
        return undefined;
      }
      if (open.length >= MAX_COMPOUND_DEPTH && !done.has(named)) {
        const message = `checks are made of each other more than ${MAX_COMPOUND_DEPTH} deep`;
        inner.error('PH050', message, nodePlace(at), 'name the checks at the end of the chain here');
        return undefined;
      }
      return read(named, value);
    };

    const found = new Map<string, CheckSpec>();
    for (const [each, value] of entries) {
      const spec = read(each, value);
      if (spec) found.set(each, spec);
    }
    return found;
  };
}

/** What the check says it is; empty when it does not. */
function kindOf(node: YamlNode): string {
  const type = valueOf(node, 'type');
  if (type) return type.kind === 'scalar' ? type.text : '';
  return COMPOUND_KINDS.find((kind) => valueOf(node, kind)) ?? '';
}

function readKind(node: YamlNode, name: string, report: Report): (typeof KINDS)[number] | undefined {
  const type = valueOf(node, 'type');
  if (!type) {
    // `{ all_of: [web, tls] }` says what it is.
    const short = kindOf(node);
    if (isCompoundKind(short)) return short;
    const place = nodePlace(node.kind === 'map' ? (node.entries[0]?.key ?? node) : node);
    report.error('PH012', `${name} needs the key type`, place, `one of ${KINDS.join(', ')}`);
    return undefined;
  }
  return choice(KINDS, { code: 'PH040' })(type, `type of ${name}`, report);
}

function timingOverTcp(read: Timing, node: YamlNode, report: Report): CheckTiming {
  const timing = timingOf(read, node, report);
  warnShortTimeout(timing.timeoutMs, node, report);
  return timing;
}

function readOfKind(
  kind: (typeof KINDS)[number],
  checkName: string,
  find: FindCheck,
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
      const timing = timingOverTcp(read, node, report);
      const request = { port, method, path, host, headers, status, body, loadPath: read.load_path };
      const spec = { name: checkName, kind, ...timing, ...request, insecure, watch };
      judgeHttpCheck(spec, node, name, report);
      return spec;
    }
    case 'tcp': {
      const read = readTcp(node, name, report);
      if (!read) return undefined;
      const { port = 0, send, expect, watch } = read;
      judgeMatch(expect, 'expect', node, name, report);
      return { name: checkName, kind, ...timingOverTcp(read, node, report), port, send, expect, watch };
    }
    case 'tls': {
      const read = readTls(node, name, report);
      if (!read) return undefined;
      const { port, host, insecure, min_days_left: minDaysLeft, watch } = read;
      judgeDaysLeft(minDaysLeft, node, report);
      return { name: checkName, kind, ...timingOverTcp(read, node, report), port, host, insecure, minDaysLeft, watch };
    }
    case 'grpc': {
      const read = readGrpc(node, name, report);
      if (!read) return undefined;
      const { port, service, tls, host, insecure } = read;
      return { name: checkName, kind, ...timingOverTcp(read, node, report), port, service, tls, host, insecure };
    }
    case 'exec': {
      const read = readExec(node, name, report);
      if (!read) return undefined;
      judgeCommand(read.command, node, report);
      return { name: checkName, kind, ...timingOf(read, node, report), command: read.command, port: read.port };
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
    case 'all_of':
    case 'any_of':
    case 'at_least':
      return readCompound({ kind, checkName, node, name, report, member: checkOrName(undefined, find) });
  }
}
