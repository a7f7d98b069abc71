/**
 * Host names as in TLS, HTTP and certificates: without the final dot of zone files and resolvers.
 */

/**
 * RFC 6066 3: the host name of SNI has no trailing dot. The names of certificates have none either (RFC 6125 2.2), and
 * web servers compare the Host header with names that have none. Takes `www.example.com.` and, as in the
 * Host header, `www.example.com.:8443`.
 */
export function withoutFinalDot(host: string): string {
  return host.replace(/\.(?=$|:\d*$)/, '');
}

/** The same for the host of a URL. The rest is unchanged. */
export function urlWithoutFinalDot(text: string): string {
  const url = new URL(text);
  if (!url.hostname.endsWith('.')) return text;
  url.hostname = withoutFinalDot(url.hostname);
  return url.href;
}

/** Labels of 1 to 63 characters with dots between them, 253 in all (RFC 1035 2.3.4). Underscores are in use. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && /^[\w-]{1,63}(?:\.[\w-]{1,63})*$/.test(text);
}
