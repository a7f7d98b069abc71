/**
 * Reports of users' browsers: who sent them, and which of their times may count (SPEC 8).
 */
import type { BeaconSettings, RegionSpec } from '../config/settings.ts';
import type { BeaconSamples } from '../geo/beacon-samples.ts';
import { clientPlace, impossible, regionPlace } from '../geo/fibre.ts';
import type { Location } from '../geo/location.ts';
import { inPrefix, isLoopback, parseAddress, type Prefix } from '../wire/address.ts';

/** Why a time does not count. */
export const THROWN = ['unknown_region', 'impossible', 'loopback', 'full'] as const;
export type Thrown = (typeof THROWN)[number];

/** Since the start; `networks` and `samples` are what is kept now. */
export type BeaconStats = {
  readonly reports: number;
  readonly kept: number;
  readonly thrown: Readonly<Record<Thrown, number>>;
  readonly networks: number;
  readonly samples: number;
};

export type Beacon = {
  /** Undefined where nothing is measured. */
  readonly settings: () => BeaconSettings | undefined;
  /** How many of the times (ms by region) count. */
  readonly report: (source: Uint8Array, times: ReadonlyMap<string, number>) => { kept: number; thrown: number };
  readonly stats: () => BeaconStats;
};

/** What the beacon knows of the running server. */
export type BeaconWorld = {
  readonly settings: () => BeaconSettings | undefined;
  /** Those of pharos.yaml. */
  readonly regions: () => ReadonlyMap<string, RegionSpec>;
  readonly locate: (address: Uint8Array) => Location;
  readonly samples: BeaconSamples;
  /** Milliseconds since 1970. */
  readonly now: () => number;
};

export function createBeacon({ settings, regions, locate, samples, now }: BeaconWorld): Beacon {
  const thrown: Record<Thrown, number> = { unknown_region: 0, impossible: 0, loopback: 0, full: 0 };
  let reports = 0;
  let kept = 0;

  const report = (source: Uint8Array, times: ReadonlyMap<string, number>): number => {
    // A proxy on this machine that `proxies` does not name, or somebody who tries it out: nobody's user.
    if (isLoopback(source)) {
      thrown.loopback += times.size;
      return 0;
    }
    const urls = settings()?.urls;
    const known = new Map([...times].filter(([region]) => urls?.has(region)));
    thrown.unknown_region += times.size - known.size;
    const location = locate(source);
    const places = new Map(
      [...known.keys()].flatMap((region) => {
        const place = regionPlace(regions().get(region)?.at);
        return place ? [[region, place] as const] : [];
      }),
    );
    const lies = impossible(known, clientPlace(location), places);
    thrown.impossible += lies.size;
    for (const region of lies) known.delete(region);
    if (known.size === 0) return 0;
    if (samples.add({ address: source, country: location.country, asn: location.asn }, known, now())) return known.size;
    thrown.full += known.size;
    return 0;
  };

  return {
    settings,
    report(source, times) {
      reports++;
      const count = report(source, times);
      kept += count;
      return { kept: count, thrown: times.size - count };
    },
    stats: () => ({ reports, kept, thrown: { ...thrown }, ...samples.size() }),
  };
}

/**
 * The address that a request comes from: the connection's other end; where that is one of `proxies`, the last address
 * in X-Forwarded-For that is none of them. Undefined where a proxy names none.
 */
export function sourceOf(
  peer: string,
  forwardedFor: string | undefined,
  proxies: readonly Prefix[],
): Uint8Array | undefined {
  const isProxy = (address: Uint8Array): boolean => proxies.some((prefix) => inPrefix(address, prefix));
  let address = readAddress(peer);
  const hops = (forwardedFor ?? '').split(',').reverse();
  for (const hop of hops) {
    if (!address || !isProxy(address)) return address;
    address = readAddress(hop);
  }
  return address && isProxy(address) ? undefined : address;
}

/** A socket on :: shows IPv4 peers as mapped addresses (RFC 4291 2.5.5.2); some proxies write ports. */
function readAddress(text: string): Uint8Array | undefined {
  const plain = text.trim().replace(/^::ffff:(?=\d+\.)/i, '');
  return (
    parseAddress(plain) ?? parseAddress(plain.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1'))
  );
}
