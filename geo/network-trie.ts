/**
 * The listed networks (the operator's own, CIDR keys, latency tables) as binary tries, one a family, and
 * the sets of networks that contain an address.
 */
import { bitAt, type Prefix } from '../wire/address.ts';

/**
 * Codes are as in an Atlas: >= 0 is a node, < 0 is `~set`. Set 0 is empty. A node's set is that of the
 * networks that contain all of it.
 */
export type NetworkTrie = {
  readonly nodes: Int32Array;
  readonly v4Root: number;
  readonly v6Root: number;
  /** Indexes of networks, most specific first. */
  readonly sets: readonly (readonly number[])[];
};

export function buildNetworkTrie(networks: readonly Prefix[]): NetworkTrie {
  let nodes = new Int32Array(1024);
  /** Networks that end at a node, as a linked list through `nextOf`; -1 is none. */
  let endAt = new Int32Array(512).fill(-1);
  const nextOf = new Int32Array(networks.length);
  let count = 0;
  const addNode = (): number => {
    if (count * 2 === nodes.length) {
      const wider = new Int32Array(count * 4);
      wider.set(nodes);
      nodes = wider;
      const ends = new Int32Array(count * 2).fill(-1);
      ends.set(endAt);
      endAt = ends;
    }
    nodes[count * 2] = -1;
    nodes[count * 2 + 1] = -1;
    return count++;
  };
  const roots = [addNode(), addNode()];
  // Backwards, so that of equal networks the first listed comes first.
  for (let index = networks.length - 1; index >= 0; index--) {
    const { bytes, bits } = networks[index] ?? { bytes: new Uint8Array(0), bits: 0 };
    let node = roots[bytes.length === 4 ? 0 : 1] ?? 0;
    for (let depth = 0; depth < bits; depth++) {
      const slot = node * 2 + bitAt(bytes, depth);
      const child = nodes[slot] ?? -1;
      if (child >= 0) {
        node = child;
        continue;
      }
      // addNode may replace the array, so it comes first.
      const added = addNode();
      nodes[slot] = added;
      node = added;
    }
    nextOf[index] = endAt[node] ?? -1;
    endAt[node] = index;
  }

  const sets: (readonly number[])[] = [[]];
  /** Turns missing children into sets and childless nodes into leaves, from the root down. */
  const settle = (node: number, outer: number): number => {
    let set = outer;
    if ((endAt[node] ?? -1) >= 0) {
      const here: number[] = [];
      for (let index = endAt[node] ?? -1; index >= 0; index = nextOf[index] ?? -1) here.push(index);
      set = sets.push([...here, ...(sets[outer] ?? [])]) - 1;
    }
    const left = nodes[node * 2] ?? -1;
    const right = nodes[node * 2 + 1] ?? -1;
    if (left < 0 && right < 0) return ~set;
    nodes[node * 2] = left < 0 ? ~set : settle(left, set);
    nodes[node * 2 + 1] = right < 0 ? ~set : settle(right, set);
    return node;
  };
  const v4Root = settle(roots[0] ?? 0, 0);
  const v6Root = settle(roots[1] ?? 1, 0);
  return { nodes, v4Root, v6Root, sets };
}
