/**
 * Jazzer.js: libFuzzer, and what counts which code runs. Its library is compiled for glibc 2.38. It needs little of
 * it, so a copy is adapted to an older one, such as that of Debian 12.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire, registerHooks, stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../../', import.meta.url);
/** With the packages, so that others come with a new cache. */
const CACHE = fileURLToPath(new URL('node_modules/.cache', import.meta.url));
const require = createRequire(import.meta.url);

/** As far as it is used here, like the types below. */
type Fuzzer = {
  readonly startFuzzingAsync: (run: (octets: Buffer) => Promise<void>, options: readonly string[]) => Promise<void>;
};
type Babel = {
  readonly transformSync: (code: string, options: Readonly<Record<string, unknown>>) => { readonly code: string };
};
type Coverage = { readonly plugin: unknown; readonly edgeCount: () => number };

export function loadFuzzer(): Fuzzer {
  const load = (): Fuzzer => (require('@jazzer.js/fuzzer') as { readonly fuzzer: Fuzzer }).fuzzer;
  try {
    return load();
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('GLIBC_2.38'))) throw error;
    const folder = fileURLToPath(new URL('node_modules/@jazzer.js/fuzzer/prebuilds', import.meta.url));
    const library = join(folder, `fuzzer-${process.platform}-${process.arch}.node`);
    const adapted = `${library}.${process.pid}`;
    writeFileSync(adapted, adaptLibrary(readFileSync(library)));
    renameSync(adapted, library);
    return load();
  }
}

/** ELF: types of sections, and what a symbol and a version have (System V ABI, Linux Standard Base). */
const SECTION = { SYMBOLS: 11, VERSIONS_NEEDED: 0x6fff_fffe, VERSIONS: 0x6fff_ffff } as const;
const SYMBOL_OCTETS = 24;
const ANY_VERSION = 1;
const WEAK = 2;
/**
 * `strtol` and `strtoul`, which since glibc 2.38 have a second name for programs in C23: their names without this are
 * those of every glibc. Nothing of libstdc++ with the newest version is called.
 */
const C23 = '__isoc23_';
const NEWEST = ['GLIBC_2.38', 'GLIBCXX_3.4.32'];

/** Makes the newest versions ones that may be missing, and gives functions their older names. Returns a copy. */
export function adaptLibrary(library: Buffer): Buffer {
  const octets = Buffer.from(library);
  const word = (at: number): number => octets.readUInt32LE(at);
  const place = (at: number): number => Number(octets.readBigUInt64LE(at));
  const sections = Array.from({ length: octets.readUInt16LE(60) }, (_, index) => {
    const at = place(40) + index * octets.readUInt16LE(58);
    return { type: word(at + 4), at: place(at + 24), size: place(at + 32), link: word(at + 40) };
  });
  const sectionOf = (type: number): (typeof sections)[number] => {
    const section = sections.find((each) => each.type === type);
    if (section === undefined) throw new Error(`no section of type ${type}`);
    return section;
  };
  const symbols = sectionOf(SECTION.SYMBOLS);
  const strings = sections[symbols.link]?.at ?? 0;
  const textAt = (at: number): string => octets.toString('latin1', strings + at, octets.indexOf(0, strings + at));
  for (let index = 0; index * SYMBOL_OCTETS < symbols.size; index++) {
    const at = symbols.at + index * SYMBOL_OCTETS;
    if (!textAt(word(at)).startsWith(C23)) continue;
    octets.writeUInt32LE(word(at) + C23.length, at);
    octets.writeUInt16LE(ANY_VERSION, sectionOf(SECTION.VERSIONS).at + 2 * index);
  }
  let file = sectionOf(SECTION.VERSIONS_NEEDED).at;
  for (let next = -1; next !== 0; file += next) {
    let version = file + word(file + 8);
    for (let count = octets.readUInt16LE(file + 2); count > 0; count--) {
      if (NEWEST.includes(textAt(word(version + 8)))) octets.writeUInt16LE(WEAK, version + 4);
      version += word(version + 12);
    }
    next = word(file + 12);
  }
  return octets;
}

/** Counts which code of Pharos runs, in modules that are loaded from now on. Tests and packages are left out. */
export function countCode(fuzzer: Fuzzer): void {
  Object.assign(globalThis, { Fuzzer: fuzzer });
  mkdirSync(CACHE, { recursive: true });
  registerHooks({
    load: (url, context, nextLoad) => {
      const path = url.startsWith(ROOT.href) ? url.slice(ROOT.href.length) : 'test/';
      if (/^test\/|node_modules\//.test(path) || !path.endsWith('.ts')) return nextLoad(url, context);
      const source = readFileSync(fileURLToPath(url), 'utf8');
      return { format: 'module', source: countedCode(source), shortCircuit: true };
    },
  });
}

/** Code with counters, which takes seconds for all modules, so it is kept. Lines stay where they are. */
function countedCode(source: string): string {
  const file = join(CACHE, createHash('sha256').update(source).digest('hex'));
  if (existsSync(file)) return readFileSync(file, 'utf8');
  const { transformSync } = require('@babel/core') as Babel;
  const { esmCodeCoverage } = require('@jazzer.js/instrumentor/dist/plugins/esmCodeCoverage.js') as { readonly esmCodeCoverage: () => Coverage }; // prettier-ignore
  const coverage = esmCodeCoverage();
  const { code } = transformSync(stripTypeScriptTypes(source), {
    ...{ babelrc: false, configFile: false, sourceType: 'module', retainLines: true, compact: false },
    plugins: [coverage.plugin],
  });
  const counters = `const __jazzer_cov = Fuzzer.coverageTracker.createModuleCounters(${coverage.edgeCount()});`;
  writeFileSync(`${file}.${process.pid}`, counters + code);
  renameSync(`${file}.${process.pid}`, file);
  return counters + code;
}
