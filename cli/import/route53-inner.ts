/**
 * Record sets that lead to services of the zone, as VIPs that are services: their TTLs, and notes about what differs.
 */
import { formatName, isWithin, nameKey, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { note, type ZoneDraft } from './draft.ts';
import { answeredTypes, hasHealth } from './inner-drafts.ts';
import { ALIAS_TTL_SECONDS } from './route53-alias.ts';
import type { RecordSet } from './route53-sets.ts';

/**
 * The TTL of each set, which a key of `geo` can have. Undefined if sets of one identifier have different ones, or
 * beside sets without a policy.
 */
export function ttlsBySet(
  draft: ZoneDraft,
  sets: readonly RecordSet[],
  simple: readonly RecordSet[],
): ReadonlyMap<string, number> | undefined {
  const ttl = ttlOf(draft, [...sets, ...simple]);
  const ttls = new Map<string, number>();
  for (const set of sets) {
    const { id } = set;
    const own = ownTtl(draft, set);
    if (own === undefined || !differs(draft, set, ttl)) continue;
    if (own !== (ttls.get(id) ?? own)) return undefined;
    ttls.set(id, own);
  }
  const isMixed = sets.some((set) => ttls.has(set.id) && !set.service && !differs(draft, set, ttl));
  return simple.length > 0 || isMixed ? undefined : ttls;
}

/** The TTL of a set's answers. An alias has that of its target. */
function ownTtl({ services }: ZoneDraft, { service, alias, ttlSeconds }: RecordSet): number | undefined {
  if (!service) return alias ? ALIAS_TTL_SECONDS : ttlSeconds;
  const ttl = services.get(nameKey(service.name))?.ttl;
  return typeof ttl === 'number' ? ttl : ttl?.max;
}

/**
 * The smallest TTL of sets with records. Of services the lower TTL counts, so that theirs matter only if there are no
 * others.
 */
export function ttlOf(draft: ZoneDraft, sets: readonly RecordSet[]): number {
  const plain = sets.filter(({ service }) => !service).flatMap((set) => ownTtl(draft, set) ?? []);
  if (plain.length > 0) return Math.min(...plain);
  const inner = sets.filter(({ service }) => service).flatMap((set) => ownTtl(draft, set) ?? []);
  return inner.length > 0 ? Math.max(...inner) : ALIAS_TTL_SECONDS;
}

/** Whether the answers of a set would get another TTL than they have. */
export function differs(draft: ZoneDraft, set: RecordSet, ttl: number): boolean {
  const own = ownTtl(draft, set) ?? ttl;
  return set.service ? own > ttl : own !== ttl;
}

/** Notes about sets that become CNAMEs. */
export function noteNames(draft: ZoneDraft, owner: Name, named: readonly RecordSet[]): void {
  const aliases = named.filter(({ alias, service }) => alias && !service);
  if (aliases.length === 0) return;
  note(draft, 'changed', owner, 'the aliases become CNAMEs, which resolvers follow');
  const ours = aliases.filter(({ alias, evaluatesTarget }) => evaluatesTarget && alias && isWithin(alias, draft.apex));
  if (ours.length === 0) return;
  const ids = [...new Set(ours.map(({ id }) => id))].join(', ');
  note(draft, 'changed', owner, `${ids}: names of this zone, which are chosen even if all of their VIPs are down`);
}

/** Notes about sets that become VIPs that are services: where these do not mean exactly the same. */
export function noteServices(draft: ZoneDraft, owner: Name, sets: readonly RecordSet[]): void {
  const nested = sets.flatMap((set) => {
    const service = set.service && draft.services.get(nameKey(set.service.name));
    return service ? [{ set, service }] : [];
  });
  const isChoice = new Set(sets.map(({ id }) => id)).size > 1;
  if (isChoice && nested.some(({ set, service }) => !set.evaluatesTarget && hasHealth(draft, service))) {
    const message =
      'EvaluateTargetHealth of an alias is false, but the health of its service counts here: while all VIPs of that service are down, another VIP is chosen';
    note(draft, 'changed', owner, message);
  }
  for (const { id, healthCheck } of nested.map(({ set }) => set)) {
    if (healthCheck === undefined) continue;
    const message = `the health check ${healthCheck} (${id}) is not kept: a VIP that is a service has the health of that service`;
    note(draft, 'changed', owner, message);
  }
  for (const service of new Set(nested.map((each) => each.service))) {
    const own = nested.filter((each) => each.service === service).map(({ set }) => set);
    const asked = new Set(own.map(({ type }) => type));
    const more = [...answeredTypes(draft, service)].filter((type) => !asked.has(type) && type !== TYPE.CNAME);
    const name = formatName(service.owner);
    if (more.length > 0) {
      const types = more.map((type) => typeText(type)).join(' and ');
      note(draft, 'changed', owner, `the alias of ${name} answers for ${types} too, which that service has`);
    }
    const idsOf = (type: number): string => JSON.stringify(own.filter((set) => set.type === type).map(({ id }) => id));
    if ([...asked].some((type) => idsOf(type) !== idsOf(own[0]?.type ?? type))) {
      note(
        draft,
        'changed',
        owner,
        `the A and AAAA aliases of ${name} differ: each of their VIPs counts for both types`,
      );
    }
  }
}
