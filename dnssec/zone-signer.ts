/**
 * Signs the RRsets of one zone. Signatures of an earlier load are used again while they are valid, so that a reload
 * only signs RRsets that changed.
 */
import { createHash } from 'node:crypto';
import { readCacheEntry, writeCacheEntry, type CacheFolders, type CacheKind } from '../config/cache-entry.ts';
import { allocateEntry, ENTRY_HEADER_OCTETS } from '../config/entry-header.ts';
import { canonical, type Name } from '../wire/name.ts';
import { TYPE } from '../wire/types.ts';
import { DELETE_CDNSKEY, DELETE_CDS, dsData } from './dnskey.ts';
import type { ZoneKey } from './key-files.ts';
import { nextEvent, rolesOf } from './key-times.ts';
import type { OnlineZone } from './online-signer.ts';
import { createRrsigMaker, type MadeSignatures, type RrsigMaker } from './rrsig-maker.ts';
import { expirationOf, inceptionOf, type SignedSet } from './rrsig.ts';
import { createSignatureStore, storeFrom } from './signature-store.ts';

/** `dnssec` of a zone file, with all defaults. */
export type SigningRule = {
  /** Absolute path of the folder with the keys. */
  readonly keys: string;
  readonly lifetimeSeconds: number;
  readonly refreshSeconds: number;
  /** What CDS and CDNSKEY ask the parent for (RFC 7344): the DS of the zone's keys, or none. `none`: no CDS. */
  readonly cds: 'publish' | 'delete' | 'none';
  /** How names and types that do not exist are denied: by a chain of NSEC records, or as RFC 9824 says. */
  readonly denial: Denial;
};

export type Denial = 'nsec' | 'compact';

export type ZoneSigner = RrsigMaker & {
  /** DNSKEY, and CDS and CDNSKEY if they are published: RRsets of the apex. */
  readonly apexSets: readonly Omit<SignedSet, 'owner'>[];
  /** An estimate of the time in seconds that one core needs for the signatures of so many RRsets. */
  readonly expectedSeconds: (sets: number) => number;
  /** Changes whenever the signatures change: for `soa.serial: auto`. */
  readonly epoch: string;
  /** Seconds since 1970: the time at which all signatures must be made again. */
  readonly refreshAt: number;
  /** Describes the keys and the times of the signatures that were made so far. */
  readonly describe: () => SigningInfo;
  /** Keeps the signatures for the next start. */
  readonly keep: (cache: CacheFolders) => void;
  readonly state: SigningState;
  readonly denial: Denial;
  /** For answering threads: undefined unless `denial` is `compact`. */
  readonly online: OnlineZone | undefined;
  /** Whether the clock is behind the time at which the signatures were made. */
  readonly isClockBehind: boolean;
  readonly apex: Name;
  /** See `entryWords`. */
  readonly entryKeys: readonly string[];
} & Pick<SigningInfo, 'keysDigest' | 'cds'>;

/** Times are seconds since 1970. */
export type SigningInfo = {
  readonly denial: Denial;
  readonly signedAt: number;
  readonly refreshAt: number;
  /** The earliest end of a signature. */
  readonly expiresAt: number;
  /** The keys that sign. */
  readonly keys: readonly { readonly tag: number; readonly algorithm: number; readonly isEntryPoint: boolean }[];
  /** Equal on nodes that publish the same keys, sign with the same keys, and want the same CDS. */
  readonly keysDigest: string;
  /** `withheld`: the nodes of a fleet do not agree on the keys, so there is no CDS and no CDNSKEY. */
  readonly cds: 'published' | 'withheld' | 'none';
};

/** The state that a later load of the zone uses again. */
export type SigningState = MadeSignatures & {
  /** Seconds since 1970: the time of signing that all signatures have in common. */
  readonly signedAt: number;
  /** A digest of the keys that sign, and of the lifetime. */
  readonly basis: string;
};

/** Of DNSKEY, CDS and CDNSKEY. */
export const KEY_TTL_SECONDS = 3600;

/** The cache keeps this many entries, of all zones together. */
const SIGNATURES: CacheKind = { kind: 'signatures', keep: 100_000 };

