/**
 * Runs the commands of docs/migration.md for each system: the import of its files, and the comparison of the old server
 * with Pharos. Route 53 cannot run here, and octoDNS is not a server: a BIND with their records stands in.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeGeoip2 } from '../../bench/geoip2.ts';
import { bundledDatabasePath } from '../../geo/geography.ts';
import { blocksOf, patternOf } from '../support/documents.ts';
import { freePort } from '../support/free-port.ts';
import { folderOf } from '../support/pharos.ts';
import { has, PHAROS, ROOT, serve, start } from '../support/process.ts';
import { findProgram, startServer, type Running } from '../support/server-process.ts';

const PAGE = readFileSync(`${ROOT}docs/migration.md`, 'utf8');

/** The commands before Pharos runs, those while it runs, and what the last ones print. */
function stepsOf(system: string): { readonly before: string; readonly compare: string; readonly expected: string } {
  const section = new RegExp(`^### Cut over from ${system}\n([^]*?)(?=^##|(?![^]))`, 'm').exec(PAGE)?.[1] ?? '';
  const [before, compare, expected] = blocksOf(section).map(({ text }) => text);
  if (before === undefined || compare === undefined || expected === undefined)
    throw new Error(`no commands for ${system}`);
  return { before, compare, expected };
}

const MASTER = `$TTL 300
@ SOA ns1 hostmaster 7 7200 1800 1209600 60
@ NS ns1
@ NS ns2
ns1 A 192.0.2.153
ns2 A 192.0.2.154
www A 192.0.2.80
www AAAA 2001:db8::80
mail 3600 A 192.0.2.25
@ MX 10 mail
@ TXT "v=spf1 -all"
*.dev A 192.0.2.90
sub NS ns.sub
ns.sub A 192.0.2.60
`;

function startBind(folder: string, port: number, master: string): Promise<Running> {
  writeFileSync(join(folder, 'db.example.com'), master);
  writeFileSync(
    join(folder, 'named.conf'),
    `options { directory "${folder}"; pid-file none; session-keyfile none; lock-file none; recursion no;
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; dnssec-validation no; zero-no-soa-ttl no; };
controls { };
zone "example.com" { type primary; file "db.example.com"; allow-transfer { any; }; };\n`,
  );
  return startServer(findProgram('named') ?? 'named', ['-g', '-c', join(folder, 'named.conf')], port, 'example.com');
}

function startGdnsd(folder: string, port: number): Promise<Running> {
  writeGeoip2(bundledDatabasePath(), join(folder, 'geo.mmdb'));
  for (const name of ['zones', 'run', 'state']) mkdirSync(join(folder, 'gdnsd', name), { recursive: true });
  const own = `options => { listen => 127.0.0.1:${port}, run_dir => "${folder}/gdnsd/run", state_dir => "${folder}/gdnsd/state" }`;
  writeFileSync(
    join(folder, 'gdnsd', 'config'),
    `${own}
plugins => {
  weighted => { shop => { a => [ 203.0.113.10, 4 ], b => [ 203.0.113.11, 1 ] } }
  geoip => {
    maps => { world => { geoip2_db => "${folder}/geo.mmdb", datacenters => [ seoul, dublin ],
      map => { AS => [ seoul, dublin ], EU => { GB => [ dublin ], default => [ dublin, seoul ] }, default => [ dublin, seoul ] } } }
    resources => { www => { map => world, dcmap => { seoul => 203.0.113.20, dublin => 203.0.113.21 } } }
  }
}\n`,
  );
  writeFileSync(
    join(folder, 'gdnsd', 'zones', 'example.com'),
    `${MASTER}near 60 DYNA geoip!www\nshop 60 DYNA weighted!shop\n`,
  );
  return startServer(findProgram('gdnsd') ?? 'gdnsd', ['-c', join(folder, 'gdnsd'), 'start'], port, 'example.com');
}

function startPowerDns(folder: string, port: number): Promise<Running> {
  const lua = `rand 60 LUA A "pickwrandom({{10,'203.0.113.10'},{30,'203.0.113.20'}})"\n`;
  writeFileSync(join(folder, 'db.example.com'), MASTER + lua);
  writeFileSync(join(folder, 'named.conf'), `zone "example.com" { type master; file "${folder}/db.example.com"; };\n`);
  const options = [
    ...['launch=bind', `bind-config=${folder}/named.conf`, 'enable-lua-records=yes', 'edns-subnet-processing=yes'],
    ...[`local-address=127.0.0.1`, `local-port=${port}`, `socket-dir=${folder}`, 'query-cache-ttl=0', 'cache-ttl=0'],
    ...['zone-cache-refresh-interval=0', 'consistent-backends=yes', 'daemon=no', 'guardian=no'],
  ];
  return startServer(
    findProgram('pdns_server') ?? 'pdns_server',
    [...options.map((each) => `--${each}`), '--config-dir=' + folder],
    port,
    'example.com',
  );
}

