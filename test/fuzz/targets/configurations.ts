/**
 * Files that an operator writes or downloads: pharos.yaml, zone YAML, master files, location databases, latency tables.
 * Whatever is in them, there is a generation, or there are errors with place and words.
 */
import * as fc from 'fast-check';
import { createReport, formatDiagnostic, hasErrors, type Diagnostic } from '../../../config/diagnostics.ts';
import { decodeDatabase } from '../../../geo/database.ts';
import { parseLatencyTable } from '../../../geo/read-latency.ts';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { T } from '../../support/message.ts';
import { writeMmdb } from '../../support/mmdb.ts';
import { answeringFrom, folderOf, NO_GEOGRAPHY, type Files } from '../../support/pharos.ts';
import { fuzzTarget } from '../fuzz-target.ts';
import { editedOctets, editedText } from '../mutations.ts';

export const SETTINGS = `listen: ["127.0.0.1:0", "[::1]:0"]
geo: { databases: [small.mmdb], networks: { 10.0.0.0/8: KR, 198.51.100.0/24: "37.57,126.98" } }
regions:
  seoul: { at: "37.57,126.98" }
  dublin: { at: IE, min_healthy: 50% }
checks:
  web: { type: http, path: /health, status: 200-299, interval: 5s, timeout: 2s, rise: 2, fall: 3 }
  deep: { type: all_of, of: [web] }
health: { wait: 3s, suspect: 70% }
status: { listen: 127.0.0.1:0, token: "\${PHAROS_TOKEN}" }
limits: { rrl: 0, tcp_clients: 1024 }
dns: { nsid: ams1, version: none, explain_from: [127.0.0.0/8, "::1"] }
transfer:
  keys: { second: { algorithm: hmac-sha256, secret: c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0 } }
  allow: [{ from: 192.0.2.54, key: second }]
updates:
  - { key: second, zones: [example.com], names: ["_acme-challenge.**"], types: [TXT] }
log: { level: info, queries: 0 }
shutdown: { grace: 5s }
reload: { max_shrink: 50% }
maps: { world: { KR: seoul, CN: none, asia: { to: seoul, ttl: 5 }, default: [dublin, seoul] } }
templates:
  shared: { ttl: 20, check: web, vips: { s: { region: seoul, A: 203.0.113.20 }, d: { region: dublin, A: 203.0.113.21 } } }
schedules:
  - { at: "0 22 * * *", set: { www.example.com/a: { weight: 0 } } }
`;
export const ZONE = `zone: example.com
ttl: 300
nameservers: [ns1, ns2.example.net.]
soa: { contact: hostmaster, serial: auto, refresh: 2h, negative_ttl: 60 }
records:
  ns1: { A: 192.0.2.53, AAAA: "2001:db8::53" }
  "@": { MX: [10 mail, 20 mail.example.net.], TXT: ["v=spf1 -all"], CAA: '0 issue "ca.example"' }
  mail: { ttl: 1h, A: [192.0.2.25, 192.0.2.26] }
  "*.dev": { CNAME: www }
  sub: { NS: [ns.sub], DS: "1 13 2 ${'ab'.repeat(32)}" }
  ns.sub: { A: 192.0.2.60 }
  al: { ALIAS: www, MX: 10 mail }
  deep: { ttl: 60, ANAME: al }
  odd: { TYPE65400: '\\# 4 deadbeef', SVCB: "1 . alpn=h2 port=443", LOC: "52 22 23 N 4 53 32 E -2m" }
include: [bulk.db]
checks:
  tcp: { type: tcp, port: 80, send: "a\\r\\n", expect: b }
services:
  www:
    ttl: { min: 5, max: 60 }
    check: web
    answers: 2
    ramp: 5m
    vips:
      a: { region: seoul, A: 203.0.113.10, AAAA: "2001:db8:1::10", weight: 4 }
      b: { region: dublin, A: 203.0.113.11, probe: "10.1.0.10:8443" }
    steer:
      - geo: { KR: seoul, JP: [seoul, dublin], asia: seoul, default: [dublin, seoul] }
      - weighted
    when_all_down: serve_all
  third: $shared
  fifth: { use: $shared, steer: [{ geo: $world }] }
  fourth: { use: $shared, ttl: 5, steer: [weighted] }
  kinds: { vips: { k: { region: seoul, TXT: "site=kr", MX: [10 mail, 20 mail.eu] }, d: { region: dublin, TXT: x } }, steer: [{ geo: { asia: [seoul, dublin], KR: none, default: [dublin, seoul] } }] }
  alias: { check: tcp, vips: { one: { CNAME: mail }, two: { CNAME: www.example.net. } }, steer: [failover: [one, two]] }
`;
export const MASTER = `$TTL 1h
$ORIGIN example.com.
bulk  IN A 192.0.2.1
      300 TXT ( "one" ; comment
        "t\\"wo" )
esc\\.dot A 192.0.2.2
oct\\000\\255 A 192.0.2.3
$GENERATE 1-4/2 host$ A 192.0.2.$
\\$ORIGIN.x 60 IN MX 10 @
u TYPE65400 \\# 4 dead beef
s SRV 0 5 5060 bulk
$INCLUDE other.db sub2
n NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" .
@ 1d CAA 0 issue "ca"
`;
const YAML_WORDS = [': ', '- ', '\n', '  ', '{', '}', '[', ']', '"', "'", '&a ', '*a', '!!str ', '|', '>', '# ', '%', '~', 'null', 'true', '-1', '1e9', '0x10', '0', '.', '*', '<<: ', '---\n', '${PHAROS_TOKEN}', '\t', '$shared', 'use: ', 'ALIAS: ', 'none', 'templates', 'maps', 'zone', 'services', 'vips', 'steer', 'geo', 'www', 'seoul', 'default', '2001:db8::1', '192.0.2.1', '10s', '50%', '\u0000', '\ufeff', '__proto__']; // prettier-ignore
const MASTER_WORDS = ['$TTL ', '$ORIGIN ', '$INCLUDE other.db\n', '$GENERATE 0-9 a$ A 192.0.2.$\n', '$GENERATE 1-2 ${0,9,x} A 192.0.2.1\n', '(', ')', '"', '\\', '\\000', '\\256', ';', '@', ' IN ', ' CH ', ' A ', ' CNAME ', ' TXT ', ' SOA ', '\n', '\r\n', ' ', '\t', '.', '..', '*', '\\# 2 00', '4294967296', '1w', 'x'.repeat(64), '\u00ff', '\0']; // prettier-ignore

