/**
 * `node bin/package-deb.ts [FOLDER [COMPRESSION LEVEL]]`: writes pharos_VERSION_ARCHITECTURE.deb into FOLDER, or into
 * the present one, and prints its path. COMPRESSION and LEVEL are those of dpkg-deb. Needs dist/, the Node.js of
 * bin/node/, and the programs dpkg-deb and strip. docs/debian.md describes the package; deploy/debian/ has its fixed
 * parts.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { layOut } from './lay-out.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PARTS = join(ROOT, 'deploy/debian');
/** Debian's word for this machine. */
const ARCHITECTURE = ({ x64: 'amd64', arm64: 'arm64' } as Readonly<Record<string, string>>)[process.arch];
/** The revision of the package, after the version of Pharos. */
const REVISION = '1';
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };

const tree = mkdtempSync(join(tmpdir(), 'pharos-deb-'));
try {
  // Higher levels of xz take five times as long, and save a seventh.
  const [, , folder = '.', compression = 'xz', level = '1'] = process.argv;
  process.stdout.write(`${build(resolve(folder), [`-Z${compression}`, `-z${level}`])}\n`);
} finally {
  rmSync(tree, { recursive: true, force: true });
}

function build(folder: string, compression: readonly string[]): string {
  if (ARCHITECTURE === undefined) throw new Error(`no package for ${process.arch}`);
  layOut(join(tree, 'usr/lib/pharos'));
  // Debian's places for what the npm package has in its own folder.
  for (const name of ['LICENSE', 'CHANGELOG.md', 'dist/man']) {
    rmSync(join(tree, 'usr/lib/pharos', name), { recursive: true });
  }
  // For other C libraries than Debian's.
  for (const folder of globSync('usr/lib/pharos/node_modules/@koromix/*/musl_*', { cwd: tree })) {
    rmSync(join(tree, folder), { recursive: true });
  }
  addNode();
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  symlinkSync('../lib/pharos/bin/pharos', join(tree, 'usr/bin/pharos'));
  put('etc/pharos/pharos.yaml', readFileSync(join(PARTS, 'pharos.yaml')));
  put('etc/pharos/zones/example.com.yaml', exampleZone());
  put('usr/lib/systemd/system/pharos.service', unit());
  put('usr/share/pharos/check-pharos', readFileSync(join(ROOT, 'deploy/keepalived/check-pharos')));
  addCompletions();
  addDocuments();
  addControl();
  normaliseModes();
  const target = join(folder, `pharos_${version}-${REVISION}_${ARCHITECTURE}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', ...compression, '--build', tree, target], { stdio: 'pipe' });
  return target;
}

function put(name: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(tree, name)), { recursive: true });
  writeFileSync(join(tree, name), content);
}

/** Debian's Node.js is older than 24.5 (docs/decisions/runtime.md), so the package has its own. */
function addNode(): void {
  const home = join(ROOT, `bin/node/node_modules/node-linux-${process.arch}`);
  if (!existsSync(home)) throw new Error('no Node.js to pack: run "npm ci" in bin/node');
  put('usr/lib/pharos/node', readFileSync(join(home, 'bin/node')));
  // A third of the file is for debuggers.
  execFileSync('strip', ['--strip-unneeded', join(tree, 'usr/lib/pharos/node')]);
  put('usr/share/doc/pharos/LICENSE.nodejs.gz', gzip(readFileSync(join(home, 'LICENSE'))));
}

/** The schema is among the documents. */
function exampleZone(): string {
  const text = readFileSync(join(ROOT, 'examples/minimal/zones/example.com.yaml'), 'utf8');
  return text.replace(/^(?:#.*\n)+/, '# An example: man pharos.yaml, /usr/share/doc/pharos/docs/getting-started.md\n');
}

/** The unit for an installation from npm has another path, and a user that exists only while the service runs. */
function unit(): string {
  let text = readFileSync(join(ROOT, 'deploy/pharos.service'), 'utf8');
  for (const [from, to] of [
    [/\/usr\/local\/bin\/pharos/g, '/usr/bin/pharos'],
    [/^DynamicUser=yes$/m, 'User=pharos\nGroup=pharos'],
    [/^Description=.*$/m, '$&\nDocumentation=man:pharos(1) man:pharos.yaml(5)'],
  ] as const) {
    if (text.search(from) < 0) throw new Error(`deploy/pharos.service has no ${String(from)}`);
    text = text.replace(from, to);
  }
  return text;
}

function addCompletions(): void {
  const files = {
    bash: 'usr/share/bash-completion/completions/pharos',
    zsh: 'usr/share/zsh/vendor-completions/_pharos',
    fish: 'usr/share/fish/vendor_completions.d/pharos.fish',
  };
  for (const [shell, file] of Object.entries(files)) {
    put(file, execFileSync(process.execPath, [join(ROOT, 'dist/start.js'), 'completion', shell]));
  }
}

function addDocuments(): void {
  const home = join(tree, 'usr/share/doc/pharos');
  for (const page of globSync('dist/man/*/*', { cwd: ROOT })) {
    put(`usr/share/man/${page.slice('dist/man/'.length)}.gz`, gzip(readFileSync(join(ROOT, page))));
  }
  const isPage = (path: string): boolean => !/\/(?:node_modules|site)(?:\/|$)/.test(path);
  for (const name of ['docs', 'examples'])
    cpSync(join(ROOT, name), join(home, name), { recursive: true, filter: isPage });
  for (const name of ['README.md', 'deploy/grafana', 'deploy/prometheus', 'deploy/keepalived', 'deploy/anycast']) {
    cpSync(join(ROOT, name), join(home, name), { recursive: true });
  }
  const licence = readFileSync(join(ROOT, 'LICENSE'), 'utf8').trim().split('\n');
  const text = licence.slice(licence.findIndex((line) => line.startsWith('Permission is')));
  const holder = licence.find((line) => line.startsWith('Copyright'))?.replace(/^Copyright (?:\(c\) )?/, '') ?? '';
  const paragraph = text.map((line) => ` ${line === '' ? '.' : line}`).join('\n');
  put(
    'usr/share/doc/pharos/copyright',
    `${readFileSync(join(PARTS, 'copyright'), 'utf8').replace('@COPYRIGHT@', holder)}License: Expat\n${paragraph}\n`,
  );
  put('usr/share/doc/pharos/changelog.gz', gzip(readFileSync(join(ROOT, 'CHANGELOG.md'))));
  const entry = `pharos (${version}-${REVISION}) unstable; urgency=medium\n\n  * Pharos ${version}: changelog.gz lists what has changed.\n\n -- ${maintainer()}  ${buildDate()}\n`;
  put('usr/share/doc/pharos/changelog.Debian.gz', gzip(Buffer.from(entry)));
  put('usr/share/lintian/overrides/pharos', readFileSync(join(PARTS, 'lintian-overrides')));
}

function addControl(): void {
  const files = globSync('**', { cwd: tree }).filter((name) => lstatSync(join(tree, name)).isFile());
  const octets = files.reduce((sum, name) => sum + lstatSync(join(tree, name)).size, 0);
  const md5 = files.sort().map((name) => {
    const sum = createHash('md5')
      .update(readFileSync(join(tree, name)))
      .digest('hex');
    return name.startsWith('etc/') ? '' : `${sum}  ${name}\n`;
  });
  const control = readFileSync(join(PARTS, 'control'), 'utf8')
    .replace('@VERSION@', `${version}-${REVISION}`)
    .replace('@ARCHITECTURE@', ARCHITECTURE ?? '')
    .replace('@MAINTAINER@', maintainer())
    .replace('@SIZE@', String(Math.ceil(octets / 1024)));
  put('DEBIAN/control', control);
  put('DEBIAN/md5sums', md5.join(''));
  put(
    'DEBIAN/conffiles',
    files
      .filter((name) => name.startsWith('etc/'))
      .map((name) => `/${name}\n`)
      .join(''),
  );
  for (const name of ['postinst', 'prerm', 'postrm']) put(`DEBIAN/${name}`, readFileSync(join(PARTS, name)));
}

/** 755 for folders and what is run, else 644, whatever the umask of this process is. */
function normaliseModes(): void {
  const isRun =
    /^(?:DEBIAN\/(?:postinst|prerm|postrm)|usr\/lib\/pharos\/(?:node|bin\/pharos)|usr\/share\/pharos\/check-pharos)$/;
  chmodSync(tree, 0o755);
  for (const name of globSync('**', { cwd: tree })) {
    const stat = lstatSync(join(tree, name));
    if (!stat.isSymbolicLink()) chmodSync(join(tree, name), stat.isDirectory() || isRun.test(name) ? 0o755 : 0o644);
  }
}

/** The variables that Debian's tools read. */
function maintainer(): string {
  const { DEBFULLNAME = 'The Pharos maintainers', DEBEMAIL = 'pharos@pharos.invalid' } = process.env;
  return `${DEBFULLNAME} <${DEBEMAIL}>`;
}

function buildDate(): string {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  const date = epoch === undefined ? new Date() : new Date(Number(epoch) * 1000);
  return date.toUTCString().replace('GMT', '+0000');
}

function gzip(content: Uint8Array): Buffer {
  return gzipSync(content, { level: 9 });
}
