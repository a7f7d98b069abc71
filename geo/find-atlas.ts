/**
 * Finds the atlas for some inputs: the one in use if nothing changed, otherwise the one in the cache, otherwise a new
 * one, which is then kept in the cache. Building an atlas takes longer than loading the rest of a small configuration.
 */
import { createHash } from 'node:crypto';
import { readCacheEntry, writeCacheEntry, type CacheFolders, type CacheKind } from '../config/cache-entry.ts';
import { keyOfEntry } from '../config/entry-header.ts';
import type { At } from '../config/settings.ts';
import type { Prefix } from '../wire/address.ts';
import { ATLAS_FORMAT } from './atlas-format.ts';
import { buildAtlas, type Atlas } from './atlas.ts';
import type { DatabaseSource } from './geography.ts';
import { packAtlas, unpackAtlas, type Allocate } from './packed-atlas.ts';
import type { Trie } from './trie-builder.ts';

/** All that an atlas depends on; see `buildAtlas`. */
export type AtlasInputs = {
  readonly networks: readonly Prefix[];
  readonly operator: ReadonlyMap<number, At>;
  readonly latency: readonly Trie[];
};

export type AtlasOptions = {
  readonly sources: readonly DatabaseSource[];
  readonly cache: CacheFolders;
  /** The atlas of the generation in force. */
  readonly inUse: SharedArrayBuffer | undefined;
  readonly allocate: Allocate;
};

/** An atlas, and the memory that it is in (packed-atlas.ts). */
export type FoundAtlas = { readonly memory: SharedArrayBuffer; readonly atlas: Atlas };

/** The number of atlases in the cache: enough for some configurations and their last changes. Each has 10 to 200 MB. */
const ATLASES: CacheKind = { kind: 'atlas', keep: 4 };

export function findAtlas(inputs: AtlasInputs, { sources, cache, inUse, allocate }: AtlasOptions): FoundAtlas {
  const key = keyOf(
    sources.map(({ known }) => known.digest),
    inputs,
  );
  const known =
    inUse && Buffer.compare(keyOfEntry(inUse), key) === 0 ? inUse : readCacheEntry(cache, ATLASES, key, allocate);
  if (known) return { memory: known, atlas: unpackAtlas(known) };
  const decoded = sources.flatMap((source) => source.decode() ?? []);
  const trees = decoded.map(({ tree }) => tree);
  const built = buildAtlas(trees, inputs.networks, inputs.operator, inputs.latency);
  // A file may have been replaced since its digest was made, so the key is made from the digests of the decoded files.
  const memory = packAtlas(
    built,
    keyOf(
      decoded.map(({ digest }) => digest),
      inputs,
    ),
    allocate,
  );
  writeCacheEntry(cache, ATLASES, memory);
  return { memory, atlas: unpackAtlas(memory) };
}

/** SHA-256 of all inputs. Each part includes its length, so that different inputs never yield the same octets. */
function keyOf(digests: readonly string[], { networks, operator, latency }: AtlasInputs): Buffer {
  const hash = createHash('sha256');
  const listed = networks.map(({ bytes, bits }) => [Buffer.from(bytes).toString('hex'), bits]);
  hash.update(`${JSON.stringify([ATLAS_FORMAT, digests, listed, [...operator]])}\n`);
  for (const { nodes, v4Root, v6Root } of latency) {
    hash.update(`${nodes.length} ${v4Root} ${v6Root}\n`);
    hash.update(new Uint8Array(nodes.buffer, nodes.byteOffset, nodes.byteLength));
  }
  return hash.digest();
}
