/**
 * DNS over TLS (RFC 7858, RFC 9539): the current certificate, and sockets that use it.
 */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import type { KeyPair, Publication } from '../contract.ts';

export type Security = {
  /**
   * Uses a publication's certificate, if it has one, for new connections. Throws Error when the certificate is invalid
   * or missing.
   */
  readonly take: (publication: Publication) => void;
  /** Wraps a connection for the server's side of TLS. After the handshake it emits 'secure', or 'error' and 'close'. */
  readonly secure: (socket: Socket) => TLSSocket;
};

/** RFC 9325 4.3.1: change ticket keys regularly. A leaked key decrypts all TLS 1.2 sessions since it was made. */
const TICKET_KEYS_MS = 12 * 3_600_000;
/**
 * RFC 9325 4.2: for TLS 1.2 only ephemeral keys and AES-GCM. RFC 9325 3.1.1 and RFC 8446 9.1: TLS 1.3. OpenSSL's
 * default list also has CBC and static RSA.
 */
const CIPHERS = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
].join(':');
/** The ALPN name of DNS over TLS (RFC 7858 3.1 and IANA's registry). */
const ALPN = ['dot'];

/** `nowMs` is a monotonic clock. */
export function createSecurity(nowMs: () => number = () => performance.now()): Security {
  let pair: KeyPair | undefined;
  let context: SecureContext | undefined;
  let madeAt = 0;
  const make = (from: KeyPair): void => {
    context = createContext(from);
    pair = from;
    madeAt = nowMs();
  };
  return {
    take: ({ tls }) => {
      if (tls && (tls.cert !== pair?.cert || tls.key !== pair.key)) make(tls);
      if (!context) throw new Error('DNS over TLS needs a certificate');
    },
    secure: (socket) => {
      // A new context has new ticket keys.
      if (pair && nowMs() - madeAt > TICKET_KEYS_MS) make(pair);
      return new TLSSocket(socket, {
        isServer: true,
        ALPNProtocols: ALPN,
        ...(context ? { secureContext: context } : {}),
      });
    },
  };
}

/** Throws OpenSSL's error when the pair is invalid. */
function createContext({ cert, key }: KeyPair): SecureContext {
  return createSecureContext({
    cert,
    key,
    // RFC 9325 3.1.1. OpenSSL prefers the highest version, 1.3.
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    sessionIdContext: 'pharos',
    // RFC 9325 3.5: DNS does not need renegotiation, which costs the server more than the client.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}
