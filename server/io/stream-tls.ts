/**
 * DNS over TLS (RFC 7858, RFC 9539): the certificate of the moment, and sockets that use it.
 */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import type { KeyPair, Publication } from '../contract.ts';

export type Security = {
  /** Uses a publication's certificate from now on, if it has one; connections keep the one they began with. Throws when it cannot be used. */
  readonly take: (publication: Publication) => void;
  /** The server's side of a connection. Handshakes as data comes; 'secure' follows, or 'error' and 'close'. */
  readonly secure: (socket: Socket) => TLSSocket;
};

/** RFC 9325 4.3.1 asks for new ticket keys regularly: who has one reads TLS 1.2 sessions back to its beginning. */
const TICKET_KEYS_MS = 12 * 3_600_000;
/**
 * RFC 9325 4.2: with TLS 1.2 only ephemeral keys and AES in GCM; 9325 3.1.1 and RFC 8446 9.1 for TLS 1.3. OpenSSL's default
 * list has CBC and static RSA too.
 */
const CIPHERS = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
].join(':');
/** RFC 7858 3.1 and IANA's ALPN registry. */
const ALPN = ['dot'];

/** `nowMs` is a clock that never goes back. */
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
      // A context has ticket keys of its own.
      if (pair && nowMs() - madeAt > TICKET_KEYS_MS) make(pair);
      return new TLSSocket(socket, {
        isServer: true,
        ALPNProtocols: ALPN,
        ...(context ? { secureContext: context } : {}),
      });
    },
  };
}

/** Throws what OpenSSL says against the pair. */
function createContext({ cert, key }: KeyPair): SecureContext {
  return createSecureContext({
    cert,
    key,
    // RFC 9325 3.1.1; 1.3 is preferred by being the highest.
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    sessionIdContext: 'pharos',
    // RFC 9325 3.5: nobody needs renegotiation here, and it costs the server more than the client.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}
