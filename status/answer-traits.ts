/**
 * The properties of a service from which the health room computes when the last answer that names a VIP expires.
 */
import type { AnswerTraits } from '../health/target-names.ts';
import type { Catalog, VipInfo } from '../zones/catalog.ts';

/** Indexed by slot of the catalog. */
export function answerTraits(catalog: Catalog): readonly (AnswerTraits | undefined)[] {
  const traits: (AnswerTraits | undefined)[] = [];
  for (const service of catalog.services) {
    const vips = catalog.vips.slice(service.firstSlot, service.firstSlot + service.vipCount);
    for (const vip of vips) {
      traits[vip.slot] = {
        types: typesOf(vip),
        minTtlSeconds: service.ttl.minSeconds,
        maxTtlSeconds: service.ttl.maxSeconds,
        whenAllAreOut: service.whenAllDown === 'serve_all',
      };
    }
  }
  return traits;
}

function typesOf(vip: VipInfo): AnswerTraits['types'] {
  return (['a', 'aaaa', 'cname'] as const).filter((type) => vip[type] !== undefined);
}
