/**
 * Dynamic updates by dnspython, the reference client, over UDP, TCP and TLS; of a signed zone, validated by unbound;
 * and after damage of the journal.
 */
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { T } from '../support/message.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { eventually, has, serve } from '../support/process.ts';
import { createDice, printedSeed } from '../support/random.ts';
import { axfr, change, keyNamed, sendUpdate, UPDATE_SECRET } from '../support/update-client.ts';
import { anchorsIn, startResolver } from '../support/validating-resolver.ts';

const PYTHON = '/usr/bin/python3';
const hasDnspython = await promisify(execFile)(PYTHON, ['-c', 'import dns.update']).then(
  () => true,
  () => false,
);
const KEY = keyNamed('k');
const config = (more = ''): string => `listen: 127.0.0.1:0
status: { listen: 127.0.0.1:0, token: secret }
state_dir: state
geo: { databases: [small.mmdb] }
transfer: { keys: { k: { algorithm: hmac-sha256, secret: ${UPDATE_SECRET} } }, allow: [{ from: 127.0.0.1 }] }
updates: [{ key: k }]
${more}`;
const zone = (more = ''): string => `zone: example.com
nameservers: [ns1]
${more}records:
  ns1: { A: 192.0.2.1 }
  www: { A: 192.0.2.2, TXT: x }
  "*.wild": { TXT: wild }
`;

/** Every prerequisite and update form of RFC 2136 2.4 and 2.5; prints the RCODEs. */
const SCRIPT = `
import ssl, sys, dns.query, dns.update, dns.tsigkeyring, dns.rcode
how, port, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ring = dns.tsigkeyring.from_text({'k.': secret})
def send(*calls):
    update = dns.update.UpdateMessage('example.com.', keyring=ring, keyname='k.', keyalgorithm='hmac-sha256')
    for name, *given in calls: getattr(update, name)(*given)
    if how == 'tls':
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        answer = dns.query.tls(update, '127.0.0.1', port=port, ssl_context=context, timeout=30)
    else: answer = getattr(dns.query, how)(update, '127.0.0.1', port=port, timeout=30)
    print(dns.rcode.to_text(answer.rcode()))
n = 'p-' + how
send(('absent', n), ('add', n, 60, 'A', '192.0.2.7'))
send(('present', n), ('add', n, 60, 'A', '192.0.2.8'))
send(('present', n, 'A', '192.0.2.7', '192.0.2.8'), ('delete', n, 'A', '192.0.2.7'))
send(('present', n, 'A'), ('absent', n, 'TXT'), ('replace', n, 60, 'TXT', 'text'))
send(('delete', n, 'TXT'))
send(('absent', n))
send(('present', 'none'))
send(('absent', n, 'A'))
send(('present', n, 'MX'))
send(('present', n, 'A', '192.0.2.9'))
send(('add', '@', 60, 'NS', 'ns9'))
send(('delete', n))
send(('absent', n))
`;

test.skipIf(!hasDnspython)('every form by dnspython, over UDP, TCP and TLS', async () => {
  const { cert, key } = makeCertificate();
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': config('tls: { listen: 127.0.0.1:0, cert: tls.pem, key: tls.key }\n'),
    'zones/example.com.yaml': zone(),
    'tls.pem': cert,
    'tls.key': key,
    'update.py': SCRIPT,
  });
  await using server = await serve([], { cwd: folder.path });
  const tls = /"tls":\["[^"]*:(\d+)"/.exec(server.stdout())?.[1] ?? '';
  for (const how of ['udp', 'tcp', 'tls']) {
    const port = how === 'tls' ? tls : String(server.port);
    const { stdout } = await promisify(execFile)(PYTHON, [join(folder.path, 'update.py'), how, port, UPDATE_SECRET]);
    expect(stdout.trim().split('\n'), how).toEqual([
      ...['NOERROR', 'NOERROR', 'NOERROR', 'NOERROR', 'NOERROR'],
      ...['YXDOMAIN', 'NXDOMAIN', 'YXRRSET', 'NXRRSET', 'NXRRSET', 'REFUSED', 'NOERROR', 'NOERROR'],
    ]);
  }
});

