/**
 * `node bin/build.ts [FOLDER]`: builds dist/, or FOLDER, from the sources and their packages. A start loads a few files from there instead of
 * hundreds (docs/decisions/start-up.md). Each thread has an entry; all files are in one folder, so `new URL` names the
 * file of a thread as it does in the sources. dist/ is replaced at the end. dist/built has the time of the beginning, which
 * bin/lib.sh compares with the sources.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown, type OutputChunk, type Plugin } from 'rolldown';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = resolve(process.argv[2] ?? join(ROOT, 'dist'));

/** What one thread loads, by the name of the file in dist/. Modules are shared within a group. */
const GROUPS: readonly Readonly<Record<string, string>>[] = [
  { start: 'cli/start.ts', 'demo-node': 'cli/demo-node.ts' },
  { 'progress-thread': 'cli/progress-thread.ts' },
  { worker: 'server/threads/worker.ts', answerer: 'server/answer/answerer.ts' },
  { 'load-worker': 'server/threads/load-worker.ts' },
  { 'simulate-worker': 'server/forecast/simulate-worker.ts' },
];

/** Loaded from node_modules: a binary, and what most starts do not load. */
const EXTERNAL = ['koffi', 'pino-pretty', '@fastify/ajv-compiler', '@fastify/fast-json-stringify-compiler'];

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

const stage = `${DIST}.${String(process.pid)}`;
try {
  mkdirSync(stage);
  writeFileSync(join(stage, 'built'), '');
  const chunks: OutputChunk[] = [];
  for (const entries of GROUPS) chunks.push(...(await bundle(entries)));
  for (const { fileName, code } of chunks) checkThreads(fileName, code);
  writeFileSync(join(stage, 'LICENSES.txt'), licences(chunks));
  // It starts.
  execFileSync(process.execPath, [join(stage, 'start.js'), '--version']);
  rmSync(DIST, { recursive: true, force: true });
  renameSync(stage, DIST);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

async function bundle(entries: Readonly<Record<string, string>>): Promise<OutputChunk[]> {
  const names = Object.keys(entries);
  const isExternal = (id: string): boolean => id.startsWith('node:') || EXTERNAL.includes(id);
  const build = await rolldown({
    input: entries,
    cwd: ROOT,
    platform: 'node',
    external: isExternal,
    plugins: [builtinModules],
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
