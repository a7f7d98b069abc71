/**
 * Where Pharos, NSD and Knot differ, and how Pharos behaves: every rule is a line of docs/conformance.md with the same
 * name. A rule removes one named difference and nothing else; the rest must be equal.
 */
import {
  dataOf,
  parentOf,
  zoneOf,
  isBelowCut,
  chainOf,
  without,
  isSubset,
  setsOf,
  behindLinks,
  type Places,
} from './places.ts';
import { sameRecords, type Seen, type SeenRecord } from './seen.ts';

export type Three = { ours: Seen; nsd: Seen; knot: Seen };

/** What a rule may examine beside the responses. */
export type Asked = Places & {
  /** Canonical wire form. */
  readonly name: string;
  readonly type: number;
  readonly dnssecOk: boolean;
  /** Limit of a response in octets. */
  readonly limit: number;
};

type Rule = {
  readonly name: string;
  /** Removes its difference, and returns whether there was one. */
  readonly settle: (three: Three, asked: Asked) => boolean;
};

const NS = 2;
const CNAME = 5;
const SOA = 6;
const DNAME = 39;
const DS = 43;
const NXDOMAIN = 3;
const YXDOMAIN = 6;
const A = 1;
const AAAA = 28;
const NSEC = 47;
const SVCB: ReadonlySet<number> = new Set([64, 65]);
const ANY = 255;
/** The label of a wildcard, in wire form. */
const STAR = '\x01*';
/** The number of CNAMEs that Knot 3.2 follows. */
const KNOT_LINKS = 5;

