/**
 * Private keys stay private whatever the umask is, and no log, message or API shows them: with the umask 000, the log
 * level trace, a broken key and refused reloads (docs/dnssec.md#keys).
 */
import { chmodSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, PHAROS, run, serve } from '../support/process.ts';

const CONFIG = `
listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0, token: secret }
geo: { databases: [small.mmdb] }
log: { level: trace, queries: 1 }
transfer: { allow: [{ from: 127.0.0.1 }] }
`;
const zone = (name: string, dnssec: string): string =>
  `zone: ${name}\ndnssec: ${dnssec}\nsoa: { expire: 4d }\nnameservers: [ns.example.net.]\nrecords: { www: { A: 192.0.2.1 } }\n`;

/** The forms in which a secret could be shown. */
function formsOf(base64: string): string[] {
  const octets = Buffer.from(base64, 'base64');
  // The start of each form: a line could be cut.
  const forms = [base64, octets.toString('hex'), octets.toString('base64url'), octets.toString('hex').toUpperCase(), [...octets].join(',')]; // prettier-ignore
  return forms.map((form) => form.slice(0, 24));
}

function secretsIn(folder: string): string[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.private'));
  const texts = files.map((name) => readFileSync(join(folder, name), 'latin1'));
  return texts.flatMap(
    (text) =>
    [...text.matchAll(/^(?:PrivateKey|PrivateExponent|Prime\d|Exponent\d|Coefficient): (\S+)/gm)].flatMap(([, base64 = '']) => formsOf(base64)), // prettier-ignore
  );
}

describe('private keys', () => {
  test('are readable for their owner only, and shown nowhere', async () => {
    using folder = folderOf({
      ...NO_GEOGRAPHY,
      'pharos.yaml': CONFIG,
      'zones/example.com.yaml': zone('example.com', 'true'),
      'zones/example.net.yaml': zone('example.net', '{ denial: compact }'),
      'pharos.sh': `#!/bin/sh\numask 000\nexec ${PHAROS} "$@"\n`,
    });
    const command = join(folder.path, 'pharos.sh');
    chmodSync(command, 0o755);
    const keys = join(folder.path, 'state', 'keys');
    const shown: string[] = [];
    const tell = async (...args: string[]): Promise<void> => {
      const { stdout, stderr } = await run(args, { cwd: folder.path, command });
      shown.push(stdout, stderr);
    };
    await using pharos = await serve(['pharos.yaml'], { cwd: folder.path, command });
    const get = async (path: string): Promise<string> => {
      const reply = await fetch(`${pharos.api}${path}`, { headers: { authorization: 'Bearer secret' } });
      return await reply.text();
    };
    const reload = async (): Promise<number> => {
      const reply = await fetch(`${pharos.api}/api/v1/reload`, { method: 'POST', headers: { authorization: 'Bearer secret' } }); // prettier-ignore
      shown.push(await reply.text());
      return reply.status;
    };
    for (const query of ['www.example.com', 'nope.example.com', 'nope.example.net']) shown.push(await dig(pharos.port, '+dnssec', query)); // prettier-ignore
    await tell('dnssec', 'roll', 'example.com', '--algorithm', 'rsasha256');
    expect(await reload()).toBe(200);
    const secrets = secretsIn(keys);
    // Two of P-256, and one of RSA with six numbers.
    expect(secrets.length).toBeGreaterThanOrEqual(8 * 5);

    const modes = [keys, ...readdirSync(keys).flatMap((name) => (name.endsWith('.key') ? [] : [join(keys, name)]))].map((path) => (statSync(path).mode & 0o777).toString(8)); // prettier-ignore
    expect(modes).toEqual(['700', '600', '600', '600']);

    // A key that cannot be used: its text must not be in the reasons.
    const [name = ''] = readdirSync(keys).filter((each) => /example\.com.*013.*\.private$/.test(each));
    const text = readFileSync(join(keys, name), 'utf8');
    for (const broken of [
      text.replace('Private-key-format', 'Format'),
      text.replace(/PrivateKey: ./, 'PrivateKey: '),
      text.replace(/^Algorithm: 13/m, 'Algorithm: 8'),
      text.replace(/\n/g, ' '),
    ]) {
      writeFileSync(join(keys, name), broken);
      expect(await reload()).not.toBe(200);
      await tell('check', 'pharos.yaml');
      await tell('dnssec', 'status', 'example.com');
    }
    writeFileSync(join(keys, name), text);
    chmodSync(join(keys, name), 0o644);
    expect(await reload()).not.toBe(200);
    await tell('check', 'pharos.yaml');
    chmodSync(join(keys, name), 0o600);
    renameSync(join(keys, name), join(keys, 'gone'));
    expect(await reload()).not.toBe(200);
    renameSync(join(keys, 'gone'), join(keys, name));
    for (const args of [['dnssec', 'status', 'example.com', '--json'], ['dnssec', 'ds', 'example.com'], ['explain', 'www.example.com', '--client', '192.0.2.9']]) await tell(...args); // prettier-ignore

    const { paths } = JSON.parse(await get('/api/v1/openapi.json')) as { paths: Record<string, { get?: unknown }> };
    const plain = Object.keys(paths).filter((path) => paths[path]?.get !== undefined && !/\{|stream|events/.test(path));
    expect(plain.length).toBeGreaterThan(5);
    for (const path of ['/', '/metrics', ...plain]) shown.push(await get(path));
    await pharos.stop();
    shown.push(pharos.stdout(), pharos.stderr());
    const all = shown.join('\n');
    expect(all).toContain('PH390');
    expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
    // Nothing else that the server wrote has them.
    const others = readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !entry.name.endsWith('.private')); // prettier-ignore
    expect(others.length).toBeGreaterThan(3);
    for (const entry of others) {
      const content = readFileSync(join(entry.parentPath, entry.name), 'latin1');
      expect(secrets.filter((secret) => content.includes(secret)), entry.name).toEqual([]); // prettier-ignore
    }
  });
});
