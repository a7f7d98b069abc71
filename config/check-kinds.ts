/**
 * The kinds of checks: for each kind its options, its keys in the file with their defaults, and its traits.
 * `health/checks/run-probe.ts` has the probe of each kind. CONTRIBUTING.md has the recipe for a new kind.
 */
import {
  body,
  command,
  headers,
  headersOf,
  host,
  httpStatus,
  loadPath,
  path,
  port,
  queryName,
  queryType,
  sent,
  type BodyMatch,
  type StatusRange,
} from './check-fields.ts';
import { timingFields, timingOf, timingOverTcp, type CheckTiming } from './check-timing.ts';
import type { Report } from './diagnostics.ts';
import { boolean, choice, duration, integer, list, map, optional, required, text, withDefault } from './fields.ts';
import type { Read } from './fields.ts';
import { judgeCommand } from './file-rights.ts';
import { MAX_DAYS_LEFT } from './limits.ts';
import { judgeDaysLeft, judgeHttpCheck, judgeMatch } from './never-passes.ts';
import { compoundKeys, compoundReader, COUNT_KEYS, isCompoundKind, memberKeys } from './read-compound.ts';
import { anyOf, schemaOf, type HasSchema, type JsonSchema } from './schema.ts';
import type { YamlNode } from './yaml.ts';

type HttpOptions = {
  readonly port: number | undefined;
  readonly method: string;
  readonly path: string;
  /** Host header, SNI and the name the certificate must hold for; undefined: the address. */
  readonly host: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly status: readonly StatusRange[];
  readonly body: BodyMatch | undefined;
  /** Path of the load in the JSON body: keys and indexes separated by dots, `metrics.cpu` or `nodes.0.load`. */
  readonly loadPath: string | undefined;
  readonly insecure: boolean;
  readonly watch: boolean;
};

type CombinedOptions = {
  /** How many members must pass: 1 to all of them. */
  readonly needed: number;
  /** Of any kind but `push`. */
  readonly members: readonly CheckSpec[];
};

/** The options of each kind. Plain data: they cross threads. */
type CheckOptions = {
  readonly http: HttpOptions;
  readonly https: HttpOptions;
  readonly tcp: {
    /** 0: each VIP's `probe` gives the port, and a VIP without one is an error. */
    readonly port: number;
    readonly send: string | undefined;
    readonly expect: BodyMatch | undefined;
    readonly watch: boolean;
  };
  readonly tls: {
    readonly port: number | undefined;
    /** SNI and the name the certificate must hold for; undefined: the address. */
    readonly host: string | undefined;
    readonly insecure: boolean;
    /** Whole days for which the certificate must still be valid. */
    readonly minDaysLeft: number | undefined;
    readonly watch: boolean;
  };
  readonly dns: { readonly port: number; readonly query: string; readonly rtype: string };
  readonly grpc: {
    readonly port: number | undefined;
    /** The service whose health is queried; empty: the server as a whole. */
    readonly service: string;
    readonly tls: boolean;
    /** `:authority`; with TLS also SNI and the name the certificate must hold for. */
    readonly host: string | undefined;
    readonly insecure: boolean;
  };
  readonly exec: {
    /** The program (an absolute path, or a name to find in PATH) and its arguments. */
    readonly command: readonly [string, ...string[]];
    readonly port: number | undefined;
  };
  readonly push: { readonly expiresMs: number };
  readonly all_of: CombinedOptions;
  readonly any_of: CombinedOptions;
  readonly at_least: CombinedOptions;
};

export type CheckKind = keyof CheckOptions;

/**
 * Options as written in the files, if these differ from the options in use: values from the environment, and paths
 * relative to a file. Nodes of a fleet compare the written options, so that a check is the same on all nodes even if a
 * variable or a folder differs.
 */
type InFiles = Readonly<Partial<Record<'headers' | 'send' | 'command', unknown>>>;

/** A check of kind `K`. */
type SpecOf<K extends CheckKind> = CheckTiming & {
  readonly name: string;
  readonly kind: K;
  readonly inFiles?: InFiles;
} & CheckOptions[K];

/** A check with all defaults filled in. */
export type CheckSpec = { [K in CheckKind]: SpecOf<K> }[CheckKind];

/** A check that combines other checks. Its members' timeouts count; their other timing does not. */
export type CompoundSpec = Extract<CheckSpec, { members: unknown }>;

/** A check whose results are reported to the HTTP API. It has no probe. */
export type PushSpec = SpecOf<'push'>;

