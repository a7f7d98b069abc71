/**
 * Reads the record sets of `aws route53 list-resource-record-sets`: unescapes names and values, recognises policies.
 */
import type { Name } from '../../wire/name.ts';
import { typeNumber } from '../../wire/types.ts';
import { note, type ZoneDraft } from './draft.ts';
import { continentKey } from './geo-keys.ts';
import { fieldsOf, listOf, numberOf, textOf, wholeName, type Fields } from './values.ts';

/** The routing policy of a record set. `key` is a key of a `geo` step. */
export type Policy =
  | { readonly kind: 'simple' | 'multivalue' }
  | { readonly kind: 'weighted'; readonly weight: number }
  | { readonly kind: 'latency'; readonly region: string }
  | { readonly kind: 'geolocation'; readonly key: string }
  | { readonly kind: 'failover'; readonly primary: boolean }
  | { readonly kind: 'geoproximity'; readonly region: string; readonly at: string | undefined; readonly bias: number }
  | { readonly kind: 'cidr'; readonly collection: string; readonly location: string };

export type RecordSet = {
  readonly owner: Name;
  readonly type: number;
  /** Undefined for an alias, which has the TTL of its target. */
  readonly ttlSeconds: number | undefined;
  /** In presentation format. */
  readonly values: readonly string[];
  readonly alias: Name | undefined;
  /** The service of this zone that the alias leads to, for a VIP that is this service. */
  readonly service?: { readonly name: Name; readonly answersNames: boolean } | undefined;
  /** `SetIdentifier`. */
  readonly id: string;
  readonly policy: Policy;
  readonly healthCheck: string | undefined;
  /** `EvaluateTargetHealth` of an alias. */
  readonly evaluatesTarget: boolean;
  /** The traffic policy instance for which Route 53 made the set. */
  readonly instance: string | undefined;
};

/** Reads one set. Returns undefined and adds a note if it has no valid name or type. */
export function readSet(value: unknown, draft: ZoneDraft): RecordSet | undefined {
  const fields = fieldsOf(value);
  const name = textOf(fields['Name']) ?? '';
  const owner = wholeName(decimalEscapes(name));
  const typeName = textOf(fields['Type']) ?? '';
  const type = typeNumber(typeName);
  if (!owner || type === undefined) {
    note(
      draft,
      'dropped',
      undefined,
      `a record set without ${owner ? `a known type: ${typeName}` : `a name: ${name}`}`,
    );
    return undefined;
  }
  const target = fieldsOf(fields['AliasTarget']);
  const alias = textOf(target['DNSName']);
  return {
    owner,
    type,
    ttlSeconds: numberOf(fields['TTL']),
    values: listOf(fields['ResourceRecords']).flatMap((record) => {
      const text = textOf(fieldsOf(record)['Value']);
      return text === undefined ? [] : [decimalEscapes(text)];
    }),
    alias: alias === undefined ? undefined : wholeName(decimalEscapes(alias)),
    id: textOf(fields['SetIdentifier']) ?? '',
    policy: policyOf(fields),
    healthCheck: textOf(fields['HealthCheckId']),
    evaluatesTarget: textOf(target['EvaluateTargetHealth']) === 'true',
    instance: textOf(fields['TrafficPolicyInstanceId']),
  };
}

function policyOf(fields: Fields): Policy {
  const geo = fieldsOf(fields['GeoLocation']);
  const near = fieldsOf(fields['GeoProximityLocation']);
  const cidr = fieldsOf(fields['CidrRoutingConfig']);
  const region = textOf(fields['Region']);
  const failover = textOf(fields['Failover']);
  const weight = numberOf(fields['Weight']);
  if (weight !== undefined) return { kind: 'weighted', weight };
  if (region !== undefined) return { kind: 'latency', region };
  if (failover !== undefined) return { kind: 'failover', primary: failover === 'PRIMARY' };
  if (fields['MultiValueAnswer'] === true) return { kind: 'multivalue' };
  if (Object.keys(geo).length > 0) return { kind: 'geolocation', key: geoKey(geo) };
  if (Object.keys(near).length > 0) return proximityOf(near);
  if (Object.keys(cidr).length > 0) {
    const collection = textOf(cidr['CollectionId']) ?? '';
    return { kind: 'cidr', collection, location: textOf(cidr['LocationName']) ?? '*' };
  }
  return { kind: 'simple' };
}

/** The fields of a `GeoLocation` as a key of `geo`. */
export function geoKey(geo: Fields): string {
  const continent = textOf(geo['ContinentCode']);
  const country = textOf(geo['CountryCode']);
  const subdivision = textOf(geo['SubdivisionCode']);
  if (continent !== undefined) return continentKey(continent) ?? continent;
  if (country === '*' || country === undefined) return 'default';
  return subdivision === undefined ? country : `${country}-${subdivision}`;
}

/** The fields of a `GeoProximityLocation`. */
export function proximityOf(near: Fields): Policy {
  const coordinates = fieldsOf(near['Coordinates']);
  const latitude = textOf(coordinates['Latitude']);
  const longitude = textOf(coordinates['Longitude']);
  const at = latitude !== undefined && longitude !== undefined ? `${latitude},${longitude}` : undefined;
  const region = textOf(near['AWSRegion']) ?? textOf(near['LocalZoneGroup']) ?? '';
  const bias = Number(textOf(near['Bias']) ?? 0);
  return { kind: 'geoproximity', region, at, bias: Number.isInteger(bias) ? bias : 0 };
}

/** Route 53 escapes octets in octal, master files in decimal (RFC 1035 5.1). */
function decimalEscapes(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})|\\[^0-9]/g, (whole, octal: string | undefined) =>
    octal === undefined ? whole : `\\${String(parseInt(octal, 8)).padStart(3, '0')}`,
  );
}
