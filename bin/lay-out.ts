/**
 * `node bin/lay-out.ts FOLDER`: copies what an installed Pharos needs, and nothing else, to FOLDER: the command, dist/
 * and packages. The container image and the Debian package are made of it.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Packages that bin/build.ts leaves out of dist/: a binary, and what most starts do not load. */
export const EXTERNAL: readonly string[] = [
  'koffi',
  'pino-pretty',
  '@fastify/ajv-compiler',
  '@fastify/fast-json-stringify-compiler',
];

const FILES = [
  'package.json',
  'LICENSE',
  'CHANGELOG.md',
  'bin/pharos',
  'bin/lib.sh',
  'bin/help',
  'dist',
  'examples/demo',
];

export function layOut(target: string): void {
  if (!existsSync(join(ROOT, 'dist/start.js'))) throw new Error('no dist/: run "npm run build" first');
  for (const name of FILES) copy(name, target);
  for (const folder of runTimeFolders()) copy(folder, target, isOfPackage);
}

function copy(name: string, target: string, filter: (path: string) => boolean = () => true): void {
  mkdirSync(dirname(join(target, name)), { recursive: true });
  cpSync(join(ROOT, name), join(target, name), { recursive: true, filter });
}

/**
 * What Node.js loads, and licences: not the tests, types and settings of a package. A nested package comes by itself.
 */
function isOfPackage(path: string): boolean {
  const inside = path.slice(path.lastIndexOf('node_modules/'));
  if (/\/(?:\.[^/]*|node_modules|tests?|bench(?:mark)?s?|examples?|docs?|types)(?:\/|$)/.test(inside)) return false;
  return (
    statSync(path).isDirectory() || /\.(?:c?js|json|node|mmdb)$|\/(?:licen[cs]e|notice|copying)[^/]*$/i.test(inside)
  );
}

type Locked = {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};

/**
 * The folders of all packages that package.json depends on, and that these depend on: the same as the npm package
 * brings. Optional ones of other platforms are not installed.
 */
function runTimeFolders(): ReadonlySet<string> {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const found = new Set<string>();
  const add = (name: string, from: string): void => {
    const folder = installedFolder(name, from);
    if (folder === undefined || found.has(folder)) return;
    found.add(folder);
    const { dependencies, optionalDependencies } = packages[folder] ?? {};
    for (const each of Object.keys({ ...dependencies, ...optionalDependencies })) add(each, folder);
  };
  for (const name of Object.keys(packages['']?.dependencies ?? {})) add(name, '');
  return found;
}

/** As Node.js looks for a package: in the node_modules of the folder, then in those above. */
function installedFolder(name: string, from: string): string | undefined {
  const folder = join(from, 'node_modules', name);
  if (existsSync(join(ROOT, folder))) return folder;
  const above = from.lastIndexOf('node_modules/');
  return above < 0 ? undefined : installedFolder(name, from.slice(0, above).replace(/\/$/, ''));
}

if (import.meta.main) {
  const [, , target] = process.argv;
  if (target === undefined) throw new Error('usage: node bin/lay-out.ts FOLDER');
  layOut(resolve(target));
}
