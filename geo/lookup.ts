/**
 * From an address to what it means for a service, and how far that truth reaches. PACKET PATH: allocates
 * nothing, imports nothing. The arrays are those of an Atlas and a SteeringMap, shared or not.
 */

/** Outcomes are below this, so that an outcome and a scope fit into one small integer. */
export const OUTCOME_LIMIT = 1 << 22;

/**
 * outcome * 256 + scope for the address at `address[at]`, of 32 or 128 `bits`; `root` is the atlas' for
 * that family. The scope (RFC 7871 7.2.1) is the length of the shortest prefix around the address in which
 * every address has the same outcome.
 */
export function lookupOutcome(
  nodes: Int32Array,
  root: number,
  outcomes: Uint32Array,
  uniform: Uint32Array,
  address: Uint8Array,
  at: number,
  bits: number,
): number {
  let code = root;
  let depth = 0;
  // While the way forks into different outcomes. A node is uniform if its parent is, so that the first
  // uniform one on the way from the root ends the shortest prefix.
  while (code >= 0 && depth < bits && (((uniform[code >>> 5] ?? 0) >>> (code & 31)) & 1) === 0) {
    code = nodes[code * 2 + (((address[at + (depth >>> 3)] ?? 0) >>> (7 - (depth & 7))) & 1)] ?? -1;
    depth++;
  }
  // Below a uniform node any leaf will do.
  while (code >= 0) code = nodes[code * 2] ?? -1;
  return (outcomes[~code] ?? 0) * 256 + depth;
}

/** class * 256 + depth: the address' class, and the length of the prefix that is all of that class. */
export function lookupClass(nodes: Int32Array, root: number, address: Uint8Array, at: number, bits: number): number {
  let code = root;
  let depth = 0;
  while (code >= 0 && depth < bits) {
    code = nodes[code * 2 + (((address[at + (depth >>> 3)] ?? 0) >>> (7 - (depth & 7))) & 1)] ?? -1;
    depth++;
  }
  return ~code * 256 + depth;
}
