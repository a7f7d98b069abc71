/**
 * What the health room has to know of a service to tell when the last answer that names a VIP expires.
 */
import type { AnswerTraits } from '../health/targets.ts';
import type { Catalog, ServiceInfo, VipInfo } from '../zones/catalog.ts';

/** By slot of the catalog. */
export function answerTraits(catalog: Catalog): readonly (AnswerTraits | undefined)[] {
  const traits: (AnswerTraits | undefined)[] = [];
  for (const service of catalog.services) {
    const vips = catalog.vips.slice(service.firstSlot, service.firstSlot + service.vipCount);
    const groups = confinements(catalog, service, vips);
    for (const vip of vips) {
      traits[vip.slot] = {
        types: typesOf(vip),
        minTtlSeconds: service.ttl.minSeconds,
        maxTtlSeconds: service.ttl.maxSeconds,
        groups: service.whenAllDown === 'serve_all' ? groups.filter((group) => group.has(vip.target)) : [],
      };
    }
  }
  return traits;
}

/**
 * Sets of VIPs that some client may have no way out of: all of the service, and where a map has a fence or no
 * `default`, or `failover` does not list every region, those that it leads to. With `when_all_down: serve_all` a set
 * of which every VIP is drained is answered with all the same.
 */
function confinements(
  catalog: Catalog,
  { steps }: ServiceInfo,
  vips: readonly VipInfo[],
): readonly ReadonlySet<string>[] {
  const inRegions = (regions: readonly string[]): readonly VipInfo[] =>
    vips.filter((vip) => regions.includes(catalog.regions[vip.region]?.name ?? ''));
  const sets: (readonly VipInfo[])[] = [vips];
  for (const step of steps) {
    if (step.kind === 'geo') {
      const fallback = step.fence ? undefined : step.map.find(({ key }) => key.kind === 'default');
      for (const { regions } of step.map) sets.push(inRegions([...regions, ...(fallback?.regions ?? [])]));
    } else if (step.kind === 'failover') {
      const regions = step.order.flatMap((entry) => (entry.kind === 'region' ? [entry.region] : []));
      const named = new Set(step.order.flatMap((entry) => (entry.kind === 'vip' ? [vips[entry.vip]] : [])));
      sets.push([...new Set([...inRegions(regions), ...vips.filter((vip) => named.has(vip))])]);
    }
  }
  const distinct = new Map(sets.map((set) => [set.map(({ slot }) => slot).join(), set]));
  return [...distinct.values()].map((set) => new Set(set.map(({ target }) => target)));
}

function typesOf(vip: VipInfo): AnswerTraits['types'] {
  return (['a', 'aaaa', 'cname'] as const).filter((type) => vip[type] !== undefined);
}
