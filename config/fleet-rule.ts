/**
 * How a fleet decides on a check: the keys `quorum`, `probers`, `from` and `view` (docs/fleet.md#checks).
 */
import { choice, list, optional, scalar, text } from './fields.ts';
import { MAX_FLEET_NODES } from './limits.ts';
import { anyOf, pattern, type JsonSchema } from './schema.ts';
import { parseInteger, parseShare } from './units.ts';

/** How many regions must say that a target is down. */
export type Quorum =
  | { readonly kind: 'majority' | 'one' | 'all' }
  | { readonly kind: 'number'; readonly regions: number }
  /** A share, greater than 0 and at most 1. */
  | { readonly kind: 'share'; readonly share: number };

/** How many nodes of each region probe a target; undefined: all of a region of up to five, else three. */
export type Probers = number | 'all' | undefined;

/** The verdict that answers follow: that of the fleet, of the answering node's region, or of the node itself. */
export type FleetView = (typeof VIEWS)[number];
const VIEWS = ['fleet', 'region', 'own'] as const;

export type FleetRule = {
  readonly quorum: Quorum;
  readonly probers: Probers;
  /** Regions whose nodes probe; undefined: all. */
  readonly from: readonly string[] | undefined;
  readonly view: FleetView;
};

export const DEFAULT_FLEET_RULE: FleetRule = {
  quorum: { kind: 'majority' },
  probers: undefined,
  from: undefined,
  view: 'fleet',
};

const NODES: JsonSchema = { type: 'integer', minimum: 1, maximum: MAX_FLEET_NODES };

const quorum = scalar(
  'majority, one, all, a number of regions, or a share such as 18%',
  (value): Quorum | undefined => {
    if (value === 'majority' || value === 'one' || value === 'all') return { kind: value };
    if (value.endsWith('%')) {
      const share = parseShare(value);
      return share === undefined || share === 0 ? undefined : { kind: 'share', share };
    }
    const regions = parseInteger(value);
    return regions !== undefined && regions >= 1 && regions <= MAX_FLEET_NODES
      ? { kind: 'number', regions }
      : undefined;
  },
  {
    code: 'PH058',
    hint: 'majority is the default: more than half of the regions must agree',
    schema: anyOf({ enum: ['majority', 'one', 'all'] }, pattern(/^(?:100|\d{1,2}(?:\.\d+)?)\s*%$/), NODES),
  },
);

const probers = scalar(
  `all, or 1 to ${MAX_FLEET_NODES}`,
  (value): number | 'all' | undefined => {
    if (value === 'all') return value;
    const nodes = parseInteger(value);
    return nodes !== undefined && nodes >= 1 && nodes <= MAX_FLEET_NODES ? nodes : undefined;
  },
  {
    code: 'PH058',
    hint: 'how many nodes of each region probe a target; default: all of up to five, else 3',
    schema: anyOf({ const: 'all' }, NODES),
  },
);

export const fleetFields = {
  quorum: optional(quorum),
  probers: optional(probers),
  from: optional(list(text(), { min: 1, hint: 'regions whose nodes probe, such as [seoul, dublin]' })),
  view: optional(choice(VIEWS)),
};

/** The values that `fleetFields` read. */
export type FleetKeys = {
  readonly quorum: Quorum | undefined;
  readonly probers: number | 'all' | undefined;
  readonly from: FleetRule['from'];
  readonly view: FleetView | undefined;
};

/** The rule of a check that has one of the keys; undefined: it has none. */
export function fleetRuleOf(read: FleetKeys): FleetRule | undefined {
  const { quorum, probers, from, view } = read;
  if ([quorum, probers, from, view].every((value) => value === undefined)) return undefined;
  return {
    quorum: quorum ?? DEFAULT_FLEET_RULE.quorum,
    probers,
    from,
    view: view ?? DEFAULT_FLEET_RULE.view,
  };
}