test.skipIf(!has('unbound'))('a signed zone validates after every update', async () => {
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': config(),
    'zones/example.com.yaml': zone('dnssec: true\n'),
  });
  await using server = await serve([], { cwd: folder.path });
  const anchors = anchorsIn(join(folder.path, 'state/keys'));
  const more = ['cache-max-ttl: 0', 'cache-max-negative-ttl: 0', 'aggressive-nsec: no'];
  await using resolver = await startResolver([{ zone: 'example.com', ports: [server.port], anchors }], { more });
  const update = async (...lines: string[]): Promise<void> => {
    const updates = lines.map((line) => change('example.com', line));
    expect(
      await sendUpdate(server.port, { zone: 'example.com', updates }, KEY),
      `${lines.join()}\n${server.stdout().slice(-1500)}`,
    ).toBe(0);
  };
  const ask = async (name: string, type: number): Promise<string> => {
    const { rcode, isSecure, answer } = await resolver.ask(`${name}.example.com`, type);
    const count = answer.filter((each) => each.type !== T.RRSIG).length;
    return `${isSecure ? 'secure' : 'NOT SECURE'} ${rcode} ${count}`;
  };
  expect(await ask('new', T.A)).toBe('secure 3 0');
  await update('new IN A 192.0.2.9', 'b.new IN TXT x');
  expect(await ask('new', T.A)).toBe('secure 0 1');
  expect(await ask('newer', T.A)).toBe('secure 3 0');
  await update('new ANY ANY');
  // An empty non-terminal now.
  expect(await ask('new', T.A)).toBe('secure 0 0');
  await update('b.new ANY ANY', '*.wild IN A 192.0.2.8', 'x.wild IN TXT x');
  expect(await ask('new', T.A)).toBe('secure 3 0');
  expect(await ask('y.wild', T.A)).toBe('secure 0 1');
  expect(await ask('x.wild', T.A)).toBe('secure 0 0');
  await update('*.wild ANY ANY', 'sub IN NS ns.sub', 'ns.sub IN A 192.0.2.4');
  expect(await ask('y.wild', T.TXT)).toBe('secure 3 0');
  const dice = createDice(printedSeed('updates of a signed zone'));
  const names = ['a', 'b.a', 'm', 'www', 'z', '*.w', '*.m', 'c.m', 'x.w'];
  for (let round = 0; round < 25; round++) {
    const name = dice.pick(names);
    await update(dice.pick([`${name} IN A 192.0.2.${dice.below(9)}`, `${name} IN TXT "${dice.below(9)}"`, `${name} ANY A`, `${name} ANY ANY`])); // prettier-ignore
    for (const asked of [name.replace('*', 'q'), 'b.a', 'q.w', dice.pick(['aa', 'n', 'y.c.m', 'zz'])]) {
      expect(await ask(asked, dice.pick([T.A, T.TXT])), `${asked} in round ${round}`).toMatch(/^secure/);
    }
  }
  expect((await axfr(server.port, 'example.com'))?.records.length).toBeGreaterThan(10);
});

test('a damaged journal is an alarm until its copy is removed', async () => {
  const port = await freePort();
  using folder = folderOf({
    ...NO_GEOGRAPHY,
    'pharos.yaml': config().replace('127.0.0.1:0', `127.0.0.1:${port}`),
    'zones/example.com.yaml': zone(),
  });
  const path = join(folder.path, 'state/journal/example.com.journal');
  const first = await serve([], { cwd: folder.path });
  for (const name of ['one', 'two', 'three']) {
    const updates = [change('example.com', `${name} IN A 192.0.2.9`)];
    expect(await sendUpdate(port, { zone: 'example.com', updates }, KEY)).toBe(0);
  }
  await first.stop();
  const damaged = readFileSync(path, 'latin1').replace('two', 'tow');
  writeFileSync(path, damaged, 'latin1');
  await using server = await serve([], { cwd: folder.path });
  const alarms = async (): Promise<string> => {
    const status = (await (await fetch(`${server.api}/api/v1/status`)).json()) as { alarms: { code: string }[] };
    return status.alarms.map(({ code }) => code).join();
  };
  await eventually(alarms, (codes) => codes === 'journal_damaged');
  expect(readFileSync(`${path}.bad`, 'latin1')).toBe(damaged);
  const names = (await axfr(port, 'example.com'))?.records.map((each) => each.split('.')[0]);
  expect(names).toContain('one');
  expect(names).not.toContain('three');
  const updates = [change('example.com', 'four IN A 192.0.2.9')];
  expect(await sendUpdate(port, { zone: 'example.com', updates }, KEY)).toBe(0);
  rmSync(`${path}.bad`);
  const reload = await fetch(`${server.api}/api/v1/reload`, { method: 'POST', headers: { authorization: 'Bearer secret' } }); // prettier-ignore
  expect(reload.status).toBe(200);
  await eventually(alarms, (codes) => codes === '');
});
