/**
 * `node bin/build.ts [FOLDER]`: builds dist/, or FOLDER, from the sources and their packages. A start loads a few files
 * from there instead of hundreds (docs/decisions/start-up.md). Each thread has an entry; all files are in one folder,
 * so `new URL` names the file of a thread as it does in the sources. dist/ is replaced at the end. dist/built has the
 * time of the beginning, which bin/lib.sh compares with the sources.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown, type OutputChunk, type Plugin } from 'rolldown';
import { EXTERNAL } from './lay-out.ts';
import { commandPages, configurationPage, type Help } from './man.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = resolve(process.argv[2] ?? join(ROOT, 'dist'));

/** What runs for every query. */
const ANSWERER = { answerer: 'server/answer/answerer.ts' };

type Group = Readonly<Record<string, string>>;

/**
 * What one thread loads, by the name of the file in dist/. Modules are shared within a group. The answerer is a group
 * of its own: what it would share with `worker` would be imports, which the engine reads and checks at each use.
 */
const GROUPS: readonly Group[] = [
  { start: 'cli/start.ts', 'demo-node': 'cli/demo-node.ts' },
  { 'progress-thread': 'cli/progress-thread.ts' },
  { worker: 'server/threads/worker.ts' },
  ANSWERER,
  { 'load-worker': 'server/threads/load-worker.ts' },
  { 'sign-worker': 'dnssec/sign-worker.ts' },
  { 'simulate-worker': 'server/forecast/simulate-worker.ts' },
];

/** As rolldown writes them: `import { a as b } from "node:x"`, `import x from …`, `import * as x from …`. */
const BUILTIN_IMPORT = /^import (?:(?:\* as )?(?<whole>[\w$]+)|(?<names>\{.*\})) from "(?<module>[a-z0-9_/:]+)";$/gm;

/**
 * Takes modules of Node.js without `import`, which reads every property of the module, including those that load others
 * when they are read: `node:http` loads undici, in 20 ms.
 */
const builtinModules: Plugin = {
  name: 'builtin-modules',
  renderChunk: (code) =>
    code.replace(BUILTIN_IMPORT, (...match: unknown[]) => {
      const { whole, names, module } = match.at(-1) as { whole?: string; names?: string; module: string };
      if (!isBuiltin(module)) return String(match[0]);
      const target = whole ?? names?.replaceAll(' as ', ': ') ?? '';
      return `const ${target} = globalThis.process.getBuiltinModule("${module}");`;
    }),
};

/**
 * Makes the functions of a file constants. A function that is declared could be assigned to, so the engine checks which
 * one it is before each call, even if it has inlined it. They move to the beginning of the file, since declared
 * functions can be called before their place. Only for groups in one file: between files that import each other, they
 * could be called before they are defined.
 */
const constantFunctions: Plugin = {
  name: 'constant-functions',
  renderChunk(code) {
    let functions = '';
    let rest = '';
    let done = 0;
    for (const node of this.parse(code).body) {
      if (node.type !== 'FunctionDeclaration' || !node.id) continue;
      functions += `const ${node.id.name} = ${code.slice(node.start, node.end)};\n`;
      rest += code.slice(done, node.start);
      done = node.end;
    }
    return functions + rest + code.slice(done);
  },
};

const stage = `${DIST}.${String(process.pid)}`;
try {
  mkdirSync(stage);
  writeFileSync(join(stage, 'built'), '');
  const chunks: OutputChunk[] = [];
  for (const entries of GROUPS) chunks.push(...(await bundle(entries)));
  for (const { fileName, code } of chunks) checkThreads(fileName, code);
  writeFileSync(join(stage, 'LICENSES.txt'), licences(chunks));
  // It starts.
  const version = pharos('--version').trim();
  writeManual(version);
  rmSync(DIST, { recursive: true, force: true });
  renameSync(stage, DIST);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function pharos(...args: readonly string[]): string {
  return execFileSync(process.execPath, [join(stage, 'start.js'), ...args], { encoding: 'utf8' });
}

/** Writes man/man1 and man/man5. bin/help/ has the help of all commands, but not of commands of commands. */
function writeManual(version: string): void {
  const helps = readdirSync(join(ROOT, 'bin/help')).flatMap((file): Help[] => {
    const name = basename(file, '.txt');
    const text = readFileSync(join(ROOT, 'bin/help', file), 'utf8');
    if (name === 'pharos') return [{ command: '', text }];
    const below = [...text.slice(text.indexOf('\nCommands:')).matchAll(/^ {2}([a-z]+) /gm)]
      .map(([, command = '']) => command)
      .filter((command) => text.includes('\nCommands:') && command !== 'help');
    return [
      { command: name, text },
      ...below.map((command) => ({ command: `${name} ${command}`, text: pharos(name, command, '--help') })),
    ];
  });
  const configuration = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
  const pages = [
    ...commandPages(helps, version),
    ['pharos.yaml.5', configurationPage(configuration, version)] as const,
  ];
  for (const [file, text] of pages) {
    const folder = join(stage, 'man', `man${file.at(-1) ?? ''}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, file), text);
  }
}

async function bundle(entries: Group): Promise<OutputChunk[]> {
  const names = Object.keys(entries);
  const isExternal = (id: string): boolean => id.startsWith('node:') || EXTERNAL.includes(id);
  const build = await rolldown({
    input: entries,
    cwd: ROOT,
    platform: 'node',
    external: isExternal,
    plugins: entries === ANSWERER ? [builtinModules, constantFunctions] : [builtinModules],
  });
  const { output } = await build.write({
    dir: stage,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: `${names[0] ?? ''}-[name].js`,
  });
  await build.close();
  return output.filter((file) => file.type === 'chunk');
}

/** Fails if a file starts a thread with a file that is not in dist/. */
function checkThreads(fileName: string, code: string): void {
  for (const [, name = ''] of code.matchAll(/"\.\/([\w-]+\.js)",\s*import\.meta\.url/g)) {
    if (!existsSync(join(stage, name)))
      throw new Error(`${fileName} needs ${name}, which is not an entry of bin/build.ts`);
  }
}

/** The licences of all packages in the bundle. */
function licences(chunks: readonly OutputChunk[]): string {
  const folders = new Set<string>();
  for (const id of chunks.flatMap((chunk) => chunk.moduleIds)) {
    const [folder] = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? [];
    if (folder !== undefined) folders.add(folder);
  }
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      readonly name: string;
      readonly version: string;
      readonly license?: string;
    };
    if (license === undefined) throw new Error(`${folder}/package.json names no license`);
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    const text = files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n');
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  const line = `\n${'-'.repeat(80)}\n\n`;
  return [`The files of this folder contain these packages.\n`, ...texts].join(line);
}
