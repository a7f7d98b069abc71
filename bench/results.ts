/**
 * bench/RESULTS.md has one section per benchmark, with the output of its last run. A run replaces its own section and
 * leaves the others unchanged.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The title of each section, in the order of the file. */
const SECTIONS = {
  bench: 'Throughput',
  failover: 'Failover',
  health: 'Health checks',
  scale: 'Scale',
  isolation: 'Isolation',
  startup: 'Start-up',
  'moving-in': 'Moving in',
  flood: 'Floods',
  fleet: 'Fleet',
  'fleet-scale': 'Fleet of hundreds, simulated',
} as const;
export type Section = keyof typeof SECTIONS;

export function isSection(name: string): name is Section {
  return Object.hasOwn(SECTIONS, name);
}

/** Markdown lines that say when, how and on what machine; `loadBefore` is the load of the minute before. */
export function describeRun(command: string, loadBefore: number): string[] {
  return [
    `- ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, \`${command}\``,
    `- ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores, Linux ${release()}; load ${loadBefore.toFixed(1)} before the run (below 0.5 where nothing else runs)`,
  ];
}

/** The greater of two in the middle; NaN for none. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Writes a section's Markdown and returns the path of the file. */
export function writeSection(name: Section, lines: readonly string[]): string {
  const path = fileURLToPath(new URL('RESULTS.md', import.meta.url));
  const parts = existsSync(path) ? readFileSync(path, 'utf8').split(/^<!-- ([\w-]+) -->\n/m) : [];
  // The text before the first mark, then names and texts in turn.
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
