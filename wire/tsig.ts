/**
 * Transaction signatures (RFC 8945): verifies and signs messages. It allocates memory: peers sign few messages.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { parseName, type Name } from './name.ts';
import { get16, put16 } from './octets.ts';
import {
  appendTsig,
  put48,
  readTsig,
  tsigFixedOctets,
  tsigTimers,
  tsigVariables,
  type Tsig,
  type UnsignedTsig,
} from './tsig-record.ts';
import { RCODE } from './types.ts';

/**
 * RFC 8945 6: algorithms by their names in the configuration, with their names in Node.js and the octets of a full MAC.
 */
export const TSIG_ALGORITHMS = {
  'hmac-md5': { hash: 'md5', octets: 16 },
  'hmac-sha256': { hash: 'sha256', octets: 32 },
  'hmac-sha1': { hash: 'sha1', octets: 20 },
  'hmac-sha224': { hash: 'sha224', octets: 28 },
  'hmac-sha384': { hash: 'sha384', octets: 48 },
  'hmac-sha512': { hash: 'sha512', octets: 64 },
} as const;
export type TsigAlgorithm = keyof typeof TSIG_ALGORITHMS;

/** A key. It is plain data, because it is sent to other threads. */
export type TsigKey = {
  /** The name as it is in the configuration. */
  readonly label: string;
  /** Canonical. */
  readonly name: Name;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Uint8Array;
  /** Whether an operator permits a weak algorithm for it (`allow_weak`). */
  readonly isWeakAllowed?: boolean;
};

/** RFC 8945 3, the TSIG errors. */
export const TSIG_ERROR = { NONE: 0, BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const;

/** RFC 8945 10: the largest allowed difference between two clocks. */
const FUDGE_SECONDS = 300;
/** RFC 8945 5.2.2.1: a truncated MAC has at least this many octets, and at least half of the full MAC. */
const LEAST_MAC_OCTETS = 10;

/** The octets of the TSIG record of a message that is signed with this key. */
export function tsigOctets({ name, algorithm }: TsigKey): number {
  return tsigFixedOctets(name.length, algorithmName(algorithm).length) + TSIG_ALGORITHMS[algorithm].octets;
}

/**
 * The outcome of verification. `error` is a TSIG_ERROR. With a `key`, the error response is signed (RFC 8945 5.3.2).
 */
export type Verdict =
  | { readonly kind: 'valid'; readonly key: TsigKey }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'error'; readonly error: number; readonly key: TsigKey | undefined };

/**
 * Verifies a message, in the order of RFC 8945 5.2: key, MAC, time, length of the MAC. Truncated MACs are refused.
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
  // Not `slice`: it does not copy a Buffer.
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
 * Signs the messages of one response, or one request, in order. `sign` appends TSIG to the `length` octets of
 * `message`, which must have space for `tsigOctets` more, and returns the new length.
 */
export type Signer = {
  sign(message: Uint8Array, length: number): number;
  /** MAC of the last message. */
  mac(): Uint8Array;
};

/**
 * Creates a signer. Every message is signed. From the second message on, the digest covers the previous MAC, the
 * message and the timers (RFC 8945 5.3.1).
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

/** Verifies the messages of one response, in order. */
export type Verifier = {
  /** `unsigned`: a later message verifies this one. */
  verify(message: Uint8Array, nowSeconds: number): 'valid' | 'unsigned' | 'invalid';
};

/** RFC 8945 5.3.1: at most this many messages in a row are unsigned. */
const MAX_UNSIGNED = 99;

/**
 * Creates a verifier of a response to a request with this MAC. The digest of the first message covers the request's
 * MAC, that of another the previous MAC and the unsigned messages since (RFC 8945 5.3.1).
 */
export function createVerifier(key: TsigKey, requestMac: Uint8Array): Verifier {
  let before = requestMac;
  let isFirst = true;
  let unsigned: Uint8Array[] = [];
  return {
    verify: (message, nowSeconds) => {
      const tsig = readTsig(message);
      if (tsig === 'malformed') return 'invalid';
      if (tsig === 'none') {
        if (isFirst || unsigned.push(Uint8Array.from(message)) > MAX_UNSIGNED) return 'invalid';
        return 'unsigned';
      }
      const covered = Uint8Array.from(message.subarray(0, tsig.at));
      put16(covered, 0, tsig.originalId);
      put16(covered, 10, get16(covered, 10) - 1);
      const all = Uint8Array.from(Buffer.concat([...unsigned, covered]));
      const mac = digest(key, before, all, isFirst ? tsigVariables(tsig) : tsigTimers(tsig));
      const isOfKey = isSame(key.name, tsig.name) && isSame(algorithmName(key.algorithm), tsig.algorithm);
      if (!isOfKey || tsig.error !== TSIG_ERROR.NONE || mac.length !== tsig.mac.length) return 'invalid';
      if (!timingSafeEqual(mac, tsig.mac) || Math.abs(nowSeconds - tsig.timeSigned) > tsig.fudgeSeconds)
        return 'invalid';
      before = mac;
      isFirst = false;
      unsigned = [];
      return 'valid';
    },
  };
}

/**
 * Appends the TSIG of a response that reports an error in the request's TSIG (RFC 8945 5.3.2). It is unsigned if `key`
 * is undefined. Returns the new length.
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
    // RFC 8945 5.2.3: the client must be able to verify it although its clock is wrong.
    timeSigned: isTime || !key ? tsig.timeSigned : nowSeconds,
    fudgeSeconds: isTime || !key ? tsig.fudgeSeconds : FUDGE_SECONDS,
    originalId: get16(message, 0),
    error,
    other,
  };
  const mac = key ? digest(key, tsig.mac, message.subarray(0, length), tsigVariables(record)) : new Uint8Array(0);
  return appendTsig(message, length, record, mac);
}

/** The largest number of octets that `appendTsigError` appends. */
export function tsigErrorOctets(tsig: Tsig): number {
  return tsigFixedOctets(tsig.name.length, tsig.algorithm.length) + 64 + 6;
}

/** The RCODE beside a TSIG error. */
export const TSIG_RCODE = RCODE.NOTAUTH;

/** The MAC (RFC 8945 4.3). */
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
  // RFC 8945 6: MD5 has a name in another form.
  const name = parseName(algorithm === 'hmac-md5' ? 'hmac-md5.sig-alg.reg.int.' : `${algorithm}.`);
  algorithmNames.set(algorithm, name);
  return name;
}

function isSame(a: Name, b: Name): boolean {
  return a.length === b.length && a.every((octet, at) => octet === b[at]);
}
