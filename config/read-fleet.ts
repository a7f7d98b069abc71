/**
 * `fleet` of pharos.yaml (docs/fleet.md): the NATS servers, and the name and region of this node.
 */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Place, Report } from './diagnostics.ts';
import {
  duration,
  fromEnvironment,
  identityFromEnvironment,
  list,
  map,
  optional,
  required,
  scalar,
  text,
  valueOf,
  withDefault,
  type Read,
} from './fields.ts';
import { judgeSecret } from './file-rights.ts';
import { MAX_FLEET_WAIT_MS } from './limits.ts';
import { nearestHint } from './nearest-word.ts';
import { faultOf, readRegularFile } from './read-file.ts';
import { like } from './schema.ts';
import type { FleetSettings } from './settings.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

/** Larger than any file of credentials or certificates. */
const MAX_CREDENTIALS_OCTETS = 1024 * 1024;

/** Part of a NATS subject: no spaces, no wildcards, no empty token. */
const TOKEN = /^[\w-]{1,64}$/;
const NODE = /^[\w-]+(?:\.[\w-]+)*$/;

const fleetName = scalar('letters, digits, - and _', (value) => (TOKEN.test(value) ? value : undefined), {
  code: 'PH056',
  hint: 'such as name: prod',
});

const domainName = scalar('letters, digits, - and _', (value) => (TOKEN.test(value) ? value : undefined), {
  code: 'PH056',
  hint: 'as in the configuration of NATS: jetstream { domain: hub }',
});

const nodeName = scalar(
  'letters, digits, -, _ and dots',
  (value) => (value.length <= 128 && NODE.test(value) ? value : undefined),
  { code: 'PH056', hint: 'such as node: ams1' },
);

const server = scalar('a NATS server', (value) => (/^(?:nats|tls):\/\/[^\s/?#@]+$/.test(value) ? value : undefined), {
  code: 'PH055',
  hint: 'such as "nats://nats-1.example.net:4222"; user and password are keys beside servers',
});

type Written = { readonly path: string; readonly place: Place };

const file: Read<Written> = fromEnvironment(
  like(text(), (node: YamlNode, name: string, report: Report) => {
    const path = text()(node, name, report);
    return path === undefined ? undefined : { path, place: nodePlace(node) };
  }),
);

function hidden(node: YamlNode, name: string, report: Report): string | undefined {
  if (node.kind === 'scalar' && node.text !== '') {
    judgeSecret(node, name, report);
    return node.text;
  }
  return text({ secret: true })(node, name, report);
}
const secret = fromEnvironment(like(text(), hidden));

const readMap = map('fleet', {
  name: required(fleetName, 'nodes with the same name are one fleet: name: prod'),
  servers: required(list(fromEnvironment(server), { min: 1 }), 'servers: ["nats://nats-1.example.net:4222"]'),
  credentials: optional(file),
  user: optional(fromEnvironment(text())),
  password: optional(secret),
  token: optional(secret),
  nkey: optional(secret),
  tls: optional(map('tls', { ca: optional(file), cert: optional(file), key: optional(file) })),
  domain: optional(fromEnvironment(domainName)),
  node: optional(identityFromEnvironment(nodeName)),
  region: required(identityFromEnvironment(text()), 'the region that this node is in: region: dublin'),
  wait: withDefault(duration({ maxMs: MAX_FLEET_WAIT_MS }), 3000),
});

/** The values of `fleet`, before files are opened and regions are looked up. */
export type WrittenFleet = NonNullable<ReturnType<typeof readMap>> & { readonly node: string; readonly at: YamlNode };

export const fleet: Read<WrittenFleet> = like(readMap, (node: YamlNode, name: string, report: Report) => {
  const read = readMap(node, name, report);
  if (!read) return undefined;
  const ways = (['credentials', 'user', 'token', 'nkey'] as const).filter((key) => read[key] !== undefined);
  const [first, second] = ways;
  if (first !== undefined && second !== undefined) {
    const message = `${name} has both ${first} and ${second}: a node logs in one way`;
    report.error('PH057', message, nodePlace(valueOf(node, second) ?? node), 'keep one of them');
  }
  if ((read.user === undefined) !== (read.password === undefined)) {
    report.error('PH057', `${name} needs user and password together`, nodePlace(node, 0, 1), 'add the other one');
  }
  const own = read.node ?? hostname();
  if (!NODE.test(own)) {
    report.error('PH056', `the host name ${own} cannot be the name of a node`, nodePlace(node, 0, 1), 'add node: ams1');
  }
  return { ...read, node: own, at: node };
});

/** Opens the files and checks the region. */
export function fleetSettings(
  read: WrittenFleet,
  regions: ReadonlySet<string>,
  baseDir: string,
  report: Report,
): FleetSettings {
  if (!regions.has(read.region)) {
    const message = `fleet.region is "${read.region}", which regions does not define`;
    const place = nodePlace(valueOf(read.at, 'region') ?? read.at);
    report.error('PH059', message, place, nearestHint(read.region, regions));
  }
  const content = (written: Written | undefined): string | undefined => {
    if (written === undefined) return undefined;
    const path = resolve(baseDir, written.path);
    try {
      return readRegularFile(path, { maxOctets: MAX_CREDENTIALS_OCTETS }).octets.toString();
    } catch (error) {
      report.error('PH001', `cannot read ${written.path}: ${faultOf(error).why}`, written.place, `looked for ${path}`);
      return undefined;
    }
  };
  const { tls } = read;
  return {
    name: read.name,
    servers: read.servers,
    domain: read.domain,
    node: read.node,
    region: read.region,
    waitMs: read.wait,
    login: {
      credentials: content(read.credentials),
      user: read.user,
      password: read.password,
      token: read.token,
      nkey: read.nkey,
    },
    tls: tls && { ca: content(tls.ca), cert: content(tls.cert), key: content(tls.key) },
  };
}
