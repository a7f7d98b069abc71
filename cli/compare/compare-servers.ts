/**
 * Asks two servers every question for every client, and finds what differs.
 *
 * A question is asked twice without a client, and once for each client. A question with records
 * is asked twelve times at least. If an answer has other records than that of the other server, or than an earlier one
 * of the same server, answers may vary by chance: then each server is asked again until the records that both give can
 * be compared (varying.ts).
 */
import { encodeQuery } from '../../wire/message.ts';
import { formatName } from '../../wire/name.ts';
import { readResponse, ResponseError, type ServerResponse } from '../../wire/read-response.ts';
import { typeText } from '../../wire/types.ts';
import { questionEnd, type DnsClient, type Reply } from './dns-client.ts';
import { collectDifferences, type Finding } from './findings.ts';
import { enter, leave, type Gate } from './gate.ts';
import { answerKeys, judgeResponses, keysText, keyText, listText, type AskedQuery, type Said } from './judge.ts';
import type { Kind } from './kinds.ts';
import type { Client } from './sample-clients.ts';
import { tallyAnswer, compareAnswers, differentShares, noAnswers, type Answers } from './varying.ts';
import type { Question } from './zone-names.ts';

export type CompareRequest = {
  readonly a: DnsClient;
  readonly b: DnsClient;
  readonly questions: readonly Question[];
  readonly clients: readonly Client[];
  /** Questions in flight at each server. */
  readonly inFlight: number;
  /** How often a question whose answers vary is asked at most. */
  readonly repeats: number;
  readonly ignored: ReadonlySet<Kind>;
  /** Whether all clients are asked for although both servers say that the answer is for all of them. */
  readonly everyClient: boolean;
};

export type Comparison = {
  readonly findings: readonly Finding[];
  /** Differences that are counted only. */
  readonly hidden: number;
  /** Pairs of a question and a client whose answers were compared. */
  readonly compared: number;
  /** Questions whose answers vary. */
  readonly varying: number;
  /** Records that are too rare to say whether both servers have them. */
  readonly rare: readonly string[];
  /** The server that no longer answers, and why: the comparison ended early. */
  readonly unreachable: { readonly server: 'a' | 'b'; readonly why: string } | undefined;
};

/** Clients that are asked for first. If both servers answer all of them with scope 0, the others would get the same. */
const PROBES = 4;
/** Least times a question with records is asked, all clients together: one that varies by chance should show it. */
const LEAST_LOOKS = 12;
/** A server counts as not reachable after this many queries in a row without a response. */
const MAX_SILENT = 12;
/** Queries to one server at a time when a question is asked again. */
const AT_ONCE = 8;
/** If the answers for this many clients differ and never vary, the answers for the others are not asked for again. */
const CONSTANT_CLIENTS = 4;
/** Least answers for a client if the answers to a question vary. */
const LEAST_ANSWERS = 8;
/** Clients of a question for whom shares are compared. */
const SHARE_CLIENTS = 3;
const MAX_RARE = 100;

type Pair = { readonly a: ServerResponse; readonly b: ServerResponse; readonly isEqual: boolean };
/** The answers for one client of one question. */
type Tally = { readonly client: Client | undefined; readonly a: Answers; readonly b: Answers; last: Pair };

type Run = CompareRequest & {
  readonly findings: ReturnType<typeof collectDifferences>;
  readonly rare: string[];
  /** Queries in a row that had no response. */
  readonly silent: { a: number; b: number };
  readonly gate: Gate;
  compared: number;
  varying: number;
  unreachable: Comparison['unreachable'];
};

export async function compareServers(request: CompareRequest): Promise<Comparison> {
  const run: Run = {
    ...request,
    findings: collectDifferences(),
    rare: [],
    silent: { a: 0, b: 0 },
    gate: { free: request.inFlight, waiting: [] },
    compared: 0,
    varying: 0,
    unreachable: undefined,
  };
  const queue = request.questions.values();
  const work = async (): Promise<void> => {
    for (const question of queue) {
      if (run.unreachable) return;
      await compareQuestion(run, question);
    }
  };
  await Promise.all(Array.from({ length: request.inFlight }, work));
  const { findings, compared, varying, rare, unreachable } = run;
  return { findings: findings.list(), hidden: findings.hidden(), compared, varying, rare, unreachable };
}

async function compareQuestion(run: Run, question: Question): Promise<void> {
  const whole = await lookTwice(run, question);
  if (!whole) return;
  const probes = spread(run.clients, PROBES);
  const ofProbes = await lookAll(run, question, probes);
  if (!(await lookLonger(run, question, ofProbes.length > 0 ? ofProbes : [whole]))) return;
  const tallies = [whole, ...ofProbes];
  if (run.everyClient || isForSome(tallies)) {
    const others = run.clients.filter((client) => !probes.includes(client));
    tallies.push(...(await lookAll(run, question, others)));
  }
  await compareTallies(run, question, tallies);
}

