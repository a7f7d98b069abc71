/**
 * Decides which of the options in ASKS a client gets: cookies over every transport, keepalive over streams, padding
 * over encrypted transports. PACKET PATH: allocates nothing.
 */
import { ASKS, CLIENT_COOKIE_OCTETS } from '../../wire/query.ts';
import { RCODE } from '../../wire/types.ts';
import { TRANSPORT, type Packet } from '../contract.ts';
import { COUNTER, counterAt } from '../counters.ts';
import type { Answerer } from './answer-state.ts';
import { settleCookie } from './cookies.ts';

/** Prepares the response's options. Returns whether a valid cookie proves the client's address. */
export function giveOptions(a: Answerer, packet: Readonly<Packet>): boolean {
  const { query, response, cookies } = a;
  const { peer, peerAt, peerOctets, transport } = packet;
  let isProven = false;
  if ((query.asks & ASKS.COOKIE) !== 0 && cookies !== undefined) {
    response.gives = ASKS.COOKIE;
    isProven = settleCookie(cookies, query, response, peer, peerAt, peerOctets, a.clock.seconds());
  }
  if ((query.asks & ASKS.KEEPALIVE) !== 0 && transport !== TRANSPORT.UDP) {
    response.gives |= ASKS.KEEPALIVE;
    response.keepalive = counterAt(a.counters, COUNTER.STREAM_IDLE);
  }
  // RFC 7830 6: padding is useless without encryption.
  if ((query.asks & ASKS.PADDING) !== 0 && transport === TRANSPORT.TLS) response.gives |= ASKS.PADDING;
  return isProven;
}

/** RCODE for a query that asks only for a cookie (RFC 7873 5.4). With cookies off, it lacks a question (RFC 9619 3). */
export function cookieAloneRcode({ query, response }: Answerer, isProven: boolean): number {
  if ((response.gives & ASKS.COOKIE) === 0) return RCODE.FORMERR;
  return query.cookieOctets === CLIENT_COOKIE_OCTETS || isProven ? RCODE.NOERROR : RCODE.BADCOOKIE;
}
