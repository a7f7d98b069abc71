/**
 * Services of a draft that are VIPs of other services of it: what they lead to.
 */
import { MAX_INNER_DEPTH, MAX_INNER_SERVICES, MAX_INNER_VIPS } from '../../wire/limits.ts';
import { nameKey, parseName } from '../../wire/name.ts';
import { TYPE } from '../../wire/types.ts';
import type { ServiceDraft, VipDraft, ZoneDraft } from './draft.ts';

/** The service that a VIP is. */
function innerOf({ services, apex }: ZoneDraft, { service }: VipDraft): ServiceDraft | undefined {
  return service === undefined ? undefined : services.get(nameKey(parseName(service, apex)));
}

/** Whether a service answers with CNAMEs: its VIPs have names, or are services that do. */
export function answersNames(draft: ZoneDraft, service: ServiceDraft): boolean {
  return allVips(draft, service).some(({ CNAME }) => CNAME !== undefined);
}

/** The types of its answers. */
export function answeredTypes(draft: ZoneDraft, service: ServiceDraft): ReadonlySet<number> {
  const types = new Set<number>();
  for (const { A, AAAA, CNAME, rrsets = [] } of allVips(draft, service)) {
    if (A !== undefined) types.add(TYPE.A);
    if (AAAA !== undefined) types.add(TYPE.AAAA);
    if (CNAME !== undefined) types.add(TYPE.CNAME);
    for (const { type } of rrsets) types.add(type);
  }
  return types;
}

/** Whether it can be down: a VIP that it leads to has a check, or needs one. */
export function hasHealth(draft: ZoneDraft, service: ServiceDraft): boolean {
  return reachedServices(draft, service).some(({ check, vips }) => {
    const isOwn = ({ check: own, comment }: VipDraft): boolean => own !== undefined || comment !== undefined;
    return check !== undefined || vips.some(isOwn);
  });
}

function allVips(draft: ZoneDraft, service: ServiceDraft): readonly VipDraft[] {
  return reachedServices(draft, service).flatMap(({ vips }) => vips);
}

/** The service and all that it leads to, each once. */
function reachedServices(draft: ZoneDraft, service: ServiceDraft): readonly ServiceDraft[] {
  const found = new Set([service]);
  // A set also iterates over what is added meanwhile.
  for (const { vips } of found) {
    for (const vip of vips) {
      const inner = innerOf(draft, vip);
      if (inner) found.add(inner);
    }
  }
  return [...found];
}

/** The services on the longest way to records, and the VIPs on all ways. The draft's services are within the limits. */
function extentOf(draft: ZoneDraft, { vips }: ServiceDraft): { readonly depth: number; readonly cost: number } {
  let [depth, cost] = [0, 0];
  for (const vip of vips) {
    cost++;
    const inner = innerOf(draft, vip);
    if (!inner) continue;
    const below = extentOf(draft, inner);
    depth = Math.max(depth, 1 + below.depth);
    cost += below.cost;
  }
  return { depth, cost };
}

/**
 * Returns a judge of the services that one service gets as VIPs, in turn. `ownVips`: its VIPs with records. The judge
 * returns the limit that one more of them would exceed (PH252).
 */
export function createNestingJudge(draft: ZoneDraft, ownVips: number): (inner: ServiceDraft) => string | undefined {
  let vips = ownVips;
  let reached = new Set<ServiceDraft>();
  return (inner) => {
    const { depth, cost } = extentOf(draft, inner);
    const services = new Set([...reached, ...reachedServices(draft, inner)]);
    if (depth + 1 > MAX_INNER_DEPTH) return `more than ${MAX_INNER_DEPTH} services would be on the way to the records`;
    if (vips + 1 + cost > MAX_INNER_VIPS) return `the service would lead to more than ${MAX_INNER_VIPS} VIPs`;
    if (services.size > MAX_INNER_SERVICES) return `the service would lead to more than ${MAX_INNER_SERVICES} services`;
    vips += 1 + cost;
    reached = services;
    return undefined;
  };
}
