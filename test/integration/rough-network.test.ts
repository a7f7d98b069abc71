/**
 * A server whose only network has IPv6 alone, the smallest MTU that IPv6 allows (1,280), and loses, delays, repeats and
 * reorders packets: clients get whole answers over UDP, TCP and TLS, and a healthy target behind it stays up.
 */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { openNamespaces, whyNoNamespaces } from '../support/namespaces.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually } from '../support/process.ts';
import { printedSeed } from '../support/random.ts';

const whyNot =
  whyNoNamespaces(['python3', 'dig', 'kdig', 'curl']) ?? (existsSync('/dev/net/tun') ? undefined : 'no TUN devices');
if (whyNot !== undefined) console.warn(`SKIPPED: rough network: ${whyNot}`);

const [SERVER, CLIENT] = ['2001:db8::53', '2001:db8::2'];
const NAMES = 6;
/** Three times what a datagram may have. */
const LONG = Array.from({ length: 16 }, (_, at) => String(at).padStart(2, '0').repeat(120));
/** A lost datagram is sent again; of four in a hundred thousand queries all are lost. */
const PATIENT = ['+tries=10', '+time=1'];
/** Probes that must be done before the verdict. */
const PROBES = 6;

const { cert, key } = makeCertificate({ name: 'ns1.example.com' });
const files = {
  'small.mmdb': NO_GEOGRAPHY['small.mmdb'] ?? '',
  'tls.pem': cert + key,
  'pharos.yaml': `listen: ["[${SERVER}]:53"]
tls: { listen: ["[${SERVER}]:853"], cert: tls.pem, key: tls.pem }
status: { listen: "[::1]:8053" }
geo: { databases: [small.mmdb] }
transfer: { allow: [{ from: "${CLIENT}/128" }] }
`,
  'zones/example.com.yaml': `zone: example.com
nameservers: [ns1]
records:
  ns1: { AAAA: "${SERVER}" }
  long: { TXT: [${LONG.join(', ').replaceAll(/(\d+)/g, '"$1"')}] }
${Array.from({ length: NAMES }, (_, at) => `  n${at}: { AAAA: "2001:db8:1::${at + 1}" }\n`).join('')}
checks: { web: { type: http, port: 80, path: /, interval: 1s, timeout: 5s, fall: 3 } }
services: { www: { check: web, vips: { a: { AAAA: "${CLIENT}" }, b: { AAAA: "${SERVER}", check: none } }, steer: [failover: [a, b]] } }
`,
};

const TARGET = `require('node:http').createServer((_, response) => response.end('ok')).listen(80, '${CLIENT}', () => console.log('listening'))`;

test.skipIf(whyNot !== undefined)('IPv6 alone, MTU 1280, and a network that loses, delays and reorders', async () => {
  await using lab = openNamespaces();
  using folder = folderOf(files);
  const [here, there] = [lab.machine('server', {}), lab.machine('client', {})];
  for (const machine of [here, there]) machine.call('ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo');
  const cable = await lab.roughCable(
    [
      { machine: here, address: `${SERVER}/64` },
      { machine: there, address: `${CLIENT}/64` },
    ],
    { ...{ lossShare: 0.1, repeatShare: 0.05, lateShare: 0.1, delayMs: 5 }, mtu: 1280, seed: printedSeed('rough network') }, // prettier-ignore
  );
  await there.run(process.execPath, '-e', TARGET).until(/listening/);
  await here.pharos(folder.path);
  const dig = (...more: readonly string[]): string =>
    there
      .call('dig', `@${SERVER}`, '+short', ...PATIENT, ...more)
      // It says which tries had no answer.
      .replaceAll(/^;.*\n/gm, '')
      .trim();
  for (let at = 0; at < NAMES; at++) expect(dig(`n${at}.example.com`, 'AAAA')).toBe(`2001:db8:1::${at + 1}`);
  const texts = (output: string): string[] => [...output.matchAll(/"(\d+)"/g)].map(([, text = '']) => text).sort();
  expect(texts(dig('long.example.com', 'TXT'))).toEqual(LONG);
  expect(texts(dig('long.example.com', 'TXT', '+bufsize=4096'))).toEqual(LONG);
  expect(texts(dig('example.com', 'AXFR'))).toEqual(LONG);
  expect(texts(there.call('kdig', `@${SERVER}`, '+tls', '+short', '+timeout=20', 'long.example.com', 'TXT'))).toEqual(LONG); // prettier-ignore

  const get = (path: string): string => here.call('curl', '--silent', '--fail', `http://[::1]:8053${path}`);
  const probes = (): number => Number(/^pharos_probes_total\{result="passed?"\} (\d+)$/m.exec(get('/metrics'))?.[1] ?? 0); // prettier-ignore
  await eventually(
    () => Promise.resolve(probes()),
    (count) => count >= PROBES,
  );
  expect(dig('www.example.com', 'AAAA')).toBe(CLIENT);
  expect(get('/api/v1/events')).not.toContain('"to":"down"');
  const counts = await cable.counts();
  for (const rough of ['lost', 'late', 'repeated'] as const) expect(counts[rough]).toBeGreaterThan(0);
  expect(counts.fragments).toBe(0);
});
