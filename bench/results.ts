/**
 * bench/RESULTS.md: a section for each benchmark, with what its last run printed. A run replaces its own and leaves the
 * others as they are.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';

/** In the order of the file; the title of each. */
const SECTIONS = {
  bench: 'Throughput',
  failover: 'Failover',
  health: 'Health checks',
  scale: 'Scale',
  isolation: 'Isolation',
} as const;
export type Section = keyof typeof SECTIONS;

export function isSection(name: string): name is Section {
  return Object.hasOwn(SECTIONS, name);
}

/** Markdown lines that say when, how and on what machine; `loadBefore` is that of the minute before. */
export function describeRun(command: string, loadBefore: number): string[] {
  return [
    `- ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, \`${command}\``,
    `- ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores, Linux ${release()}; load ${loadBefore.toFixed(1)} before the run (below 0.5 where nothing else runs)`,
  ];
}

/** Of two in the middle the greater; NaN of none. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Writes a section's Markdown and returns the path of the file. */
export function writeSection(name: Section, lines: readonly string[]): string {
  const path = fileURLToPath(new URL('RESULTS.md', import.meta.url));
  const parts = existsSync(path) ? readFileSync(path, 'utf8').split(/^<!-- (\w+) -->\n/m) : [];
  // What was in front of the first mark, then names and texts by turns.
  const texts = new Map(parts.flatMap((part, index) => (index % 2 === 1 ? [[part, parts[index + 1] ?? '']] : [])));
  texts.set(name, `\n## ${SECTIONS[name]}\n\n${lines.join('\n').trimEnd()}\n\n`);
  const head =
    '# Results of the last runs\n\nEach section is written by its benchmark; [README.md](README.md) says what was measured and how to read it.\n\n';
  const known = Object.keys(SECTIONS).flatMap((each) => {
    const text = texts.get(each);
    return text === undefined ? [] : [`<!-- ${each} -->\n${text}`];
  });
  writeFileSync(path, `${(head + known.join('')).trimEnd()}\n`);
  return path;
}
