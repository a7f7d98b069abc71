/**
 * Signs RRsets in an answering thread, for `denial: compact`. Keys and times are those of the zone's signer.
 */
import type { KeyObject } from 'node:crypto';
import type { Name } from '../wire/name.ts';
import { expirationOf, inceptionOf, rrsigHeadOctets, writeRrsigHead, writeSignedRecords, type Scratch, type SignedSet } from './rrsig.ts'; // prettier-ignore
import { signData } from './sign-data.ts';

/** A zone that is signed in answering threads. It can be sent to them. */
export type OnlineZone = {
  /** In canonical form. */
  readonly apex: Name;
  readonly signedAt: number;
  readonly lifetimeSeconds: number;
  /** The keys that sign data. */
  readonly keys: readonly {
    readonly algorithm: number;
    readonly tag: number;
    readonly privateKey: KeyObject;
    readonly signatureOctets: number;
  }[];
};

export type OnlineSigner = {
  /** RRSIG data, one for each key. */
  readonly sign: (set: SignedSet) => readonly Uint8Array[];
  /** Signatures that an RRset costs. */
  readonly cost: number;
};

export function createOnlineSigner({ apex, signedAt, lifetimeSeconds, keys }: OnlineZone): OnlineSigner {
  const headOctets = rrsigHeadOctets(apex);
  const scratch: Scratch = { octets: new Uint8Array(4096) };
  return {
    cost: keys.length,
    sign: (set) => {
      const end = writeSignedRecords(scratch, headOctets, set);
      const validity = { inception: inceptionOf(signedAt), expiration: expirationOf(set, signedAt, lifetimeSeconds) };
      return keys.map(({ algorithm, tag, privateKey, signatureOctets }) => {
        const data = new Uint8Array(headOctets + signatureOctets);
        writeRrsigHead(data, set, validity, { algorithm, tag, signer: apex });
        scratch.octets.set(data.subarray(0, headOctets));
        data.set(signData(algorithm, scratch.octets.subarray(0, end), privateKey), headOctets);
        return data;
      });
    },
  };
}
