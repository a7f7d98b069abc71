/**
 * Rounds to medians, medians to a table, tables to RESULTS.md.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { OUTSTANDING } from './load.ts';
import { pharos } from './peers/pharos.ts';

export type Round = {
  readonly queriesPerSecond: number;
  /** CPU time a query, of all threads of the server. */
  readonly userMicroseconds: number;
  readonly systemMicroseconds: number;
  /** Cores that the server kept busy. Well below 1, it was dnsperf that was at its limit. */
  readonly busy: number;
  readonly lost: number;
  readonly memoryOctets: number;
};

export type CaseResult = {
  readonly name: string;
  readonly about: string;
  /** By server, in the order measured. */
  readonly rounds: ReadonlyMap<string, readonly Round[]>;
};

/** The last two compare Pharos: by queries/s, and by CPU a query. */
const COLUMNS = [
  'server',
  'queries/s',
  'lowest',
  'highest',
  'µs user',
  'µs system',
  'busy',
  'lost',
  'MB',
  'Pharos: rate',
  'Pharos: CPU',
] as const;

/** A case as a Markdown table. */
export function renderTable({ name, about, rounds }: CaseResult): string {
  const own = summarize(rounds.get(pharos.name) ?? []);
  const rows = [...rounds].map(([server, all]) => {
    const rates = all.map(({ queriesPerSecond }) => queriesPerSecond);
    const { rate, cpu } = summarize(all);
    const compared = server !== pharos.name && own.rate > 0;
    return [
      server,
      thousands(rate),
      thousands(Math.min(...rates)),
      thousands(Math.max(...rates)),
      median(all, 'userMicroseconds').toFixed(2),
      median(all, 'systemMicroseconds').toFixed(2),
      `${Math.round(median(all, 'busy') * 100)}%`,
      String(all.reduce((sum, { lost }) => sum + lost, 0)),
      Math.round(median(all, 'memoryOctets') / 1e6).toString(),
      compared ? `${(own.rate / rate).toFixed(2)} x` : '',
      compared ? `${(own.cpu / cpu).toFixed(2)} x` : '',
    ];
  });
  const widths = COLUMNS.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, index) => pad(cell, widths[index] ?? 0, index)).join(' | ')} |`;
  // Numbers are to the right.
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [`### ${name}: ${about}`, '', line(COLUMNS), line(rule), ...rows.map(line)].join('\n');
}

/** Medians of what servers are compared by: queries a second, and microseconds of CPU a query. */
function summarize(rounds: readonly Round[]): { rate: number; cpu: number } {
  return {
    rate: median(rounds, 'queriesPerSecond'),
    cpu: median(rounds, 'userMicroseconds') + median(rounds, 'systemMicroseconds'),
  };
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function median(rounds: readonly Round[], field: keyof Round): number {
  const sorted = rounds.map((round) => round[field]).sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

/** Lines that say where, with what and how the figures came about. */
export function describeMachine(
  dnsperf: string,
  versions: readonly string[],
  run: { readonly rounds: number; readonly seconds: number; readonly loadBefore: number },
): string[] {
  const load = execFileSync(dnsperf, ['-h'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return [
    `- ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, \`npm run bench${process.argv.slice(2).length > 0 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}\``,
    `- ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores, Linux ${release()}; load ${run.loadBefore.toFixed(1)} before the run (below 0.5 where nothing else runs)`,
    ...versions.map((version) => `- ${version}`),
    `- dnsperf ${/Version (\S+)/.exec(load)?.[1] ?? ''}: one client, ${OUTSTANDING} queries outstanding, loopback, EDNS`,
    `- ${run.rounds} rounds of ${run.seconds} s, servers taking turns; medians, lowest and highest; one answering thread each`,
  ];
}

/** Writes bench/RESULTS.md and returns its path. */
export function writeResults(results: readonly CaseResult[], about: readonly string[]): string {
  const path = fileURLToPath(new URL('RESULTS.md', import.meta.url));
  const text = [
    '# Results of the last run',
    '',
    'Written by `npm run bench`; [README.md](README.md) says what was measured and how to read it.',
    '',
    ...about,
    '',
    ...results.map((result) => `${renderTable(result)}\n`),
  ];
  writeFileSync(path, text.join('\n'));
  return path;
}
