/**
 * The npm package: compiled, packed and unpacked as npm does it, without a network, and run from there. Also the
 * scripts of bin/, run from unusual places.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderOf } from '../support/pharos.ts';
import { dig, has, PHAROS, ROOT, run, serve } from '../support/process.ts';

const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string };

const commands = readdirSync(`${ROOT}bin/help`).map((file) => basename(file, '.txt')).filter((name) => name !== 'pharos'); // prettier-ignore

/** What a program writes to stdout and stderr. */
function call(program: string, ...args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return stdout + stderr;
}

describe('the npm package', () => {
  const folder = folderOf({});
  const command = join(folder.path, 'app/node_modules/.bin/pharos');

  beforeAll(async () => {
    const stage = join(folder.path, 'stage');
    mkdirSync(stage);
    const built = await run([`${ROOT}bin/build.ts`, join(stage, 'dist')], { command: process.execPath });
    expect(built).toMatchObject({ code: 0, stdout: '', stderr: '' });
    for (const name of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'bin', 'examples', 'docs', 'deploy']) {
      cpSync(join(ROOT, name), join(stage, name), { recursive: true });
    }
    const packed = await run(['pack', '--offline', '--ignore-scripts'], { command: 'npm', cwd: stage });
    expect(packed.code, packed.stderr).toBe(0);
    const home = join(folder.path, 'app/node_modules');
    mkdirSync(join(home, '.bin'), { recursive: true });
    spawnSync('tar', ['-xzf', join(stage, `pharos-${version}.tgz`), '-C', home]);
    // Its dependencies are those of this checkout; link and name as npm makes them.
    cpSync(join(home, 'package'), join(home, 'pharos'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(home, 'pharos/node_modules'));
    symlinkSync('../pharos/bin/pharos', command);
  });
  afterAll(() => {
    folder[Symbol.dispose]();
  });

  test('it contains what runs, and no sources or tests', () => {
    const files = readdirSync(join(folder.path, 'app/node_modules/pharos')).sort();
    expect(files).toEqual([
      ...['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'deploy', 'dist', 'docs'],
      ...['examples', 'node_modules', 'package.json'],
    ]);
    expect(readdirSync(join(folder.path, 'app/node_modules/pharos/bin')).sort()).toEqual(['help', 'lib.sh', 'pharos']);
  });

  test('pharos --version and pharos check work through the link that npm makes', async () => {
    expect(await run(['--version'], { command })).toMatchObject({ code: 0, stdout: `${version}\n` });
    const checked = await run(['check'], { command, cwd: `${ROOT}examples/minimal` });
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok: 1 zone/) as string });
  });

  test.skipIf(!has('dig'))('pharos serve starts its threads from dist/', async () => {
    using zones = folderOf({
      'pharos.yaml': 'listen: 127.0.0.1:0\nstatus: { listen: 127.0.0.1:0 }\n',
      'zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
    });
    await using server = await serve([], { command, cwd: zones.path });
    expect(await dig(server.port, 'ns1.example.com')).toBe('192.0.2.53');
    expect(await dig(server.port, '+tcp', 'ns1.example.com')).toBe('192.0.2.53');
    expect((await server.stop()).code).toBe(0);
  });

  test('every manual page is named in package.json, so that npm links it, and has no fault', () => {
    const home = join(folder.path, 'app/node_modules/pharos');
    const pages = globSync('dist/man/*/*', { cwd: home }).sort();
    const { man } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { man: readonly string[] };
    expect(pages).toEqual([...man].sort());
    expect(pages.map((page) => basename(page, '.1'))).toEqual(
      expect.arrayContaining(['pharos', ...commands.map((command) => `pharos-${command}`), 'pharos.yaml.5']),
    );
    for (const page of pages) {
      const path = join(home, page);
      if (has('mandoc')) expect(call('mandoc', '-T', 'lint', '-W', 'warning', path)).toBe('');
      if (has('man')) expect(call('man', '--warnings', '--encoding=UTF-8', '--troff-device=utf8', '--ditroff', '--local-file', path).replace(/^x [^]*$/m, '')).toBe(''); // prettier-ignore
    }
  });

  test.skipIf(!has('man'))('the pages say what the help says', () => {
    const home = join(folder.path, 'app/node_modules/pharos/dist/man');
    const read = (page: string): string =>
      call('sh', '-c', `MANWIDTH=400 man --local-file ${join(home, page)} | col -b`).replaceAll('‐', '-');
    const drain = read('man1/pharos-drain.1');
    for (const [, option = ''] of readFileSync(`${ROOT}bin/help/drain.txt`, 'utf8').matchAll(/^ {2}(--[a-z]+)/gm)) {
      expect(drain).toContain(option);
    }
    expect(drain).toMatch(/pharos drain @seoul --wait/);
    expect(read('man1/pharos-dnssec.1')).toMatch(/pharos dnssec roll \[options\] <zone>/);
    expect(read('man5/pharos.yaml.5')).toMatch(/reload\.max_shrink\s+type: share; default: 50%/);
  });

  test('the licence of each package in dist/ is there', () => {
    const dist = join(folder.path, 'app/node_modules/pharos/dist');
    const text = readFileSync(join(dist, 'LICENSES.txt'), 'utf8');
    for (const name of ['yaml', 'fastify', 'pino', 're2js', '@nats-io/nats-core']) {
      expect(text).toMatch(new RegExp(`^${name} [\\d.]+ \\((MIT|ISC|Apache-2\\.0)\\)\\n\\n\\S`, 'm'));
    }
  });
});

