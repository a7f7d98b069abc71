/**
 * Sends the same queries to Pharos, NSD and Knot over the same zones, and compares section by section.
 */
import type { Endpoint } from '../../wire/address.ts';
import type { Files } from '../support/pharos.ts';
import { runNsd, runPharos } from '../support/run.ts';
import { runKnot } from './knot.ts';
import { askAll } from './pipeline.ts';
import { lowerCase, placesOf, type Places } from './places.ts';
import { judge, type Asked } from './rules.ts';
import { readSeen, sameRecords, showName, showSeen, type Seen } from './seen.ts';
import { askOverTcp } from './stream-pipeline.ts';

/** A query and what the rules need of it. */
export type Query = {
  readonly message: Buffer;
  readonly type: number;
  readonly dnssecOk: boolean;
  readonly limit: number;
};

export type Outcome = {
  readonly asked: number;
  /** How many of them were truncated by some server and repeated over TCP. */
  readonly overTcp: number;
  readonly differences: readonly string[];
  /** How often each rule was needed. */
  readonly used: ReadonlyMap<string, number>;
};

/** Differences kept as text; more would add nothing. */
const SHOWN = 12;

/** Runs the three servers over these zones (master files by name) and sends `count` queries. */
export async function compareOver(
  zones: Readonly<Record<string, string>>,
  count: number,
  next: (index: number) => Query,
): Promise<Outcome> {
  const files: Files = Object.fromEntries(
    Object.entries(zones).flatMap(([zone, text]) => [
      [`zones/${zone}.yaml`, `zone: ${zone}\ninclude: [${zone}.zone]\n`],
      [`zones/${zone}.zone`, text],
    ]),
  );
  await using nsd = await runNsd(zones);
  await using knot = await runKnot(zones);
  await using pharos = await runPharos(files);
  const servers = [pharos, nsd, knot].flatMap(({ endpoints }) => endpoints.slice(0, 1));
  return await compare(servers, placesOf(zones), count, next);
}

async function compare(
  servers: readonly Endpoint[],
  places: Places,
  count: number,
  next: (index: number) => Query,
): Promise<Outcome> {
  const used = new Map<string, number>();
  const differences: string[] = [];
  const inFlight = new Map<number, Query>();
  const again: { query: Query; ours: Seen }[] = [];
  const differ = (why: string, query: Query, all: readonly Seen[]): void => {
    const [ours, nsd, knot] = all.map(showSeen);
    const question = all[0]?.question ?? '';
    const told = `${showName(question)} type ${query.type}${query.dnssecOk ? ' +dnssec' : ''} limit ${query.limit}: ${why}`;
    differences.push(
      differences.length < SHOWN ? `${told}\n  ours ${ours}\n  nsd ${nsd ?? ''}\n  knot ${knot ?? ''}` : told,
    );
  };
  const settle = (query: Query, responses: readonly Buffer[], overTcp: boolean): void => {
    const all = responses.map((response, server) => readSeen(response, server === 0));
    const [ours, nsd, knot] = all;
    if (!ours || !nsd || !knot) throw new Error('three responses are needed');
    if (!query.message.subarray(12, 12 + ours.question.length).equals(Buffer.from(ours.question, 'latin1'))) {
      differ('the question did not come back byte for byte', query, all);
    }
    if (ours.length > (overTcp ? 65_535 : query.limit)) differ(`${ours.length} octets`, query, all);
    const asked: Asked = {
      name: canonicalName(query.message),
      type: query.type,
      dnssecOk: query.dnssecOk,
      limit: overTcp ? 65_535 : query.limit,
      ...places,
    };
    const verdict = judge({ ours: { ...ours }, nsd: { ...nsd }, knot: { ...knot } }, asked, used);
    if (verdict === 'different') differ('not the same', query, all);
    else if (verdict === 'truncated') {
      if (overTcp) differ('truncated over TCP', query, all);
      else again.push({ query, ours });
    }
  };
  await askAll(
    servers,
    count,
    (index) => {
      const query = next(index);
      inFlight.set(index, query);
      return query.message;
    },
    (index, responses) => {
      const query = inFlight.get(index);
      inFlight.delete(index);
      if (query) settle(query, responses, false);
    },
  );
  const messages = again.map(({ query }) => query.message);
  const overTcp: Buffer[][] = [];
  for (const server of servers) overTcp.push(await askOverTcp(server, messages));
  again.forEach(({ query, ours }, i) => {
    const responses = overTcp.flatMap((each) => each.slice(i, i + 1));
    settle(query, responses, true);
    const whole = readSeen(responses[0] ?? Buffer.alloc(12), true);
    const why = whyNotTruncatedSo(ours, whole, query.limit);
    if (why !== undefined) differ(why, query, [ours, whole]);
  });
  return { asked: count, overTcp: again.length, differences, used };
}

/** RFC 2181 9: TC only if something required is missing, and then whole RRsets are missing. */
function whyNotTruncatedSo(udp: Seen, whole: Seen, limit: number): string | undefined {
  const isWhole = sameRecords(udp.answer, whole.answer) && sameRecords(udp.authority, whole.authority);
  const hasAll = isWhole && sameRecords(udp.additional, whole.additional);
  if (whole.length <= limit && (udp.tc || !hasAll)) return `less than the ${whole.length} octets that fit`;
  if (!udp.tc && !isWhole) return 'something is missing without TC';
  for (const section of ['answer', 'authority', 'additional'] as const) {
    const there = new Set(udp[section].map(({ key }) => key));
    const sets = new Set(udp[section].map(({ name, type }) => `${name}${type}`));
    const cut = whole[section].filter(({ key, name, type }) => sets.has(`${name}${type}`) && !there.has(key));
    if (cut.length > 0 || udp[section].length > whole[section].length) return `part of an RRset in ${section}`;
  }
  return undefined;
}

/** The question's name in lower case. */
function canonicalName(message: Buffer): string {
  let end = 12;
  while ((message[end] ?? 0) > 0) end += (message[end] ?? 0) + 1;
  return lowerCase(message.toString('latin1', 12, end + 1));
}