/** The order matters: each rule sees what earlier rules left. */
export const RULES: readonly Rule[] = [
  {
    name: 'nsd-apex-ns',
    settle: ({ ours, nsd }, { apexes }) => {
      if (nsd.answer.length === 0 || ours.authority.length > 0) return false;
      const unasked = nsd.authority.filter((record) => record.type === NS && apexes.has(record.name));
      if (unasked.length === 0) return false;
      nsd.authority = without(nsd.authority, (record) => unasked.includes(record));
      const targets = new Set(unasked.map(dataOf));
      nsd.additional = without(
        nsd.additional,
        (record) => targets.has(record.name) && !ours.additional.some(({ key }) => key === record.key),
      );
      return true;
    },
  },
  {
    name: 'ds-with-do',
    settle: ({ ours, nsd }, { dnssecOk }) => {
      const isReferral = ours.authority.some(({ type }) => type === NS);
      if (!dnssecOk || !isReferral || nsd.authority.some(({ type }) => type === DS)) return false;
      const left = without(ours.authority, ({ type }) => type === DS);
      if (left === ours.authority) return false;
      ours.authority = left;
      return true;
    },
  },
  {
    name: 'repeated-links',
    settle: ({ nsd, knot }) => {
      let settled = false;
      for (const other of [nsd, knot]) {
        const distinct = other.answer.filter(
          ({ key, type }, i) => (type !== CNAME && type !== DNAME) || key !== other.answer[i - 1]?.key,
        );
        settled ||= distinct.length < other.answer.length;
        other.answer = distinct;
      }
      return settled;
    },
  },
  {
    name: 'nsd-one-tree',
    settle: (three, asked) => {
      const { ours, nsd, knot } = three;
      const isNear = chainOf(asked, ours.answer).some((name) => {
        for (let at = name; at.length > 1 && !asked.apexes.has(at); at = parentOf(at))
          if (asked.occluded.has(at) || asked.occluded.has(STAR + parentOf(at))) return true;
        return false;
      });
      if (!isNear || sameSeen(ours, nsd)) return false;
      three.nsd = { ...(sameSeen(ours, knot) ? knot : ours) };
      return true;
    },
  },
  {
    name: 'knot-short-chains',
    settle: (three) => {
      const { nsd, knot } = three;
      const links = knot.answer.filter(({ type }) => type === CNAME).length;
      if (links !== KNOT_LINKS || knot.answer.length >= nsd.answer.length) return false;
      if (knot.rcode !== 0 || knot.authority.length > 0 || !isSubset(knot.answer, nsd.answer)) return false;
      three.knot = { ...nsd };
      return true;
    },
  },
  {
    name: 'knot-stays-in-zone',
    settle: (three, asked) => {
      const { nsd, knot } = three;
      const chain = chainOf(asked, knot.answer);
      const start = zoneOf(asked.name, asked.apexes);
      const last = chain.at(-1) ?? '';
      // RFC 4035 3.1.4.1: DS belongs to the parent zone.
      const parents = asked.type === DS && asked.apexes.has(last) ? zoneOf(parentOf(last), asked.apexes) : '';
      const end = parents === '' ? zoneOf(last, asked.apexes) : parents;
      if (chain.length < 2 || start === end || end === '' || knot.rcode !== 0) return false;
      // If the other zone is below its own, Knot returns a referral.
      if (
        !knot.authority.every(
          ({ type, name }) => (type === NS && asked.apexes.has(name)) || (parents !== '' && name === last),
        )
      )
        return false;
      three.knot = { ...nsd };
      return true;
    },
  },
  {
    name: 'knot-drops-soa',
    settle: ({ nsd, knot }, { limit }) => {
      if (knot.authority.length > 0 || nsd.authority.length !== 1 || nsd.authority[0]?.type !== SOA) return false;
      if (knot.length + nsd.authority[0].key.length < limit || knot.rcode !== nsd.rcode) return false;
      knot.authority = nsd.authority;
      return true;
    },
  },
  {
    name: 'knot-nsec-at-cname',
    settle: (three, asked) => {
      const { nsd, knot } = three;
      const end = chainOf(asked, knot.answer).at(-1);
      if (asked.type !== NSEC || !nsd.answer.some(({ type, name }) => type === CNAME && name === end)) return false;
      three.knot = { ...nsd };
      return true;
    },
  },
  {
    name: 'knot-more-with-yxdomain',
    settle: (three) => {
      const { nsd, knot } = three;
      const isKnots = knot.rcode === YXDOMAIN || knot.rcode === NXDOMAIN;
      if (!isKnots || nsd.rcode !== YXDOMAIN || !isSubset(nsd.answer, knot.answer)) return false;
      three.knot = { ...nsd };
      return true;
    },
  },
  {
    name: 'no-glue-from-wildcards',
    settle: ({ ours, nsd, knot }, { owners, cuts, apexes }) => {
      const isSynthesized = ({ name }: SeenRecord): boolean => !owners.has(name) && isBelowCut(name, cuts, apexes);
      let settled = false;
      for (const other of [nsd, knot]) {
        const left = without(
          other.additional,
          (record) => isSynthesized(record) && !ours.additional.some(({ key }) => key === record.key),
        );
        settled ||= left !== other.additional;
        other.additional = left;
      }
      return settled;
    },
  },
  {
    name: 'any-one-rrset',
    settle: ({ ours, nsd, knot }, { type }) => {
      if (type !== ANY) return false;
      for (const other of [nsd, knot]) {
        if (setsOf(behindLinks(other)) !== setsOf(behindLinks(ours)) || setsOf(behindLinks(ours)) !== 1) return false;
        if (behindLinks(other)[0]?.name !== behindLinks(ours)[0]?.name) return false;
        const links = other.answer.filter((record) => !behindLinks(other).includes(record));
        other.answer = [...links, ...behindLinks(ours)].sort((a, b) => (a.key < b.key ? -1 : 1));
        other.additional = ours.additional;
      }
      return true;
    },
  },
  {
    name: 'additional-of-svcb',
    settle: ({ ours, nsd, knot }) => {
      const bindings = ours.answer.filter(({ type }) => SVCB.has(type));
      if (bindings.length === 0) return false;
      // The owner too, which a target of "." means.
      const named = bindings.map((record) => dataOf(record).slice(2) + record.name).join();
      const isOfTarget = (type: number): boolean => type === A || type === AAAA || SVCB.has(type);
      if (!ours.additional.every(({ name, type }) => isOfTarget(type) && named.includes(name))) return false;
      for (const other of [nsd, knot]) other.additional = ours.additional;
      return true;
    },
  },
  {
    name: 'dname-that-grows',
    settle: (three) => {
      const { ours, nsd, knot } = three;
      const isAgain = ours.answer.some(
        (dname) =>
          dname.type === DNAME &&
          ours.answer.some(
            (link) => link.type === CNAME && dataOf(link) !== dname.name && dataOf(link).endsWith(dname.name),
          ),
      );
      if (!isAgain || !isSubset(nsd.answer, ours.answer) || !isSubset(knot.answer, ours.answer)) return false;
      three.nsd = { ...ours };
      three.knot = { ...ours };
      return true;
    },
  },
  {
    name: 'nsd-large-additional',
    settle: ({ ours, nsd, knot }, { limit }) => {
      const isOverTcp = limit === 0xffff;
      if (!isOverTcp || ours.length <= 1232 || !sameRecords(ours.additional, knot.additional)) return false;
      if (sameRecords(nsd.additional, ours.additional) || !isSubset(nsd.additional, ours.additional)) return false;
      nsd.additional = ours.additional;
      return true;
    },
  },
  {
    name: 'nsd-additional-across-zones',
    settle: ({ ours, nsd, knot }, asked) => {
      const chain = chainOf(asked, ours.answer);
      if (zoneOf(asked.name, asked.apexes) === zoneOf(chain.at(-1) ?? '', asked.apexes)) return false;
      const extra = ours.additional.filter(({ key }) => !nsd.additional.some((record) => record.key === key));
      if (
        extra.length === 0 ||
        !extra.every(({ name, type }) => (type === A || type === AAAA) && asked.owners.has(name))
      ) {
        return false;
      }
      for (const other of [nsd, knot]) other.additional = ours.additional;
      return true;
    },
  },
  {
    name: 'additional-of-answers',
    settle: (three) => {
      const { ours, nsd, knot } = three;
      if (ours.answer.length === 0) return false;
      if (sameRecords(ours.additional, nsd.additional) && sameRecords(ours.additional, knot.additional)) return false;
      const both = nsd.additional.filter(({ key }) => knot.additional.some((record) => record.key === key));
      if (!isSubset(both, ours.additional) || !isSubset(ours.additional, [...nsd.additional, ...knot.additional]))
        return false;
      nsd.additional = ours.additional;
      knot.additional = ours.additional;
      return true;
    },
  },
];