export type CheckTraits = {
  /** The port when neither check nor VIP gives one; 0 for checks that need no port. */
  readonly defaultPort: number;
  /** Whether its probe verifies a certificate. */
  readonly overTls: boolean;
  /** Whether its probe may use the connection of the previous probe. */
  readonly reusesConnection: boolean;
  /** Whether its probe runs a command on this machine. */
  readonly runsCommand: boolean;
};

/** A check in the file; `name` is its name in messages. */
export type CheckInput = {
  readonly node: YamlNode;
  readonly name: string;
  readonly report: Report;
  /** Reads a member of a check that combines others. */
  readonly member: Read<CheckSpec>;
};

type Row<K extends CheckKind> = {
  /** The reader of its keys. */
  readonly keys: HasSchema;
  /** Returns undefined for a mistake, which has been reported. */
  readonly read: (input: CheckInput) => (CheckTiming & CheckOptions[K] & { readonly inFiles?: InFiles }) | undefined;
  readonly traits: (spec: SpecOf<K>) => Partial<CheckTraits>;
};

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS'] as const;

/** A push check fails when this many reports in a row are missing. */
const INTERVALS_TO_EXPIRE = 3;

/** The port in gRPC's own examples. */
const DEFAULT_GRPC_PORT = 50_051;

/** The keys of every check. `type` has been read before these are. */
const common = { type: required(text(), ''), ...timingFields };

