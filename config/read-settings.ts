/**
 * Reads pharos.yaml to Settings, with all defaults filled in (docs/configuration.md#pharosyaml).
 */
import { dirname, join, resolve } from 'node:path';
import { showEndpoint, formatPrefix, inPrefix, parseAddress, type Endpoint, type Prefix } from '../wire/address.ts';
import { createReportOnce, type Place, type Report } from './diagnostics.ts';
import type { Environment } from './environment.ts';
import {
  asWritten,
  boolean,
  choice,
  dictionary,
  duration,
  fromEnvironment,
  identityFromEnvironment,
  integer,
  keysOf,
  list,
  map,
  scalar,
  share,
  text,
  valueOf,
  withDefault,
  optional,
  required,
  section,
  type Read,
} from './fields.ts';
import { judgeSecret } from './file-rights.ts';
import { findUser, unknownUser } from './find-user.ts';
import { findZoneFiles, type FolderListings, type ZonesEntry } from './find-zones.ts';
import { isNamed } from './folder.ts';
import { readKeyPair, type CheckedKeyPair, type WrittenPath } from './key-pair.ts';
import {
  MAX_COOKIE_SECRETS,
  MAX_GRACE_MS,
  MAX_NSID_OCTETS,
  MAX_STRING_OCTETS,
  MAX_TCP_CLIENTS,
  MAX_WORKERS,
} from './limits.ts';
import { at, endpoint, endpointParser, prefix, type IsCountry } from './network-fields.ts';
import { readYaml } from './parse-yaml.ts';
import { beacon, beaconSettings } from './read-beacon.ts';
import { CHECK_DEFINITIONS, checks, findAmong } from './read-checks.ts';
import { fleet, fleetSettings } from './read-fleet.ts';
import { listenField, reportTaken } from './read-listen.ts';
import { notify } from './read-notify.ts';
import { regions, withChecks } from './read-regions.ts';
import { cronLine, schedules } from './read-schedules.ts';
import { readStatusFiles, type WrittenStatus } from './read-status-files.ts';
import { transfer } from './read-transfer.ts';
import { updateRules, updates, type NamedInRules } from './read-updates.ts';
import { anyOf, described, like, openMap, pattern, schemaOf, type JsonSchema } from './schema.ts';
import { TOKEN_NAME, type At, type GeoSettings, type Settings, type TransferSettings } from './settings.ts';
import { isWeakToken } from './weak-token.ts';
import { nothing, nodePlace, placeOfFile, variablesIn, type YamlNode } from './yaml.ts';

const LOOPBACK: readonly Prefix[] = [
  { bytes: Uint8Array.of(127, 0, 0, 0), bits: 8 },
  { bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), bits: 128 },
];
const DEFAULT_LISTEN: readonly Endpoint[] = [{ host: '127.0.0.1', port: 5300 }];
/** RFC 7858 3.1. */
const TLS_PORT = 853;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** The keys and tokens that rules of `updates` may name. */
function namedIn({ keys }: TransferSettings, status: Settings['status']): NamedInRules {
  const own = status?.token === undefined ? [] : [TOKEN_NAME];
  return { keys, tokens: [...own, ...(status?.credentials ?? []).map(({ name }) => name)] };
}

/** Text that messages must not show. */
const secret: Read<string> = described(anyOf(pattern(/^[\x21-\x7e]+$/), { type: ['number', 'boolean'] }), readSecret);
/** RFC 9018 4.4: a key of SipHash-2-4. Messages must not show it. */
const cookieSecret: Read<Uint8Array> = described(pattern(/^[0-9a-fA-F]{32}$/), readCookieSecret);

const file: Read<WrittenPath> = fromEnvironment(
  like(text(), (node: YamlNode, name: string, report: Report) => {
    const path = text()(node, name, report);
    if (path === undefined || node.kind !== 'scalar') return undefined;
    if (path.includes('-----BEGIN ')) {
      report.error('PH099', `${name} must be a path, got the text of a PEM file`, nodePlace(node), 'name the file');
      return undefined;
    }
    return { path, shown: asWritten(node), place: nodePlace(node) };
  }),
);

