/**
 * The properties of a service from which the health room computes when the last answer that names a VIP expires.
 */
import type { AnswerTraits } from '../health/target-names.ts';
import { ttlBounds } from '../steering/steps.ts';
import type { Catalog, VipInfo } from '../zones/catalog.ts';

/** Indexed by slot of the catalog. */
export function answerTraits(catalog: Catalog): readonly (AnswerTraits | undefined)[] {
  const traits: (AnswerTraits | undefined)[] = [];
  for (const service of catalog.services) {
    const vips = catalog.vips.slice(service.firstSlot, service.firstSlot + service.vipCount);
    const { most } = ttlBounds(service.ttl, service.steps);
    // A TTL of a key in place of a fixed one does not depend on what is known.
    const isFixed = service.ttl.minSeconds === service.ttl.maxSeconds;
    for (const vip of vips) {
      traits[vip.slot] = {
        types: typesOfVip(vip),
        minTtlSeconds: isFixed ? most : service.ttl.minSeconds,
        maxTtlSeconds: most,
        whenAllAreOut: service.whenAllDown === 'serve_all',
      };
    }
  }
  return traits;
}

/** The types of a VIP's records, without HTTPS and SVCB records that are made from its addresses. */
export function typesOfVip(vip: VipInfo): AnswerTraits['types'] {
  const own = ([['A', 'a'], ['AAAA', 'aaaa'], ['CNAME', 'cname']] as const).filter(([, key]) => vip[key] !== undefined); // prettier-ignore
  return [...own.map(([type]) => type), ...(vip.records ?? []).map(({ type }) => type)];
}
