/**
 * The Debian package: built, read by lintian, installed into a clean Debian system, and run there by a systemd of its
 * own under systemd-nspawn, with the whole sandbox of the unit. Needs root, namespaces and Debian's packages; skipped
 * without.
 */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderOf } from '../support/pharos.ts';
import { eventually, has, ROOT, start, type Running } from '../support/process.ts';

type Result = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

function call(command: string, ...args: readonly string[]): Result {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  return { code: status, stdout, stderr };
}

const node = existsSync(`${ROOT}bin/node/node_modules/node-linux-${process.arch}`);
const canPack = has('dpkg-deb') && has('strip') && node;
const why = [
  ...(process.getuid?.() === 0 ? [] : ['root']),
  ...['mmdebstrap', 'systemd-nspawn', 'dig'].filter((program) => !has(program)),
  ...(call('unshare', '--mount', '--pid', '--fork', 'true').code === 0 ? [] : ['namespaces']),
];
if (!canPack) console.log('the Debian package is not built here: it needs dpkg-deb, strip and bin/node');
else if (why.length > 0) console.log(`the Debian package is not installed here: missing ${why.join(', ')}`);

const WEEK_MS = 7 * 86_400_000;

/** The archive of a clean Debian with these packages. It is kept for a week: making it takes as long as all tests. */
function debianWith(packages: string): string {
  const folder = `${ROOT}node_modules/.cache/debian`;
  const week = Math.floor(Date.now() / WEEK_MS);
  const kept = join(folder, `${week}-${packages.replaceAll(',', '-')}.tar`);
  if (existsSync(kept)) return kept;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const whole = join(folder, 'new.tar');
  const made = call('mmdebstrap', ...['--variant=minbase', '--quiet', `--include=systemd-sysv,${packages}`], 'bookworm', whole); // prettier-ignore
  expect(made).toMatchObject({ code: 0 });
  renameSync(whole, kept);
  return kept;
}

