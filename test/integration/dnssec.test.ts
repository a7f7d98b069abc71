/**
 * A signed zone with real validators: unbound asks Pharos, and ldns verifies the transferred zone (docs/dnssec.md).
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { T } from '../support/message.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, has, run, serve } from '../support/process.ts';
import { createDice, printedSeed } from '../support/random.ts';
import { runNsd } from '../support/run.ts';
import { anchorsIn, startResolver } from '../support/validating-resolver.ts';

const CONFIG = `
listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0, token: secret }
geo: { databases: [small.mmdb] }
transfer: { allow: [{ from: 127.0.0.1 }] }
`;

const ZONE = `
zone: example.com
dnssec: true
nameservers: [ns1, ns2.example.net.]
soa: { expire: 4d }
records:
  "@": { MX: 10 mail, TXT: hello }
  ns1: { A: 192.0.2.53 }
  mail: { A: 192.0.2.1, AAAA: "2001:db8::1" }
  alias: { CNAME: mail }
  chain: { CNAME: www }
  "*.wild": { A: 192.0.2.9, MX: 10 mail }
  "*.wc": { CNAME: x.wild }
  a.ent: { TXT: below }
  sub: { NS: ns.sub }
  ns.sub: { A: 192.0.2.60 }
  d: { DNAME: wild }
services:
  www:
    answers: 2
    ttl: { min: 5, max: 300 }
    vips: { a: { A: 192.0.2.11, AAAA: "2001:db8::11" }, b: { A: 192.0.2.12 }, c: { A: 192.0.2.13 } }
    steer: [weighted]
  "*.s": { answers: all, vips: { a: { A: 192.0.2.21 }, b: { A: 192.0.2.22 } } }
  none: { vips: { a: { A: 192.0.2.31 } }, when_all_down: none }
`;

const NAMES = ['', 'www', 'mail', 'alias', 'chain', 'x.wild', 'y.wc', 'ent', 'a.ent', 'q.d', 'v.s', 'none', 'nope', 'zz.mail', 'sub']; // prettier-ignore
const TYPES = [T.A, T.AAAA, T.TXT, T.MX, T.NS, T.SOA, T.DS];

describe.skipIf(!has('unbound'))('a validating resolver', () => {
  test.each([
    ['yes', 'nsec'],
    ['no', 'nsec'],
    ['yes', 'compact'],
  ])(
    'finds every answer secure, through drains and a restart; aggressive-nsec: %s, denial: %s',
    async (aggressive, denial) => {
      const zone = ZONE.replace('dnssec: true', `dnssec: { denial: ${denial} }`);
      using folder = folderOf({ ...NO_GEOGRAPHY, 'pharos.yaml': CONFIG, 'zones/example.com.yaml': zone });
      const dice = createDice(printedSeed('dnssec'));
      const port = await freePort();
      writeFileSync(join(folder.path, 'pharos.yaml'), CONFIG.replace('127.0.0.1:0', `127.0.0.1:${port}`));
      const round = async (): Promise<void> => {
        const stub = { zone: 'example.com', ports: [port], anchors: anchorsIn(join(folder.path, 'state', 'keys')) };
        await using resolver = await startResolver([stub], { more: [`aggressive-nsec: ${aggressive}`] });
        for (let i = 0; i < 120; i++) {
          const label = dice.chance(0.2)
            ? `r${dice.below(1000)}${dice.pick(['', '.wild', '.wc', '.s'])}`
            : dice.pick(NAMES);
          const [name, type] = [`${label === '' ? '' : `${label}.`}example.com.`, dice.pick(TYPES)];
          // The delegation is insecure, and its server does not exist.
          // The DS of the zone itself is at its parent, which cannot be asked here.
          if ((label === 'sub' && type !== T.DS) || (label === '' && type === T.DS)) continue;
          const message = await resolver.ask(name, type);
          expect([name, type, message.rcode === 0 || message.rcode === 3, message.isSecure]).toEqual([name, type, true, true]); // prettier-ignore
        }
      };
      {
        await using pharos = await serve(['pharos.yaml'], { cwd: folder.path });
        await round();
        const change = async (command: string, target: string) => {
          const done = await run([command, target, '--api', pharos.api, '--token', 'secret'], { cwd: folder.path }); // prettier-ignore
          expect(done.code).toBe(0);
        };
        await change('down', 'none.example.com/a');
        await change('drain', 'www.example.com/a');
        await round();
      }
      await using pharos = await serve(['pharos.yaml'], { cwd: folder.path });
      expect(pharos.stderr()).toBe('');
      await round();
    },
  );
});

/** The zone as a master file. */
async function transferred(port: number): Promise<string> {
  const args = ['@127.0.0.1', '-p', String(port), '+tcp', '+onesoa', 'example.com', 'AXFR'];
  return (await run(args, { command: 'dig' })).stdout;
}

describe.skipIf(!has('ldns-verify-zone'))('a transferred signed zone', () => {
  test('is complete and valid, with the same signatures after a restart, and without a key of this server', async () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'pharos.yaml': CONFIG, 'zones/example.com.yaml': ZONE });
    const transfer = async (): Promise<string> => {
      await using pharos = await serve(['pharos.yaml'], { cwd: folder.path });
      return await transferred(pharos.port);
    };
    const first = await transfer();
    writeFileSync(join(folder.path, 'signed.zone'), first);
    const verified = spawnSync('ldns-verify-zone', [join(folder.path, 'signed.zone')], { encoding: 'utf8' });
    expect(`${verified.stdout}${verified.stderr}`).toContain('Zone is verified and complete');
    const signatures = (text: string): string[] => text.split('\n').filter((line) => /\sRRSIG\s/.test(line));
    expect(signatures(await transfer())).toEqual(signatures(first));
  });
});