type ConfigurationInput = { readonly settings: string; readonly zone: string; readonly master: string };

const mmdb = NO_GEOGRAPHY['small.mmdb'] ?? '';
const SECRET = 'v3rySecretTokenOfTheEnvironment';

/** Diagnostics that an operator can read. */
export function judgeDiagnostics(diagnostics: readonly Diagnostic[], ok: boolean): void {
  if (ok === hasErrors(diagnostics))
    throw new Error(ok ? 'it is taken, with errors' : 'it is refused, without an error');
  for (const each of diagnostics) {
    const text = formatDiagnostic(each);
    if (!/^PH\d{3}$/.test(each.code)) throw new Error(`code ${each.code}`);
    if (/undefined|\[object /.test(each.message)) throw new Error(`message: ${each.message}`);
    if (text.includes(SECRET)) throw new Error(`a secret is shown: ${text}`);
    const { line, column } = each.place as { readonly line?: number; readonly column?: number };
    if (line !== undefined && !(line >= 1)) throw new Error(`line ${line}`);
    if (column !== undefined && !(column >= 1)) throw new Error(`column ${column}`);
  }
}

export const configurations = fuzzTarget<ConfigurationInput>({
  name: 'configurations',
  about: 'pharos.yaml, zone YAML and master files',
  trials: 200,
  inputs: fc.oneof(
    fc.record({
      settings: editedText(fc.constant(SETTINGS), YAML_WORDS),
      zone: fc.constant(ZONE),
      master: fc.constant(MASTER),
    }),
    fc.record({
      settings: fc.constant(SETTINGS),
      zone: editedText(fc.constant(ZONE), YAML_WORDS),
      master: fc.constant(MASTER),
    }),
    fc.record({
      settings: fc.constant(SETTINGS),
      zone: fc.constant(ZONE),
      master: editedText(fc.constant(MASTER), MASTER_WORDS),
    }),
  ),
  open: () => {
    // Edits of files that are refused would not get far.
    tryFiles({ settings: SETTINGS, zone: ZONE, master: MASTER }, true);
    return { run: tryFiles };
  },
});

function tryFiles({ settings, zone, master }: ConfigurationInput, mustBeTaken = false): void {
  const files: Files = {
    ...{ 'pharos.yaml': settings, 'zones/example.com.yaml': zone, 'zones/bulk.db': Buffer.from(master, 'latin1') },
    ...{ 'zones/other.db': 'in A 192.0.2.9\n', 'small.mmdb': mmdb },
  };
  using folder = folderOf(files);
  const env = { PHAROS_TOKEN: SECRET };
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env, cores: 1 });
  judgeDiagnostics(outcome.diagnostics, outcome.ok);
  if (mustBeTaken && !outcome.ok) throw new Error(outcome.diagnostics.map(formatDiagnostic).join('\n'));
  if (!outcome.ok) return;
  const server = answeringFrom(outcome.value);
  for (const [name, type] of [['www.example.com', T.A], ['example.com', T.SOA], ['bulk.example.com', T.ANY], ['x.dev.example.com', T.AAAA]] as const) server.ask(name, type, { overTcp: true }); // prettier-ignore
}

