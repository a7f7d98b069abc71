/**
 * Latency reports of users' browsers: their source, and which of their times count (docs/latency.md#what-counts).
 */
import type { BeaconSettings, RegionSpec } from '../config/settings.ts';
import type { BeaconSamples } from '../geo/beacon-samples.ts';
import { clientPlace, impossible, regionPlace } from '../geo/fibre.ts';
import type { Location } from '../geo/location.ts';
import { inPrefix, isLoopback, parseAddress, type Prefix } from '../wire/address.ts';

/** Reasons to reject a time. */
export const THROWN = ['unknown_region', 'impossible', 'loopback', 'full'] as const;
export type Thrown = (typeof THROWN)[number];

/** Counts since the start; `networks` and `samples` are current numbers. */
export type BeaconStats = {
  readonly reports: number;
  readonly kept: number;
  readonly thrown: Readonly<Record<Thrown, number>>;
  readonly networks: number;
  readonly samples: number;
};

export type Beacon = {
  /** Undefined without a `beacon` section. */
  readonly settings: () => BeaconSettings | undefined;
  /** `times` in milliseconds by region. Returns how many of them count and how many do not. */
  readonly report: (source: Uint8Array, times: ReadonlyMap<string, number>) => { kept: number; thrown: number };
  readonly stats: () => BeaconStats;
};

/** The parts of the running server that the beacon uses. */
export type BeaconWorld = {
  readonly settings: () => BeaconSettings | undefined;
  /** The regions of pharos.yaml. */
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
    // From a proxy on this machine that is missing in `proxies`, or from a test by hand: not from a user.
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
 * The client address of a request: the peer of the connection or, if that is one of `proxies`, the last address in
 * X-Forwarded-For that is not one of them. Undefined if a proxy names no such address.
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