/** A path, or `off`. */
const auditLog: Read<WrittenPath | 'off'> = like(file, (node: YamlNode, name: string, report: Report) =>
  node.kind === 'scalar' && /^(?:off|false)$/i.test(node.text) ? 'off' : file(node, name, report),
);
/** In the state folder. */
const AUDIT_FILE = 'audit.log';

type WrittenTls = {
  /** Undefined: port 853 of every address in `listen`. */
  readonly listen: readonly Endpoint[] | undefined;
  readonly cert: WrittenPath;
  readonly key: WrittenPath;
  readonly place: Place;
};

const readTls = map('tls', {
  listen: optional(listenField),
  cert: required(file, 'a PEM file, such as cert: tls.pem'),
  key: required(file, 'a PEM file, such as key: tls.key'),
});

const tls: Read<WrittenTls> = like(readTls, (node: YamlNode, name: string, report: Report) => {
  const read = readTls(node, name, report);
  return read && { ...read, place: nodePlace(node) };
});

const workers = scalar(
  `auto, or 1 to ${MAX_WORKERS}`,
  (value) => {
    if (value === 'auto') return 'auto';
    const number = /^\d+$/.test(value) ? Number(value) : 0;
    return number >= 1 && number <= MAX_WORKERS ? number : undefined;
  },
  {
    code: 'PH014',
    hint: 'auto is one per core, less one for control',
    schema: anyOf({ const: 'auto' }, { type: 'integer', minimum: 1, maximum: MAX_WORKERS }),
  },
);

function networks(isCountry: IsCountry): Read<{ prefix: Prefix; at: At }[]> {
  return described(
    () => openMap(schemaOf(at(isCountry), 'networks')),
    (node: YamlNode, name: string, report: Report) => {
      const seen = new Set<string>();
      return dictionary(({ key, value }, inner) => {
        const network = prefix()(key, `a key of ${name}`, inner);
        const place = at(isCountry)(value, key.text, inner);
        if (!network || !place) return undefined;
        if (seen.has(formatPrefix(network))) {
          inner.error('PH036', `duplicate network ${formatPrefix(network)}`, nodePlace(key), 'remove one of the two');
          return undefined;
        }
        seen.add(formatPrefix(network));
        return { prefix: network, at: place };
      })(node, name, report);
    },
  );
}

type StatusOrOff = WrittenStatus | 'off';
const DEFAULT_STATUS: WrittenStatus = {
  listen: { host: '127.0.0.1', port: 8053 },
  token: undefined,
  openReading: true,
  tokens: undefined,
  tls: undefined,
};

const status: Read<StatusOrOff> = described(
  () => anyOf(schemaOf(readStatus, 'status'), pattern(/^(?:[Oo][Ff][Ff]|[Ff][Aa][Ll][Ss][Ee])$/), { const: false }),
  (node: YamlNode, name: string, report: Report) => {
    if (node.kind === 'scalar' && /^(?:off|false)$/i.test(node.text)) return 'off';
    const hint = 'status: { listen: 127.0.0.1:8053 }, or status: off';
    if (node.kind === 'scalar') {
      report.error('PH013', `${name} must be a map or off, got a text`, nodePlace(node), hint);
      return undefined;
    }
    const read = readStatus(node, name, report);
    if (!read) return undefined;
    const address = parseAddress(read.listen.host);
    const isReachable = address !== undefined && !LOOPBACK.some((network) => inPrefix(address, network));
    // An invalid token has been reported.
    const written = valueOf(node, 'token');
    const hasTokens = written !== undefined || valueOf(node, 'tokens') !== undefined;
    if (isReachable && !hasTokens) {
      const message = `status listens on ${showEndpoint(read.listen)}, where others can reach it, and has no token`;
      report.warning('PH039', message, nodePlace(node), 'add token: "${PHAROS_TOKEN}"');
    }
    if (isReachable && written !== undefined && read.token !== undefined && isWeakToken(read.token)) {
      const message = `status listens on ${showEndpoint(read.listen)}, where others can reach it, and its token is easy to guess`;
      report.warning('PH074', message, nodePlace(written), 'make one with: openssl rand -hex 24');
    }
    if (!read.open_reading && !hasTokens) {
      const message = 'open_reading: false needs a token: without a token, no client could read';
      report.error('PH075', message, nodePlace(valueOf(node, 'open_reading') ?? node), 'add token: "${PHAROS_TOKEN}"');
    }
    return { ...read, openReading: read.open_reading };
  },
);

