/**
 * Collects differences: equal ones of several clients are one, and memory is bounded however many there are.
 */
import type { Said } from './judge.ts';

/** A difference between the servers A and B. */
export type Finding = Said & {
  readonly name: string;
  readonly type: string;
  /** How many clients see it; one of them, or undefined if the question had no client. */
  readonly clients: number;
  readonly client: string | undefined;
};

export type FoundDifferences = {
  readonly add: (
    said: Said,
    where: { readonly name: string; readonly type: string; readonly client: string | undefined },
  ) => void;
  readonly list: () => readonly Finding[];
  /** Differences that are counted only. */
  readonly hidden: () => number;
};

/** More than anybody reads. */
const MAX_FINDINGS = 20_000;

export function collectDifferences(): FoundDifferences {
  const found = new Map<string, { finding: Finding; clients: number }>();
  let hidden = 0;
  return {
    add: (said, where) => {
      // A name in other letters is the same name. Scopes differ from client to client: one of them is shown.
      const values = said.kind === 'scope' ? [] : [said.a, said.b];
      const key = JSON.stringify([said.kind, where.name.toLowerCase(), where.type, ...values]);
      const known = found.get(key);
      if (known) known.clients++;
      else if (found.size < MAX_FINDINGS) found.set(key, { finding: { ...said, ...where, clients: 1 }, clients: 1 });
      else hidden++;
    },
    list: () => [...found.values()].map(({ finding, clients }) => ({ ...finding, clients })),
    hidden: () => hidden,
  };
}
