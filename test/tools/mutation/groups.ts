/**
 * What `npm run mutation` changes, and which tests must notice. A group has the decisions of one subject, and the unit
 * tests about them.
 */
export type MutationGroup = {
  /** Files whose code is changed: all of it, or the functions listed. */
  readonly mutate: Readonly<Record<string, 'all' | readonly string[]>>;
  readonly tests: readonly string[];
  /** The share of random input that the tests take. */
  readonly trials: number;
};

export const GROUPS: Readonly<Record<string, MutationGroup>> = {
  hysteresis: {
    mutate: { 'health/hysteresis.ts': 'all', 'health/flapping.ts': 'all', 'health/flap-holds.ts': 'all' },
    tests: ['test/unit/health/flapping.test.ts', 'test/unit/health/hysteresis.test.ts'],
    trials: 0.1,
  },
  quorum: {
    mutate: {
      'fleet/count.ts': 'all',
      'fleet/choose-probers.ts': 'all',
      'fleet/judge-keys.ts': 'all',
      'fleet/member.ts': [
        ...['voteOf', 'isTooLate', 'ballotsOf', 'counts', 'countOf', 'recount', 'isSplit', 'recountAll'],
        ...['chooseAll', 'targetHash', 'seedsOf', 'choose', 'setProbing'],
      ],
    },
    tests: [
      'test/unit/fleet/choose-probers.test.ts',
      'test/unit/cli/serve/key-agreement.test.ts',
      'test/unit/fleet/member-count.test.ts',
      'test/unit/fleet/count.test.ts',
    ],
    trials: 0.05,
  },
  update: {
    mutate: {
      'zones/journal/process-update.ts': 'all',
      'zones/journal/record-set.ts': 'all',
      'zones/journal/zone-difference.ts': 'all',
      'zones/journal/journal-file.ts': 'all',
      'config/read-updates.ts': ['ruleIsFor', 'ruleCovers', 'matchesLabels'],
    },
    tests: [
      'test/unit/zones/journal/process-update.test.ts',
      'test/unit/zones/journal/record-set.test.ts',
      'test/unit/config/read-updates.test.ts',
      'test/unit/zones/journal/zone-history.test.ts',
      'test/unit/zones/journal/dynamic-records.test.ts',
      'test/unit/zones/journal/journal-file.test.ts',
    ],
    trials: 0.1,
  },
  denial: {
    mutate: {
      'server/answer/compact.ts': 'all',
      'server/answer/proofs.ts': ['beginProofs'],
      'zones/image/signed-rows.ts': 'all',
      'dnssec/rrsig.ts': ['nsecData', 'nextBelow'],
    },
    tests: [
      'test/unit/dnssec/denial.test.ts',
      'test/unit/zones/image/set-keys.test.ts',
      'test/unit/zones/image/signed-sets.test.ts',
      'test/unit/server/answer/signed-pitfalls.test.ts',
      'test/unit/server/answer/signed.test.ts',
    ],
    trials: 0.05,
  },
  // Without the layout of memory (plan, decision), the table of steps, and the words of explain.
  steering: {
    mutate: {
      'steering/candidates.ts': 'all',
      'steering/chain.ts': 'all',
      'steering/inner.ts': 'all',
      'steering/ordering.ts': 'all',
      'steering/program.ts': 'all',
      'steering/shed.ts': 'all',
      'steering/sticky-step.ts': 'all',
      'steering/weighted-step.ts': 'all',
    },
    // The comparisons with the reference take far longer.
    tests: [
      'test/unit/steering/decision-tables.test.ts',
      'test/unit/steering/step-parts.test.ts',
      'test/unit/steering/partial.test.ts',
      'test/unit/steering/nested.test.ts',
      'test/unit/steering/geo-values.test.ts',
    ],
    trials: 0.05,
  },
  places: {
    mutate: {
      'steering/failover-step.ts': 'all',
      'steering/geo-step.ts': 'all',
      'steering/latency-step.ts': 'all',
      'steering/nearest-step.ts': 'all',
      'steering/place.ts': 'all',
      'steering/random.ts': 'all',
    },
    tests: [
      'test/unit/steering/place.test.ts',
      'test/unit/steering/geo-values.test.ts',
      'test/unit/steering/geo-places.test.ts',
      'test/unit/steering/fairness.test.ts',
      'test/unit/steering/reference.test.ts',
    ],
    trials: 0.05,
  },
};