const readStatus = map('status', {
  listen: withDefault(fromEnvironment(endpoint()), DEFAULT_STATUS.listen),
  token: optional(fromEnvironment(secret)),
  tokens: optional(file),
  open_reading: withDefault(boolean(), DEFAULT_STATUS.openReading),
  tls: optional(
    map('tls', {
      cert: required(file, 'a PEM file, such as cert: status.pem'),
      key: required(file, 'a PEM file, such as key: status.key'),
      client_ca: optional(file),
    }),
  ),
});

function readSecret(node: YamlNode, name: string, report: Report): string | undefined {
  if (node.kind !== 'scalar') return text()(node, name, report);
  if (/^[\x21-\x7e]+$/.test(node.text)) {
    judgeSecret(node, name, report);
    return node.text;
  }
  report.error('PH025', `${name} must be printable ASCII without spaces`, nodePlace(node), 'such as 32 random letters');
  return undefined;
}

function readCookieSecret(node: YamlNode, name: string, report: Report): Uint8Array | undefined {
  if (node.kind !== 'scalar') {
    text()(node, name, report);
    return undefined;
  }
  if (/^[0-9a-f]{32}$/i.test(node.text)) {
    judgeSecret(node, name, report);
    return Uint8Array.from(Buffer.from(node.text, 'hex'));
  }
  const got = `got ${node.text.length} characters`;
  report.error(
    'PH025',
    `${name} must be 32 hexadecimal digits, ${got}`,
    nodePlace(node),
    'openssl rand -hex 16 makes one',
  );
  return undefined;
}

/** Where names outside the zones are resolved. */
const resolver = scalar('an address, perhaps with a port', endpointParser(53), {
  code: 'PH021',
  schema: pattern(/^\S+$/),
  hint: 'such as 192.0.2.53 or "[2001:db8::53]:53"',
});

/** Keys of pharos.yaml that zones/read reads, because their values are parts of zones. */
export type SharedNodes = { readonly maps: YamlNode | undefined; readonly templates: YamlNode | undefined };
export type SharedSchemas = { readonly [K in keyof SharedNodes]: JsonSchema };

/** Returns the node itself. */
const later = (node: YamlNode): YamlNode | undefined => (node.kind === 'broken' ? undefined : node);

