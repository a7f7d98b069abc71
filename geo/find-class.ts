/**
 * Looks up the outcome of an address and its scope. PACKET PATH: allocates nothing, imports nothing. The arrays are
 * those of an Atlas and a SteeringMap, in shared memory or not.
 */

/** Columns of an atlas node: codes for bit 0 and bit 1, the group of classes below, and one of these classes. */
export const ATLAS = { LEFT: 0, RIGHT: 1, GROUP: 2, CLASS: 3, WORDS: 4 } as const;

/** A column of an atlas node. The JIT inlines it: it costs no call in the packet path. */
export function atlasWord(nodes: Int32Array, node: number, column: number): number {
  return nodes[node * ATLAS.WORDS + column] ?? -1;
}

/** Outcomes are less than this, so that an outcome and a scope fit into one small integer. */
export const OUTCOME_LIMIT = 1 << 22;

/**
 * The first bits of an address, at most MAX_START_BITS, are the index of a map's table of starts. A negative entry has
 * the result in its lowest 31 bits. Any other entry is the node from which the search continues; outcomes differ below
 * it. The rows of IPv6 follow those of IPv4.
 */
export const MAX_START_BITS = 16;
/** Marks a start that is a result. outcome * 256 + scope is less than this bit. */
export const FOUND = 1 << 31;

/**
 * outcome * 256 + scope for the address at `address[at]`, of 32 or 128 `bits`. The scope (RFC 7871 7.2.1) is the length
 * of the shortest prefix around the address in which every address has the same outcome.
 */
export function lookupOutcome(
  nodes: Int32Array,
  starts: Int32Array,
  outcomes: Int32Array,
  mixed: Int32Array,
  address: Uint8Array,
  at: number,
  bits: number,
): number {
  const rows = starts.length >>> 1;
  const startBits = 31 - Math.clz32(rows);
  const row = ((octetAt(address, at) << 8) | octetAt(address, at + 1)) >>> (MAX_START_BITS - startBits);
  let code = starts[bits === 32 ? row : rows + row] ?? 0;
  if (code < 0) return code & ~FOUND;
  // If a child has several outcomes, its parent has too. So the first node with one outcome ends the shortest prefix.
  for (let depth = startBits; ;) {
    code = atlasWord(nodes, code, bitAt(address, at, depth));
    depth++;
    if (code < 0) return (outcomes[~code] ?? 0) * 256 + depth;
    const group = atlasWord(nodes, code, ATLAS.GROUP);
    if ((((mixed[group >>> 5] ?? 0) >>> (group & 31)) & 1) === 0) {
      return (outcomes[atlasWord(nodes, code, ATLAS.CLASS)] ?? 0) * 256 + depth;
    }
  }
}

/** class * 256 + depth: the class of the address, and the length of the prefix that is entirely of this class. */
export function lookupClass(nodes: Int32Array, root: number, address: Uint8Array, at: number, bits: number): number {
  let code = root;
  let depth = 0;
  while (code >= 0 && depth < bits) {
    code = atlasWord(nodes, code, bitAt(address, at, depth));
    depth++;
  }
  return ~code * 256 + depth;
}

function octetAt(address: Uint8Array, at: number): number {
  return address[at] ?? 0;
}

/** One bit of the address at `address[at]`. */
function bitAt(address: Uint8Array, at: number, bit: number): number {
  return (octetAt(address, at + (bit >>> 3)) >>> (7 - (bit & 7))) & 1;
}
