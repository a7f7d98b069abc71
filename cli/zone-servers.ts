/**
 * Asks the name servers of a zone whether they have a key.
 */
import { messageOf } from '../config/unknown-values.ts';
import type { ZoneKey } from '../dnssec/key-files.ts';
import { formatEndpoint, type Endpoint } from '../wire/address.ts';
import { formatRdata } from '../wire/rdata.ts';
import { TYPE, typeText } from '../wire/types.ts';
import { askDns } from './ask-dns.ts';
import { wordFor, type SignedZone } from './signed-zone.ts';

/**
 * Why a name server of the zone cannot be said to have the DNSKEY of a key; undefined if all have it. Asks the
 * secondaries in `transfer.notify`, and `more`.
 */
export async function lackingKey(
  zone: SignedZone,
  key: ZoneKey,
  more: readonly Endpoint[],
): Promise<string | undefined> {
  const endpoints = [...zone.secondaries, ...more];
  const found = await Promise.all(endpoints.map((endpoint) => lackingAt(zone, key, endpoint)));
  return found.find((each) => each !== undefined);
}

async function lackingAt(zone: SignedZone, key: ZoneKey, endpoint: Endpoint): Promise<string | undefined> {
  const wanted = formatRdata(TYPE.DNSKEY, key.dnskey);
  try {
    const { answer } = await askDns(endpoint, { name: zone.apex, type: TYPE.DNSKEY });
    if (answer.some(({ type, data }) => type === typeText(TYPE.DNSKEY) && data === wanted)) return undefined;
    const { answer: soa } = await askDns(endpoint, { name: zone.apex, type: TYPE.SOA });
    const serial = soa[0]?.data.split(' ')[2];
    const has = serial === undefined ? 'does not serve the zone' : `does not have key ${wordFor(zone, key)} at its serial ${serial}`; // prettier-ignore
    return `${formatEndpoint(endpoint)} ${has}`;
  } catch (error) {
    return messageOf(error);
  }
}