/** Without a client. */
async function lookTwice(run: Run, question: Question): Promise<Tally | undefined> {
  const tally = await look(run, question, undefined);
  const again = tally && (await askPair(run, question, undefined));
  if (!again) return undefined;
  addPair(tally, again);
  return tally;
}

/** With few answers, those of weighted records can all be equal by chance. False if a server is silent. */
async function lookLonger(run: Run, question: Question, tallies: readonly Tally[]): Promise<boolean> {
  const times = Math.ceil(LEAST_LOOKS / tallies.length) - 1;
  const withRecords = tallies.filter(({ last }) => last.a.answer.length > 0 || last.b.answer.length > 0);
  const asked = await Promise.all(withRecords.map((tally) => askAgain(run, question, tally, times)));
  return asked.every(Boolean);
}

/** The clients that both servers answered. */
async function lookAll(run: Run, question: Question, clients: readonly Client[]): Promise<Tally[]> {
  const found = await Promise.all(clients.map((client) => look(run, question, client)));
  return found.flatMap((tally) => tally ?? []);
}

/** Asks for the first time, and reports what cannot differ by chance. */
async function look(run: Run, question: Question, client: Client | undefined): Promise<Tally | undefined> {
  const pair = await askPair(run, question, client);
  if (!pair) return undefined;
  run.compared++;
  if (!pair.isEqual) reportAllBut(run, question, client, pair);
  const tally = { client, a: noAnswers(), b: noAnswers(), last: pair };
  addPair(tally, pair);
  return tally;
}

function spread(clients: readonly Client[], count: number): readonly Client[] {
  if (clients.length <= count) return clients;
  return Array.from({ length: count }, (_, index) => clients[Math.floor((index * clients.length) / count)] as Client);
}

/**
 * Whether a server says that an answer is for some clients only. Answers that merely vary do not show it: weights make
 * them vary too.
 */
function isForSome(tallies: readonly Tally[]): boolean {
  return tallies.some(({ last }) => (last.a.scopeBits ?? 0) > 0 || (last.b.scopeBits ?? 0) > 0);
}

/** Settles whether answers with other records are different, or vary by chance. */
async function compareTallies(run: Run, question: Question, tallies: readonly Tally[]): Promise<void> {
  const judged = async (tally: Tally, least: number): Promise<void> => {
    const verdict = await settle(run, question, tally, least);
    if (verdict) report(run, question, tally, verdict);
  };
  const differing = tallies.filter(({ a, b }) => compareAnswers(a, b).kind !== 'same');
  const [samples, others] = [differing.slice(0, CONSTANT_CLIENTS), differing.slice(CONSTANT_CLIENTS)];
  for (const tally of samples) await judged(tally, 0);
  if (!isVarying(tallies)) {
    for (const tally of others) report(run, question, tally, { kind: 'records' });
    return;
  }
  run.varying++;
  // With few answers, the records that are in both may be all that were seen.
  const few = tallies.filter((tally) => !differing.includes(tally) && tally.a.count < LEAST_ANSWERS);
  await Promise.all([...others, ...few].map((tally) => judged(tally, LEAST_ANSWERS)));
  await compareShares(run, question, tallies);
}

async function compareShares(run: Run, question: Question, tallies: readonly Tally[]): Promise<void> {
  const seen = new Set<string>();
  for (const tally of tallies) {
    const key = [...tally.a.records.keys()].sort().join('\0\0');
    if (seen.has(key) || seen.size >= SHARE_CLIENTS || tally.a.records.size < 2) continue;
    seen.add(key);
    if (!(await askAgain(run, question, tally, run.repeats - tally.a.count))) return;
    reportShares(run, question, tally);
  }
}

function isVarying(tallies: readonly Tally[]): boolean {
  return tallies.some(({ a, b }) => a.sets.size > 1 || b.sets.size > 1);
}

type AnswersVerdict = ReturnType<typeof compareAnswers>;

/**
 * Asks until there is a verdict, at least `least` times and at most `repeats` times; undefined if a server is silent.
 */
async function settle(run: Run, question: Question, tally: Tally, least: number): Promise<AnswersVerdict | undefined> {
  for (;;) {
    const verdict = compareAnswers(tally.a, tally.b);
    const isEnough = verdict.kind !== 'open' && tally.a.count >= least;
    if (isEnough || tally.a.count >= run.repeats) return verdict;
    if (!(await askAgain(run, question, tally, AT_ONCE))) return undefined;
  }
}

