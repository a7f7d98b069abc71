/**
 * The names in the certificate of a client that connects with TLS.
 */
import type { Socket } from 'node:net';
import { TLSSocket, type PeerCertificate } from 'node:tls';

/** In lower case; empty without a certificate that `client_ca` verifies. Undefined for a connection without TLS. */
export function namesOfClient(socket: Socket): readonly string[] | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  return socket.authorized ? namesOfCertificate(socket.getPeerCertificate()) : [];
}

/** The common name, and the DNS names, mail addresses and URIs of the subject (RFC 5280 4.2.1.6). */
export function namesOfCertificate({ subject, subjectaltname = '' }: Partial<PeerCertificate>): readonly string[] {
  const common = [(subject as { readonly CN?: string | string[] } | undefined)?.CN ?? []].flat();
  // Node.js quotes names with commas, which no credential has.
  const others = subjectaltname.split(', ').flatMap((each) => /^(?:DNS|email|URI):([^"]+)$/.exec(each)?.[1] ?? []);
  return [...new Set([...common, ...others].map((name) => name.toLowerCase()))];
}
