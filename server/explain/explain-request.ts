/**
 * Explain: reads and validates a request of the command line or the API.
 */
import { centroidOf, continentOf, isCountry } from '../../geo/countries.ts';
import { getOr } from '../../geo/get-or.ts';
import { NOWHERE, type Location } from '../../geo/location.ts';
import { canonicalTarget } from '../../health/target-names.ts';
import type { ExplainRequest } from '../../steering/trace.ts';
import { networkOf, parseAddress, type Prefix } from '../../wire/address.ts';
import { NameError, parseName, ROOT, type Name } from '../../wire/name.ts';
import { typeNumber } from '../../wire/types.ts';
import type { Catalog } from '../../zones/catalog.ts';
import { unknownTarget } from '../../zones/read/suggest-targets.ts';
import type { ExplainedGeneration } from './explain-place.ts';

/** A valid request. */
export type Asked = {
  readonly name: Name;
  readonly type: number;
  /** An address alone is a network of one. */
  readonly client: Prefix | undefined;
  readonly resolver: Uint8Array | undefined;
  readonly place: Location | undefined;
  readonly down: ReadonlySet<number>;
};

/** `parameter` is the name of the invalid parameter. */
export type Refusal = { readonly parameter: string; readonly message: string };

/** The valid request, or its first error. */
export function readRequest(generation: ExplainedGeneration, request: ExplainRequest): Asked | Refusal {
  const type = typeNumber(request.type);
  if (type === undefined) return { parameter: 'type', message: `${request.type} is not a record type: try A or AAAA` };
  let name: Name;
  try {
    name = parseName(request.name, ROOT);
  } catch (error) {
    if (!(error instanceof NameError)) throw error;
    return { parameter: 'name', message: error.message };
  }
  const client = request.client === undefined ? undefined : readNetwork(request.client);
  if (request.client !== undefined && !client) {
    return { parameter: 'client', message: `${request.client} is not an address: write it like 192.0.2.1` };
  }
  const resolver = request.resolver === undefined ? undefined : readNetwork(request.resolver)?.bytes;
  if (request.resolver !== undefined && !resolver) {
    return { parameter: 'resolver', message: `${request.resolver} is not an address: write it like 192.0.2.1` };
  }
  const place = readPlace(request);
  if (place && 'message' in place) return place;
  const down = readDown(generation, request.down ?? []);
  if ('message' in down) return down;
  return { name, type, client, resolver, place, down };
}

/** An address or a network. Bits after the prefix are cleared, as dig does. */
function readNetwork(text: string): Prefix | undefined {
  const [, host = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(host);
  if (!address) return undefined;
  const bits = digits === undefined ? address.length * 8 : Number(digits);
  return bits > address.length * 8 ? undefined : networkOf(address, bits);
}

function readPlace({ country, at }: ExplainRequest): Location | Refusal | undefined {
  if (country === undefined && at === undefined) return undefined;
  const code = country?.toUpperCase() ?? '';
  if (country !== undefined && !isCountry(code)) {
    return { parameter: 'country', message: `${country} is not a country code: write two letters like KR` };
  }
  const match = at === undefined ? undefined : /^\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*$/.exec(at);
  const point = match ? { latitude: Number(match[1]), longitude: Number(match[2]) } : centroidOf(code);
  const isOnEarth = point && Math.abs(point.latitude) <= 90 && Math.abs(point.longitude) <= 180;
  if (at !== undefined && !(match && isOnEarth)) {
    return { parameter: 'at', message: `${at} is not a point: write degrees as LAT,LON, like 37.57,126.98` };
  }
  return {
    ...NOWHERE,
    country: code,
    continent: continentOf(code),
    latitude: point?.latitude ?? Number.NaN,
    longitude: point?.longitude ?? Number.NaN,
  };
}

/** The slots of targets. An unknown target is refused, with the nearest known one as a hint. */
export function readDown(
  { catalog }: Pick<ExplainedGeneration, 'catalog'>,
  targets: readonly string[],
): ReadonlySet<number> | Refusal {
  const down = new Set<number>();
  if (targets.length === 0) return down;
  const slotsOf = slotsByTarget(catalog);
  const seen = new Set<string>();
  for (const text of targets) {
    const wanted = canonicalTarget(text);
    if (seen.has(wanted)) continue;
    seen.add(wanted);
    const found = slotsOf.get(wanted);
    if (found === undefined) {
      const { detail, hint } = unknownTarget(catalog, text);
      return { parameter: 'down', message: `${detail}; ${hint}` };
    }
    for (const slot of found) down.add(slot);
  }
  return down;
}

type SlotsByTarget = ReadonlyMap<string, readonly number[]>;

/** Cached per catalog, because a request may have hundreds of targets and a catalog thousands of VIPs. */
const indexes = new WeakMap<Catalog, SlotsByTarget>();

/** Slots by target (docs/commands.md#targets): `www.example.com/seoul-a`, `www.example.com/@seoul`, `@seoul`. */
function slotsByTarget(catalog: Catalog): SlotsByTarget {
  const known = indexes.get(catalog);
  if (known !== undefined) return known;
  const slots = new Map<string, number[]>();
  for (const vip of catalog.vips) {
    const target = canonicalTarget(vip.target);
    getOr(slots, target, (): number[] => []).push(vip.slot);
    // VIPs without a region are in region '', which is not a target.
    const region = catalog.regions[vip.region]?.name ?? '';
    if (region === '') continue;
    getOr(slots, `@${region}`, (): number[] => []).push(vip.slot);
    getOr(slots, `${target.slice(0, target.lastIndexOf('/') + 1)}@${region}`, (): number[] => []).push(vip.slot);
  }
  indexes.set(catalog, slots);
  return slots;
}
