/**
 * `check` did not report a private key that every user may read, or zones, configuration and commands that every user
 * may change.
 */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadGeneration } from '../../../zones/load-generation.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { bundledGeography, folderOf } from '../../support/pharos.ts';

const { cert, key } = makeCertificate();
const ZONE = 'zone: example.com\nnameservers: [ns.example.net.]\ninclude: [bulk.db]\n';
const SERVICE = 'services: { www: { check: own, vips: { a: { A: 192.0.2.1 } } } }\n';
const SECRETS = `status: { token: "k2J9vQx7LmZr4TyWb8Pd" }
dns: { cookie_secrets: [000102030405060708090a0b0c0d0e0f] }
transfer: { keys: { second: { algorithm: hmac-sha256, secret: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" } } }
`;

type Place = { readonly path: string; readonly warnings: () => string[]; readonly [Symbol.dispose]: () => void };

/** A configuration folder that other users may enter, with every file as an operator should have it. */
function place(more = ''): Place {
  const folder = folderOf({
    'pharos.yaml': `tls: { cert: tls.pem, key: tls.key }\n${more}`,
    'tls.pem': cert,
    'tls.key': key,
    'zones/example.com.yaml': ZONE,
    'zones/bulk.db': '',
    'run/probe': '#!/bin/sh\n',
  });
  const { path } = folder;
  mkdirSync(join(path, 'state'));
  for (const name of ['', 'zones', 'run', 'state']) chmodSync(join(path, name), 0o755);
  for (const name of ['pharos.yaml', 'tls.key']) chmodSync(join(path, name), 0o640);
  for (const name of ['zones/example.com.yaml', 'zones/bulk.db', 'tls.pem']) chmodSync(join(path, name), 0o644);
  chmodSync(join(path, 'run/probe'), 0o755);
  const warnings = (): string[] => {
    const env = { TOKEN: 'k2J9vQx7LmZr4TyWb8Pd' };
    const { diagnostics } = loadGeneration({ file: undefined, cwd: path, env, cores: 1, geographyInUse: bundledGeography() }); // prettier-ignore
    expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
    return diagnostics
      .filter(({ code }) => code >= 'PH386' && code <= 'PH399')
      .map(({ code, message }) => `${code} ${message.replaceAll(path, '')}`);
  };
  return { path, warnings, [Symbol.dispose]: folder[Symbol.dispose] };
}

const isPosix = process.platform !== 'win32';

describe.skipIf(!isPosix)('permissions of other users', () => {
  test('files as they should be give no warning', () => {
    using folder = place(SECRETS);
    expect(folder.warnings()).toEqual([]);
  });

  test('a key that all may read, unless a folder above it is closed', () => {
    using folder = place();
    chmodSync(join(folder.path, 'tls.key'), 0o644);
    expect(folder.warnings()).toEqual(['PH386 every user of this machine may read the private key /tls.key']);
    chmodSync(folder.path, 0o700);
    expect(folder.warnings()).toEqual([]);
  });

  test('a symbolic link to a key that all may read', () => {
    using folder = place();
    chmodSync(join(folder.path, 'tls.key'), 0o644);
    symlinkSync('tls.key', join(folder.path, 'current.key'));
    writeFileSync(join(folder.path, 'pharos.yaml'), 'tls: { cert: tls.pem, key: current.key }\n');
    expect(folder.warnings()).toEqual(['PH386 every user of this machine may read the private key /current.key']);
  });

  test('secrets in a configuration that all may read, but not those of the environment', () => {
    using folder = place(SECRETS);
    chmodSync(join(folder.path, 'pharos.yaml'), 0o644);
    expect(folder.warnings().map((line) => line.replace(/:.*/, ''))).toEqual([
      'PH387 every user of this machine may read token',
      'PH387 every user of this machine may read cookie_secrets',
      'PH387 every user of this machine may read secret',
    ]);
    writeFileSync(join(folder.path, 'pharos.yaml'), 'status: { token: "${TOKEN}" }\n');
    expect(folder.warnings()).toEqual([]);
  });

  test.each([
    ['pharos.yaml', 0o666, 'reads its configuration there'],
    ['', 0o777, 'reads its configuration there'],
    ['tls.key', 0o662, 'reads its TLS key pair there'],
    ['zones', 0o777, 'reads zones there'],
    // Every user may add a zone there.
    ['zones', 0o1777, 'reads zones there'],
    ['zones/example.com.yaml', 0o666, 'reads zones there'],
    ['zones/bulk.db', 0o666, 'reads zones there'],
    ['state', 0o777, 'keeps states and overrides there'],
    ['state', 0o1777, 'keeps states and overrides there'],
  ])('%s with the mode %o', (name, mode, use) => {
    using folder = place();
    chmodSync(join(folder.path, name), mode);
    const shown = mode.toString(8).padStart(4, '0');
    const changeable = name === '' ? '' : `/${name}`;
    expect(folder.warnings()).toEqual([
      `PH388 every user of this machine may change ${changeable} (mode ${shown}), and the server ${use}`,
    ]);
  });

  test.each([
    ['program', (path: string) => `[${path}/run/probe]`],
    ['argument', (path: string) => `[sh, ${path}/run/probe]`],
  ])('the %s of an exec check', (_, command) => {
    using folder = place();
    const zone = `${ZONE}checks: { own: { type: exec, command: ${command(folder.path)} } }\n${SERVICE}`;
    writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone);
    expect(folder.warnings()).toEqual([]);
    chmodSync(join(folder.path, 'run/probe'), 0o757);
    expect(folder.warnings()).toEqual([
      'PH388 every user of this machine may change /run/probe (mode 0757), and the server runs /run/probe',
    ]);
    chmodSync(join(folder.path, 'run/probe'), 0o755);
    chmodSync(join(folder.path, 'run'), 0o777);
    expect(folder.warnings()).toEqual([
      'PH388 every user of this machine may change /run (mode 0777), and the server runs /run/probe',
    ]);
  });
});
