/**
 * GeoDNS: the JSON files of its zones, such as `example.com.json`. A label with the name of a place behind it
 * (`www.europe`) has the answers for clients of that place.
 */
import { basename } from 'node:path';
import type { Report } from '../../config/diagnostics.ts';
import { isCountry } from '../../geo/countries.ts';
import { nameKey, type Name } from '../../wire/name.ts';
import { createDraft, note, type ZoneDraft } from './draft.ts';
import { addGeodnsLabel, type GeodnsZone, type LabelPlace } from './geodns-service.ts';
import { networkKey } from './lua-conditions.ts';
import { filesIn, readJson } from './read-documents.ts';
import { US_REGIONS } from './us-regions.ts';
import { fieldsOf, nameIn, numberOf, textOf, wholeName, type Fields } from './values.ts';

const DEFAULT_TTL_SECONDS = 120;
const DEFAULT_MAX_HOSTS = 2;
const MAX_ALIASES = 8;

type Zone = GeodnsZone & {
  readonly data: Fields;
  /** The kinds of places in `targeting`. */
  readonly kinds: ReadonlySet<string>;
};

/** Returns the zones of a file, or of a folder. `apex` selects one of several; of one file, it is the zone's name. */
export function fromGeodns(path: string, apex: Name | undefined, report: Report): ZoneDraft[] {
  const files = filesIn(path, /\.json$/);
  return files.flatMap((file) => {
    const written = basename(file).replace(/\.json$/, '');
    const named = written.includes('.') ? wholeName(written) : undefined;
    if (apex && files.length > 1 && (!named || nameKey(named) !== nameKey(apex))) return [];
    const zone = apex ?? named;
    if (!zone) {
      const hint = 'state the zone: --zone example.com';
      report.error('PH502', `the file name ${basename(file)} is not the name of a zone`, { file }, hint);
      return [];
    }
    const document = readJson(file, report, 'give the JSON file of a zone');
    if (!document) return [];
    const content = fieldsOf(document.content);
    if (typeof content['data'] !== 'object') {
      report.error('PH501', `${file} has no map "data"`, { file }, 'give the JSON file of a zone of GeoDNS');
      return [];
    }
    return [zoneDraft(zone, file, content)];
  });
}

function zoneDraft(apex: Name, file: string, content: Fields): ZoneDraft {
  const draft = createDraft(apex, `GeoDNS, ${file}`);
  const zone: Zone = {
    draft,
    data: fieldsOf(content['data']),
    ttlSeconds: numberOf(content['ttl']) ?? DEFAULT_TTL_SECONDS,
    maxHosts: numberOf(content['max_hosts']) ?? DEFAULT_MAX_HOSTS,
    isClosest: textOf(content['closest']) === 'true',
    kinds: new Set((textOf(content['targeting']) ?? '@ country continent').split(/\s+/)),
  };
  const contact = textOf(content['contact']);
  if (contact !== undefined) note(draft, 'changed', undefined, `the contact ${contact}: write it into soa`);
  if (!zone.kinds.has('@')) {
    note(
      draft,
      'changed',
      undefined,
      '"targeting" has no @: GeoDNS answers only in the places that labels name; here also elsewhere',
    );
  }
  for (const base of baseLabels(zone)) {
    const owner = base === '' ? apex : nameIn(base, apex);
    if (owner) addLabel(zone, owner, base);
    else note(draft, 'dropped', undefined, `${base}, which is not a domain name`);
  }
  return draft;
}

/** The labels without those of places. A place that `targeting` leaves out becomes a note. */
function baseLabels({ draft, data, kinds }: Zone): readonly string[] {
  const bases = new Set<string>();
  for (const label of Object.keys(data)) {
    const place = placeOf(label);
    // A name of one label may be a place of the apex, and is a name as well.
    if (!place || place.base === '') bases.add(label);
    else if (kinds.has(place.kind)) bases.add(place.base);
    else {
      bases.add(label);
      note(draft, 'changed', undefined, `${label} is a name only: "targeting" has no ${place.kind}`);
    }
  }
  return [...bases];
}

