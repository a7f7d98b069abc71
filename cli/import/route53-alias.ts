/**
 * Alias records of Route 53, which return the addresses of an AWS resource.
 */
import { formatName, type Name } from '../../wire/name.ts';
import { typeText } from '../../wire/types.ts';

/** The TTL with which Route 53 answers for an alias of an AWS resource. */
export const ALIAS_TTL_SECONDS = 60;

/** The note for an alias that cannot be imported: the reason, and the remedy. */
export function aliasMessage(type: number, alias: Name): string {
  const why = 'a CNAME is not allowed here, and a VIP has addresses, which Pharos does not look up';
  return `${typeText(type)} alias of ${formatName(alias)}: ${why}; give the addresses, with a check`;
}
