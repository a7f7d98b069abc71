/**
 * Checks the repository itself: imports go one way (docs/architecture.md), and the answering threads load nothing that
 * answers no query.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Every room. A name with a slash is a sub-room, in the folder of its room. The longest matching name counts. */
const ROOMS = [
  'wire',
  'wire/rdata',
  'config',
  'dnssec',
  'geo',
  'health',
  'health/checks',
  'fleet',
  'steering',
  'zones',
  'zones/read',
  'zones/image',
  'zones/journal',
  'server',
  'server/io',
  'server/threads',
  'server/transfer',
  'server/answer',
  'server/explain',
  'server/forecast',
  'status',
  'web',
  'cli',
  'cli/serve',
  'cli/compare',
  'cli/import',
];

/** What a room's README.md says of its imports and of its doors: the files that other rooms may use. */
function rulesOf(room: string): { readonly mayImport: readonly string[]; readonly doors: readonly string[] } {
  const page = readFileSync(join(ROOT, room, 'README.md'), 'utf8');
  const listed = (label: string): string[] => {
    const line = page.split('\n').find((each) => each.startsWith(`- ${label}: `));
    if (line === undefined) throw new Error(`${room}/README.md has no line "- ${label}: …"`);
    return [...line.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  };
  return { mayImport: listed('May import'), doors: listed('Files for other rooms') };
}

const RULES = new Map(ROOMS.map((room) => [room, rulesOf(room)]));

/** The room that contains a path. */
function roomOf(path: string): string {
  const [room = '', sub = ''] = path.split('/');
  return RULES.has(`${room}/${sub}`) ? `${room}/${sub}` : room;
}

/**
 * Whether `from` may import `to`. From another room, a room's sub-rooms count as that room, except those that are
 * named.
 */
function mayImport(from: string, to: string): boolean {
  const allowed = RULES.get(from)?.mayImport ?? [];
  const [outer = ''] = to.split('/');
  return from === to || allowed.includes(to) || (outer !== from.split('/')[0] && allowed.includes(outer));
}

type Import = { readonly from: string; readonly typeOnly: boolean };

/** What a module imports, including `import()` and `export from`, and the names that it declares and exports. */
type Module = { readonly imports: readonly Import[]; readonly exports: readonly string[] };

const modules = new Map<string, Module>();

/** A module, parsed once: most tests look at all of them. */
function moduleOf(file: string): Module {
  const known = modules.get(file);
  if (known) return known;
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
  const parsed = { imports: importsIn(source), exports: exportsIn(source) };
  modules.set(file, parsed);
  return parsed;
}

const importsOf = (file: string): readonly Import[] => moduleOf(file).imports;
const exportsOf = (file: string): readonly string[] => moduleOf(file).exports;

function importsIn(source: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      // `import { type X }` loads the module too (verbatimModuleSyntax).
      const typeOnly = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      found.push({ from: node.moduleSpecifier.text, typeOnly });
    }
    if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
      found.push({ from: node.moduleSpecifier.text, typeOnly: node.isTypeOnly });
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      if (argument && ts.isStringLiteral(argument)) found.push({ from: argument.text, typeOnly: false });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function exportsIn(source: ts.SourceFile): string[] {
  return source.statements.flatMap((statement) => {
    if (!ts.canHaveModifiers(statement)) return [];
    const isExported = ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
    if (!isExported) return [];
    const declared = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement];
    return declared.flatMap((each) => {
      const { name } = each as { readonly name?: ts.Node };
      return name !== undefined && ts.isIdentifier(name) ? [name.text] : [];
    });
  });
}

function filesOf(room: string): string[] {
  return readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(ROOT, room, name))
    .filter((file) => roomOf(shown(file)) === room);
}

function shown(file: string): string {
  return relative(ROOT, file);
}

