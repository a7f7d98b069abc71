/**
 * Signs sets of VIPs that an answer needs and that were not signed when the zone was compiled: a service may have more
 * sets than are signed beforehand.
 */
import { ttlBounds } from '../steering/steps.ts';
import { canonical } from '../wire/name.ts';
import { TYPE } from '../wire/types.ts';
import { encodeRrset } from './image/encode-rrset.ts';
import { createBytes, createWords } from './image/growable.ts';
import type { World } from './load-generation.ts';
import { rdataOfType, type ServiceModel, type VipModel } from './read/model.ts';

/**
 * A set of VIPs, by their numbers within the service, and the service by its number in the generation's catalog.
 * `root`: the service at whose name it is, another one where a VIP is a service.
 */
export type SetWish = {
  readonly root: number;
  readonly service: number;
  readonly type: number;
  readonly vips: readonly number[];
};

/** RRSIG records as an RRset of the image. */
export type SignedWish = { readonly records: number; readonly wire: Uint8Array };

/** Undefined for each set that cannot be signed. */
export function signSets({ compiled, known }: World, wishes: readonly SetWish[]): readonly (SignedWish | undefined)[] {
  // In the order of the catalog's services.
  const zones = compiled.items.map((zone, index) => ({
    zone,
    services: known.readings.items[index]?.summary.services ?? [],
  }));
  return wishes.map(({ root, service, type, vips }) => {
    let first = 0;
    for (const { zone, services } of zones) {
      const owner = services[root - first]?.owner;
      const model = services[service - first];
      first += services.length;
      if (!owner || !model) continue;
      const rdata = rdataOf(model, type, vips);
      if (!zone.signer || rdata === undefined) return undefined;
      const set = { owner: canonical(owner), type, ttlSeconds: ttlBounds(model.ttl, model.steps).most, rdata };
      return encode(zone.signer.sign(set), set.ttlSeconds, zone.apex);
    }
    return undefined;
  });
}

/** The records of a type of these VIPs; undefined if one has none. */
function rdataOf({ vips: all }: ServiceModel, type: number, vips: readonly number[]): Uint8Array[] | undefined {
  const rdata: Uint8Array[] = [];
  for (const number of vips) {
    const own = all[number] && rdataOfVip(all[number], type);
    if (own === undefined || own.length === 0) return undefined;
    rdata.push(...own);
  }
  return rdata;
}

function rdataOfVip(vip: VipModel, type: number): readonly Uint8Array[] {
  const others = rdataOfType(vip, type);
  if (others.length > 0) return others;
  const data = type === TYPE.A ? vip.a : type === TYPE.AAAA ? vip.aaaa : type === TYPE.HTTPS || type === TYPE.SVCB ? vip.svcb : undefined; // prettier-ignore
  return data ? [data] : [];
}

function encode(signatures: readonly Uint8Array[], ttlSeconds: number, apex: Uint8Array): SignedWish | undefined {
  const tables = { rrsets: createWords(8), patches: createWords(8), bytes: createBytes(512) };
  if (encodeRrset(tables, TYPE.RRSIG, ttlSeconds, signatures, apex) === undefined) return undefined;
  return { records: signatures.length, wire: tables.bytes.array.slice(0, tables.bytes.length) };
}
