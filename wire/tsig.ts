/**
 * Transaction signatures (RFC 8945): verified and made. For messages that peers sign, which are few: it allocates.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { parseName, type Name } from './name.ts';
import { get16, put16 } from './octets.ts';
import {
  appendTsig,
  put48,
  tsigFixedOctets,
  tsigTimers,
  tsigVariables,
  type Tsig,
  type UnsignedTsig,
} from './tsig-record.ts';
import { RCODE } from './types.ts';

/** RFC 8945 6: algorithms by their name in configurations, to the name that Node.js has and the octets of a whole MAC. */
export const TSIG_ALGORITHMS = {
  'hmac-sha256': { hash: 'sha256', octets: 32 },
  'hmac-sha1': { hash: 'sha1', octets: 20 },
  'hmac-sha224': { hash: 'sha224', octets: 28 },
  'hmac-sha384': { hash: 'sha384', octets: 48 },
  'hmac-sha512': { hash: 'sha512', octets: 64 },
} as const;
export type TsigAlgorithm = keyof typeof TSIG_ALGORITHMS;

/** Plain data: it crosses threads. */
export type TsigKey = {
  /** As the configuration writes it. */
  readonly label: string;
  /** Canonical. */
  readonly name: Name;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Uint8Array;
};

/** RFC 8945 3, the TSIG errors. */
export const TSIG_ERROR = { NONE: 0, BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const;

/** RFC 8945 10: seconds that two clocks may be apart. */
const FUDGE_SECONDS = 300;
/** RFC 8945 5.2.2.1: no MAC is shorter, nor shorter than half of what the algorithm gives. */
const LEAST_MAC_OCTETS = 10;

/** Octets that the TSIG of a message signed with this key takes. */
export function tsigOctets({ name, algorithm }: TsigKey): number {
  return tsigFixedOctets(name.length, algorithmName(algorithm).length) + TSIG_ALGORITHMS[algorithm].octets;
}

/** What verifying came to. `error` is a TSIG_ERROR; `key` is known where the response to it is signed (RFC 8945 5.3.2). */
export type Verdict =
  | { readonly kind: 'valid'; readonly key: TsigKey }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'error'; readonly error: number; readonly key: TsigKey | undefined };

/**
 * Verifies a message, in the order of RFC 8945 5.2: key, MAC, time, length of the MAC. A MAC cut short is never taken.
 *
 * @param requestMac for a response: the MAC of the request that it answers
 */
export function verifyTsig(
  message: Uint8Array,
  tsig: Tsig,
  keys: readonly TsigKey[],
  nowSeconds: number,
  requestMac?: Uint8Array,
): Verdict {
  const key = keys.find(
    (each) => isSame(each.name, tsig.name) && isSame(algorithmName(each.algorithm), tsig.algorithm),
  );
  if (!key) return { kind: 'error', error: TSIG_ERROR.BADKEY, key: undefined };
  const { octets } = TSIG_ALGORITHMS[key.algorithm];
  const { mac } = tsig;
  if (mac.length > octets) return { kind: 'malformed' };
  if (mac.length > 0 && mac.length < Math.max(LEAST_MAC_OCTETS, octets / 2)) return { kind: 'malformed' };
  // Not `slice`: of a Buffer that is no copy.
  const covered = Uint8Array.from(message.subarray(0, tsig.at));
  put16(covered, 0, tsig.originalId);
  put16(covered, 10, get16(covered, 10) - 1);
  const expected = digest(key, requestMac, covered, tsigVariables(tsig));
  if (mac.length === 0 || !timingSafeEqual(expected.subarray(0, mac.length), mac)) {
    return { kind: 'error', error: TSIG_ERROR.BADSIG, key: undefined };
  }
  if (Math.abs(nowSeconds - tsig.timeSigned) > tsig.fudgeSeconds) {
    return { kind: 'error', error: TSIG_ERROR.BADTIME, key };
  }
  return mac.length < octets ? { kind: 'error', error: TSIG_ERROR.BADTRUNC, key } : { kind: 'valid', key };
}

