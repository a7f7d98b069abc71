/**
 * Turns rounds into medians, medians into a table, and tables into RESULTS.md.
 */
import { execFileSync } from 'node:child_process';
import { userInfo } from 'node:os';
import type { Target } from './cases.ts';
import { patternName, type Pattern } from './load.ts';
import { ECHO } from './peers/echo.ts';
import { pharos } from './peers/pharos.ts';
import { describeRun, writeSection } from './results.ts';

export type Round = {
  readonly queriesPerSecond: number;
  /** CPU time per query, of all threads of the server. */
  readonly userMicroseconds: number;
  readonly systemMicroseconds: number;
  /** Cores that the server kept busy. Well below 1, dnsperf was the limit. */
  readonly busy: number;
  readonly lost: number;
  readonly memoryOctets: number;
};

export type CaseResult = {
  readonly name: string;
  readonly pattern: Pattern;
  readonly about: string;
  readonly targets: readonly Target[];
  /** By server, in the order measured. */
  readonly rounds: ReadonlyMap<string, readonly Round[]>;
  /** By server: the time from its start to its first answer. */
  readonly startMs: ReadonlyMap<string, number>;
};

/** If a server was less busy than this, it was not at its limit: dnsperf was. */
const FULLY_BUSY = 0.95;

/** The last two compare Pharos: by queries/s, and by CPU per query. */
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
  's to start',
  'Pharos: rate',
  'Pharos: CPU',
] as const;

/** A case as a Markdown table. */
export function renderTable({ name, pattern, about, targets, rounds, startMs }: CaseResult): string {
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
      ((startMs.get(server) ?? 0) / 1000).toFixed(1),
      compared ? `${(own.rate / rate).toFixed(2)} x` : '',
      compared ? `${(own.cpu / cpu).toFixed(2)} x` : '',
    ];
  });
  const verdicts = targets.flatMap((target) => judge(target, rounds) ?? []);
  const last = verdicts.length === 0 ? [] : ['', `targets: ${verdicts.join('; ')}`];
  const title = `### ${name} ${patternName(pattern)}: ${about}`;
  return [title, '', ...renderRows(COLUMNS, rows), ...last].join('\n');
}

/** The peers of the summary, in the order of its columns. */
const COMPARED = ['gdnsd', 'Knot', 'NSD', ECHO] as const;

/** All cases in one Markdown table: queries/s of Pharos, and how it compares, by rate and by CPU. */
export function renderSummary(results: readonly CaseResult[]): string {
  const columns = ['case', 'queries/s', 'µs', ...COMPARED.flatMap((peer) => [`${peer}: rate`, 'CPU']), 'targets'];
  const rows = results.flatMap(({ name, pattern, rounds, targets }) => {
    const own = rounds.get(pharos.name);
    if (!own) return [];
    const { rate, cpu } = summarize(own);
    const compared = COMPARED.flatMap((peer) => {
      const all = rounds.get(peer);
      if (!all) return ['', ''];
      const rival = summarize(all);
      return [`${(rate / rival.rate).toFixed(2)} x`, `${(cpu / rival.cpu).toFixed(2)} x`];
    });
    const missed = targets
      .flatMap((target) => judge(target, rounds) ?? [])
      .filter((verdict) => verdict.endsWith(MISSED));
    const verdict = missed.length === 0 ? 'met' : `${missed.length} missed`;
    return [[`${name} ${patternName(pattern)}`, thousands(rate), cpu.toFixed(2), ...compared, verdict]];
  });
  return renderRows(columns, rows).join('\n');
}

/** Returns a Markdown table. All columns but the first contain numbers and are right-aligned. */
function renderRows(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, index) => pad(cell, widths[index] ?? 0, index)).join(' | ')} |`;
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(columns), line(rule), ...rows.map(line)];
}

type Summary = { readonly rate: number; readonly cpu: number; readonly user: number; readonly busy: number };

/** Medians that servers are compared by: queries per second, microseconds of CPU per query, cores kept busy. */
function summarize(rounds: readonly Round[]): Summary {
  const user = median(rounds, 'userMicroseconds');
  return {
    rate: median(rounds, 'queriesPerSecond'),
    cpu: user + median(rounds, 'systemMicroseconds'),
    user,
    busy: median(rounds, 'busy'),
  };
}

/** A target with its figure; undefined if it was not measured. */
function judge(target: Target, rounds: CaseResult['rounds']): string | undefined {
  const own = rounds.get(pharos.name);
  if (!own) return undefined;
  const { rate, cpu, user, busy } = summarize(own);
  if ('userMicroseconds' in target) {
    return `at most ${target.userMicroseconds} µs user: ${user.toFixed(2)}, ${verdict(user <= target.userMicroseconds)}`;
  }
  if ('peers' in target) {
    const peers = target.peers.flatMap((peer) => {
      const all = rounds.get(peer);
      return all ? [summarize(all)] : [];
    });
    if (peers.length === 0) return undefined;
    const byRate = rate / Math.max(...peers.map((peer) => peer.rate));
    const byCpu = cpu / Math.min(...peers.map((peer) => peer.cpu));
    const isMet = byRate >= target.rate && byCpu <= target.cpu;
    const aim = `at least ${target.rate} x the rate and at most ${target.cpu} x the CPU of the best peer`;
    return `${aim}: ${byRate.toFixed(2)} and ${byCpu.toFixed(2)}, ${verdict(isMet)}`;
  }
  const others = rounds.get(target.rival);
  if (!others) return undefined;
  const rival = summarize(others);
  // If dnsperf was the limit for either server, queries/s do not compare the two.
  const byRate = Math.min(busy, rival.busy) >= FULLY_BUSY;
  const ratio = byRate ? rate / rival.rate : rival.cpu / cpu;
  const how = byRate ? 'queries/s' : 'CPU';
  return `${target.ratio} x ${target.rival}: ${ratio.toFixed(3)} by ${how}, ${verdict(ratio >= target.ratio)}`;
}

const MISSED = 'missed';

function verdict(isMet: boolean): string {
  return isMet ? 'met' : MISSED;
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

/** Lines that say where, with what and how the figures were measured. */
export function describeMachine(
  dnsperf: string,
  versions: readonly string[],
  run: { readonly rounds: number; readonly seconds: number; readonly loadBefore: number; readonly pinned: boolean },
): string[] {
  const load = execFileSync(dnsperf, ['-h'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const options = process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [];
  return [
    ...describeRun(['npm run bench', ...options].join(' '), run.loadBefore),
    ...versions.map((version) => `- ${version}`),
    `- dnsperf ${/Version (\S+)/.exec(load)?.[1] ?? ''}: one thread, sockets x outstanding queries as in the title, loopback, EDNS`,
    `- as ${userInfo().username}; ${run.pinned ? 'servers have one core and dnsperf another' : 'the kernel places all threads'}`,
    `- ${run.rounds} rounds of ${run.seconds} s, servers taking turns; medians, lowest and highest; one answering thread each`,
  ];
}

/** Writes the section of bench/RESULTS.md and returns its path. */
export function writeResults(results: readonly CaseResult[], about: readonly string[]): string {
  return writeSection('bench', [
    ...about,
    '',
    renderSummary(results),
    '',
    ...results.map((result) => `${renderTable(result)}\n`),
  ]);
}
