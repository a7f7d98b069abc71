/**
 * Decides which EDNS Client Subnets tell where a client is: public ones, and private ones that `geo.networks` covers.
 * PACKET PATH: allocates nothing.
 */

/** Private, shared, loopback, link-local or unspecified (RFC 6890). `address` has `octets` octets, 4 or 16. */
export function isPrivateAddress(address: Uint8Array, octets: number): boolean {
  const a = address[0] ?? 0;
  const b = address[1] ?? 0;
  if (octets === 4) {
    return (
      a === 0 ||
      a === 10 ||
      a === 127 ||
      (a === 100 && (b & 0xc0) === 64) ||
      (a === 169 && b === 254) ||
      (a === 172 && (b & 0xf0) === 16) ||
      (a === 192 && b === 168)
    );
  }
  if ((a & 0xfe) === 0xfc || (a === 0xfe && (b & 0xc0) === 0x80)) return true;
  for (let i = 0; i < 15; i++) if (address[i] !== 0) return false;
  return (address[15] ?? 0) <= 1;
}

/**
 * Whether a subnet of `bits` tells where a client is (docs/steering.md#whose-place-counts): it is public, or an entry
 * of `geo.networks` covers all of it. `own` is the tree that own-networks.ts builds from these entries.
 */
export function saysWhere(own: Int32Array, address: Uint8Array, octets: number, bits: number): boolean {
  return !isPrivateAddress(address, octets) || isCovered(own, address, octets, bits);
}

function isCovered(own: Int32Array, address: Uint8Array, octets: number, bits: number): boolean {
  if (own.length === 0) return false;
  let code = own[octets === 4 ? OWN.V4_ROOT : OWN.V6_ROOT] ?? -1;
  for (let depth = 0; code >= 0; depth++) {
    code = own[OWN.NODES + code * 2 + (((address[depth >>> 3] ?? 0) >>> (7 - (depth & 7))) & 1)] ?? -1;
  }
  const leaf = ~code;
  return leaf > 0 && leaf - 1 <= bits;
}

/**
 * Offsets in the tree of own networks. A leaf is the prefix length of the broadest network there, plus 1; 0 for none.
 */
export const OWN = { V4_ROOT: 0, V6_ROOT: 1, NODES: 2 } as const;