function pharos(isCountry: IsCountry, schemas?: SharedSchemas) {
  return map('pharos.yaml', {
    listen: withDefault(listenField, [...DEFAULT_LISTEN]),
    freebind: withDefault(boolean(), false),
    tls: optional(tls),
    workers: withDefault(workers, 'auto'),
    zones: optional(list(file, { min: 1, hint: 'a folder, or files' })),
    files: withDefault(choice(['own-folder', 'anywhere']), 'own-folder'),
    state_dir: optional(file),
    user: optional(text()),
    reload: section('reload', { max_shrink: withDefault(share(), 0.5) }),
    geo: section('geo', {
      databases: withDefault(list(file), []),
      refresh: optional(cronLine),
      networks: withDefault(networks(isCountry), []),
    }),
    regions: withDefault(regions(isCountry), new Map()),
    checks: withDefault(checks(), new Map()),
    maps: optional(
      described(
        () => schemas?.maps,
        (node: YamlNode) => later(node),
      ),
    ),
    templates: optional(
      described(
        () => schemas?.templates,
        (node: YamlNode) => later(node),
      ),
    ),
    health: section('health', {
      wait: withDefault(duration({ maxMs: 600_000 }), 3000),
      suspect: withDefault(share(), 0.7),
      notify: optional(notify(fromEnvironment(secret))),
    }),
    status: withDefault(status, DEFAULT_STATUS),
    limits: section('limits', {
      rrl: withDefault(integer({ min: 0, max: 1_000_000 }), 0),
      slip: withDefault(integer({ min: 0, max: 10 }), 2),
      tcp_clients: withDefault(integer({ min: 1, max: MAX_TCP_CLIENTS }), 1024),
    }),
    dns: section('dns', {
      nsid: optional(identityFromEnvironment(text({ maxOctets: MAX_NSID_OCTETS }))),
      version: optional(text({ maxOctets: MAX_STRING_OCTETS })),
      cookie_secrets: withDefault(list(fromEnvironment(cookieSecret), { max: MAX_COOKIE_SECRETS }), []),
      explain_from: withDefault(list(fromEnvironment(prefix())), [...LOOPBACK]),
    }),
    transfer: withDefault(transfer, { keys: [], allow: [], notify: [], catalog: undefined }),
    resolvers: withDefault(list(fromEnvironment(resolver)), []),
    updates: optional(updates),
    fleet: optional(fleet),
    beacon: optional(beacon),
    log: section('log', {
      level: withDefault(choice(LEVELS), 'info'),
      queries: withDefault(share(), 0),
      audit: optional(auditLog),
      dnstap: optional(
        map('dnstap', {
          socket: required(file, 'the unix socket of the collector: socket: /run/dnstap.sock'),
          sample: withDefault(share(), 1),
        }),
      ),
    }),
    shutdown: section('shutdown', { grace: optional(duration({ maxMs: MAX_GRACE_MS })) }),
    schedules: withDefault(schedules, []),
  });
}

/** The JSON Schema of pharos.yaml. */
export function configSchema(schemas: SharedSchemas): JsonSchema {
  return { ...(schemaOf(pharos(undefined, schemas), 'pharos.yaml') as object), definitions: CHECK_DEFINITIONS() };
}

/** Variables that hold secrets of this server. The command `pharos` takes its token from PHAROS_TOKEN. */
function secretVariables(node: YamlNode, inTokens: readonly string[]): Settings['secretVariables'] {
  const below = (from: YamlNode | undefined, key: string): YamlNode | undefined => from && valueOf(from, key);
  const secrets = [
    below(below(node, 'status'), 'token'),
    below(below(node, 'health'), 'notify'),
    below(below(node, 'dns'), 'cookie_secrets'),
    below(below(node, 'transfer'), 'keys'),
    ...['password', 'token', 'nkey', 'servers'].map((key) => below(below(node, 'fleet'), key)),
  ];
  return new Set(['PHAROS_TOKEN', ...inTokens, ...secrets.flatMap((each) => (each ? variablesIn(each) : []))]);
}

/** Absolute paths from environment variables, each with the text in the file. */
function shownPaths(
  read: {
    readonly zones?: readonly WrittenPath[] | undefined;
    readonly state_dir?: WrittenPath | undefined;
    readonly tls?: WrittenTls | undefined;
    readonly geo: { readonly databases: readonly WrittenPath[] };
    readonly status: StatusOrOff;
    readonly log: {
      readonly audit: WrittenPath | 'off' | undefined;
      readonly dnstap: { readonly socket: WrittenPath } | undefined;
    };
  },
  baseDir: string,
): Settings['shownPaths'] {
  const status = read.status === 'off' ? undefined : read.status;
  const all = [
    ...[read.zones, read.state_dir, read.tls?.cert, read.tls?.key, read.geo.databases].flat(),
    ...[
      read.log.dnstap?.socket,
      read.log.audit === 'off' ? undefined : read.log.audit,
      status?.tokens,
      status?.tls?.cert,
      status?.tls?.key,
      status?.tls?.client_ca,
    ],
  ];
  return all
    .flatMap((each) =>
      each === undefined || each.shown === each.path ? [] : { path: resolve(baseDir, each.path), shown: each.shown },
    )
    .sort((a, b) => b.path.length - a.path.length);
}