/** False if a server is silent. */
async function askAgain(run: Run, question: Question, tally: Tally, times: number): Promise<boolean> {
  for (let left = times; left > 0; left -= AT_ONCE) {
    const asks = Array.from({ length: Math.min(left, AT_ONCE) }, () => askPair(run, question, tally.client));
    for (const pair of await Promise.all(asks)) {
      if (!pair) return false;
      addPair(tally, pair);
    }
  }
  return true;
}

function addPair(tally: Tally, pair: Pair): void {
  tally.last = pair;
  const keys = answerKeys(pair.a);
  tallyAnswer(tally.a, keys);
  tallyAnswer(tally.b, pair.isEqual ? keys : answerKeys(pair.b));
}

/** Asks both servers. Undefined, with a finding, without a usable response of both. */
async function askPair(run: Run, { name, type }: Question, client: Client | undefined): Promise<Pair | undefined> {
  if (run.unreachable) return undefined;
  const query = encodeQuery(name, type, client?.subnet);
  await enter(run.gate);
  const [a, b] = await Promise.all([run.a.ask(query), run.b.ask(query)]);
  leave(run.gate);
  const [inA, inB] = [decoded(run, 'a', a), decoded(run, 'b', b)];
  if (typeof inA !== 'string' && typeof inB !== 'string') {
    return { a: inA, b: inB, isEqual: a.ok && b.ok && isEqualAfterId(a.message, b.message) };
  }
  const textOf = (response: ServerResponse | string): string =>
    typeof response === 'string' ? response : 'a response';
  add(run, { kind: 'silence', a: textOf(inA), b: textOf(inB) }, { name, type }, client);
  return undefined;
}

function decoded(run: Run, server: 'a' | 'b', reply: Reply): ServerResponse | string {
  if (!reply.ok) {
    if (++run.silent[server] >= MAX_SILENT) run.unreachable ??= { server, why: reply.why };
    return reply.why;
  }
  run.silent[server] = 0;
  try {
    return readResponse(reply.message);
  } catch (error) {
    if (error instanceof ResponseError) return `malformed: ${error.message}`;
    throw error;
  }
}

function isEqualAfterId(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one.subarray(2), other.subarray(2)) === 0;
}

/** Reports what differs other than records of the answer, which may differ by chance. */
function reportAllBut(run: Run, question: Question, client: Client | undefined, { a, b }: Pair): void {
  const query = encodeQuery(question.name, question.type, client?.subnet);
  const asked: AskedQuery = { type: question.type, query, questionEnd: questionEnd(query) };
  for (const said of judgeResponses(a, b, asked)) if (said.kind !== 'records') add(run, said, question, client);
}

function report(run: Run, question: Question, tally: Tally, verdict: AnswersVerdict): void {
  const { a, b } = tally.last;
  // Another RCODE is reported already.
  if (a.rcode !== b.rcode) return;
  const seen = ({ records }: Answers): string => keysText([...records.keys()], question.type);
  if (verdict.kind === 'records') {
    const said = (response: ServerResponse): string => listText(response.answer, question.type);
    add(run, { kind: 'records', a: said(a), b: said(b) }, question, tally.client);
  } else if (verdict.kind === 'choices') {
    add(run, { kind: 'choices', a: seen(tally.a), b: seen(tally.b) }, question, tally.client);
  } else if (verdict.kind === 'open' && run.rare.length < MAX_RARE) {
    const only = [...tally.a.records, ...tally.b.records].filter(
      ([key]) => !tally.a.records.has(key) || !tally.b.records.has(key),
    );
    for (const [key, times] of only) {
      const server = tally.a.records.has(key) ? 'A' : 'B';
      run.rare.push(
        `${formatName(question.name)} ${typeText(question.type)}: only ${server} gave ${keyText(key, question.type)}, in ${times} of ${tally.a.count} answers`,
      );
    }
  }
}

function reportShares(run: Run, question: Question, tally: Tally): void {
  for (const key of differentShares(tally.a, tally.b)) {
    // A record that one server never gives is reported as such.
    if (!tally.a.records.has(key) || !tally.b.records.has(key)) continue;
    const said = ({ count, records }: Answers): string =>
      `${keyText(key, question.type)} in ${Math.round(((records.get(key) ?? 0) / count) * 100)} % of ${count} answers`;
    add(run, { kind: 'shares', a: said(tally.a), b: said(tally.b) }, question, tally.client);
  }
}

function add(run: Run, said: Said, { name, type }: Question, client: Client | undefined): void {
  if (run.ignored.has(said.kind)) return;
  const place = client && (client.place === '' ? client.text : `${client.text} (${client.place})`);
  run.findings.add(said, { name: formatName(name), type: typeText(type), client: place });
}
