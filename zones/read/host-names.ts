/**
 * What people write where a host name belongs, judged by its text: addresses, URLs, and names of the Internet that lack
 * their final dot.
 */
import { parseAddress } from '../../wire/address.ts';

/** What `text` is in place of a host name: `the address 192.0.2.1`. Undefined where it can be one. */
export function mistakenForHost(text: string): string | undefined {
  const bare = text.replace(/\.$/, '').replace(/^\[(.*)\]$/, '$1');
  if (parseAddress(bare)) return `the address ${bare}`;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return `the URL ${text}`;
  if (/^[^:]+:\d{1,5}\.?$/.test(text)) return `the name and port ${text}`;
  if (text.includes('@') && text !== '@') return `the mail address ${text}`;
  return text.includes('/') ? `the path ${text}` : undefined;
}

/** Top-level domains that names in data mostly end with. An internal name seldom ends with one of the first. */
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

/** How likely a name that ends with this label is one of the Internet. `zoneTld` is the last label of the zone's name. */
export function tldKind(label: string, zoneTld: string): 'certain' | 'likely' | undefined {
  const folded = label.toLowerCase();
  if (CERTAIN_TLDS.has(folded) || folded === zoneTld.toLowerCase()) return 'certain';
  // Codes of countries have two letters (ISO 3166-1), and nothing else at the top has.
  return LIKELY_TLDS.has(folded) || /^[a-z]{2}$/.test(folded) || folded.startsWith('xn--') ? 'likely' : undefined;
}
