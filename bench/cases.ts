/**
 * What is asked, and what a right answer is. Every server gets the same packets, and a sample of its answers is held
 * against the expectation before anything is timed.
 */
import { readFileSync } from 'node:fs';
import { Reader, type CountryResponse } from 'maxmind';
import { continentOf } from '../geo/countries.ts';
import { bundledDatabasePath } from '../geo/geography.ts';
import { isPrivateAddress } from '../geo/private.ts';
import { encodeQuery, repeatable } from './packets.ts';
import { ask, type Seen } from './read-response.ts';
import {
  addressFor,
  GEO_ZONE,
  STATIC_NAMES,
  STATIC_ZONE,
  staticAddress,
  staticName,
  WEIGHTED_ZONE,
  WEIGHTS,
} from './world.ts';

export type Question = {
  readonly packet: Buffer;
  /** The only right address; undefined for NXDOMAIN, 'any' for a weighted draw. */
  readonly expected: string | undefined;
};

export type Case = {
  readonly name: string;
  readonly about: string;
  /** A server takes part when it has all of them. */
  readonly zones: readonly string[];
  /** Made anew by each call, and always the same. */
  questions(): readonly Question[];
};

/** Questions in a case's file, which dnsperf goes through again and again. */
const QUESTIONS = 100_000;
const SAMPLE = 400;
/** Draws of the weighted name, for its shares. */
const DRAWS = 2000;
const SEED = 20_260;

export const CASES: readonly Case[] = [
  {
    name: 'static',
    about: `A of one of ${STATIC_NAMES.toLocaleString('en')} static names`,
    zones: [STATIC_ZONE],
    questions: () => generate(staticQuestion),
  },
  {
    name: 'weighted',
    about: `A of one name, a weighted draw from ${WEIGHTS.length} addresses`,
    zones: [WEIGHTED_ZONE],
    questions: () => [{ packet: encodeQuery(`www.${WEIGHTED_ZONE}`, 'A'), expected: 'any' }],
  },
  {
    name: 'geo',
    about: 'A of one name, by the country of a random client subnet /24 (ECS), over the full bundled database',
    zones: [GEO_ZONE],
    questions: () => generate(geoQuestions()),
  },
  {
    name: 'random',
    about: 'A of random names that do not exist (NXDOMAIN)',
    zones: [STATIC_ZONE],
    questions: () =>
      generate((random) => ({
        packet: encodeQuery(`x${random(2 ** 31).toString(36)}.${STATIC_ZONE}`, 'A'),
        expected: undefined,
      })),
  },
  {
    name: 'mix',
    about: 'half static, half geo',
    zones: [STATIC_ZONE, GEO_ZONE],
    questions: () => {
      const geo = geoQuestions();
      return generate((random, index) => (index % 2 === 0 ? staticQuestion(random) : geo(random, index)));
    },
  },
];

type Generator = (random: (bound: number) => number, index: number) => Question;

function generate(question: Generator): Question[] {
  const random = repeatable(SEED);
  return Array.from({ length: QUESTIONS }, (_, index) => question(random, index));
}

function staticQuestion(random: (bound: number) => number): Question {
  const index = random(STATIC_NAMES);
  return { packet: encodeQuery(`${staticName(index)}.${STATIC_ZONE}`, 'A'), expected: staticAddress(index) };
}

/** Public IPv4 networks, each expected where `maxmind`, which no server here answers with, locates it. */
function geoQuestions(): Generator {
  const reader = new Reader<CountryResponse & { country_code?: string }>(readFileSync(bundledDatabasePath()));
  return (random) => {
    let subnet: [number, number, number];
    do subnet = [1 + random(223), random(256), random(256)];
    while (isPrivateAddress(Uint8Array.from([...subnet, 0]), 4));
    const country = reader.get(`${subnet.join('.')}.0`)?.country_code ?? '';
    return {
      packet: encodeQuery(`www.${GEO_ZONE}`, 'A', subnet),
      expected: addressFor(country, continentOf(country)),
    };
  };
}

/**
 * Holds a sample of a server's answers against what they must be. Throws with the first that is wrong.
 */
export async function checkAnswers(server: string, port: number, questions: readonly Question[]): Promise<void> {
  const draws = new Map<string, number>();
  const count = questions.length === 1 ? DRAWS : SAMPLE;
  const step = questions.length / count;
  for (let i = 0; i < count; i++) {
    const question = questions[Math.floor(i * step)];
    if (!question) continue;
    const seen = await ask(port, question.packet, 2000);
    const problem = wrong(seen, question.expected);
    if (problem !== undefined) {
      const what = `${server} answers ${question.packet.toString('hex')} with ${problem}`;
      throw new Error(`${what}, expected ${question.expected ?? 'NXDOMAIN'}`);
    }
    const [address = ''] = seen?.addresses ?? [];
    draws.set(address, (draws.get(address) ?? 0) + 1);
  }
  if (questions[0]?.expected === 'any') checkShares(server, draws, count);
}

function wrong(seen: Seen | undefined, expected: string | undefined): string | undefined {
  if (!seen) return 'silence';
  if (!seen.authoritative) return 'AA clear';
  if (expected === undefined) {
    return seen.rcode === 3 && seen.answers === 0 && seen.authorities === 1 ? undefined : `RCODE ${seen.rcode}`;
  }
  if (seen.rcode !== 0) return `RCODE ${seen.rcode}`;
  const [address, ...others] = seen.addresses;
  if (address === undefined || others.length > 0 || seen.answers !== 1) return `${seen.answers} records`;
  const right = expected === 'any' ? WEIGHTS.some((each) => each.address === address) : address === expected;
  return right ? undefined : address;
}

/** Five standard deviations of a binomial draw: wrong once in a million runs. */
function checkShares(server: string, draws: ReadonlyMap<string, number>, count: number): void {
  const total = WEIGHTS.reduce((sum, { weight }) => sum + weight, 0);
  for (const { address, weight } of WEIGHTS) {
    const share = weight / total;
    const tolerance = 5 * Math.sqrt(count * share * (1 - share));
    const got = draws.get(address) ?? 0;
    if (Math.abs(got - count * share) > tolerance) {
      throw new Error(
        `${server} gave ${address} ${got} times in ${count}, expected about ${Math.round(count * share)}`,
      );
    }
  }
}