describe.skipIf(!has('dnsviz') || !has('/usr/sbin/nsd'))('dnsviz', () => {
  test('finds answers and denials valid, without a warning, and sees a changed record', async () => {
    // dnsviz asks all name servers of the zone, which takes minutes where they do not exist.
    const zone = ZONE.replace('[ns1, ns2.example.net.]', '[ns1]').replace('192.0.2.53', '127.0.0.1');
    using folder = folderOf({ ...NO_GEOGRAPHY, 'pharos.yaml': CONFIG, 'zones/example.com.yaml': zone });
    await using pharos = await serve(['pharos.yaml'], { cwd: folder.path });
    const changed = (await transferred(pharos.port)).replace(/192\.0\.2\.1$/m, '192.0.2.99');
    await using broken = await runNsd({ 'example.com': changed });
    const found = async (port: number): Promise<string> => {
      const file = join(folder.path, `probe-${port}.json`);
      const names = ['', 'mail.', 'www.', 'alias.', 'x.wild.', 'ent.', 'nope.'].map((label) => `${label}example.com`);
      const to = ['-A', '-a', 'example.com', '-x', `example.com+:127.0.0.1:${port}`, '-R', 'A,MX,SOA,DNSKEY'];
      const probed = await run(['probe', '-4', ...to, '-o', file, ...names], { command: 'dnsviz' });
      expect(probed.code, probed.stderr).toBe(0);
      return (await run(['grok', '-P', '-c', '-l', 'info', '-r', file], { command: 'dnsviz' })).stdout;
    };
    const ours = await found(pharos.port);
    const statuses = [...ours.matchAll(/"status": "([^"]+)"/g)].map(([, status]) => status);
    expect(new Set(statuses)).toEqual(new Set(['VALID', 'NOERROR', 'NXDOMAIN']));
    expect(statuses.filter((status) => status === 'VALID').length).toBeGreaterThan(40);
    expect(ours).not.toMatch(/"(?:errors|warnings)"/);
    expect(await found(broken.endpoints[0]?.port ?? 0)).toMatch(/"status": "INVALID/);
  });
});

describe.skipIf(!has('dnssec-keygen'))('keys of BIND', () => {
  test.each([
    ['RSASHA256', 8],
    ['ECDSAP256SHA256', 13],
    ['ECDSAP384SHA384', 14],
    ['ED25519', 15],
  ])('%s: a key signing key and a zone signing key sign, and the DS is that of BIND', async (algorithm, number) => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'pharos.yaml': CONFIG, 'zones/example.com.yaml': ZONE });
    const made = join(folder.path, 'made');
    mkdirSync(made);
    const keygen = (...more: string[]): string =>
      spawnSync('dnssec-keygen', ['-q', '-K', made, '-a', algorithm, ...more, 'example.com'], { encoding: 'utf8' }).stdout.trim(); // prettier-ignore
    const [ksk, zsk] = [keygen('-f', 'KSK'), keygen()];
    const imported = await run(['dnssec', 'import', 'example.com', join(made, ksk), join(made, zsk), '--config', 'pharos.yaml'], { cwd: folder.path }); // prettier-ignore
    expect(imported.stderr).toBe('');
    const ds = await run(['dnssec', 'ds', 'example.com', '--config', 'pharos.yaml'], { cwd: folder.path });
    const expected = spawnSync('dnssec-dsfromkey', ['-2', join(made, `${ksk}.key`)], { encoding: 'utf8' }).stdout;
    expect(ds.stdout.replace(/^\S+ \d+/, '').trim()).toBe(expected.replace(/^\S+/, '').trim());
    await using pharos = await serve(['pharos.yaml'], { cwd: folder.path });
    writeFileSync(join(folder.path, 'signed.zone'), await transferred(pharos.port));
    const verified = spawnSync('ldns-verify-zone', [join(folder.path, 'signed.zone')], { encoding: 'utf8' });
    expect(`${verified.stdout}${verified.stderr}`).toContain('Zone is verified and complete');
    expect(await dig(pharos.port, '+short', '+dnssec', 'mail.example.com', 'A')).toContain(`A ${number} 3 300`);
  });
});

describe('a key that cannot be used', () => {
  test('is reported with its file, and the zone is not served without it', async () => {
    using folder = folderOf({ ...NO_GEOGRAPHY, 'pharos.yaml': CONFIG, 'zones/example.com.yaml': ZONE });
    {
      await using _ = await serve(['pharos.yaml'], { cwd: folder.path });
    }
    const keys = join(folder.path, 'state', 'keys');
    const file = readdirSync(keys).find((name) => name.endsWith('.private')) ?? '';
    cpSync(join(keys, file), join(keys, 'copy'));
    writeFileSync(
      join(keys, file),
      readFileSync(join(keys, 'copy'), 'utf8').replace(/PrivateKey: ..../, 'PrivateKey: AAAA'),
    );
    const checked = await run(['check', 'pharos.yaml'], { cwd: folder.path });
    expect(checked.code).toBe(1);
    expect(checked.stdout).toContain('PH390');
  });
});
