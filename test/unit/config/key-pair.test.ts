import { createPrivateKey } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createReport } from '../../../config/diagnostics.ts';
import { readSettings } from '../../../config/read-settings.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { expectMistake, lines, placesOf } from './mistakes.ts';

const DAY_MS = 86_400_000;
const days = (count: number): Date => new Date(Date.now() + count * DAY_MS);

const authority = makeCertificate({ name: 'Test CA' });
const own = makeCertificate();
const issued = makeCertificate({ issuer: authority });
const encrypted = createPrivateKey(own.key).export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'x',
});

const folder = mkdtempSync(join(tmpdir(), 'pharos-key-pair-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
mkdirSync(join(folder, 'zones'));
mkdirSync(join(folder, 'folder'));
writeFileSync(join(folder, 'zones/example.com.yaml'), '');
const FILES: Readonly<Record<string, string | Buffer>> = {
  'own.pem': own.cert,
  'own.key': own.key,
  'both.pem': `${own.key}${own.cert}`,
  'chain.pem': `subject=ns1\n${issued.cert}issuer=CA\n${authority.cert}`,
  'backwards.pem': `${authority.cert}${issued.cert}`,
  'issued.key': issued.key,
  'encrypted.key': encrypted,
  'broken.pem': own.cert.replace(/MII[\s\S]{20}/, 'MIIAAAAAAAAAAAAAAAAAAAAA'),
  'cut.key': own.key.slice(0, 100),
  'noise.pem': Buffer.from(crypto.getRandomValues(new Uint8Array(1000))),
  'huge.pem': Buffer.alloc(1024 * 1024 + 1),
  'empty.pem': '',
};
for (const [name, content] of Object.entries(FILES)) writeFileSync(join(folder, name), content);

function read(yaml: string) {
  writeFileSync(join(folder, 'pharos.yaml'), yaml);
  const report = createReport();
  const settings = readSettings({ file: 'pharos.yaml', baseDir: folder, env: {}, cores: 2, report });
  return { tls: settings?.tls, diagnostics: report.diagnostics };
}

const pair = (cert: string, key: string, more = ''): string => `tls: { cert: ${cert}, key: ${key}${more} }\n`;

describe('tls', () => {
  test.each([
    ['a certificate and its key', 'own.pem', 'own.key'],
    ['both in one file', 'both.pem', 'both.pem'],
    ['a chain, with what openssl writes between', 'chain.pem', 'issued.key'],
  ])('takes %s', (_title, cert, key) => {
    const { tls, diagnostics } = read(pair(cert, key));
    expect(placesOf(diagnostics)).toEqual([]);
    expect(tls?.keyPair).toMatchObject({ cert: FILES[cert], key: FILES[key], path: join(folder, cert) });
    expect((tls?.keyPair.expiresAtMs ?? 0) / 1000).toBeCloseTo(days(90).getTime() / 1000, -1);
  });

  test.each([
    ['listen: ["0.0.0.0:53", "[::]:53"]\n', '', ['0.0.0.0', '::'], 853],
    ['listen: ["127.0.0.1:53", "127.0.0.1:5300"]\n', '', ['127.0.0.1'], 853],
    ['', ', listen: "127.0.0.1:8853"', ['127.0.0.1'], 8853],
    ['listen: 127.0.0.1:0\n', ', listen: 127.0.0.1:0', ['127.0.0.1'], 0],
  ])(
    'listens on the addresses of `listen` and port 853, unless it states others: %j %j',
    (before, more, hosts, port) => {
      const { tls, diagnostics } = read(`${before}${pair('own.pem', 'own.key', more)}`);
      expect(placesOf(diagnostics)).toEqual([]);
      expect(tls?.listen).toEqual(hosts.map((host) => ({ host, port })));
    },
  );

  test('is off without the key', () => {
    expect(read('').tls).toBeUndefined();
  });

  test.each([
    ['nowhere.pem', 'own.key', '1:14 PH060', 'there is no such file'],
    ['own.pem', 'nowhere.key', '1:28 PH060', `looked at ${join(folder, 'nowhere.key')}`],
    ['folder', 'own.key', '1:14 PH060', 'it is a folder'],
    ['/dev/zero', 'own.key', '1:14 PH060', 'it is a device, not a regular file'],
    ['own.pem/x', 'own.key', '1:14 PH060', 'there is no such file'],
    ['huge.pem', 'own.key', '1:14 PH060', 'it is larger than 1 MiB'],
    ['empty.pem', 'own.key', '1:14 PH061', 'contains no certificate'],
    ['noise.pem', 'own.key', '1:14 PH061', 'contains no certificate'],
    ['own.key', 'own.key', '1:14 PH061', 'contains no certificate'],
    ['broken.pem', 'own.key', '1:14 PH061', 'a certificate in broken.pem cannot be read'],
    ['own.pem', 'own.pem', '1:28 PH062', 'own.pem contains no private key'],
    ['own.pem', 'cut.key', '1:28 PH062', 'cut.key contains no private key'],
    ['own.pem', 'encrypted.key', '1:28 PH062', 'is encrypted'],
    ['own.pem', 'issued.key', '1:28 PH063', 'does not belong to the certificate own.pem'],
    ['backwards.pem', 'issued.key', '1:34 PH063', 'it belongs to certificate 2 in that file: put that one first'],
  ])('cert: %s, key: %s is a mistake', (cert, key, at, part) => {
    const { tls, diagnostics } = read(pair(cert, key));
    expectMistake(diagnostics, at, part);
    expect(tls).toBeUndefined();
  });

  test.skipIf(process.getuid?.() === 0)('a key that may not be read is a mistake', () => {
    writeFileSync(join(folder, 'secret.key'), own.key);
    chmodSync(join(folder, 'secret.key'), 0);
    expectMistake(read(pair('own.pem', 'secret.key')).diagnostics, '1:28 PH060', 'permission denied');
  });

  test('a key too short for TLS is a mistake here, not at the first client', () => {
    const weak = makeCertificate({ key: { kind: 'rsa', bits: 512 } });
    writeFileSync(join(folder, 'weak.pem'), weak.cert);
    writeFileSync(join(folder, 'weak.key'), weak.key);
    expectMistake(read(pair('weak.pem', 'weak.key')).diagnostics, '1:14 PH064', 'too small');
  });

  test('both files are examined, even if one has a mistake', () => {
    expect(placesOf(read(pair('empty.pem', 'cut.key')).diagnostics)).toEqual(['1:14 PH061', '1:30 PH062']);
  });

  test.each([
    ['ended', days(-90), days(-1), 'expired on'],
    ['has not begun', days(1), days(90), 'is not valid before'],
    ['is nearly over', days(-82), days(8), 'expires on'],
  ])('a certificate that %s is a warning: it is used', (_title, from, to, part) => {
    const dated = makeCertificate({ from, to });
    writeFileSync(join(folder, 'dated.pem'), dated.cert);
    writeFileSync(join(folder, 'dated.key'), dated.key);
    const { tls, diagnostics } = read(pair('dated.pem', 'dated.key'));
    expectMistake(diagnostics, '1:14 PH065', part);
    expect(diagnostics[0]?.severity).toBe('warning');
    expect(tls?.keyPair.cert).toBe(dated.cert);
  });

  test('a certificate of six days with four of them left gives no warning', () => {
    const short = makeCertificate({ from: days(-2), to: days(4) });
    writeFileSync(join(folder, 'short.pem'), short.cert);
    writeFileSync(join(folder, 'short.key'), short.key);
    expect(read(pair('short.pem', 'short.key')).diagnostics).toEqual([]);
  });

  test('an address of `listen` cannot be one of TLS as well', () => {
    const yaml = lines('listen: 127.0.0.1:5300', pair('own.pem', 'own.key', ', listen: 127.0.0.1:5300').trim());
    expectMistake(read(yaml).diagnostics, '2:6 PH035', 'which listen uses too');
  });

  test('no message shows a part of the key', () => {
    const { diagnostics } = read(pair('backwards.pem', 'issued.key'));
    expect(JSON.stringify(diagnostics)).not.toContain(issued.key.split('\n')[1]);
  });
});
