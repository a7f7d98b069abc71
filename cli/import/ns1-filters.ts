/**
 * Filter chains of NS1, as what a service can do.
 */
import { MAX_ANSWERS } from '../../wire/limits.ts';
import type { Name } from '../../wire/name.ts';
import { note, type ZoneDraft } from './draft.ts';
import { fieldsOf, numberOf, textOf, type Fields } from './values.ts';

/** What the filters of a chain use, and how many answers are left. `first`: undefined for all. */
export type Ns1Chain = {
  readonly usesUp: boolean;
  readonly usesPlaces: boolean;
  readonly usesDistance: boolean;
  readonly usesPriority: boolean;
  readonly usesWeights: boolean;
  readonly step: 'all' | 'weighted' | 'sticky';
  readonly first: number | undefined;
};

const PLACES: ReadonlySet<string> = new Set([
  ...['geotarget_country', 'geotarget_regional', 'geofence_country', 'geofence_regional'],
  ...['netfence_asn', 'netfence_prefix', 'ipv4_prefix_shuffle'],
]);
const ORDERS: ReadonlyMap<string, Ns1Chain['step']> = new Map([
  ['shuffle', 'weighted'],
  ['weighted_shuffle', 'weighted'],
  ['sticky', 'sticky'],
  ['weighted_sticky', 'sticky'],
  ['sticky_region', 'sticky'],
]);
const READ: ReadonlySet<string> = new Set([
  'up',
  'priority',
  'select_first_n',
  'select_first_region',
  'geotarget_latlong',
]);

/** Filters that have no equivalent become notes. */
export function ns1Chain(draft: ZoneDraft, owner: Name, filters: readonly Fields[]): Ns1Chain {
  const names = filters.map((each) => textOf(each['filter']) ?? '');
  for (const name of names) {
    if (name === 'ipv4_prefix_shuffle' || !(PLACES.has(name) || ORDERS.has(name) || READ.has(name))) {
      note(draft, 'changed', owner, `the filter ${name} has no equivalent: it is left out`);
    }
  }
  const order = names.flatMap((name) => ORDERS.get(name) ?? []).at(-1);
  if (order === 'sticky')
    note(draft, 'changed', owner, 'a sticky filter becomes sticky: a client may get another answer than it had');
  const select = filters.find((each) => textOf(each['filter']) === 'select_first_n');
  const first = select && (numberOf(fieldsOf(select['config'])['N']) ?? 1);
  if (first !== undefined && first > MAX_ANSWERS) {
    note(draft, 'changed', owner, `select_first_n ${first}: at most ${MAX_ANSWERS} are answered`);
  }
  const has = (name: string): boolean => names.includes(name);
  return {
    usesUp: has('up'),
    usesPlaces: names.some((name) => PLACES.has(name) && name !== 'ipv4_prefix_shuffle'),
    usesDistance: has('geotarget_latlong'),
    usesPriority: has('priority'),
    usesWeights: has('weighted_shuffle') || has('weighted_sticky'),
    step: order ?? 'all',
    first: first === undefined ? undefined : Math.max(1, Math.min(MAX_ANSWERS, first)),
  };
}
