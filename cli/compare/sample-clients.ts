/**
 * Clients to ask for: those of a file, or a seeded sample of the location databases that has every country.
 */
import { atlasWord } from '../../geo/find-class.ts';
import { placeAt, type Places } from '../../geo/location.ts';
import { isInhabited } from '../../server/forecast/address-space.ts';
import { below, createRandom } from '../../steering/random.ts';
import { enclosingNetwork, formatPrefix, parseAddress, type Prefix } from '../../wire/address.ts';
import type { Subnet } from '../../wire/message.ts';

/** A network of clients. `place` is where it is, as `US-CA`, or the text of the file behind it. */
export type Client = { readonly subnet: Subnet; readonly text: string; readonly place: string };

/** RFC 7871 11.1: what resolvers send of an address. */
const CLIENT_BITS = { v4: 24, v6: 56 } as const;

function clientOf({ bytes, bits }: Prefix, place: string): Client {
  return { subnet: { bytes, bits }, text: formatPrefix({ bytes, bits }), place };
}

/** Reads a list of addresses and networks: one a line, with a comment after `#`. Returns the first mistake as text. */
export function parseClients(text: string): readonly Client[] | string {
  const clients: Client[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [, words = '', comment = ''] = /^([^#]*)#?\s*(.*)$/.exec(line) ?? [];
    const word = words.trim();
    if (word === '') continue;
    const [network = '', ...rest] = word.split(/[\s,;]+/);
    const prefix = networkOfWord(network);
    if (!prefix) return `line ${index + 1}: "${network}" is not an address or network`;
    clients.push(clientOf(prefix, rest.join(' ') || comment.trim()));
  }
  return clients;
}

/** An address stands for the network that a resolver would send for it. */
function networkOfWord(word: string): Prefix | undefined {
  const address = parseAddress(word);
  const bits = address?.length === 4 ? CLIENT_BITS.v4 : CLIENT_BITS.v6;
  return enclosingNetwork(address ? `${word}/${bits}` : word);
}

/** An atlas with the places of its classes. */
export type PlacedAtlas = {
  readonly nodes: Int32Array;
  readonly v4Root: number;
  readonly v6Root: number;
  readonly places: Places;
};

type Picked = { readonly place: string; seen: number; readonly kept: Prefix[] };

/**
 * `count` IPv4 and `count` IPv6 clients of each country, subdivision and set of the operator's own networks that the
 * atlas tells apart, in the order of their names. All networks of a place are equally likely.
 */
export function sampleClients(atlas: PlacedAtlas, count: number, seed: number): readonly Client[] {
  const random = createRandom(seed);
  const picked = new Map<string, Picked>();
  const bytes = new Uint8Array(16);
  const walk = (code: number, depth: number, family: number): void => {
    if (code < 0) {
      const place = placeAt(atlas.places, ~code);
      if (!isInhabited(place)) return;
      const where = place.subdivision || place.country || place.continent;
      const key = `${where}|${place.networks.join()}|${family}`;
      let group = picked.get(key);
      if (!group) picked.set(key, (group = { place: where, seen: 0, kept: [] }));
      // A sample of a stream of unknown length (Vitter's algorithm R).
      const at = group.seen++ < count ? group.kept.length : below(random, group.seen);
      if (at < count) group.kept[at] = { bytes: bytes.slice(0, family), bits: depth };
      return;
    }
    const mask = 0x80 >> (depth & 7);
    walk(atlasWord(atlas.nodes, code, 0), depth + 1, family);
    bytes[depth >> 3] = (bytes[depth >> 3] ?? 0) | mask;
    walk(atlasWord(atlas.nodes, code, 1), depth + 1, family);
    bytes[depth >> 3] = (bytes[depth >> 3] ?? 0) & ~mask;
  };
  walk(atlas.v4Root, 0, 4);
  walk(atlas.v6Root, 0, 16);
  return [...picked.values()]
    .flatMap(({ place, kept }) => kept.map((network) => clientOf(within(network), place)))
    .sort((one, other) => (one.place < other.place ? -1 : one.place > other.place ? 1 : 0));

  /** A client's network at a random place within one of the databases'. */
  function within({ bytes: network, bits }: Prefix): Prefix {
    const wanted = network.length === 4 ? CLIENT_BITS.v4 : CLIENT_BITS.v6;
    const own = Math.max(wanted, bits);
    const inside = network.slice();
    for (let bit = bits; bit < own; bit++) {
      if (below(random, 2) === 1) inside[bit >> 3] = (inside[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
    }
    return { bytes: inside, bits: own };
  }
}