const httpKeys = map('check', {
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

const readHttp: Row<'http' | 'https'>['read'] = ({ node, name, report }) => {
  const read = httpKeys(node, name, report);
  if (!read) return undefined;
  const { port, method, path, host, status, body, insecure, watch } = read;
  const headers = headersOf(read.headers);
  const inFiles = { headers: headersOf(read.headers, 'inFile') };
  const differs = read.headers.some((field) => field.inFile !== field.value);
  const timing = timingOverTcp(read, node, report);
  const options = { port, method, path, host, headers, status, body, loadPath: read.load_path, insecure, watch };
  judgeHttpCheck(options, node, name, report);
  return { ...timing, ...options, ...(differs && { inFiles }) };
};

const tcpKeys = map('check', {
  ...common,
  port: optional(port),
  send: optional(sent),
  expect: optional(body),
  watch: withDefault(boolean(), true),
});

const readTcp: Row<'tcp'>['read'] = ({ node, name, report }) => {
  const read = tcpKeys(node, name, report);
  if (!read) return undefined;
  const { port = 0, send, expect, watch } = read;
  judgeMatch(expect, 'expect', node, name, report);
  return {
    ...timingOverTcp(read, node, report),
    ...{ port, send: send?.text, expect, watch },
    ...(send !== undefined && send.inFile !== send.text && { inFiles: { send: send.inFile } }),
  };
};

const tlsKeys = map('check', {
  ...common,
  port: optional(port),
  host: optional(host),
  insecure: withDefault(boolean(), false),
  min_days_left: optional(integer({ min: 0, max: MAX_DAYS_LEFT, hint: 'whole days, such as 14' })),
  watch: withDefault(boolean(), true),
});

const readTls: Row<'tls'>['read'] = ({ node, name, report }) => {
  const read = tlsKeys(node, name, report);
  if (!read) return undefined;
  const { port, host, insecure, min_days_left: minDaysLeft, watch } = read;
  judgeDaysLeft(minDaysLeft, node, report);
  return { ...timingOverTcp(read, node, report), port, host, insecure, minDaysLeft, watch };
};

const dnsKeys = map('check', {
  ...common,
  port: withDefault(port, 53),
  name: required(queryName, 'the name to query, such as name: www.example.com'),
  rtype: withDefault(queryType, 'A'),
});

const readDns: Row<'dns'>['read'] = ({ node, name, report }) => {
  const read = dnsKeys(node, name, report);
  return read && { ...timingOf(read, node, report), port: read.port, query: read.name, rtype: read.rtype };
};

const grpcKeys = map('check', {
  ...common,
  port: optional(port),
  service: withDefault(text({ allowEmpty: true, maxOctets: 255 }), ''),
  tls: withDefault(boolean(), false),
  host: optional(host),
  insecure: withDefault(boolean(), false),
});

const readGrpc: Row<'grpc'>['read'] = ({ node, name, report }) => {
  const read = grpcKeys(node, name, report);
  if (!read) return undefined;
  const { port, service, tls, host, insecure } = read;
  return { ...timingOverTcp(read, node, report), port, service, tls, host, insecure };
};

const execKeys = map('check', {
  ...common,
  port: optional(port),
  command: required(command, 'the program and its arguments, such as command: [/usr/local/bin/check-web, -v]'),
});

const readExec: Row<'exec'>['read'] = ({ node, name, report }) => {
  const read = execKeys(node, name, report);
  if (!read) return undefined;
  const { run, inFile } = read.command;
  judgeCommand(run, node, report);
  return {
    ...timingOf(read, node, report),
    ...{ command: run, port: read.port },
    ...(inFile[0] !== run[0] && { inFiles: { command: inFile } }),
  };
};

const pushKeys = map('check', { ...common, expires: optional(duration({ minMs: 1000 })) });

const readPush: Row<'push'>['read'] = ({ node, name, report }) => {
  const read = pushKeys(node, name, report);
  if (!read) return undefined;
  return { ...timingOf(read, node, report), expiresMs: read.expires ?? INTERVALS_TO_EXPIRE * read.interval };
};

/** One row per kind. */
const ROWS = {
  http: { keys: httpKeys, read: readHttp, traits: () => ({ defaultPort: 80, reusesConnection: true }) },
  https: {
    keys: httpKeys,
    read: readHttp,
    traits: () => ({ defaultPort: 443, reusesConnection: true, overTls: true }),
  },
  tcp: { keys: tcpKeys, read: readTcp, traits: () => ({}) },
  tls: { keys: tlsKeys, read: readTls, traits: () => ({ defaultPort: 443, overTls: true }) },
  dns: { keys: dnsKeys, read: readDns, traits: ({ port }) => ({ defaultPort: port }) },
  grpc: {
    keys: grpcKeys,
    read: readGrpc,
    traits: ({ tls }) => ({ defaultPort: tls ? 443 : DEFAULT_GRPC_PORT, overTls: tls }),
  },
  exec: { keys: execKeys, read: readExec, traits: () => ({ runsCommand: true }) },
  push: { keys: pushKeys, read: readPush, traits: () => ({}) },
  all_of: { keys: compoundKeys('all_of'), read: compoundReader('all_of'), traits: () => ({}) },
  any_of: { keys: compoundKeys('any_of'), read: compoundReader('any_of'), traits: () => ({}) },
  at_least: { keys: compoundKeys('at_least'), read: compoundReader('at_least'), traits: () => ({}) },
} satisfies { readonly [K in CheckKind]: Row<K> };

/**
 * The schema of a check. In the short form, `{ all_of: [web, tls] }`, the key of the kind is there in place of `type`.
 */
export function checkSchema(): JsonSchema {
  const kinds = Object.entries(ROWS).map(([kind, { keys }]): JsonSchema => {
    const schema = schemaOf(keys, kind);
    const { properties } = schema as { readonly properties: Readonly<Record<string, JsonSchema>> };
    const named = { ...(schema as object), type: 'object', properties: { ...properties, type: { const: kind } } };
    if (!isCompoundKind(kind)) return named;
    const oneOf = (keys: readonly string[]): JsonSchema => ({ oneOf: keys.map((key) => ({ required: [key] })) });
    const counts = kind === 'at_least' ? [oneOf(COUNT_KEYS)] : [];
    return { ...named, anyOf: [{ required: ['type'] }, { required: [kind] }], allOf: [oneOf(memberKeys(kind)), ...counts] }; // prettier-ignore
  });
  return anyOf(...kinds);
}

/** In the order of the table. */
export const CHECK_KINDS = Object.keys(ROWS) as readonly CheckKind[];

const NO_TRAITS: CheckTraits = { defaultPort: 0, overTls: false, reusesConnection: false, runsCommand: false };

/** The traits of the check itself, without those of its members. */
export function checkTraits(spec: CheckSpec): CheckTraits {
  let known = traits.get(spec);
  if (known === undefined) {
    // The row of a check's kind takes checks of that kind.
    const row: Row<CheckKind> = ROWS[spec.kind] as Row<CheckKind>;
    known = { ...NO_TRAITS, ...row.traits(spec) };
    traits.set(spec, known);
  }
  return known;
}

/** Every probe asks for them. */
const traits = new WeakMap<CheckSpec, CheckTraits>();

/** Reads a check of this kind. Undefined: a mistake, which has been reported. */
export function readCheckOfKind(kind: CheckKind, checkName: string, input: CheckInput): CheckSpec | undefined {
  const read = ROWS[kind].read(input);
  // The row of a kind reads the options of that kind.
  return read && ({ name: checkName, kind, ...read } as CheckSpec);
}

export function isPush(spec: CheckSpec): spec is PushSpec {
  return 'expiresMs' in spec;
}

/** Whether the check runs a command, itself or through a member. */
export function runsCommands(spec: CheckSpec): boolean {
  return 'members' in spec ? spec.members.some(runsCommands) : checkTraits(spec).runsCommand;
}
