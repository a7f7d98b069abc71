/**
 * Recognises text that is probably not the intended host name: addresses, URLs, and Internet names without their final
 * dot.
 */
import { parseAddress } from '../../wire/address.ts';

/** Describes `text` if it is not a host name: `the address 192.0.2.1`. Undefined if it can be one. */
export function mistakenForHost(text: string): string | undefined {
  const bare = text.replace(/\.$/, '').replace(/^\[(.*)\]$/, '$1');
  if (parseAddress(bare)) return `the address ${bare}`;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return `the URL ${text}`;
  if (/^[^:]+:\d{1,5}\.?$/.test(text)) return `the name and port ${text}`;
  if (text.includes('@') && text !== '@') return `the mail address ${text}`;
  return text.includes('/') ? `the path ${text}` : undefined;
}

/** Common top-level domains. Internal names seldom end with one of the certain ones. */
const CERTAIN_TLDS: ReadonlySet<string> = new Set(['com', 'net', 'org', 'edu', 'gov', 'mil', 'int', 'arpa']);
const LIKELY_TLDS: ReadonlySet<string> = new Set([
  ...[
    'info',
    'biz',
    'name',
    'pro',
    'io',
    'dev',
    'app',
    'cloud',
    'online',
    'site',
    'store',
    'shop',
    'tech',
    'xyz',
    'top',
  ],
  ...['club', 'email', 'systems', 'services', 'solutions', 'network', 'digital', 'agency', 'company', 'group', 'world'],
  ...['example', 'test', 'local', 'localhost', 'onion'],
]);

/** How likely a name that ends with this label is an Internet name. `zoneTld` is the last label of the zone's name. */
export function tldKind(label: string, zoneTld: string): 'certain' | 'likely' | undefined {
  const folded = label.toLowerCase();
  if (CERTAIN_TLDS.has(folded) || folded === zoneTld.toLowerCase()) return 'certain';
  // Country codes (ISO 3166-1) are the only top-level domains of two letters.
  return LIKELY_TLDS.has(folded) || /^[a-z]{2}$/.test(folded) || folded.startsWith('xn--') ? 'likely' : undefined;
}
