/**
 * Started as root with a TLS key that only root may read, the server switched to another user, and from then on
 * rejected every reload, also of zones. Now the loaded pair stays in use; start and reload say so.
 */
import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeCertificate } from '../../support/certificate.ts';
import { folderOf } from '../../support/pharos.ts';
import { dig, serve } from '../../support/process.ts';

const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
const NOBODY = Number(/^nobody:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1]);
const zone = (address: string): string =>
  `zone: example.com\nnameservers: [ns.example.net.]\nrecords: { www: { A: ${address} } }\n`;

type Reloaded = { readonly status: number; readonly codes: readonly string[] };

test.skipIf(!isRoot)(
  'a reload keeps the loaded pair while this user may not read the key, and loads a new one when it may',
  async () => {
    const { cert, key } = makeCertificate();
    using folder = folderOf({
      'pharos.yaml':
        'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0, token: "${TOKEN}" }\nuser: nobody\ntls: { listen: 127.0.0.1:0, cert: tls.pem, key: tls.key }\n',
      'zones/example.com.yaml': zone('192.0.2.1'),
      'tls.pem': cert,
      'tls.key': key,
    });
    chmodSync(folder.path, 0o755);
    const keyPath = join(folder.path, 'tls.key');
    chmodSync(keyPath, 0o600);
    await using server = await serve([], { cwd: folder.path, env: { TOKEN: 'secret' } });
    expect(server.stdout()).toMatch(/"level":"warn".*The user nobody may not read [^"]*tls\.key: a reload keeps/);
    const reload = async (): Promise<Reloaded> => {
      const headers = { authorization: 'Bearer secret' };
      const reply = await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers });
      const body = (await reply.json()) as { warnings?: { code: string }[]; diagnostics?: { code: string }[] };
      return { status: reply.status, codes: (body.warnings ?? body.diagnostics ?? []).map(({ code }) => code) };
    };

    writeFileSync(join(folder.path, 'zones/example.com.yaml'), zone('192.0.2.2'));
    expect(await reload()).toEqual({ status: 200, codes: ['PH389'] });
    expect(await dig(server.port, 'www.example.com')).toBe('192.0.2.2');
    // Again: the kept pair is still kept.
    expect(await reload()).toEqual({ status: 200, codes: ['PH389'] });

    // A new certificate whose key cannot be read waits for its key.
    const next = makeCertificate();
    writeFileSync(join(folder.path, 'tls.pem'), next.cert);
    writeFileSync(keyPath, next.key);
    expect(await reload()).toEqual({ status: 200, codes: ['PH389'] });
    chownSync(keyPath, NOBODY, -1);
    expect(await reload()).toEqual({ status: 200, codes: [] });

    // Another key, which was never loaded: there is no pair to keep.
    writeFileSync(join(folder.path, 'other.key'), next.key);
    chmodSync(join(folder.path, 'other.key'), 0o600);
    const configuration = readFileSync(join(folder.path, 'pharos.yaml'), 'utf8');
    writeFileSync(join(folder.path, 'pharos.yaml'), configuration.replace('tls.key', 'other.key'));
    expect(await reload()).toEqual({ status: 422, codes: ['PH060'] });
    expect((await server.stop()).code).toBe(0);
  },
);
