/**
 * NSD, Knot and BIND for tests: secondaries of a Pharos server, or primaries that take dynamic updates.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folderOf, type Files } from './pharos.ts';

export type NameServer = {
  readonly port: number;
  readonly log: () => string;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

/** A program with files in a new folder (`FOLDER` in its arguments); its output is kept. */
export function launch(command: string, args: readonly string[], port: number, files: Files): NameServer {
  const folder = folderOf({});
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder.path, name, '..'), { recursive: true });
    writeFileSync(join(folder.path, name), String(content).replaceAll('FOLDER', folder.path));
  }
  const child: ChildProcess = spawn(
    command,
    args.map((arg) => arg.replaceAll('FOLDER', folder.path)),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  const keep = (chunk: Buffer): void => void (log += chunk.toString());
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const ended = once(child, 'exit');
  return {
    port,
    log: () => log,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
      folder[Symbol.dispose]();
    },
  };
}

/** The key that all of them have: hmac-sha256. */
export type ServerKey = { readonly name: string; readonly secret: string };

export type SecondaryOptions = {
  readonly port: number;
  /** The port of the primary, which answers at 127.0.0.1. */
  readonly from: number;
  readonly key: ServerKey;
  readonly zones?: readonly string[];
};

/** NSD asks its primary at its start, and then when it is notified: its own intervals are days. */
export function nsdSecondary({ port, from, key, zones = ['example.com'] }: SecondaryOptions): NameServer {
  const configuration = `
server:
  ip-address: 127.0.0.1@${port}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "FOLDER"
  pidfile: "FOLDER/nsd.pid"
  xfrdfile: "FOLDER/xfrd.state"
  zonelistfile: "FOLDER/zone.list"
  xfrdir: "FOLDER"
  xfrd-reload-timeout: 0
  verbosity: 2
remote-control:
  control-enable: no
key:
  name: ${key.name}
  algorithm: hmac-sha256
  secret: "${key.secret}"
${zones
  .map(
    (zone) => `zone:
  name: ${zone}
  zonefile: "FOLDER/${zone}.zone"
  request-xfr: 127.0.0.1@${from} ${key.name}
  allow-notify: 127.0.0.1 ${key.name}
  provide-xfr: 127.0.0.1 NOKEY
`,
  )
  .join('')}`;
  return launch('/usr/sbin/nsd', ['-d', '-c', 'FOLDER/nsd.conf'], port, { 'nsd.conf': configuration });
}

const KNOT_SERVER = (port: number, key: ServerKey): string => `
server:
    listen: 127.0.0.1@${port}
    rundir: FOLDER
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: FOLDER
    journal-db-max-size: 16M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
    catalog-db-max-size: 16M
key:
  - id: ${key.name}
    algorithm: hmac-sha256
    secret: ${key.secret}
`;

export function knotSecondary({ port, from, key, zones = ['example.com'] }: SecondaryOptions): NameServer {
  const configuration = `${KNOT_SERVER(port, key)}
remote:
  - id: primary
    address: 127.0.0.1@${from}
    key: ${key.name}
acl:
  - id: primary
    address: 127.0.0.1
    key: ${key.name}
    action: notify
  - id: all
    address: 127.0.0.1
    action: transfer
zone:
${zones
  .map(
    (zone) => `  - domain: ${zone}
    storage: FOLDER
    file: ${zone}.zone
    master: primary
    acl: [primary, all]
`,
  )
  .join('')}`;
  return launch('/usr/sbin/knotd', ['-c', 'FOLDER/knot.conf'], port, { 'knot.conf': configuration });
}

const BIND_OPTIONS = (port: number, key: ServerKey): string => `
options {
  directory "FOLDER";
  pid-file none;
  session-keyfile none;
  lock-file none;
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  notify no;
  max-journal-size unlimited;
  serial-query-rate 1000;
};
controls { };
key "${key.name}" { algorithm hmac-sha256; secret "${key.secret}"; };
logging { channel c { stderr; severity info; }; category default { c; }; };
`;

export function bindSecondary({ port, from, key, zones = ['example.com'] }: SecondaryOptions): NameServer {
  const configuration = `${BIND_OPTIONS(port, key)}
${zones
  .map(
    (zone) => `zone "${zone}" {
  type secondary;
  file "${zone}.zone";
  primaries { 127.0.0.1 port ${from} key "${key.name}"; };
  allow-notify { key "${key.name}"; };
  allow-transfer { any; };
};
`,
  )
  .join('')}`;
  return launch('/usr/sbin/named', ['-g', '-c', 'FOLDER/named.conf'], port, { 'named.conf': configuration });
}

export type UpdatedOptions = {
  readonly port: number;
  readonly key: ServerKey;
  /** By name: the master file. */
  readonly zones: Readonly<Record<string, string>>;
};

/** A primary that takes updates with the key, and gives everybody the zones. */
export function bindPrimary({ port, key, zones }: UpdatedOptions): NameServer {
  const configuration = `${BIND_OPTIONS(port, key)}
${Object.keys(zones)
  .map(
    (zone) => `zone "${zone}" {
  type primary;
  file "${zone}.zone";
  check-names ignore;
  check-integrity no;
  check-mx ignore;
  allow-update { key "${key.name}"; };
  allow-transfer { any; };
};
`,
  )
  .join('')}`;
  const files = Object.fromEntries(Object.entries(zones).map(([zone, text]) => [`${zone}.zone`, text]));
  return launch('/usr/sbin/named', ['-g', '-c', 'FOLDER/named.conf'], port, { ...files, 'named.conf': configuration });
}

/** The same with Knot. */
export function knotPrimary({ port, key, zones }: UpdatedOptions): NameServer {
  const configuration = `${KNOT_SERVER(port, key)}
acl:
  - id: update
    key: ${key.name}
    action: update
  - id: all
    address: 127.0.0.1
    action: transfer
zone:
${Object.keys(zones)
  .map(
    (zone) => `  - domain: ${zone}
    storage: FOLDER
    file: ${zone}.zone
    zonefile-sync: -1
    journal-content: all
    acl: [update, all]
`,
  )
  .join('')}`;
  const files = Object.fromEntries(Object.entries(zones).map(([zone, text]) => [`${zone}.zone`, text]));
  return launch('/usr/sbin/knotd', ['-c', 'FOLDER/knot.conf'], port, { ...files, 'knot.conf': configuration });
}
