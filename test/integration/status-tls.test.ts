/**
 * The status server with TLS, as programs see it: the command line, client certificates, a new certificate at a reload,
 * and tokens that are revoked while the server runs. Certificates are made with openssl (Debian: openssl).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderOf } from '../support/pharos.ts';
import { eventually, run, serve, type Served } from '../support/process.ts';

const ALICE = '3f9c1a7be2d84065aa';
const CARLA = '7d20be95c1f8a34e66';
const TOKENS = [
  `alice: { roles: operate, token: ${ALICE} }`,
  `carla: { roles: read, token: ${CARLA} }`,
  'deploy-bot: { roles: [update, operate], certificate: deploy.example.com }',
  '',
];
const FILES = {
  'pharos.yaml': [
    'listen: 127.0.0.1:0',
    'status:',
    '  listen: 127.0.0.1:0',
    '  tokens: tokens.yaml',
    '  tls: { cert: server.pem, key: server.key, client_ca: ca.pem }',
  ].join('\n'),
  'tokens.yaml': TOKENS.join('\n'),
  'zones/example.com.yaml':
    'zone: example.com\nnameservers: [ns1]\nrecords:\n  ns1: { A: 192.0.2.53 }\nservices:\n  www: { vips: { a: { A: 192.0.2.1 }, b: { A: 192.0.2.2 } } }\n',
};

let folder: ReturnType<typeof folderOf>;
let server: Served;
let api: string;

function openssl(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder.path, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}
const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function authority(name: string): void {
  openssl('req', '-x509', ...EC, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`);
}
function certify(name: string, ca: string, common: string, names: string): void {
  const by = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-addext', `subjectAltName=${names}`];
  openssl('req', '-x509', ...EC, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${common}`, ...by);
}
const file = (name: string): string => join(folder.path, name);

type Got = { readonly status: number; readonly serial: string };
function ask(method: string, path: string, client?: string, token?: string): Promise<Got> {
  return new Promise((resolve, reject) => {
    const own = client === undefined ? {} : { cert: readFileSync(file(`${client}.pem`)), key: readFileSync(file(`${client}.key`)) }; // prettier-ignore
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const ca = readFileSync(file('ca.pem'));
    request(`${api}${path}`, { method, ca, ...own, headers, agent: false }, (response) => {
      const { socket } = response;
      const serial = socket instanceof TLSSocket ? socket.getPeerCertificate().serialNumber : '';
      response.resume().once('end', () => {
        resolve({ status: response.statusCode ?? 0, serial });
      });
    })
      .on('error', reject)
      .end();
  });
}

beforeAll(async () => {
  folder = folderOf(FILES);
  authority('ca');
  authority('strange');
  certify('server', 'ca', 'pharos', 'IP:127.0.0.1');
  certify('deploy', 'ca', 'Deploy', 'DNS:deploy.example.com');
  certify('forged', 'strange', 'Deploy', 'DNS:deploy.example.com');
  certify('other', 'ca', 'Other', 'DNS:other.example.com');
  server = await serve([], { cwd: folder.path });
  [, api = ''] = await server.until(/"status":"(https:\/\/127\.0\.0\.1:\d+)\/"/);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test('a client certificate has the roles of its name', async () => {
  expect(await ask('POST', '/api/v1/reload', 'deploy')).toMatchObject({ status: 200 });
  expect(await ask('POST', '/api/v1/reload', 'other')).toMatchObject({ status: 401 });
  expect(await ask('POST', '/api/v1/reload', 'forged')).toMatchObject({ status: 401 });
  expect(await ask('POST', '/api/v1/reload')).toMatchObject({ status: 401 });
  expect(await ask('GET', '/readyz')).toMatchObject({ status: 200 });
});

test('commands reach the server with --ca, --cert and --key, or from its configuration', async () => {
  const tls = ['--api', api, '--ca', 'ca.pem'];
  const inFolder = { cwd: folder.path };
  const drained = await run(['drain', 'www.example.com/a', ...tls, '--cert', 'deploy.pem', '--key', 'deploy.key', '--json'], inFolder); // prettier-ignore
  expect(drained).toMatchObject({ code: 0 });
  const listed = await run(['overrides', ...tls, '--json'], inFolder);
  expect(JSON.parse(listed.stdout)).toMatchObject({ overrides: [{ target: 'www.example.com/a', who: 'deploy-bot' }] });
  const untrusted = await run(['status', '--api', api], inFolder);
  expect(untrusted.code).toBe(1);
  expect(untrusted.stderr).toContain('cannot reach');
  const env = { ...process.env, PHAROS_CA: file('ca.pem'), PHAROS_TOKEN: ALICE };
  expect(await run(['auto', 'www.example.com/a', '--api', api], { ...inFolder, env })).toMatchObject({ code: 0 });
  const half = await run(['status', ...tls, '--cert', 'deploy.pem'], inFolder);
  expect(half).toMatchObject({ code: 2 });
});

test('the audit log has names, and refusals', async () => {
  await ask('POST', '/api/v1/reload', undefined, CARLA);
  const isComplete = (audit: string): boolean =>
    /"kind":"override","who":"deploy-bot"/.test(audit) && /"who":"carla".*"status":403,"outcome":"refused"/.test(audit);
  await eventually(() => Promise.resolve(readFileSync(file('state/audit.log'), 'utf8')), isComplete);
});

test('a token that is removed from the file stops working, without a reload', async () => {
  expect(await ask('POST', '/api/v1/reload', undefined, ALICE)).toMatchObject({ status: 200 });
  writeFileSync(file('tokens.yaml'), 'alice: {');
  await server.until(/have mistakes: those read before stay valid/);
  expect(await ask('POST', '/api/v1/reload', 'deploy')).toMatchObject({ status: 422 });
  expect(await ask('GET', '/api/v1/status', undefined, ALICE)).toMatchObject({ status: 200 });
  writeFileSync(file('tokens.yaml'), TOKENS.slice(1).join('\n'));
  await server.until(/tokens read again: 2/);
  expect(await ask('GET', '/api/v1/status', undefined, ALICE)).toMatchObject({ status: 401 });
  expect(await ask('GET', '/api/v1/status', undefined, CARLA)).toMatchObject({ status: 200 });
});

test('a reload takes a new certificate', async () => {
  const before = await ask('GET', '/readyz');
  certify('server', 'ca', 'pharos', 'IP:127.0.0.1');
  expect(await ask('POST', '/api/v1/reload', 'deploy')).toMatchObject({ status: 200 });
  const after = await ask('GET', '/readyz');
  expect(after.status).toBe(200);
  expect(after.serial).not.toBe(before.serial);
});

test('a client that does not speak TLS gets nothing, and the server stays', async () => {
  await expect(fetch(api.replace('https', 'http'))).rejects.toThrow();
  expect(await ask('GET', '/readyz')).toMatchObject({ status: 200 });
});
