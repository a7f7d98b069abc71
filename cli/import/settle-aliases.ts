/**
 * ALIASes of a draft that a zone file can have.
 */
import { formatName, nameKey, type Name } from '../../wire/name.ts';
import { TYPE, typeText } from '../../wire/types.ts';
import { note, type ZoneDraft } from './draft.ts';
import { answeredTypes, answersNames } from './inner-drafts.ts';

/** Leaves out aliases that a zone file cannot have, with a note. */
export function settleAliases(draft: ZoneDraft): void {
  for (const [key, { owner, target }] of draft.aliases) {
    const why = obstacleOf(draft, key, target);
    if (why === undefined) continue;
    draft.aliases.delete(key);
    note(draft, 'dropped', owner, `ALIAS ${formatName(target)}: ${why}`);
  }
}

function obstacleOf(draft: ZoneDraft, key: string, target: Name): string | undefined {
  const { owners, services } = draft;
  if (services.has(key)) return 'the name is a service';
  const { rrsets = [] } = owners.get(key) ?? {};
  const beside = rrsets.find(({ type }) => type === TYPE.A || type === TYPE.AAAA || type === TYPE.CNAME);
  if (beside) return `the name has ${typeText(beside.type)} records`;
  const way = wayOf(draft, target);
  if (way.includes(key)) return way.length === 1 ? 'it leads to itself' : 'it leads back to itself over other aliases';
  const service = services.get(way.at(-1) ?? '');
  const both = service && rrsets.find(({ type }) => answeredTypes(draft, service).has(type));
  if (both) return `it leads to a service with ${typeText(both.type)} records, which the name has too`;
  if (service && answersNames(draft, service)) return 'it leads to a service of CNAMEs; give addresses there';
  return undefined;
}

/** The keys of the names that a target leads to, over other aliases of the draft: each once. */
function wayOf({ aliases }: ZoneDraft, target: Name): readonly string[] {
  const way = new Set<string>();
  for (let key: string | undefined = nameKey(target); key !== undefined && !way.has(key);) {
    way.add(key);
    const next = aliases.get(key);
    key = next && nameKey(next.target);
  }
  return [...way];
}
