/**
 * Signs the RRsets of one zone. Signatures of an earlier load are used again while they are valid, so that a reload
 * only signs RRsets that changed.
 */
import { createHash } from 'node:crypto';
import { readCacheEntry, writeCacheEntry, type CacheFolders, type CacheKind } from '../config/cache-entry.ts';
import { allocateEntry, ENTRY_HEADER_OCTETS } from '../config/entry-header.ts';
import { canonical, type Name } from '../wire/name.ts';
import { withSoaSerial } from '../wire/rdata.ts';
import { TYPE } from '../wire/types.ts';
import { dsData } from './dnskey.ts';
import type { ZoneKey } from './key-files.ts';
import { rrsigHead, signedOctets, type SignedSet, type Validity } from './rrsig.ts';

/** `dnssec` of a zone file, with all defaults. */
export type SigningRule = {
  /** Absolute path of the folder with the keys. */
  readonly keys: string;
  readonly lifetimeSeconds: number;
  readonly refreshSeconds: number;
  /** Whether CDS and CDNSKEY are published (RFC 7344). */
  readonly publishesCds: boolean;
};

export type ZoneSigner = {
  /** DNSKEY, and CDS and CDNSKEY if they are published: RRsets of the apex. */
  readonly apexSets: readonly Omit<SignedSet, 'owner'>[];
  /** RRSIG data for an RRset: one for each key that signs its type. */
  readonly sign: (set: SignedSet) => readonly Uint8Array[];
  /** RRSIG data for the SOA that was signed last, with another serial. */
  readonly signSerial: (serial: number) => readonly Uint8Array[];
  /** Changes whenever the signatures change: for `soa.serial: auto`. */
  readonly epoch: string;
  /** Seconds since 1970: the time at which all signatures must be made again. */
  readonly refreshAt: number;
  /** Describes the keys and the times of the signatures that were made so far. */
  readonly describe: () => SigningInfo;
  /** Keeps the signatures for the next start. */
  readonly keep: (cache: CacheFolders) => void;
  readonly state: SigningState;
  /** Whether the clock is behind the time at which the signatures were made. */
  readonly isClockBehind: boolean;
};

/** Times are seconds since 1970. */
export type SigningInfo = {
  readonly signedAt: number;
  readonly refreshAt: number;
  /** The earliest end of a signature. */
  readonly expiresAt: number;
  /** The keys that sign. */
  readonly keys: readonly { readonly tag: number; readonly algorithm: number; readonly isEntryPoint: boolean }[];
};

/** The state that a later load of the zone uses again. */
export type SigningState = {
  /** Seconds since 1970: the time of signing that all signatures have in common. */
  readonly signedAt: number;
  /** The signatures in use, by the digest of the signed octets and the public key. */
  readonly signatures: Map<string, Uint8Array>;
  /** The number of signatures that were made. */
  made: number;
};

/** RFC 6781 4.4.2: clocks of resolvers differ. */
const BACKDATED_SECONDS = 3600;
/** Of DNSKEY, CDS and CDNSKEY. */
export const KEY_TTL_SECONDS = 3600;
/** A signature ends up to this share of the lifetime earlier, so that not all end at once. */
const JITTER = 0.1;
const DIGEST_OCTETS = 32;

/** The cache keeps this many entries, of all zones together. */
const SIGNATURES: CacheKind = { kind: 'signatures', keep: 100_000 };

export type SignerInput = {
  readonly apex: Name;
  readonly rule: SigningRule;
  /** At least one of them signs: see `activeKeys`. */
  readonly keys: readonly ZoneKey[];
  /** The state of the previous load; undefined: the state in the cache is used. */
  readonly before: SigningState | undefined;
  readonly cache: CacheFolders;
  readonly nowSeconds: number;
  /**
   * Whether other nodes sign the zone too. Then the calendar sets the times of signing, so that all nodes use the same.
   */
  readonly isShared: boolean;
};