/** Names of regions and checks whose definitions have errors. */
function misreadOf(
  node: YamlNode,
  { regions, checks }: Pick<Settings, 'regions' | 'checks'>,
): Pick<Settings, 'misread'> {
  const lost = (key: string, found: ReadonlyMap<string, unknown>): Set<string> =>
    new Set(keysOf(valueOf(node, key)).filter((name) => !found.has(name)));
  const misread = { regions: lost('regions', regions), checks: lost('checks', checks) };
  return misread.regions.size + misread.checks.size === 0 ? {} : { misread };
}

/**
 * Reads pharos.yaml. Paths are relative to its folder; without a file, all defaults hold and paths are relative to
 * `baseDir`. Returns undefined when the file cannot be parsed. Otherwise it returns a value even after errors, so that
 * zones can be checked as well: use the value only if `report` has no errors.
 */
export function readSettings(input: {
  readonly file: string | undefined;
  readonly baseDir: string;
  readonly env: Environment;
  /** Cores of the machine, for `workers: auto`. */
  readonly cores: number;
  readonly report: Report;
  readonly isCountry?: IsCountry;
  /** The TLS key pair of the server, at a reload. */
  readonly keyPairInUse?: CheckedKeyPair | undefined;
  /** The zone files of folders at the last reading. This call updates them. */
  readonly listings?: FolderListings | undefined;
  /** Whether the server becomes `user`: then there must be such a user. */
  readonly becomesUser?: boolean | undefined;
  /** Receives the nodes that zones/read reads. */
  readonly onShared?: (nodes: SharedNodes) => void;
}): Settings | undefined {
  const { report } = input;
  const path = input.file === undefined ? undefined : resolve(input.baseDir, input.file);
  const baseDir = path === undefined ? resolve(input.baseDir) : dirname(path);
  const node = path === undefined ? nothing(baseDir) : readYaml(path, input.env, report);
  const read = node && pharos(input.isCountry)(node, 'pharos.yaml', report);
  if (!read) return undefined;
  input.onShared?.({ maps: read.maps, templates: read.templates });
  if (input.becomesUser === true && read.user !== undefined)
    judgeUser(read.user, valueOf(node, 'user') ?? node, report);

  const tlsRead = read.tls && tlsSettings(read.tls, read.listen, baseDir, report, input.keyPairInUse);
  const { env, keyPairInUse } = input;
  const statusRead =
    read.status === 'off' ? undefined : readStatusFiles(read.status, { baseDir, env, report, keyPairInUse });
  const status = statusRead?.settings;
  if (status) {
    const place = nodePlace(valueOf(node, 'status') ?? valueOf(node, 'listen') ?? node);
    reportTaken([status.listen], 'status', read.listen, 'listen', place, report);
    reportTaken([status.listen], 'status', tlsRead?.listen ?? [], 'tls', place, report);
  }
  const freely = (endpoints: readonly Endpoint[]): readonly Endpoint[] =>
    read.freebind ? endpoints.map((each) => ({ ...each, freebind: true })) : endpoints;
  const zones: readonly ZonesEntry[] = read.zones ?? [
    { path: './zones', shown: './zones', place: placeOfFile(path ?? join(baseDir, 'zones')) },
  ];
  const stateDir = resolve(baseDir, read.state_dir?.path ?? 'state');
  const found = findZoneFiles(zones, baseDir, report, input.listings);
  const misread = misreadOf(node, read);
  const once = createReportOnce(report);
  return {
    file: path,
    listen: freely(read.listen),
    tls: tlsRead && { ...tlsRead, listen: freely(tlsRead.listen) },
    workers: read.workers === 'auto' ? Math.max(1, input.cores - 1) : read.workers,
    zoneFiles: found.files,
    zoneFolders: found.folders,
    files: read.files,
    user: read.user,
    reload: { maxShrink: read.reload.max_shrink },
    stateDir,
    secretVariables: secretVariables(node, statusRead?.variables ?? []),
    shownPaths: shownPaths(read, baseDir),
    geo: {
      databases: findDatabases(read.geo.databases, baseDir, report),
      refresh: read.geo.refresh,
      networks: read.geo.networks,
    },
    regions: withChecks(read.regions, findAmong(read.checks, new Set(misread.misread?.checks), once), report),
    checks: read.checks,
    ...misread,
    health: {
      waitMs: read.health.wait,
      suspect: read.health.suspect,
      notify: read.health.notify,
    },
    status,
    limits: {
      rrl: read.limits.rrl,
      slip: read.limits.slip,
      tcpClients: read.limits.tcp_clients,
    },
    resolvers: read.resolvers,
    dns: {
      nsid: read.dns.nsid,
      // `none` states the default explicitly.
      version: read.dns.version === 'none' ? undefined : read.dns.version,
      cookieSecrets: read.dns.cookie_secrets,
      explainFrom: read.dns.explain_from,
    },
    transfer: read.transfer,
    updates: read.updates && updateRules(read.updates, namedIn(read.transfer, status), report),
    fleet: read.fleet && fleetSettings(read.fleet, new Set(read.regions.keys()), baseDir, report),
    beacon: read.beacon && beaconSettings(read.beacon, read.regions, report),
    log: {
      level: read.log.level,
      queries: read.log.queries,
      ...dnstapSettings(read.log.dnstap, baseDir),
      audit: auditSettings(read.log.audit, baseDir, stateDir),
    },
    shutdown: { graceMs: read.shutdown.grace },
    schedules: read.schedules,
  };
}

