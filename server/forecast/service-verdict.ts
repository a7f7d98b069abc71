/**
 * The verdict on a service, from the health table that answers use: how many of its VIPs are available per record type,
 * and what clients get if none is.
 */
import { isAvailable, isForcedOut, forcedOf, probedOf, FORCED, PROBED } from '../../health/health-table.ts';
import { areAllForcedOut, startCandidates } from '../../steering/candidates.ts';
import { DEGREE, type Steerer } from '../../steering/decision.ts';
import { EVERY_TYPE, counts, innerCounts } from '../../steering/inner.ts';
import { hasBits, HAS, SERVICE, serviceWord, VIP, vipWord } from '../../steering/plan.ts';
import type { ServiceInfo, VipInfo } from '../../zones/catalog.ts';
import type { ExplainedGeneration } from '../explain/explain-place.ts';
import { typeOfBit } from '../vip-data.ts';
import { createSide, hasStatic } from './expected-shares.ts';

export type ServiceVerdict =
  | { readonly kind: 'well' }
  /** `message` has one or two sentences: the problem, and what clients get now. */
  | { readonly kind: 'degraded' | 'down'; readonly message: string };

type IsUp = (vip: VipInfo) => boolean;

const WELL: ServiceVerdict = { kind: 'well' };

/** Maximum of VIPs that a message names. The message only counts the others. */
const MAX_NAMES = 5;

/** A type of a service's records. */
type TypeOfService = { readonly has: number; readonly name: string };

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

/**
 * Whether the services that VIPs lead to have a VIP that is available, of any type. True for a VIP with records. Each
 * call reads the table again.
 */
export function createInnerJudge(
  generation: ExplainedGeneration,
  health: SharedArrayBuffer,
): (vip: Pick<VipInfo, 'service' | 'slot'>) => boolean {
  const { steerer } = createSide(generation, health);
  return ({ service, slot }) => innerCounts(steerer, service, slot, EVERY_TYPE, DEGREE.AVAILABLE);
}

function judge(steerer: Steerer, service: number, info: ServiceInfo, vips: readonly VipInfo[]): ServiceVerdict {
  const { states } = steerer.health;
  const wordOf = ({ slot }: VipInfo): number => states[slot] ?? 0;
  const { plan } = steerer;
  // A VIP that is a service counts as up if it is for each type.
  const isUp: IsUp = (vip) =>
    isAvailable(wordOf(vip)) &&
    (vip.inner === undefined ||
      hasBits(plan, service).every(
        (has) => !hasType(steerer, vip, has) || counts(steerer, service, vip.slot, has, DEGREE.AVAILABLE),
      ));
  if (vips.every((vip) => isUp(vip) && !isForcedUp(wordOf(vip)))) return WELL;
  const types = hasBits(plan, service)
    // HTTPS and SVCB records that are made from VIPs are there as long as addresses.
    .filter((has) => has !== HAS.SVCB)
    .map((has): TypeOfService => ({ has, name: typeOfBit(plan, service, has) }));
  const out = types.filter((type) => countOf(steerer, service, type.has, DEGREE.AVAILABLE) === 0);
  const { name } = info;
  if (out.length > 0) {
    const which = out.length === types.length ? '' : ` with ${inWords(out)}`;
    const lost = vips.filter((vip) => out.some((type) => hasType(steerer, vip, type.has)));
    const why = whyOf(lost, wordOf, isUp, 'held back by min_healthy');
    return {
      kind: 'down',
      message: `No VIP of ${name}${which} is available (${why}). ${nowOf(steerer, service, info, out)}`,
    };
  }
  const wrong = vips.filter((vip) => isWrong(wordOf(vip), isUp(vip)));
  const held = types.some(({ has: bit }) => isHeldBack(steerer, service, bit, vips));
  if (wrong.length === 0 && !held) return WELL;
  const left = vips.filter(isUp).length;
  const why = whyOf(vips, wordOf, isUp);
  const region = held ? ' A region with less than its min_healthy gets no clients.' : '';
  const count = `${String(left)} of ${String(vips.length)} VIPs of ${name}`;
  return { kind: 'degraded', message: `${count} are available (${why}).${region}` };
}

/** Down by probes or forced down. A drained VIP does not count, because an operator intended it. */
function isWrong(word: number, isUp: boolean): boolean {
  if (isForcedUp(word)) return true;
  return !isUp && forcedOf(word) !== FORCED.DRAIN;
}

/** Forced up while its probes fail: it gets clients, and probably does not serve them. */
function isForcedUp(word: number): boolean {
  return forcedOf(word) === FORCED.UP && probedOf(word) === PROBED.DOWN;
}

/**
 * `down: seoul-a, seoul-b; drained: dublin-a`. `available`: the word for VIPs that are available; undefined leaves them
 * out.
 */
function whyOf(vips: readonly VipInfo[], wordOf: (vip: VipInfo) => number, isUp: IsUp, available?: string): string {
  const groups = Map.groupBy(vips, (vip) => {
    const word = wordOf(vip);
    if (isForcedUp(word)) return 'forced up while its probes fail';
    if (isUp(vip)) return available;
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
function isHeldBack(steerer: Steerer, service: number, has: number, vips: readonly VipInfo[]): boolean {
  const isUp: IsUp = (vip) => counts(steerer, service, vip.slot, has, DEGREE.AVAILABLE);
  const available = vips.filter((vip) => hasType(steerer, vip, has) && isUp(vip)).length;
  const count = countOf(steerer, service, has, DEGREE.AVAILABLE);
  // With `partial: serve_all`, VIPs that are down are among them.
  const up = [...steerer.decision.candidates.subarray(0, count)].filter((vip) => {
    const info = vips[vip];
    return info !== undefined && isUp(info);
  });
  return up.length < available;
}

function hasType({ plan }: Steerer, { slot }: VipInfo, has: number): boolean {
  return (vipWord(plan.vips, slot, VIP.HAS) & has) !== 0;
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
  types: readonly TypeOfService[],
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
  if (!areAllForcedOut(steerer, service)) return 'Clients get no data: VIPs that are drained or forced down stay out.';
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
