/**
 * Makes RRSIG data, and finds signatures that were made before by the digest of what they sign.
 */
import { createHash, hash } from 'node:crypto';
import type { Name } from '../wire/name.ts';
import { withSoaSerial } from '../wire/rdata.ts';
import { TYPE } from '../wire/types.ts';
import type { ZoneKey } from './key-files.ts';
import {
  rrsigHeadOctets,
  writeRrsigHead,
  writeSignedRecords,
  type Scratch,
  type SignedSet,
  type Validity,
} from './rrsig.ts';
import { addJob, batchOf, countJobs, createOpenJobs, signatureOf, type Batch, type JobKey } from './sign-jobs.ts';
import { signNow } from './sign-threads.ts';
import { addSignature, DIGEST_OCTETS, findSignature, type SignatureStore } from './signature-store.ts';

export type RrsigMaker = {
  /** RRSIG data for an RRset: one for each key that signs its type. */
  readonly sign: (set: SignedSet) => readonly Uint8Array[];
  /**
   * The same, but signatures that are not known yet are zeros. `place` tells where the data of the set was written, and
   * `complete` makes the signatures and writes them there.
   */
  readonly draft: (set: SignedSet) => readonly Uint8Array[];
  readonly place: (dataAt: readonly number[], offset: number) => void;
  readonly complete: (written: { readonly array: Uint8Array }, cores: number) => void;
  /** The signatures that `draft` did not find, to be made by other threads; `accept` takes them. */
  readonly openBatch: () => Batch;
  readonly accept: (batch: Batch) => void;
  /** RRSIG data for the SOA that was signed last, with another serial. */
  readonly signSerial: (serial: number) => readonly Uint8Array[];
  /** Seconds since 1970: the earliest end of a signature so far. */
  readonly expiresAt: () => number;
};

/** The signatures in use, by the digest of the signed octets and the key; and how many of them were made. */
export type MadeSignatures = { readonly signatures: SignatureStore; made: number };

export type RrsigMakerInput = {
  /** The apex in canonical form. */
  readonly signer: Name;
  /** All keys that sign; those that sign the keys; those that sign all other data. */
  readonly active: readonly ZoneKey[];
  readonly forKeys: readonly ZoneKey[];
  readonly forData: readonly ZoneKey[];
  readonly state: MadeSignatures;
  /** Earlier signatures. */
  readonly before: Pick<MadeSignatures, 'signatures'> | undefined;
  readonly validityOf: (set: SignedSet) => Validity;
};

const KEY_DIGEST_OCTETS = 8;

/** A key that signs, with what is computed once. */
type Pair = {
  readonly key: ZoneKey;
  /** Its place in the list of keys that sign. */
  readonly number: number;
  /** Tells keys with the same tag apart. */
  readonly digest: Uint8Array;
  readonly jobKey: JobKey;
};

function signingPair(key: ZoneKey, number: number): Pair {
  const { algorithm, dnskey, privateKey } = key;
  const signatureOctets = algorithm.signatureOctets(dnskey.subarray(4));
  return {
    ...{ key, number },
    digest: createHash('sha256').update(dnskey).digest().subarray(0, KEY_DIGEST_OCTETS),
    jobKey: { algorithm: algorithm.number, privateKey, signatureOctets },
  };
}

/** The digest that was computed last. */
const DIGEST = new Uint8Array(DIGEST_OCTETS);

function digestInto(octets: Uint8Array, out: Uint8Array): void {
  // As text, because a result of octets takes twice the time.
  const text = hash('sha256', octets, 'latin1');
  for (let i = 0; i < DIGEST_OCTETS; i++) out[i] = text.charCodeAt(i);
}

/** Jobs that are not done, with their digests and the places of their signatures. */
type Open = { jobs: ReturnType<typeof createOpenJobs>; digests: Uint8Array; places: number[] };

const nothingOpen = (): Open => ({ jobs: createOpenJobs(), digests: new Uint8Array(0), places: [] });