/**
 * Signs the messages of one response, or one request, in turn: appends TSIG to the `length` octets of `message`, which
 * has room for `tsigOctets`, and returns the new length.
 */
export type Signer = {
  sign(message: Uint8Array, length: number): number;
  /** MAC of the last message. */
  mac(): Uint8Array;
};

/**
 * A signer. Every message is signed; from the second on the digest covers the MAC before, the message and the timers
 * (RFC 8945 5.3.1).
 *
 * @param requestMac for a response: the MAC of the request that it answers
 */
export function createSigner(key: TsigKey, now: () => number, requestMac?: Uint8Array): Signer {
  let before = requestMac;
  let isFirst = true;
  return {
    sign: (message, length) => {
      const record: UnsignedTsig = {
        name: key.name,
        algorithm: algorithmName(key.algorithm),
        timeSigned: now(),
        fudgeSeconds: FUDGE_SECONDS,
        originalId: get16(message, 0),
        error: TSIG_ERROR.NONE,
        other: new Uint8Array(0),
      };
      const mac = digest(
        key,
        before,
        message.subarray(0, length),
        isFirst ? tsigVariables(record) : tsigTimers(record),
      );
      before = mac;
      isFirst = false;
      return appendTsig(message, length, record, mac);
    },
    mac: () => before ?? new Uint8Array(0),
  };
}

/**
 * Appends the TSIG of a response that says what is wrong with the request's (RFC 8945 5.3.2), unsigned where `key` is
 * not known. Returns the new length.
 */
export function appendTsigError(
  message: Uint8Array,
  length: number,
  tsig: Tsig,
  error: number,
  key: TsigKey | undefined,
  nowSeconds: number,
): number {
  const isTime = error === TSIG_ERROR.BADTIME;
  const other = new Uint8Array(isTime ? 6 : 0);
  if (isTime) put48(other, 0, nowSeconds);
  const record: UnsignedTsig = {
    name: tsig.name,
    algorithm: tsig.algorithm,
    // RFC 8945 5.2.3: the client, whose clock is wrong, must be able to verify it.
    timeSigned: isTime || !key ? tsig.timeSigned : nowSeconds,
    fudgeSeconds: isTime || !key ? tsig.fudgeSeconds : FUDGE_SECONDS,
    originalId: get16(message, 0),
    error,
    other,
  };
  const mac = key ? digest(key, tsig.mac, message.subarray(0, length), tsigVariables(record)) : new Uint8Array(0);
  return appendTsig(message, length, record, mac);
}

/** Octets that `appendTsigError` may take. */
export function tsigErrorOctets(tsig: Tsig): number {
  return tsigFixedOctets(tsig.name.length, tsig.algorithm.length) + 64 + 6;
}

/** The RCODE beside a TSIG error. */
export const TSIG_RCODE = RCODE.NOTAUTH;

/** RFC 8945 4.3: what a MAC is made of. */
function digest(key: TsigKey, before: Uint8Array | undefined, message: Uint8Array, rest: Uint8Array): Uint8Array {
  const hmac = createHmac(TSIG_ALGORITHMS[key.algorithm].hash, key.secret);
  if (before) {
    const size = new Uint8Array(2);
    put16(size, 0, before.length);
    hmac.update(size).update(before);
  }
  return hmac.update(message).update(rest).digest();
}

const algorithmNames = new Map<string, Name>();

function algorithmName(algorithm: TsigAlgorithm): Name {
  const known = algorithmNames.get(algorithm);
  if (known) return known;
  const name = parseName(`${algorithm}.`);
  algorithmNames.set(algorithm, name);
  return name;
}

function isSame(a: Name, b: Name): boolean {
  return a.length === b.length && a.every((octet, at) => octet === b[at]);
}
