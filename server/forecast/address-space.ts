/**
 * The number of addresses in each class of the atlas (geo/atlas.ts), by which simulate and diff weigh clients.
 */
import { viewAtlas } from '../../geo/atlas-view.ts';
import { atlasWord, lookupClass } from '../../geo/find-class.ts';
import type { Location } from '../../geo/location.ts';

/** Addresses in class `before` of one atlas and class `after` of another. */
export type JointClass = {
  readonly before: number;
  readonly after: number;
  /** IPv4 addresses. */
  v4: number;
  /** Whether they include IPv6 addresses. */
  v6: boolean;
};

/** More than the classes of any atlas, whose numbers are below 2^26. */
const PAIR = 2 ** 26;

/**
 * Divides the address space by two atlases at once; both are in shared memory in the layout of packed-atlas.ts. Given
 * the same atlas twice, it returns its classes. Time is proportional to the nodes of both.
 */
export function joinAtlases(before: SharedArrayBuffer, after: SharedArrayBuffer): JointClass[] {
  const [a, b] = [viewAtlas(before), viewAtlas(after)];
  const found = new Map<number, JointClass>();
  const walk = (aCode: number, bCode: number, v4: number): void => {
    if (aCode < 0 && bCode < 0) {
      const key = ~aCode * PAIR + ~bCode;
      const known = found.get(key);
      if (known === undefined) {
        found.set(key, { before: ~aCode, after: ~bCode, v4, v6: v4 === 0 });
        return;
      }
      known.v4 += v4;
      known.v6 ||= v4 === 0;
      return;
    }
    for (let bit = 0; bit < 2; bit++) {
      const aNext = aCode < 0 ? aCode : atlasWord(a.nodes, aCode, bit);
      const bNext = bCode < 0 ? bCode : atlasWord(b.nodes, bCode, bit);
      walk(aNext, bNext, v4 / 2);
    }
  };
  walk(a.v4Root, b.v4Root, 2 ** 32);
  walk(a.v6Root, b.v6Root, 0);
  return [...found.values()];
}

/** `sketchAtlas` looks at one address per this many. */
const SKETCH_STEP = 2 ** 16;

/**
 * An estimate of the IPv4 classes of an atlas, from one address per /16. It takes about 10 ms, where joinAtlases takes
 * a sixth of a second. Most classes smaller than a /16 are missing.
 */
export function sketchAtlas(atlas: SharedArrayBuffer): JointClass[] {
  const { nodes, v4Root } = viewAtlas(atlas);
  const found = new Map<number, JointClass>();
  for (let high = 0; high < 2 ** 32 / SKETCH_STEP; high++) {
    // A random address, because the start of a block is often not typical of it.
    const low = Math.imul(high, 0x9e37_79b1) >>> 16;
    const address = Uint8Array.of(high >> 8, high & 0xff, low >> 8, low & 0xff);
    const cls = Math.floor(lookupClass(nodes, v4Root, address, 0, 32) / 256);
    const known = found.get(cls);
    if (known === undefined) found.set(cls, { before: cls, after: cls, v4: SKETCH_STEP, v6: false });
    else known.v4 += SKETCH_STEP;
  }
  return [...found.values()];
}

/**
 * Whether clients can be at a location: a database or the configuration knows it. Other addresses are private,
 * reserved, multicast or not assigned.
 */
export function isInhabited(location: Location): boolean {
  const { country, area, continent, latitude, asn, networks, latency } = location;
  const isKnown = country !== '' || area !== '' || continent !== '' || !Number.isNaN(latitude) || asn !== 0;
  return isKnown || networks.length > 0 || latency.some((kind) => kind > 0);
}