export type SignerInput = {
  readonly apex: Name;
  readonly rule: SigningRule;
  /** At least one of them signs: see `rolesOf`. */
  readonly keys: readonly ZoneKey[];
  /** The state of the previous load; undefined: the state in the cache is used. */
  readonly before: SigningState | undefined;
  readonly cache: CacheFolders;
  readonly nowSeconds: number;
  /**
   * Whether other nodes sign the zone too. Then the calendar sets the times of signing, so that all nodes use the same.
   */
  readonly isShared: boolean;
  /** If it is shared: the digest of the keys with which all nodes sign; undefined if they do not agree. */
  readonly agreedKeys?: string | undefined;
};

export function createZoneSigner(input: SignerInput): ZoneSigner {
  const { apex, rule, keys, cache, nowSeconds, isShared } = input;
  const { published, active, forKeys, forData, forParent } = rolesOf(keys, nowSeconds);
  // Another server of this user may have the same zone and other keys.
  const cacheKey = createHash('sha256').update(`signatures 3\n${rule.keys}\n`).update(canonical(apex)).digest();
  const before = input.before ?? readState(cache, cacheKey);
  const basis = digestOf(...active.map(({ dnskey }) => dnskey), Buffer.from(String(rule.lifetimeSeconds)));
  // Also true if the clock was set back: signatures made at that earlier time might already have expired.
  const isCurrent = before !== undefined && nowSeconds < before.signedAt + rule.refreshSeconds;
  // A clock behind would lead to a period whose signatures may have expired.
  const begin = isShared ? Math.max(periodStart(apex, rule, nowSeconds), laterSigning(before, nowSeconds)) : nowSeconds;
  const signedAt = isCurrent && !isShared ? before.signedAt : begin;
  const state: SigningState = { signedAt, basis, signatures: createSignatureStore(before?.signatures.count), made: 0 }; // prettier-ignore
  const refreshAt = Math.min(signedAt + rule.refreshSeconds, nextEvent(keys, nowSeconds));
  const maker = createRrsigMaker({
    ...{ signer: canonical(apex), active, forKeys, forData, state, before },
    validityOf: (set) => ({
      inception: inceptionOf(signedAt),
      expiration: expirationOf(set, signedAt, rule.lifetimeSeconds),
    }),
  });
  const keysDigest = digestOfRoles([published, forKeys, forData, forParent], rule);
  // RFC 8078 and 7344 6.1: a parent may act on the CDS of any one name server.
  const isWithheld = isShared && rule.cds !== 'none' && input.agreedKeys !== keysDigest;
  const cds = isWithheld ? [] : cdsSets(apex, rule, forParent);
  const cdsState = isWithheld ? 'withheld' : rule.cds === 'none' ? 'none' : 'published';
  return {
    apexSets: [
      { type: TYPE.DNSKEY, ttlSeconds: KEY_TTL_SECONDS, rdata: published.map(({ dnskey }) => dnskey) },
      ...cds,
    ],
    ...maker,
    expectedSeconds: (sets) => {
      const isKept = before !== undefined && before.signedAt === signedAt && before.basis === basis;
      const missing = Math.max(0, sets - (isKept ? before.signatures.count / forData.length : 0));
      return forData.reduce((sum, { algorithm }) => sum + algorithm.microseconds, 0) * missing * 1e-6;
    },
    epoch: `${signedAt} ${basis} ${rule.denial} ${digestOf(...[...published.map(({ dnskey }) => dnskey), ...cds.flatMap(({ rdata }) => rdata)])}`,
    refreshAt,
    describe: () => ({
      ...{ denial: rule.denial, signedAt, refreshAt, expiresAt: maker.expiresAt(), keysDigest, cds: cdsState },
      keys: active.map(({ tag, algorithm, isEntryPoint }) => ({ tag, algorithm: algorithm.number, isEntryPoint })),
    }),
    keep: (folders) => {
      const isSame = before !== undefined && state.made === 0 && before.signatures.count === state.signatures.count;
      if (!isSame) writeState(folders, cacheKey, state);
    },
    ...{ state, denial: rule.denial, apex, keysDigest, cds: cdsState, entryKeys: entryWords(forKeys) },
    online: rule.denial === 'compact' ? { apex: canonical(apex), signedAt, lifetimeSeconds: rule.lifetimeSeconds, keys: forData.map(onlineKey) } : undefined, // prettier-ignore
    isClockBehind: signedAt > nowSeconds,
  };
}