export type Verdict = 'same' | 'truncated' | 'different';

/** Compares after the rules; `used` counts them. */
export function judge(three: Three, asked: Asked, used: Map<string, number>): Verdict {
  if (three.ours.tc || three.nsd.tc || three.knot.tc) return 'truncated';
  if (isSame(three)) return 'same';
  for (const { name, settle } of RULES) {
    if (!settle(three, asked)) continue;
    used.set(name, (used.get(name) ?? 0) + 1);
    if (isSame(three)) return 'same';
  }
  // Available room decides about the additional section; over TCP there is room for all.
  const { ours, nsd, knot } = three;
  const isShort = [nsd, knot].every((other) => sameSeen({ ...ours, additional: [] }, { ...other, additional: [] }));
  if (isShort && asked.limit < 0xffff && ours.answer.length > 0) return 'truncated';
  return 'different';
}

function isSame({ ours, nsd, knot }: Three): boolean {
  return sameSeen(ours, nsd) && sameSeen(ours, knot);
}

function sameSeen(a: Seen, b: Seen): boolean {
  return (
    a.flags === b.flags &&
    a.rcode === b.rcode &&
    a.edns === b.edns &&
    a.question === b.question &&
    sameRecords(a.answer, b.answer) &&
    sameRecords(a.authority, b.authority) &&
    sameRecords(a.additional, b.additional)
  );
}