export function createRrsigMaker(input: RrsigMakerInput): RrsigMaker {
  const { signer, active, forKeys, forData, state, before, validityOf } = input;
  const headOctets = rrsigHeadOctets(signer);
  const pairs = active.map(signingPair);
  const pairsOf = (wanted: readonly ZoneKey[]): Pair[] => pairs.filter(({ key }) => wanted.includes(key));
  const [pairsForKeys, pairsForData] = [pairsOf(forKeys), pairsOf(forData)];
  const jobKeys = pairs.map(({ jobKey }) => jobKey);
  const scratch: Scratch = { octets: new Uint8Array(4096) };
  let open = nothingOpen();
  /** Jobs of the last set: the number of the data, and the job. */
  let drafted: { readonly data: number; readonly job: number }[] = [];
  let expiresAt = Infinity;
  let soa: SignedSet | undefined;

  /** RRSIG data. Without a known signature it ends with zeros, and `missing` is called. */
  const rrsigs = (
    set: SignedSet,
    missing: (pair: Pair, data: Uint8Array, end: number, index: number) => void,
  ): readonly Uint8Array[] => {
    const validity = validityOf(set);
    expiresAt = Math.min(expiresAt, validity.expiration);
    if (set.type === TYPE.SOA) soa = set;
    const isOfKeys = set.type === TYPE.DNSKEY || set.type === TYPE.CDS || set.type === TYPE.CDNSKEY;
    const end = writeSignedRecords(scratch, KEY_DIGEST_OCTETS + headOctets, set);
    return (isOfKeys ? pairsForKeys : pairsForData).map((pair, index) => {
      const data = new Uint8Array(headOctets + pair.jobKey.signatureOctets);
      const { algorithm, tag } = pair.key;
      writeRrsigHead(data, set, validity, { algorithm: algorithm.number, tag, signer });
      scratch.octets.set(pair.digest);
      scratch.octets.set(data.subarray(0, headOctets), KEY_DIGEST_OCTETS);
      digestInto(scratch.octets.subarray(0, end), DIGEST);
      const known =
        findSignature(state.signatures, DIGEST, 0) ?? (before && findSignature(before.signatures, DIGEST, 0));
      if (known) {
        data.set(known, headOctets);
        addSignature(state.signatures, DIGEST, 0, known);
      } else missing(pair, data, end, index);
      return data;
    });
  };
  const sign = (set: SignedSet): readonly Uint8Array[] =>
    rrsigs(set, ({ key }, data, end) => {
      const signature = key.algorithm.sign(scratch.octets.subarray(KEY_DIGEST_OCTETS, end), key.privateKey);
      data.set(signature, headOctets);
      addSignature(state.signatures, DIGEST, 0, signature);
      state.made++;
    });
  const accept = (batch: Batch): void => {
    for (let job = 0; job < batch.count; job++) {
      addSignature(state.signatures, open.digests, job * DIGEST_OCTETS, signatureOf(batch, job));
    }
    state.made += batch.count;
    open = nothingOpen();
  };
  return {
    sign,
    draft: (set) => {
      drafted = [];
      return rrsigs(set, ({ number }, _, end, data) => {
        const job = countJobs(open.jobs);
        drafted.push({ data, job });
        addJob(open.jobs, scratch.octets, KEY_DIGEST_OCTETS, end, number);
        open.digests = withRoom(open.digests, (job + 1) * DIGEST_OCTETS);
        open.digests.set(DIGEST, job * DIGEST_OCTETS);
      });
    },
    place: (dataAt, offset) => {
      for (const { data, job } of drafted) open.places[job] = offset + (dataAt[data] ?? 0) + headOctets;
    },
    complete: ({ array }, cores) => {
      const batch = signNow(open.jobs, jobKeys, cores);
      for (let job = 0; job < batch.count; job++) array.set(signatureOf(batch, job), open.places[job]);
      accept(batch);
    },
    openBatch: () => batchOf(open.jobs, jobKeys),
    accept,
    signSerial: (serial) => (soa ? sign({ ...soa, rdata: soa.rdata.map((data) => withSoaSerial(data, serial)) }) : []),
    expiresAt: () => expiresAt,
  };
}

function withRoom(octets: Uint8Array, needed: number): Uint8Array {
  if (octets.length >= needed) return octets;
  const larger = new Uint8Array(Math.max(1024, needed, octets.length * 2));
  larger.set(octets);
  return larger;
}
