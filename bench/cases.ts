/**
 * The questions of each case and the right answers. Every server gets the same packets; check-answers.ts compares a
 * sample of its answers with the expected ones before anything is timed.
 */
import { readFileSync } from 'node:fs';
import { Reader, type CountryResponse } from 'maxmind';
import type { Continent } from '../config/settings.ts';
import { continentOf } from '../geo/countries.ts';
import { bundledDatabasePath } from '../geo/geography.ts';
import { isPrivateAddress } from '../geo/private.ts';
import { type Pattern } from './load.ts';
import { encodeQuery, repeatable } from './packets.ts';
import { ECHO } from './peers/echo.ts';
import type { Transport } from './peers/peer.ts';
import {
  addressFor,
  CHAIN,
  CHAIN_WEIGHTS,
  CHAIN_WITHIN_MS,
  chainVips,
  DEFAULT_REGION,
  EVERYDAY,
  GEO,
  measuredLatencies,
  MILLION,
  REGIONS,
  SIGNED_GEO,
  SIGNED_WEIGHTED,
  STATIC,
  staticAddress,
  staticName,
  WEIGHTED,
  WEIGHTS,
  WORLD,
  type Zone,
} from './world.ts';

export type Question = {
  readonly packet: Buffer;
  /** Addresses, one of which is the right answer; none for NXDOMAIN. */
  readonly expected: readonly string[];
};

/**
 * Target of Pharos: a multiple of a peer's speed, a limit of user CPU per query, or both a rate and a CPU time per
 * query relative to the best of several peers.
 */
export type Target =
  | { readonly rival: string; readonly ratio: number }
  | { readonly userMicroseconds: number }
  | { readonly peers: readonly string[]; readonly rate: number; readonly cpu: number };

export type Case = {
  readonly name: string;
  readonly pattern: Pattern;
  /** Servers that are not asked with this pattern. */
  readonly without?: readonly string[];
  readonly about: string;
  /** The zones that servers are started with. Cases with the same list use the same servers. */
  readonly served: readonly Zone[];
  /** A server takes part if it serves all of these zones. */
  readonly zones: readonly Zone[];
  readonly transport: Transport;
  /** Shares of the expected addresses, if one of several is drawn. */
  readonly weights?: readonly number[];
  /** A client that asks again gets the same address, and a scope of at least the /24 that the draw uses. */
  readonly isSticky?: boolean;
  /** Queries have DO, and every answer has one signature. */
  readonly isSigned?: boolean;
  readonly targets: readonly Target[];
  /** Each call creates the same questions. */
  readonly questions: () => readonly Question[];
};

/** Questions in a case's file, which dnsperf repeats. */
const QUESTIONS = 100_000;
const SEED = 20_260;
const NEAR_THE_LIMIT: Target = { rival: ECHO, ratio: 0.9 };
const AS_FAST_AS_PEERS: Target = { peers: ['gdnsd', 'Knot', 'NSD'], rate: 1, cpu: 1.05 };

/** Resolvers use another port for each query, so many sockets are the usual case. */
const USUAL: Pattern = { sockets: 100, outstanding: 200 };
/** One connection, pipelined. */
const ONE: Pattern = { sockets: 1, outstanding: 200 };
const OTHER_PATTERNS: readonly Pattern[] = [ONE, { sockets: 4, outstanding: 200 }, { sockets: 100, outstanding: 1000 }];
/** Servers that are measured only in the usual pattern, because they take the longest. */
const ONLY_AS_USUAL = ['PowerDNS', 'dns2'];

type Questions = Omit<Case, 'pattern' | 'without'>;

/** The case once with the usual pattern, and once with each other one. */
function inAllPatterns(questions: Questions): Case[] {
  const others = OTHER_PATTERNS.map((pattern) => ({ ...questions, pattern, without: ONLY_AS_USUAL }));
  return [{ ...questions, pattern: USUAL }, ...others];
}