/** The records of MASTER in the form of Route 53, with its own SOA. */
function startRoute53(folder: string, port: number): Promise<Running> {
  const set = (name: string, type: string, ttl: number, ...values: string[]) => ({
    Name: `${name}example.com.`,
    Type: type,
    TTL: ttl,
    ResourceRecords: values.map((Value) => ({ Value })),
  });
  const sets = [
    set('', 'NS', 172_800, 'ns-1.awsdns-01.org.', 'ns-2.awsdns-02.com.'),
    set('', 'SOA', 900, 'ns-1.awsdns-01.org. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400'),
    ...[
      set('ns1.', 'A', 300, '192.0.2.153'),
      set('ns2.', 'A', 300, '192.0.2.154'),
      set('www.', 'A', 300, '192.0.2.80'),
    ],
    ...[
      set('www.', 'AAAA', 300, '2001:db8::80'),
      set('mail.', 'A', 3600, '192.0.2.25'),
      set('', 'MX', 300, '10 mail.example.com'),
    ],
    ...[set('', 'TXT', 300, '"v=spf1 -all"'), set('*.dev.', 'A', 300, '192.0.2.90')],
  ];
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin', 'aws'), `#!/bin/sh\ncat ${folder}/sets.json\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'sets.json'), JSON.stringify({ ResourceRecordSets: sets }));
  const aws = MASTER.replace(/^sub.*\n|^ns\.sub.*\n/gm, '').replace(
    /@ SOA.*\n/,
    '@ 900 SOA ns-1.awsdns-01.org. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400\n',
  );
  return startBind(folder, port, aws);
}

function startOctodns(folder: string, port: number): Promise<Running> {
  mkdirSync(join(folder, 'config'));
  writeFileSync(
    join(folder, 'config', 'example.com.yaml'),
    `---
'':
  - { type: MX, ttl: 300, value: { exchange: mail.example.com., preference: 10 } }
  - { type: TXT, ttl: 300, value: v=spf1 -all }
'*.dev': { type: A, ttl: 300, value: 192.0.2.90 }
mail: { type: A, ttl: 3600, value: 192.0.2.25 }
ns1: { type: A, ttl: 300, value: 192.0.2.153 }
ns2: { type: A, ttl: 300, value: 192.0.2.154 }
www:
  - { type: A, ttl: 300, value: 192.0.2.80 }
  - { type: AAAA, ttl: 300, value: 2001:db8::80 }
`,
  );
  const provider = MASTER.replace(/^sub.*\n|^ns\.sub.*\n|^@ NS ns2\n/gm, '').replace(
    '@ SOA ns1 hostmaster 7',
    '@ SOA ns1 dns.provider.test. 7',
  );
  return startBind(folder, port, provider);
}

type System = readonly [name: string, program: string, startOld: (folder: string, port: number) => Promise<Running>];

const SYSTEMS: readonly System[] = [
  ['gdnsd', 'gdnsd', startGdnsd],
  ['PowerDNS', 'pdns_server', startPowerDns],
  ['BIND', 'named', (folder, port) => startBind(folder, port, MASTER)],
  ['Route 53', 'named', startRoute53],
  ['octoDNS', 'named', startOctodns],
];

test('every system of the page is here', () => {
  const named = [...PAGE.matchAll(/^### Cut over from (.*)$/gm)].map(([, name]) => name);
  expect(named).toEqual(SYSTEMS.map(([name]) => name));
});

describe.concurrent('docs/migration.md works as written', () => {
  for (const [name, program, startOld] of SYSTEMS) {
    test.skipIf(!has(program) && findProgram(program) === undefined)(name, async () => {
      const { before, compare, expected } = stepsOf(name);
      using folder = folderOf({});
      const [oldPort, newPort] = [await freePort(), await freePort()];
      const old = await startOld(folder.path, oldPort);
      try {
        const database = name === 'gdnsd' ? `geo: { databases: ["${folder.path}/geo.mmdb"] }\n` : '';
        writeFileSync(
          join(folder.path, 'pharos.yaml'),
          `listen: 127.0.0.1:${newPort}\nstatus: { listen: "127.0.0.1:0" }\n${database}`,
        );
        mkdirSync(join(folder.path, 'zones'));
        const here = (text: string): string =>
          text
            .replaceAll(/192\.0\.2\.53|ns-1\.awsdns-01\.org/g, `127.0.0.1:${oldPort}`)
            .replaceAll('192.0.2.54', `127.0.0.1:${newPort}`)
            .replaceAll('/etc/gdnsd', `${folder.path}/gdnsd`);
        const shell = async (script: string) => {
          const env = { NO_COLOR: '1', PATH: `${folder.path}/bin:${dirname(PHAROS)}:${process.env.PATH ?? ''}` };
          await using running = start(['-c', `set -e\n${script}`], { command: 'sh', cwd: folder.path, env });
          return await running.finished;
        };
        expect(await shell(here(before))).toMatchObject({ code: 0 });
        await using _server = await serve([], { cwd: folder.path });
        const { code, stdout, stderr } = await shell(here(compare));
        // Pharos refuses the transfer that it does not allow; the names are those of the old server.
        expect(stderr).toMatch(/^(?:pharos compare: no transfer .* the names are those of the other server\n)?$/);
        expect(stdout).toMatch(patternOf(here(expected)));
        const isSame = expected.includes('no difference');
        expect(code).toBe(isSame ? 0 : 1);
        if (isSame) return;
        // Nothing but the SOA and NS of the apex may differ.
        const differing = stdout.split('\n').filter((line) => /^ {2}\S+ [A-Z]+: A /.test(line));
        expect(differing.filter((line) => !/^ {2}example\.com (?:SOA|NS): /i.test(line))).toEqual([]);
      } finally {
        await old.stop();
      }
    });
  }
});