type Place = { readonly base: string; readonly kind: string; readonly keys: readonly string[] };

const CONTINENTS: ReadonlySet<string> = new Set([
  ...['africa', 'antarctica', 'asia', 'europe', 'north-america', 'oceania', 'south-america'],
]);

/** `www.europe`, `www.us-ca`, `www.as64500`, `www.[192.0.2.1]`. Undefined if the label does not end with a place. */
function placeOf(label: string): Place | undefined {
  const address = /^(?:(.*)\.)?\[([0-9a-f.:]+)\]$/i.exec(label);
  if (address) {
    const [, base = '', text = ''] = address;
    const bits = text.endsWith('.0') ? 24 : text.endsWith('::') ? 48 : text.includes(':') ? 128 : 32;
    return { base, kind: 'ip', keys: [networkKey(`${text}/${bits}`)] };
  }
  const [, base = '', word = ''] = /^(?:(.*)\.)?([^.]+)$/.exec(label.toLowerCase()) ?? [];
  const group = US_REGIONS.get(word);
  if (CONTINENTS.has(word)) return { base, kind: 'continent', keys: [word] };
  if (group !== undefined) return { base, kind: 'regiongroup', keys: group };
  if (/^as\d+$/.test(word)) return { base, kind: 'asn', keys: [word.toUpperCase()] };
  if (isCountry(word.toUpperCase())) return { base, kind: 'country', keys: [word.toUpperCase()] };
  if (/^[a-z]{2}-[a-z0-9]{1,3}$/.test(word) && isCountry(word.slice(0, 2).toUpperCase())) {
    return { base, kind: 'region', keys: [word.toUpperCase()] };
  }
  return undefined;
}

/** The data of a label, for a place if it has some there. An alias is followed. */
function dataOf({ data }: Zone, label: string, place = ''): Fields {
  let own = fieldsOf(place === '' ? data[label] : data[join(label, place)]);
  for (let hops = 0; hops < MAX_ALIASES; hops++) {
    const alias = textOf(own['alias']);
    if (alias === undefined) break;
    own = fieldsOf((place === '' ? undefined : data[join(alias, place)]) ?? data[alias]);
  }
  return own;
}

function join(base: string, place: string): string {
  return base === '' ? place : `${base}.${place}`;
}

/** The name whose places count: that of the alias, if the label is one. */
function aliased({ data }: Zone, label: string): string {
  let base = label;
  for (let hops = 0; hops < MAX_ALIASES; hops++) {
    const alias = textOf(fieldsOf(data[base])['alias']);
    if (alias === undefined) break;
    base = alias;
  }
  return base;
}

function addLabel(zone: Zone, owner: Name, label: string): void {
  const { draft, data } = zone;
  const base = aliased(zone, label);
  if (base !== label) note(draft, 'changed', owner, `the alias of ${base === '' ? '@' : base} becomes a copy of it`);
  const places = Object.keys(data).flatMap((each): (LabelPlace & { readonly rank: number })[] => {
    const place = placeOf(each);
    if (!place || place.base !== base || each === base || !zone.kinds.has(place.kind)) return [];
    const word = each.slice(base === '' ? 0 : base.length + 1);
    return [{ name: word.replace(/[[\]]/g, ''), keys: place.keys, data: dataOf(zone, base, word), rank: RANKS.indexOf(place.kind) }]; // prettier-ignore
  });
  addGeodnsLabel(zone, owner, dataOf(zone, label), places.toSorted((one, other) => one.rank - other.rank)); // prettier-ignore
}

/** The kinds of places as GeoDNS tries them. */
const RANKS: readonly string[] = ['ip', 'asn', 'region', 'regiongroup', 'country', 'continent'];