/** The keys to which the parent's DS may refer, as `13/12345`. */
export function entryWords(keys: readonly ZoneKey[]): readonly string[] {
  const points = keys.filter(({ isEntryPoint }) => isEntryPoint);
  return (points.length > 0 ? points : keys).map(({ algorithm, tag }) => `${algorithm.number}/${tag}`);
}

/** The time of signing of the previous load, if the clock is behind it. */
function laterSigning(before: SigningState | undefined, nowSeconds: number): number {
  return before !== undefined && before.signedAt > nowSeconds ? before.signedAt : -Infinity;
}

/** CDS and CDNSKEY (RFC 7344 4, RFC 8078 4). */
function cdsSets(apex: Name, { cds }: SigningRule, keys: readonly ZoneKey[]): readonly Omit<SignedSet, 'owner'>[] {
  if (cds === 'none') return [];
  const isDelete = cds === 'delete';
  return [
    {
      type: TYPE.CDS,
      ttlSeconds: KEY_TTL_SECONDS,
      rdata: isDelete ? [DELETE_CDS] : keys.map(({ dnskey }) => dsData(apex, dnskey)),
    },
    {
      type: TYPE.CDNSKEY,
      ttlSeconds: KEY_TTL_SECONDS,
      rdata: isDelete ? [DELETE_CDNSKEY] : keys.map(({ dnskey }) => dnskey),
    },
  ];
}

function onlineKey({ algorithm, tag, privateKey, dnskey }: ZoneKey): OnlineZone['keys'][number] {
  const signatureOctets = algorithm.signatureOctets(dnskey.subarray(4));
  return { algorithm: algorithm.number, tag, privateKey, signatureOctets };
}

/** The start of the present period of `refresh`. It depends on the zone, so that not all zones are signed at once. */
function periodStart(apex: Name, { refreshSeconds }: SigningRule, nowSeconds: number): number {
  const phase = createHash('sha256').update(canonical(apex)).digest().readUInt32BE(0) % refreshSeconds;
  return Math.floor((nowSeconds - phase) / refreshSeconds) * refreshSeconds + phase;
}

function digestOf(...parts: readonly Uint8Array[]): string {
  const state = createHash('sha256');
  for (const part of parts) state.update(part);
  return state.digest('latin1');
}

const KEYS_DIGEST_DIGITS = 16;

function digestOfRoles(roles: readonly (readonly ZoneKey[])[], { cds }: SigningRule): string {
  const state = createHash('sha256').update(`${cds}\n`);
  for (const keys of roles) {
    for (const { dnskey } of keys) state.update(dnskey).update('\n');
    state.update('\n');
  }
  return state.digest('hex').slice(0, KEYS_DIGEST_DIGITS);
}

/** The time of signing, the number of signatures, the basis; then the entries of the store. */
const HEAD = { SIGNED_AT: 0, COUNT: 8, USED: 12, BASIS: 16, OCTETS: 48 } as const;

function writeState(folders: CacheFolders, key: Uint8Array, { signedAt, basis, signatures }: SigningState): void {
  const octets = HEAD.OCTETS + signatures.used;
  // The checksum is over whole words.
  const memory = allocateEntry(Math.ceil(octets / 4) * 4, key, (size) => new ArrayBuffer(size));
  const out = Buffer.from(memory, ENTRY_HEADER_OCTETS);
  out.writeDoubleBE(signedAt, HEAD.SIGNED_AT);
  out.writeUInt32BE(signatures.count, HEAD.COUNT);
  out.writeUInt32BE(signatures.used, HEAD.USED);
  out.write(basis, HEAD.BASIS, 'latin1');
  out.set(signatures.octets.subarray(0, signatures.used), HEAD.OCTETS);
  writeCacheEntry(folders, SIGNATURES, memory);
}

function readState(folders: CacheFolders, key: Uint8Array): SigningState | undefined {
  const memory = readCacheEntry(folders, SIGNATURES, key, (size) => new ArrayBuffer(size));
  if (!memory) return undefined;
  const from = Buffer.from(memory, ENTRY_HEADER_OCTETS);
  const entries = new Uint8Array(memory, ENTRY_HEADER_OCTETS + HEAD.OCTETS, from.readUInt32BE(HEAD.USED));
  return {
    signedAt: from.readDoubleBE(HEAD.SIGNED_AT),
    basis: from.toString('latin1', HEAD.BASIS, HEAD.OCTETS),
    signatures: storeFrom(entries, from.readUInt32BE(HEAD.COUNT)),
    made: 0,
  };
}