describe.skipIf(!canPack)('the Debian package', () => {
  const folder = folderOf({});
  let deb = '';
  /** The same package with a higher version. */
  let next = '';

  beforeAll(() => {
    if (!existsSync(`${ROOT}dist/start.js`)) throw new Error('no dist/: bin/setup builds it');
    const built = call(process.execPath, `${ROOT}bin/package-deb.ts`, folder.path, 'gzip', '1');
    expect(built).toMatchObject({ code: 0, stderr: '' });
    deb = built.stdout.trim();
    const tree = join(folder.path, 'next');
    expect(call('dpkg-deb', '--raw-extract', deb, tree)).toMatchObject({ code: 0 });
    const control = join(tree, 'DEBIAN/control');
    writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*$/m, '$&+next'));
    next = join(folder.path, 'next.deb');
    expect(call('dpkg-deb', '--root-owner-group', '-Zgzip', '-z1', '--build', tree, next)).toMatchObject({ code: 0 });
  });
  afterAll(() => {
    folder[Symbol.dispose]();
  });

  test('has the command, its Node.js, the unit, manual pages, completions and licences', () => {
    const tree = join(folder.path, 'next');
    const files = [
      'usr/bin/pharos',
      'usr/lib/pharos/node',
      'usr/lib/systemd/system/pharos.service',
      'usr/share/bash-completion/completions/pharos',
      'usr/share/fish/vendor_completions.d/pharos.fish',
      'usr/share/zsh/vendor-completions/_pharos',
      'usr/share/pharos/check-pharos',
      'usr/share/doc/pharos/deploy/keepalived/keepalived.conf',
      'usr/share/doc/pharos/LICENSE.nodejs.gz',
      'usr/share/doc/pharos/copyright',
      'usr/lib/pharos/dist/LICENSES.txt',
      ...['pharos.1', 'pharos-serve.1', 'pharos-drain.1'].map((page) => `usr/share/man/man1/${page}.gz`),
      'usr/share/man/man5/pharos.yaml.5.gz',
    ];
    expect(files.filter((file) => !existsSync(join(tree, file)))).toEqual([]);
    expect(readFileSync(join(tree, 'DEBIAN/conffiles'), 'utf8')).toBe(
      '/etc/pharos/pharos.yaml\n/etc/pharos/zones/example.com.yaml\n',
    );
  });

  // It disassembles Node.js, which takes a while.
  test.skipIf(!has('lintian') || process.env['PHAROS_LINTIAN'] !== '1')('lintian finds no error', () => {
    const { code, stdout } = call('lintian', '--fail-on', 'error', deb);
    expect({ code, stdout: stdout.split('\n').filter((line) => line.startsWith('E:')) }).toEqual({
      code: 0,
      stdout: [],
    });
  });

  describe.skipIf(why.length > 0)('in a clean Debian system', () => {
    const root = join(folder.path, 'root');
    let system: Running;
    let leader = '';
    const inside = (...command: readonly string[]): Result =>
      call('nsenter', '--target', leader, '--all', '--', ...command);
    const shown = (property: string): string =>
      inside('systemctl', 'show', 'pharos', `--property=${property}`, '--value').stdout.trim();
    const answer = (): string =>
      call(
        ...(['nsenter', '--target', leader, '--net', '--'] as const),
        ...['dig', '@127.0.0.1', '-p', '5300', '+short', '+tries=1', '+time=20', 'www.example.com'],
      ).stdout.trim();
    const stat = (format: string, path: string): string => inside('stat', '-c', format, path).stdout.trim();

    beforeAll(async () => {
      const depends =
        readFileSync(join(folder.path, 'next/DEBIAN/control'), 'utf8').match(/^Depends: (.*)$/m)?.[1] ?? '';
      const packages = depends.replace(/ \([^)]*\)/g, '').replaceAll(' ', '');
      mkdirSync(root);
      expect(call('tar', '--extract', '--numeric-owner', '--file', debianWith(packages), '--directory', root)).toMatchObject({ code: 0 }); // prettier-ignore
      mkdirSync(join(root, 'packages'));
      for (const file of [deb, next]) cpSync(file, join(root, 'packages', basename(file)));
      system = start(['--quiet', '--directory', root, '--keep-unit', '--register=no', '--private-network', '--console=pipe', '--boot'], { command: 'systemd-nspawn' }); // prettier-ignore
      const pid = String(system.child.pid);
      await eventually(
        () => {
          leader = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0] ?? '';
          return Promise.resolve(leader === '' ? '' : inside('systemctl', 'is-system-running').stdout.trim());
        },
        (state) => state === 'running' || state === 'degraded',
      );
    });
    afterAll(async () => {
      inside('systemctl', 'poweroff', '--force', '--force');
      const late = setTimeout(() => void system.stop('SIGKILL'), 10_000);
      await system.finished;
      clearTimeout(late);
    });

    test('it installs, starts and answers, as the user pharos and with one capability', () => {
      expect(inside('dpkg', '--install', `/packages/${basename(deb)}`)).toMatchObject({ code: 0 });
      expect(inside('systemctl', 'is-active', 'pharos').stdout).toBe('active\n');
      expect(answer()).toBe('203.0.113.80');
      const pid = shown('MainPID');
      const status = inside('cat', `/proc/${pid}/status`).stdout;
      expect(status).toMatch(/^CapEff:\t0000000000000400$/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      expect(status).toMatch(/^Seccomp:\t2$/m);
      expect(stat('%U', `/proc/${pid}`)).toBe('pharos');
      expect(shown('StatusText')).toBe('Serving 1 zone, generation 1');
      expect(stat('%a %U', '/etc/pharos/environment')).toBe('600 root');
      // The sandbox leaves the links of this machine readable: no warning.
      expect(inside('journalctl', '-u', 'pharos', '-o', 'cat', '--no-pager').stdout).not.toMatch(
        /"level":"(?:warn|error)"/,
      );
      // Compiled JavaScript is kept.
      expect(inside('ls', '/var/cache/pharos').stdout).toMatch(/^node$/m);
    });

    test('a reload takes a new record, and a rejected one fails and changes nothing', () => {
      const zone = join(root, 'etc/pharos/zones/example.com.yaml');
      const text = readFileSync(zone, 'utf8');
      // The stops of the next tests do not wait.
      appendFileSync(join(root, 'etc/pharos/pharos.yaml'), 'shutdown: { grace: 0s }\n');
      writeFileSync(zone, text.replace('203.0.113.80', '203.0.113.81'));
      expect(inside('systemctl', 'reload', 'pharos')).toMatchObject({ code: 0 });
      expect(answer()).toBe('203.0.113.81');
      writeFileSync(zone, 'zone: example.com\n');
      expect(inside('systemctl', 'reload', 'pharos').code).not.toBe(0);
      expect(answer()).toBe('203.0.113.81');
      writeFileSync(zone, text);
    });

    test('port 53 is open to the service', () => {
      const file = join(root, 'etc/pharos/pharos.yaml');
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, text.replace('127.0.0.1:5300', '127.0.0.1:53'));
      expect(inside('systemctl', 'restart', 'pharos')).toMatchObject({ code: 0 });
      expect(call('nsenter', '--target', leader, '--net', '--', 'dig', '@127.0.0.1', '+short', 'www.example.com').stdout).toBe('203.0.113.80\n'); // prettier-ignore
      writeFileSync(file, text);
      expect(inside('systemctl', 'restart', 'pharos')).toMatchObject({ code: 0 });
    });

    test('a server that hangs is restarted by the watchdog', async () => {
      const before = shown('MainPID');
      inside('mkdir', '-p', '/run/systemd/system/pharos.service.d');
      inside('sh', '-c', 'printf "[Service]\\nWatchdogSec=2\\n" >/run/systemd/system/pharos.service.d/short.conf');
      inside('systemctl', 'daemon-reload');
      inside('systemctl', 'restart', 'pharos');
      const hanging = shown('MainPID');
      expect(hanging).not.toBe(before);
      expect(inside('sh', '-c', `kill -STOP ${hanging}`)).toMatchObject({ code: 0 });
      await eventually(
        () => Promise.resolve(inside('systemctl', 'is-active', 'pharos').stdout.trim() + shown('MainPID')),
        (state) => state.startsWith('active') && state !== `active${hanging}` && !state.endsWith('active0'),
      );
      expect(inside('journalctl', '-u', 'pharos', '-o', 'cat', '--no-pager').stdout).toMatch(/Watchdog timeout/);
      await eventually(
        () => Promise.resolve(answer()),
        (text) => text === '203.0.113.80',
      );
    });

    test('an upgrade keeps the configuration and restarts the service', () => {
      const [token, before] = [inside('cat', '/etc/pharos/environment').stdout, shown('MainPID')];
      expect(token).toMatch(/^PHAROS_TOKEN=[0-9a-f]{48}\n$/);
      expect(inside('dpkg', '--install', '/packages/next.deb')).toMatchObject({ code: 0 });
      expect(inside('dpkg-query', '-W', '-f', '${Status} ${Version}', 'pharos').stdout).toMatch(/^install ok installed .*\+next$/); // prettier-ignore
      expect(inside('cat', '/etc/pharos/environment').stdout).toBe(token);
      expect(shown('MainPID')).not.toBe(before);
      expect(answer()).toBe('203.0.113.80');
    });

    test('removed: nothing runs, configuration and state stay; purged: nothing stays', () => {
      expect(inside('dpkg', '--remove', 'pharos')).toMatchObject({ code: 0 });
      expect(inside('systemctl', 'is-active', 'pharos').stdout).toBe('inactive\n');
      expect(existsSync(join(root, 'etc/pharos/pharos.yaml'))).toBe(true);
      expect(existsSync(join(root, 'var/lib/pharos/serials.json'))).toBe(true);
      expect(inside('dpkg', '--purge', 'pharos')).toMatchObject({ code: 0 });
      const left = inside('find', '/', '-xdev', '-iname', '*pharos*', '-not', '-path', '/proc/*').stdout;
      // Logs of dpkg and of the journal are not ours.
      expect(left.split('\n').filter((path) => path !== '' && !path.startsWith('/packages/'))).toEqual([]);
      expect(inside('getent', 'passwd', 'pharos').stdout).toBe('');
    });
  });
});