describe('the examples', () => {
  test.each(['minimal', 'everything', 'beacon'])('pharos check examples/%s', async (name) => {
    const checked = await run(['check'], {
      cwd: `${ROOT}examples/${name}`,
      env: { PHAROS_TOKEN: 'x', TSIG: 'bm90IGEgc2VjcmV0OiBtYWtlIG9uZSBvZiB5b3VyIG93bg==' },
    });
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok: [^\n]+\n$/) as string });
  });
});

describe('bin/pharos', () => {
  test('through links, relative and absolute, in a folder with spaces', async () => {
    using folder = folderOf({ 'a folder/x': '' });
    symlinkSync(PHAROS, join(folder.path, 'a folder/first'));
    symlinkSync('first', join(folder.path, 'a folder/second'));
    const { stdout } = await run(['--version'], { command: join(folder.path, 'a folder/second'), cwd: folder.path });
    expect(stdout).toBe(`${version}\n`);
  });

  /** A PATH with what the scripts need and this `node`. */
  const withNode = (folder: string, node: string): string => {
    const bin = join(folder, 'bin-of-path');
    for (const tool of ['sh', 'dirname', 'readlink', 'cmp', 'id', 'uname', 'cat', 'mkdir', 'rm']) {
      const path = spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).stdout.trim();
      symlinkSync(path, join(bin, tool));
    }
    if (node !== '') symlinkSync(node, join(bin, 'node'));
    return bin;
  };

  test.each([
    {
      what: 'Node.js 18',
      node: '#!/bin/sh\necho v18.20.8\n',
      says: /needs Node\.js 24\.5 or newer; this machine has v18\.20\.8/,
    },
    { what: 'Node.js 24.4', node: '#!/bin/sh\necho v24.4.1\n', says: /this machine has v24\.4\.1/ },
    { what: 'no Node.js', node: '', says: /this machine has none/ },
  ])('installed, with $what: it says what is required', async ({ node, says }) => {
    using folder = folderOf({ 'bin-of-path/x': '', 'old-node': node, 'pharos/dist/start.js': '' });
    spawnSync('chmod', ['+x', join(folder.path, 'old-node')]);
    mkdirSync(join(folder.path, 'pharos/bin'));
    for (const name of ['pharos', 'lib.sh']) cpSync(`${ROOT}bin/${name}`, join(folder.path, 'pharos/bin', name));
    const path = withNode(folder.path, node === '' ? '' : join(folder.path, 'old-node'));
    const { code, stderr } = await run(['--version'], {
      command: join(folder.path, 'pharos/bin/pharos'),
      env: { PATH: path },
    });
    expect(stderr).toMatch(says);
    expect(code).toBe(1);
  });

  test('a checkout runs dist/, and its sources if one has changed since, also to a file with an older time', async () => {
    const rooms = [
      'wire',
      'config',
      'dnssec',
      'geo',
      'health',
      'fleet',
      'steering',
      'zones',
      'server',
      'status',
      'cli',
    ];
    using folder = folderOf({
      'bin-of-path/x': '',
      node: '#!/bin/sh\n[ "$1" = -v ] && echo v99.0.0 || echo "$2"\n',
      'pharos/node_modules/.package-lock.json': '{}',
      ...Object.fromEntries(rooms.map((room) => [`pharos/${room}/main.ts`, ''])),
    });
    const root = join(folder.path, 'pharos');
    cpSync(`${ROOT}bin`, join(root, 'bin'), { recursive: true, filter: (path) => !path.endsWith('/node') });
    chmodSync(join(folder.path, 'node'), 0o755);
    const env = { PATH: `${withNode(folder.path, join(folder.path, 'node'))}:/usr/bin:/bin` };
    const runs = async (): Promise<string> => (await run(['check'], { command: join(root, 'bin/pharos'), env })).stdout;
    mkdirSync(join(root, 'dist'));
    expect(await runs()).toBe(`${root}/cli/start.ts\n`);
    // The time of a file system may be some milliseconds behind.
    const later = new Date(Date.now() + 1000);
    writeFileSync(join(root, 'dist/built'), '');
    utimesSync(join(root, 'dist/built'), later, later);
    expect(await runs()).toBe(`${root}/dist/start.js\n`);
    const before = new Date(Date.now() - 100_000);
    utimesSync(join(root, 'dist/built'), before, before);
    utimesSync(join(root, 'zones/main.ts'), 0, 0);
    expect(await runs()).toBe(`${root}/cli/start.ts\n`);
  });

  test('in a checkout without npm: it says so', async () => {
    using folder = folderOf({ 'bin-of-path/x': '', 'pharos/cli/main.ts': '', 'pharos/package-lock.json': '{}' });
    cpSync(`${ROOT}bin`, join(folder.path, 'pharos/bin'), { recursive: true });
    const { code, stderr } = await run(['--version'], {
      command: join(folder.path, 'pharos/bin/pharos'),
      env: { PATH: withNode(folder.path, process.execPath) },
    });
    expect(stderr).toBe('setup: npm is missing\n    it comes with Node.js: https://nodejs.org\n');
    expect(code).toBe(1);
  });
});