const OVER_UDP: readonly Questions[] = [
  {
    name: 'static',
    about: `A of one of ${STATIC.names.toLocaleString('en')} static names`,
    served: EVERYDAY,
    zones: [STATIC],
    transport: 'udp',
    targets: [AS_FAST_AS_PEERS, NEAR_THE_LIMIT],
    questions: () => generate(staticQuestions(STATIC)),
  },
  {
    name: 'weighted',
    about: `A of one name, a weighted draw from ${WEIGHTS.length} addresses`,
    served: EVERYDAY,
    zones: [WEIGHTED],
    transport: 'udp',
    weights: WEIGHTS.map(({ weight }) => weight),
    targets: [AS_FAST_AS_PEERS, NEAR_THE_LIMIT],
    questions: () => [
      { packet: encodeQuery(`www.${WEIGHTED.name}`, 'A'), expected: WEIGHTS.map(({ address }) => address) },
    ],
  },
  {
    name: 'geo',
    about: 'A of one name, by the country of a random client subnet /24 (ECS), over the full bundled database',
    served: EVERYDAY,
    zones: [GEO],
    transport: 'udp',
    targets: [AS_FAST_AS_PEERS, NEAR_THE_LIMIT, { userMicroseconds: 0.5 }],
    questions: () => generate(geoQuestions()),
  },
  {
    name: 'random',
    about: 'A of random names that do not exist (NXDOMAIN)',
    served: EVERYDAY,
    zones: [STATIC],
    transport: 'udp',
    targets: [AS_FAST_AS_PEERS, NEAR_THE_LIMIT],
    questions: () =>
      generate((random) => ({
        packet: encodeQuery(`x${random(2 ** 31).toString(36)}.${STATIC.name}`, 'A'),
        expected: [],
      })),
  },
  {
    name: 'mix',
    about: 'half static, half geo',
    served: EVERYDAY,
    zones: [STATIC, GEO],
    transport: 'udp',
    targets: [AS_FAST_AS_PEERS, NEAR_THE_LIMIT],
    questions: () => {
      const halves = [staticQuestions(STATIC), geoQuestions()] as const;
      return generate((random, index) => halves[index % 2 === 0 ? 0 : 1](random, index));
    },
  },
];

export const CASES: readonly Case[] = [
  ...OVER_UDP.flatMap(inAllPatterns),
  {
    name: 'tcp',
    pattern: ONE,
    about: 'static over one TCP connection, pipelined',
    served: EVERYDAY,
    zones: [STATIC],
    transport: 'tcp',
    targets: [],
    questions: () => generate(staticQuestions(STATIC)),
  },
  {
    name: 'tls',
    pattern: ONE,
    about: 'static over one TLS connection, pipelined',
    served: EVERYDAY,
    zones: [STATIC],
    transport: 'tls',
    targets: [],
    questions: () => generate(staticQuestions(STATIC)),
  },
  {
    name: 'chain',
    pattern: USUAL,
    about: 'A of one name, for a random client subnet /24 (ECS): latency, then geo, then sticky',
    served: [CHAIN],
    zones: [CHAIN],
    transport: 'udp',
    weights: CHAIN_WEIGHTS,
    isSticky: true,
    targets: [NEAR_THE_LIMIT],
    questions: () => generate(chainQuestions()),
  },
  {
    name: 'signed',
    pattern: USUAL,
    about: 'as geo, in a signed zone and with DO',
    served: [SIGNED_GEO, SIGNED_WEIGHTED],
    zones: [SIGNED_GEO],
    transport: 'udp',
    isSigned: true,
    targets: [{ rival: 'Knot', ratio: 1.2 }],
    questions: () => generate(geoQuestions(SIGNED_GEO.name, true)),
  },
  {
    name: 'signed-weighted',
    pattern: USUAL,
    about: 'as weighted, in a signed zone and with DO',
    served: [SIGNED_GEO, SIGNED_WEIGHTED],
    zones: [SIGNED_WEIGHTED],
    transport: 'udp',
    isSigned: true,
    weights: WEIGHTS.map(({ weight }) => weight),
    targets: [{ rival: 'PowerDNS', ratio: 10 }],
    questions: () => [
      {
        packet: encodeQuery(`www.${SIGNED_WEIGHTED.name}`, 'A', undefined, true),
        expected: WEIGHTS.map(({ address }) => address),
      },
    ],
  },
  {
    name: 'million',
    pattern: USUAL,
    about: `A of one of ${MILLION.names.toLocaleString('en')} static names`,
    served: [MILLION],
    zones: [MILLION],
    transport: 'udp',
    targets: [AS_FAST_AS_PEERS, NEAR_THE_LIMIT],
    questions: () => generate(staticQuestions(MILLION)),
  },
];

