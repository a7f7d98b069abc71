/**
 * The server name that a probe over TLS sends and verifies.
 */
import { isIP } from 'node:net';
import { checkServerIdentity, TLSSocket, type ConnectionOptions } from 'node:tls';
import { withoutFinalDot } from '../../config/host-name.ts';
import type { Learn } from './probe.ts';

type Wanted = { readonly host: string | undefined; readonly insecure: boolean };

/** SNI (RFC 6066 3: never an address, no final dot) and the name that the certificate must be valid for. */
export function tlsOptions(
  targetHost: string,
  { host, insecure }: Wanted,
): Required<Pick<ConnectionOptions, 'servername' | 'rejectUnauthorized' | 'checkServerIdentity'>> {
  const name = withoutFinalDot(host === undefined ? targetHost : hostWithoutPort(host));
  return {
    servername: isIP(name) === 0 ? name : '',
    rejectUnauthorized: !insecure,
    checkServerIdentity: (_, certificate) => (insecure ? undefined : checkServerIdentity(name, certificate)),
  };
}

/** Reports when the server's certificate expires, after the handshake. Does nothing without TLS. */
export function learnCertificate(connection: unknown, learn: Learn): void {
  if (!(connection instanceof TLSSocket)) return;
  connection.once('secureConnect', () => {
    const endsMs = connection.getPeerX509Certificate()?.validToDate.getTime();
    if (endsMs !== undefined) learn({ certificateEndsMs: endsMs });
  });
}

/** `www.example.com:8443` or `[2001:db8::1]:8443` as in Host headers (RFC 9110 7.2), without port and brackets. */
function hostWithoutPort(host: string): string {
  const bracketed = /^\[(.*)\](?::\d*)?$/.exec(host)?.[1];
  if (bracketed !== undefined) return bracketed;
  return isIP(host) === 0 ? host.replace(/:\d*$/, '') : host;
}