/** The keys that sign at a time. */
export function activeKeys(keys: readonly ZoneKey[], nowSeconds: number): readonly ZoneKey[] {
  return keys.filter(({ times: { activate, inactive, delete: deleted } }) => {
    const end = Math.min(inactive ?? Infinity, deleted ?? Infinity);
    return (activate ?? 0) <= nowSeconds && nowSeconds < end;
  });
}

/** The keys whose DNSKEY is in the zone at a time. */
function publishedKeys(keys: readonly ZoneKey[], nowSeconds: number): readonly ZoneKey[] {
  return keys.filter((key) => isPublished(key, nowSeconds));
}

/** Whether the key's DNSKEY is in the zone at a time. */
export function isPublished({ times: { publish, activate, delete: deleted } }: ZoneKey, nowSeconds: number): boolean {
  return Math.min(publish ?? activate ?? 0, activate ?? Infinity) <= nowSeconds && nowSeconds < (deleted ?? Infinity);
}

/** The next time at which a key changes its state; Infinity without one. */
function nextEvent(keys: readonly ZoneKey[], nowSeconds: number): number {
  const times = keys.flatMap(({ times: each }) => [each.publish, each.activate, each.inactive, each.delete]);
  return Math.min(...times.flatMap((time) => (time !== undefined && time > nowSeconds ? time : [])), Infinity);
}

export function createZoneSigner(input: SignerInput): ZoneSigner {
  const { apex, rule, keys, cache, nowSeconds, isShared } = input;
  const published = publishedKeys(keys, nowSeconds);
  const active = activeKeys(keys, nowSeconds);
  const entryPoints = active.filter(({ isEntryPoint }) => isEntryPoint);
  const others = active.filter(({ isEntryPoint }) => !isEntryPoint);
  // If all keys are of one kind, they sign everything.
  const forKeys = entryPoints.length > 0 ? entryPoints : others;
  const forData = others.length > 0 ? others : entryPoints;
  const cacheKey = createHash('sha256').update('signatures 1\n').update(canonical(apex)).digest();
  const before = input.before ?? readState(cache, cacheKey);
  const keysDigest = digestOf(...active.map(({ dnskey }) => dnskey));
  // Also true if the clock was set back: signatures made at that earlier time might already have expired.
  const isCurrent = before !== undefined && nowSeconds < before.signedAt + rule.refreshSeconds;
  const signedAt = isShared ? periodStart(apex, rule, nowSeconds) : isCurrent ? before.signedAt : nowSeconds;
  const state: SigningState = { signedAt, signatures: new Map(), made: 0 };
  const inception = signedAt - BACKDATED_SECONDS;
  const refreshAt = Math.min(signedAt + rule.refreshSeconds, nextEvent(keys, nowSeconds));
  let expiresAt = Infinity;
  let soa: SignedSet | undefined;

  const sign = (set: SignedSet): readonly Uint8Array[] => {
    const validity: Validity = { inception, expiration: expirationOf(set, signedAt, rule.lifetimeSeconds) };
    expiresAt = Math.min(expiresAt, validity.expiration);
    if (set.type === TYPE.SOA) soa = set;
    const isOfKeys = set.type === TYPE.DNSKEY || set.type === TYPE.CDS || set.type === TYPE.CDNSKEY;
    return (isOfKeys ? forKeys : forData).map((key) => {
      const head = rrsigHead(set, validity, { algorithm: key.algorithm.number, tag: key.tag, signer: apex });
      const octets = signedOctets(head, set);
      const digest = digestOf(key.dnskey, octets);
      let signature = state.signatures.get(digest) ?? before?.signatures.get(digest);
      if (!signature) {
        signature = key.algorithm.sign(octets, key.privateKey);
        state.made++;
      }
      state.signatures.set(digest, signature);
      return Uint8Array.from(Buffer.concat([head, signature]));
    });
  };
  const points = entryPoints.length > 0 ? entryPoints : active;
  const cds = rule.publishesCds
    ? [
        { type: TYPE.CDS, ttlSeconds: KEY_TTL_SECONDS, rdata: points.map(({ dnskey }) => dsData(apex, dnskey)) },
        { type: TYPE.CDNSKEY, ttlSeconds: KEY_TTL_SECONDS, rdata: points.map(({ dnskey }) => dnskey) },
      ]
    : [];
  return {
    apexSets: [
      { type: TYPE.DNSKEY, ttlSeconds: KEY_TTL_SECONDS, rdata: published.map(({ dnskey }) => dnskey) },
      ...cds,
    ],
    sign,
    signSerial: (serial) => (soa ? sign({ ...soa, rdata: soa.rdata.map((data) => withSoaSerial(data, serial)) }) : []),
    epoch: `${signedAt} ${keysDigest} ${String(rule.publishesCds)} ${rule.lifetimeSeconds} ${digestOf(...published.map(({ dnskey }) => dnskey))}`,
    refreshAt,
    describe: () => ({
      ...{ signedAt, refreshAt, expiresAt },
      keys: active.map(({ tag, algorithm, isEntryPoint }) => ({ tag, algorithm: algorithm.number, isEntryPoint })),
    }),
    keep: (folders) => {
      const isSame = before !== undefined && state.made === 0 && before.signatures.size === state.signatures.size;
      if (!isSame) writeState(folders, cacheKey, state);
    },
    state,
    isClockBehind: signedAt > nowSeconds,
  };
}

