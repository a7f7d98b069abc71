/**
 * The verdict on a service, from the health table that answers use: how many of its VIPs are available per record type,
 * and what clients get if none is.
 */
import { isAvailable, isForcedOut, forcedOf, probedOf, FORCED, PROBED } from '../../health/health-table.ts';
import { isPartlyForcedOut, startCandidates } from '../../steering/candidates.ts';
import { DEGREE, type Steerer } from '../../steering/decision.ts';
import { HAS, SERVICE, serviceWord } from '../../steering/plan.ts';
import type { ServiceInfo, VipInfo } from '../../zones/catalog.ts';
import type { ExplainedGeneration } from '../explain/explain-place.ts';
import { createSide, hasStatic } from './expected-shares.ts';

export type ServiceVerdict =
  | { readonly kind: 'well' }
  /** `message` has one or two sentences: the problem, and what clients get now. */
  | { readonly kind: 'degraded' | 'down'; readonly message: string };

const WELL: ServiceVerdict = { kind: 'well' };

/** Maximum of VIPs that a message names. The message only counts the others. */
const MAX_NAMES = 5;

const TYPES = [
  { has: HAS.A, name: 'A' },
  { has: HAS.AAAA, name: 'AAAA' },
  { has: HAS.CNAME, name: 'CNAME' },
] as const;

/** Judges services of a generation, by number. `health` is its table, which each call reads again. */
export function createServiceJudge(
  generation: ExplainedGeneration,
  health: SharedArrayBuffer,
): (service: number) => ServiceVerdict {
  const { steerer } = createSide(generation, health);
  const { services, vips } = generation.catalog;
  return (service) => {
    const info = services[service];
    if (info === undefined) return WELL;
    const own = vips.slice(info.firstSlot, info.firstSlot + info.vipCount);
    return judge(steerer, service, info, own);
  };
}

function judge(steerer: Steerer, service: number, info: ServiceInfo, vips: readonly VipInfo[]): ServiceVerdict {
  const { states } = steerer.health;
  const wordOf = ({ slot }: VipInfo): number => states[slot] ?? 0;
  if (vips.every((vip) => isAvailable(wordOf(vip)) && !isForcedUp(wordOf(vip)))) return WELL;
  const has = serviceWord(steerer.plan.services, service, SERVICE.HAS);
  const types = TYPES.filter((type) => (has & type.has) !== 0);
  const out = types.filter((type) => countOf(steerer, service, type.has, DEGREE.AVAILABLE) === 0);
  const { name } = info;
  if (out.length > 0) {
    const which = out.length === types.length ? '' : ` with ${inWords(out)}`;
    const lost = vips.filter((vip) => out.some((type) => hasType(vip, type.has)));
    const why = whyOf(lost, wordOf, 'held back by min_healthy');
    return {
      kind: 'down',
      message: `No VIP of ${name}${which} is available (${why}). ${nowOf(steerer, service, info, out)}`,
    };
  }
  const wrong = vips.filter((vip) => isWrong(wordOf(vip)));
  const held = types.some(({ has: bit }) => isHeldBack(steerer, service, bit, vips, wordOf));
  if (wrong.length === 0 && !held) return WELL;
  const left = vips.filter((vip) => isAvailable(wordOf(vip))).length;
  const why = whyOf(vips, wordOf);
  const region = held ? ' A region with less than its min_healthy gets no clients.' : '';
  const count = `${String(left)} of ${String(vips.length)} VIPs of ${name}`;
  return { kind: 'degraded', message: `${count} are available (${why}).${region}` };
}

/** Down by probes or forced down. A drained VIP does not count, because an operator intended it. */
function isWrong(word: number): boolean {
  if (isForcedUp(word)) return true;
  return !isAvailable(word) && forcedOf(word) !== FORCED.DRAIN;
}

/** Forced up while its probes fail: it gets clients, and probably does not serve them. */
function isForcedUp(word: number): boolean {
  return forcedOf(word) === FORCED.UP && probedOf(word) === PROBED.DOWN;
}

/**
 * `down: seoul-a, seoul-b; drained: dublin-a`. `available`: the word for VIPs that are available; undefined leaves them
 * out.
 */
function whyOf(vips: readonly VipInfo[], wordOf: (vip: VipInfo) => number, available?: string): string {
  const groups = Map.groupBy(vips, (vip) => {
    const word = wordOf(vip);
    if (isForcedUp(word)) return 'forced up while its probes fail';
    if (isAvailable(word)) return available;
    if (!isForcedOut(word)) return 'down';
    return forcedOf(word) === FORCED.DRAIN ? 'drained' : 'forced down';
  });
  return [...groups]
    .flatMap(([state, those]) => {
      if (state === undefined) return [];
      const names = those.slice(0, MAX_NAMES).map(({ name }) => name);
      const more = those.length > MAX_NAMES ? ` and ${String(those.length - MAX_NAMES)} more` : '';
      return [`${state}: ${names.join(', ')}${more}`];
    })
    .join('; ');
}

/** Whether `min_healthy` excludes available VIPs. */
function isHeldBack(
  steerer: Steerer,
  service: number,
  has: number,
  vips: readonly VipInfo[],
  wordOf: (vip: VipInfo) => number,
): boolean {
  const available = vips.filter((vip) => hasType(vip, has) && isAvailable(wordOf(vip))).length;
  return countOf(steerer, service, has, DEGREE.AVAILABLE) < available;
}

function hasType({ a, aaaa, cname }: VipInfo, has: number): boolean {
  return (has === HAS.A ? a : has === HAS.AAAA ? aaaa : cname) !== undefined;
}

/** The number of candidates of a degree, including standbys. */
function countOf(steerer: Steerer, service: number, has: number, degree: number): number {
  startCandidates(steerer, service, has, degree, true);
  return steerer.decision.count;
}

/** What clients get if no VIP with these types is available: the effect of `when_all_down` (steering/chain.ts). */
function nowOf(
  steerer: Steerer,
  service: number,
  { whenAllDown }: ServiceInfo,
  types: readonly (typeof TYPES)[number][],
): string {
  const rule = `(when_all_down: ${whenAllDown})`;
  if (whenAllDown === 'none') return `Clients get no data ${rule}.`;
  if (whenAllDown === 'static') {
    const lacks = types.filter(({ has }) => !hasStatic(steerer, service, has));
    if (lacks.length === types.length) return 'Clients get no data: when_all_down has no such record.';
    const but = lacks.length === 0 ? '' : `; for ${inWords(lacks)} they get no data`;
    return `Clients get the static answer of when_all_down${but}.`;
  }
  if (types.some(({ has }) => countOf(steerer, service, has, DEGREE.NOT_FORCED) > 0)) {
    return isForcedOutAny(steerer, service)
      ? `Clients get the VIPs that are only down, as if they were up ${rule}.`
      : `Clients get all VIPs, as if they were up ${rule}.`;
  }
  if (isPartlyForcedOut(steerer, service)) return 'Clients get no data: VIPs that are drained or forced down stay out.';
  return `Clients get all VIPs, even those drained or forced down ${rule}.`;
}

function isForcedOutAny({ plan, health }: Steerer, service: number): boolean {
  const first = serviceWord(plan.services, service, SERVICE.FIRST_SLOT);
  const count = serviceWord(plan.services, service, SERVICE.VIP_COUNT);
  return health.states.subarray(first, first + count).some(isForcedOut);
}

/** `A`, `A and AAAA` */
function inWords(types: readonly { readonly name: string }[]): string {
  return types.map(({ name }) => name).join(' and ');
}