function judgeUser(name: string, node: YamlNode, report: Report): void {
  if (findUser(name) !== undefined) return;
  const { message, hint } = unknownUser(name);
  report.error('PH067', message, nodePlace(node), hint);
}

function dnstapSettings(
  written: { readonly socket: WrittenPath; readonly sample: number } | undefined,
  baseDir: string,
): Pick<Settings['log'], 'dnstap'> {
  if (written === undefined || written.sample === 0) return {};
  return { dnstap: { socket: resolve(baseDir, written.socket.path), share: written.sample } };
}

function auditSettings(
  written: WrittenPath | 'off' | undefined,
  baseDir: string,
  stateDir: string,
): Settings['log']['audit'] {
  if (written === 'off') return undefined;
  if (written === undefined) return { file: join(stateDir, AUDIT_FILE), isRotated: true };
  return { file: resolve(baseDir, written.path), isRotated: false };
}

function tlsSettings(
  { listen: written, cert, key, place }: WrittenTls,
  plain: readonly Endpoint[],
  baseDir: string,
  report: Report,
  keyPairInUse: CheckedKeyPair | undefined,
): Settings['tls'] {
  // The proxies of an address are those of its port 853 too.
  const hosts = new Map(plain.map((each) => [each.host, each.proxy ? { proxy: each.proxy } : {}]));
  const endpoints = written ?? [...hosts].map(([host, more]) => ({ host, port: TLS_PORT, ...more }));
  reportTaken(endpoints, 'tls', plain, 'listen', place, report);
  const keyPair = readKeyPair({ cert, key }, baseDir, Date.now(), report, keyPairInUse);
  return keyPair && { listen: endpoints, keyPair };
}

function findDatabases(entries: readonly WrittenPath[], baseDir: string, report: Report): GeoSettings['databases'] {
  return entries.flatMap(({ path, shown, place }) => {
    const absolute = resolve(baseDir, path);
    if (isNamed(absolute)) return { path: absolute, place };
    report.error('PH038', `there is no file ${shown}`, place, `looked for ${absolute}`);
    return [];
  });
}