describe('imports go one way', () => {
  test.each(ROOMS)('%s', (room) => {
    const wrong = filesOf(room).flatMap((file) =>
      importsOf(file).flatMap(({ from }) => {
        if (!from.startsWith('.')) return [];
        const target = shown(resolve(dirname(file), from));
        if (target === 'package.json' || mayImport(room, roomOf(target))) return [];
        return [`${shown(file)} imports ${target}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('other rooms use only the doors of a room, and every door is used', () => {
    const used = new Map<string, Set<string>>(ROOMS.map((room) => [room, new Set()]));
    for (const file of ROOMS.flatMap(filesOf)) {
      for (const { from } of importsOf(file)) {
        if (!from.startsWith('.')) continue;
        const target = shown(resolve(dirname(file), from));
        const room = roomOf(target);
        if (room !== roomOf(shown(file))) used.get(room)?.add(target.slice(room.length + 1));
      }
    }
    const asListed = new Map([...RULES].map(([room, { doors }]) => [room, [...doors].sort()]));
    expect(new Map([...used].map(([room, files]) => [room, [...files].sort()]))).toEqual(asListed);
  });

  test('no module imports itself in a circle, not for types either', () => {
    const files = ROOMS.flatMap(filesOf);
    const edges = new Map(
      files.map((file) => [
        file,
        importsOf(file).flatMap(({ from }) => (from.startsWith('.') ? [resolve(dirname(file), from)] : [])),
      ]),
    );
    const state = new Map<string, 'open' | 'done'>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        circles.push([...path.slice(path.indexOf(file)), file].map(shown).join(' -> '));
        return;
      }
      state.set(file, 'open');
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });
});

/** Everything that runs when `entry` is loaded: our files, and packages and built-in modules by name. */
function closureOf(entry: string): { readonly files: Set<string>; readonly others: Map<string, string> } {
  const files = new Set<string>();
  const others = new Map<string, string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const { from, typeOnly } of importsOf(file)) {
      if (typeOnly) continue;
      if (from.startsWith('.')) visit(resolve(dirname(file), from));
      else others.set(from, shown(file));
    }
  };
  visit(join(ROOT, entry));
  return { files, others };
}

describe('names explain themselves', () => {
  const files = ROOMS.flatMap(filesOf);

  test('no two files have the same name', () => {
    const byName = Map.groupBy(files.map(shown), (file) => file.slice(file.lastIndexOf('/') + 1));
    // The limits of a room, each with its reason: the same job, in three rooms.
    byName.delete('limits.ts');
    expect([...byName.values()].filter(({ length }) => length > 1)).toEqual([]);
  });

  test('no exported word has two meanings', () => {
    const exported = files.flatMap((file) => exportsOf(file).map((name) => ({ name, file: shown(file) })));
    const byName = Map.groupBy(exported, ({ name }) => name);
    const twice = [...byName].filter(([, places]) => places.length > 1);
    expect(twice.map(([name, places]) => `${name}: ${places.map(({ file }) => file).join(', ')}`)).toEqual([]);
  });
});

describe('answering threads load nothing that answers no query', () => {
  /**
   * `node:net` has isIPv4 for wire/address.ts, and the sockets of streams. `node:tls` and `node:crypto` come with
   * stream-tls.ts, which is loaded if TLS is configured, and `node:crypto` with the signatures of peers.
   */
  const BUILT_IN = new Set([
    'node:net',
    'node:tls',
    'node:crypto',
    'node:dgram',
    'node:worker_threads',
    'node:dns',
    'node:events',
    'node:os',
    'node:stream',
    'node:timers',
    'node:util',
    'node:module',
    'node:url',
    'node:v8',
    'node:vm',
  ]);

  test.each(['server/answer/answerer.ts', 'server/threads/worker.ts'])('%s', (entry) => {
    const { others, files } = closureOf(entry);
    expect(files.size).toBeGreaterThan(5);
    const wrong = [...others]
      .filter(([name]) => !(name === 'koffi' || BUILT_IN.has(name)))
      .map(([name, file]) => `${file} imports ${name}`);
    expect(wrong).toEqual([]);
    for (const banned of ['pino', 'yaml', 'maxmind', 'node:fs']) expect([...others.keys()]).not.toContain(banned);
  });

  test('the packet path needs no built-in module', () => {
    const { others } = closureOf('server/answer/answer.ts');
    expect([...others]).toEqual([]);
  });
});
