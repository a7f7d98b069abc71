/**
 * Readers of http and https URLs.
 */
import { scalar, type Read } from './fields.ts';
import { urlWithoutFinalDot } from './host-name.ts';
import { pattern } from './schema.ts';

/** A URL that messages must not show: anybody with the URL of a chat system's webhook can post there. */
export function httpUrl(code: string, hint: string): Read<string> {
  const parse = (value: string): string | undefined => (isHttpUrl(value) ? urlWithoutFinalDot(value) : undefined);
  return scalar('an http or https URL', parse, {
    code,
    hint,
    secret: true,
    schema: pattern(/^[hH][tT][tT][pP][sS]?:\/\/[^/@\s]+(?:[/?#].*)?$/),
  });
}

/** Without a user and password: fetch refuses a URL that has them. */
export function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === '';
}