/** The case with this name, with its usual pattern. Throws Error for an unknown name. */
export function findCase(wanted: string): Case {
  const found = CASES.find(({ name }) => name === wanted);
  if (!found) throw new Error(`unknown case ${wanted}`);
  return found;
}

type Random = (bound: number) => number;
type Generator = (random: Random, index: number) => Question;

function generate(question: Generator): Question[] {
  const random = repeatable(SEED);
  return Array.from({ length: QUESTIONS }, (_, index) => question(random, index));
}

function staticQuestions(zone: { readonly name: string; readonly names: number }): Generator {
  return (random) => {
    const index = random(zone.names);
    return { packet: encodeQuery(`${staticName(index)}.${zone.name}`, 'A'), expected: [staticAddress(index)] };
  };
}

function geoQuestions(zone = GEO.name, dnssecOk = false): Generator {
  const nextClient = clients();
  return (random) => {
    const { subnet, country, continent } = nextClient(random);
    return { packet: encodeQuery(`www.${zone}`, 'A', subnet, dnssecOk), expected: [addressFor(country, continent)] };
  };
}

/**
 * The expected region by docs/steering.md: the regions that `latency` keeps, and of these the first one that the most
 * specific key of `geo` names.
 */
function chainQuestions(): Generator {
  const nextClient = clients();
  const measured = measuredLatencies();
  const regions = Object.keys(REGIONS);
  return (random) => {
    const { subnet, country, continent } = nextClient(random);
    const ms = measured.get(`${subnet[0]}.${subnet[1]}`) ?? measured.get(String(subnet[0])) ?? [];
    const slowest = Math.min(...ms) + CHAIN_WITHIN_MS;
    const quick = regions.filter((_, index) => (ms[index] ?? Infinity) <= slowest);
    const there = continent === '' ? undefined : WORLD[continent];
    const byCountry = there?.countries[country];
    const inOrder = [
      ...(byCountry === undefined ? [] : [byCountry, DEFAULT_REGION]),
      ...(there ? [there.region, DEFAULT_REGION] : []),
      ...regions,
    ];
    const region = inOrder.find((each) => quick.includes(each)) ?? '';
    return {
      packet: encodeQuery(`www.${CHAIN.name}`, 'A', subnet),
      expected: chainVips(region).map(({ address }) => address),
    };
  };
}

type Client = {
  readonly subnet: [number, number, number];
  readonly country: string;
  readonly continent: Continent | '';
};

/** Public IPv4 networks, each with its location by `maxmind`, which no server here uses to answer. */
function clients(): (random: Random) => Client {
  const reader = new Reader<CountryResponse & { country_code?: string }>(readFileSync(bundledDatabasePath()));
  return (random) => {
    let subnet: [number, number, number];
    do subnet = [1 + random(223), random(256), random(256)];
    while (isPrivateAddress(Uint8Array.from([...subnet, 0]), 4));
    const country = reader.get(`${subnet.join('.')}.0`)?.country_code ?? '';
    return { subnet, country, continent: continentOf(country) };
  };
}
