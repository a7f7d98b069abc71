/**
 * Alias records of Route 53, which have the addresses of something that AWS runs.
 */
import { formatName, type Name } from '../../wire/name.ts';
import { typeText } from '../../wire/types.ts';

/** What an alias of an AWS resource is answered with. */
export const ALIAS_TTL_SECONDS = 60;

/** Why an alias has no place, and what can be done. */
export function aliasMessage(type: number, alias: Name): string {
  const why = 'a CNAME cannot stand here, and Pharos does not look addresses up for an answer';
  return `${typeText(type)} alias of ${formatName(alias)}: ${why}; give the addresses, with a check`;
}
