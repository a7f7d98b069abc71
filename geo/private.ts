/**
 * Addresses that are nobody's in particular: an EDNS Client Subnet of these says nothing about where a client
 * is. PACKET PATH: allocates nothing.
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