const MMDBS = ([24, 28, 32] as const).flatMap((recordBits) =>
  ([4, 6] as const).map((ipVersion) =>
    writeMmdb(
      [
        ['1.0.0.0/8', { country: { iso_code: 'KR' }, location: { latitude: 37.5, longitude: 127 } }],
        ['192.0.2.0/24', { country: { iso_code: 'IE' }, subdivisions: [{ iso_code: 'L' }] }],
        ['192.0.2.128/25', { autonomous_system_number: 64_500 }],
        ...(ipVersion === 6 ? ([['2001:db8::/32', { continent: { code: 'EU' } }]] as const) : []),
      ],
      { recordBits, ipVersion },
    ),
  ),
);

export const databases = fuzzTarget<Buffer>({
  name: 'databases',
  about: 'location databases (mmdb)',
  trials: 1500,
  inputs: editedOctets(fc.constantFrom(...MMDBS), 4),
  open: () => ({
    run: (octets) => {
      const report = createReport();
      const decoded = decodeDatabase('place.mmdb', octets, report, {});
      judgeDiagnostics(report.diagnostics, decoded !== undefined);
    },
  }),
});

const CSV = `network,region,ms
192.0.2.0/24,seoul,12.5
198.51.100.0/22,dublin,180
2001:db8::/32,seoul,30
AS64500,dublin,3.25
KR,seoul,8
# comment
10.0.0.0/8,dublin,0
`;
const CSV_WORDS = [',', '\n', '\r\n', '"', ' ', '.', '/', '0', '00', '32', '33', '256', '-1', '1e3', '999999999999999999', 'seoul', 'AS1', 'KR', '::/0', '0.0.0.0/0', '#', '\ufeff', '\0', 'NaN']; // prettier-ignore

export const latencyTables = fuzzTarget<string>({
  name: 'latency-tables',
  about: 'latency tables (CSV), plain lines beside the slow reader',
  trials: 2000,
  inputs: editedText(fc.constant(CSV), CSV_WORDS),
  open: () => {
    const read = (text: string): { readonly isTaken: boolean; readonly errors: string } => {
      const report = createReport();
      const builder = parseLatencyTable(Buffer.from(text), 'rtt.csv', report, ['seoul', 'dublin']);
      judgeDiagnostics(report.diagnostics, builder !== undefined);
      return { isTaken: builder !== undefined, errors: report.diagnostics.map(({ code, place }) => `${code} ${String((place as { line?: number }).line)}`).join() }; // prettier-ignore
    };
    return {
      run: (text) => {
        const plain = read(text);
        // A blank before each line makes it one that the slow reader reads.
        const slow = read(text.replace(/^(?=\d)/gm, ' '));
        if (plain.isTaken !== slow.isTaken || plain.errors !== slow.errors) {
          throw new Error(`${JSON.stringify(plain)}, with the slow reader ${JSON.stringify(slow)}`);
        }
      },
    };
  },
});
