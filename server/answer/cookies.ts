/**
 * DNS cookies (RFC 7873) in the interoperable form (RFC 9018). A client that returns a server cookie proves that it
 * receives packets at its address. PACKET PATH: allocates nothing.
 *
 *     client cookie  8 octets, as the client chose it
 *     server cookie  version 1 | reserved, 3 octets | time, 4 octets | SipHash-2-4 of all before and the address
 */
import { CLIENT_COOKIE_OCTETS, type Query } from '../../wire/query.ts';
import { COOKIE_OCTETS, type Response } from '../../wire/response.ts';
import { sipHash, sipHashKey, SIPHASH_WORDS } from '../../wire/siphash.ts';

/** Cookie keys and scratch memory of one thread. */
export type Cookies = {
  /** One per secret. The first makes cookies; all verify them. */
  readonly keys: readonly Int32Array[];
  /** Input of the hash: client cookie, version, reserved, time, address. */
  readonly input: Uint8Array;
  readonly hash: Int32Array;
};

const VERSION = 1;
const VERSION_AT = CLIENT_COOKIE_OCTETS;
const TIME_AT = 12;
const HASH_AT = 16;
/** RFC 9018 4.3: the greatest age of a cookie, and how far another node's clock may be ahead. */
const VALID_SECONDS = 3600;
const AHEAD_SECONDS = 300;
/** RFC 9018 4.3: from this age on, the client gets a new cookie. */
const FRESH_SECONDS = 1800;

/** `secrets` holds at least one secret, of 16 octets each. */
export function createCookies(secrets: readonly Uint8Array[]): Cookies {
  return {
    keys: secrets.map(sipHashKey),
    input: new Uint8Array(COOKIE_OCTETS - 8 + 16),
    hash: new Int32Array(SIPHASH_WORDS),
  };
}

/**
 * Puts the cookie that the client should use from now on into the response. Returns whether the cookie in the query is
 * valid for the client's address. `nowSeconds` has 32 bits.
 */
export function settleCookie(
  cookies: Cookies,
  query: Query,
  response: Response,
  peer: Uint8Array,
  peerAt: number,
  peerOctets: 4 | 16,
  nowSeconds: number,
): boolean {
  const { input, keys } = cookies;
  const { cookie } = query;
  for (let i = 0; i < peerOctets; i++) input[HASH_AT + i] = peer[peerAt + i] ?? 0;
  let valid = -1;
  let age = 0;
  // RFC 9018 4.1: a cookie with another length or version was made by another server and is ignored.
  if (query.cookieOctets === COOKIE_OCTETS && cookie[VERSION_AT] === VERSION) {
    // RFC 1982: the signed difference of 32 bits orders two times.
    age = (nowSeconds - get32(cookie, TIME_AT)) | 0;
    if (age <= VALID_SECONDS && age >= -AHEAD_SECONDS) {
      // RFC 9018 4.2: the reserved octets are hashed as received.
      for (let i = 0; i < HASH_AT; i++) input[i] = cookie[i] ?? 0;
      for (let key = 0; key < keys.length && valid < 0; key++) {
        if (isHash(cookies, key, HASH_AT + peerOctets, cookie)) valid = key;
      }
    }
  }
  if (valid === 0 && age < FRESH_SECONDS) {
    for (let i = 0; i < COOKIE_OCTETS; i++) response.cookie[i] = cookie[i] ?? 0;
  } else {
    makeCookie(cookies, HASH_AT + peerOctets, cookie, nowSeconds, response.cookie);
  }
  return valid >= 0;
}

/** Makes a server cookie (RFC 9018 4) for the address in `input`. */
function makeCookie(cookies: Cookies, octets: number, client: Uint8Array, nowSeconds: number, out: Uint8Array): void {
  const { input, keys, hash } = cookies;
  for (let i = 0; i < CLIENT_COOKIE_OCTETS; i++) input[i] = client[i] ?? 0;
  input[VERSION_AT] = VERSION;
  for (let i = VERSION_AT + 1; i < TIME_AT; i++) input[i] = 0;
  for (let i = 0; i < 4; i++) input[TIME_AT + i] = nowSeconds >>> (24 - i * 8);
  const [first] = keys;
  if (!first) return;
  sipHash(first, input, octets, hash);
  for (let i = 0; i < HASH_AT; i++) out[i] = input[i] ?? 0;
  for (let i = 0; i < 8; i++) out[HASH_AT + i] = hashOctet(hash, i);
}

function isHash({ keys, input, hash }: Cookies, key: number, octets: number, cookie: Uint8Array): boolean {
  const words = keys[key];
  if (!words) return false;
  sipHash(words, input, octets, hash);
  let differing = 0;
  // Compares all octets, so that the time taken reveals nothing.
  for (let i = 0; i < 8; i++) differing |= hashOctet(hash, i) ^ (cookie[HASH_AT + i] ?? 0);
  return differing === 0;
}

/** RFC 9018 4.4: the hash in little-endian order. */
function hashOctet(hash: Int32Array, octet: number): number {
  return ((hash[octet >> 2] ?? 0) >>> ((octet & 3) * 8)) & 0xff;
}

function get32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