/** The start of the present period of `refresh`. It depends on the zone, so that not all zones are signed at once. */
function periodStart(apex: Name, { refreshSeconds }: SigningRule, nowSeconds: number): number {
  const phase = createHash('sha256').update(canonical(apex)).digest().readUInt32BE(0) % refreshSeconds;
  return Math.floor((nowSeconds - phase) / refreshSeconds) * refreshSeconds + phase;
}

/** Seconds since 1970. The jitter depends on owner and type, so that every node and every start has the same. */
function expirationOf({ owner, type }: SignedSet, signedAt: number, lifetimeSeconds: number): number {
  const hash = createHash('sha256')
    .update(canonical(owner))
    .update(Uint8Array.of(type >> 8, type & 0xff))
    .digest();
  const share = (hash.readUInt32BE(0) / 2 ** 32) * JITTER;
  return signedAt + Math.floor(lifetimeSeconds * (1 - share));
}

function digestOf(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('latin1');
}

/**
 * Writes the time of signing and the number of signatures; for each: its digest, its length in two octets, the
 * signature.
 */
function writeState(folders: CacheFolders, key: Uint8Array, { signedAt, signatures }: SigningState): void {
  let octets = 16;
  for (const signature of signatures.values()) octets += DIGEST_OCTETS + 2 + signature.length;
  // The checksum is over whole words.
  const memory = allocateEntry(Math.ceil(octets / 4) * 4, key, (size) => new ArrayBuffer(size));
  const out = Buffer.from(memory, ENTRY_HEADER_OCTETS);
  out.writeDoubleBE(signedAt, 0);
  out.writeUInt32BE(signatures.size, 8);
  let at = 16;
  for (const [digest, signature] of signatures) {
    at += out.write(digest, at, 'latin1');
    at = out.writeUInt16BE(signature.length, at);
    out.set(signature, at);
    at += signature.length;
  }
  writeCacheEntry(folders, SIGNATURES, memory);
}

function readState(folders: CacheFolders, key: Uint8Array): SigningState | undefined {
  const memory = readCacheEntry(folders, SIGNATURES, key, (size) => new ArrayBuffer(size));
  if (!memory) return undefined;
  const from = Buffer.from(memory, ENTRY_HEADER_OCTETS);
  const signatures = new Map<string, Uint8Array>();
  let at = 16;
  for (let left = from.readUInt32BE(8); left > 0; left--) {
    const digest = from.toString('latin1', at, at + DIGEST_OCTETS);
    const octets = from.readUInt16BE(at + DIGEST_OCTETS);
    at += DIGEST_OCTETS + 2;
    signatures.set(digest, Uint8Array.from(from.subarray(at, at + octets)));
    at += octets;
  }
  return { signedAt: from.readDoubleBE(0), signatures, made: 0 };
}
