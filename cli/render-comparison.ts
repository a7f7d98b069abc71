/**
 * What two servers answer differently, as text and as the document of --json.
 */
import type { Comparison } from './compare/compare-servers.ts';
import type { Finding } from './compare/findings.ts';
import { KINDS, type Kind } from './compare/kinds.ts';
import { plural, type Output } from './output.ts';

/** What was compared. `a` and `b`: the servers as on the command line. */
export type Compared = {
  readonly zone: string;
  readonly a: string;
  readonly b: string;
  readonly names: number;
  readonly questions: number;
  readonly clients: number;
  readonly seed: number;
  readonly queries: number;
  readonly comparison: Comparison;
};

/** Lines of differences that are shown. */
const MAX_LINES = 200;
/** Questions that one line for equal differences shows. Fewer have a line each. */
const MAX_NAMES = 3;

export function isSame({ comparison }: Compared): boolean {
  return comparison.findings.length === 0 && comparison.hidden === 0 && !comparison.unreachable;
}

export function comparisonDocument(compared: Compared): object {
  const { comparison, ...what } = compared;
  const { findings, hidden, compared: answers, varying, rare, unreachable } = comparison;
  return {
    ...what,
    same: isSame(compared),
    answers,
    varying,
    counts: countsOf(findings),
    differences: findings.map((each) => ({ ...each, client: each.client ?? null })),
    hidden,
    rare,
    unreachable: unreachable ?? null,
  };
}

export function renderComparison(compared: Compared, style: Output['style']): string {
  const { zone, a, b, comparison } = compared;
  const { findings, hidden, varying, rare, unreachable } = comparison;
  const verdict = isSame(compared) ? style('green', 'no difference') : style('red', 'different');
  const asked = [
    plural(compared.names, 'name'),
    plural(compared.questions, 'question'),
    plural(compared.clients, 'client'),
  ];
  const lines = [
    `${style('bold', zone)}: ${verdict} between A ${a} and B ${b}`,
    `  ${asked.join(', ')} (seed ${compared.seed}); ${plural(comparison.compared, 'answer')} of each compared in ${plural(compared.queries, 'query').replace(/querys$/, 'queries')}`,
  ];
  if (varying > 0) {
    lines.push(
      `  The answers to ${plural(varying, 'question')} vary by chance: compared by the records in many answers.`,
    );
  }
  let left = MAX_LINES;
  let unshown = 0;
  for (const kind of Object.keys(KINDS) as Kind[]) {
    const own = linesOf(findings.filter((each) => each.kind === kind));
    if (own.length === 0) continue;
    lines.push('', `${style('yellow', kind)}: ${KINDS[kind]}`, ...own.slice(0, left).map((line) => `  ${line}`));
    unshown += Math.max(0, own.length - left);
    left = Math.max(0, left - own.length);
  }
  if (unshown > 0) lines.push('', `and ${unshown} more: --json lists all`);
  if (hidden > 0) lines.push('', `and ${hidden} more that are counted only`);
  if (rare.length > 0) {
    lines.push(
      '',
      'Too rare to judgeResponses (--repeat asks more often):',
      ...rare.slice(0, 10).map((text) => `  ${text}`),
    );
    if (rare.length > 10) lines.push(`  and ${rare.length - 10} more`);
  }
  if (unreachable) {
    const server = unreachable.server === 'a' ? `A ${a}` : `B ${b}`;
    lines.push('', `${server} no longer answers (${unreachable.why}): the comparison ended early.`);
  }
  return lines.join('\n');
}

/** Differences with the same words are one line. */
function linesOf(findings: readonly Finding[]): readonly string[] {
  const groups = new Map<string, Finding[]>();
  for (const each of findings) {
    const key = JSON.stringify([each.a, each.b]);
    const group = groups.get(key);
    if (group) group.push(each);
    else groups.set(key, [each]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const said = `A ${first.a} | B ${first.b}`;
    if (group.length <= MAX_NAMES) {
      return group.map((each) => `${each.name} ${each.type}: ${said}${clientText(each)}`);
    }
    const names = group.slice(0, MAX_NAMES).map(({ name, type }) => `${name} ${type}`);
    return [`${names.join(', ')} and ${group.length - MAX_NAMES} more: ${said}`];
  });
}

function clientText({ clients, client }: Finding): string {
  // Also seen without a client: it does not depend on where the client is.
  if (client === undefined) return '';
  return clients > 1 ? ` (${clients} clients, such as ${client})` : ` (${client})`;
}

function countsOf(findings: readonly Finding[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind } of findings) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
