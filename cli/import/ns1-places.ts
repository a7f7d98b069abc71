/**
 * The places in the metadata of NS1, as keys of a `geo` step.
 */
import { isCountry } from '../../geo/countries.ts';
import { parsePrefix } from '../../wire/address.ts';
import type { Name } from '../../wire/name.ts';
import { note, type ZoneDraft } from './draft.ts';
import { US_REGIONS } from './us-regions.ts';
import { listOf, textOf, type Fields } from './values.ts';

const REGIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['AFRICA', ['africa']],
  ['ASIAPAC', ['asia', 'oceania']],
  ['EUROPE', ['europe']],
  ['SOUTH-AMERICA', ['south-america']],
  ...[...US_REGIONS].map(([name, states]): [string, readonly string[]] => [name.toUpperCase(), states]),
]);

/** The keys of an answer, the most specific first. Places that no key can express become notes. */
export function ns1Keys(draft: ZoneDraft, owner: Name, meta: Fields): readonly string[] {
  const textsOf = (key: string): readonly string[] =>
    listOf(meta[key])
      .flatMap((each) => textOf(each)?.split(',') ?? [])
      .map((text) => text.trim());
  const known = (key: string, isKey: boolean): readonly string[] => {
    if (!isKey) note(draft, 'dropped', owner, `${key}: not a key of geo`);
    return isKey ? [key] : [];
  };
  return [
    ...textsOf('ip_prefixes').flatMap((network) => known(network, parsePrefix(network) !== undefined)),
    ...textsOf('asn').flatMap((number) => known(`AS${number.replace(/^AS/i, '')}`, /^(?:AS)?\d+$/i.test(number))),
    ...textsOf('us_state').map((state) => `US-${state.toUpperCase()}`),
    ...textsOf('ca_province').map((province) => `CA-${province.toUpperCase()}`),
    ...textsOf('country').flatMap((country) => known(country.toUpperCase(), isCountry(country.toUpperCase()))),
    ...textsOf('georegion').flatMap((region) => REGIONS.get(region.toUpperCase()) ?? known(region, false)),
  ];
}
