/**
 * `health.notify` of pharos.yaml: a URL, or a map with it.
 */
import { headers } from './check-fields.ts';
import { map, optional, required, scalar, withDefault, type Read } from './fields.ts';
import type { NotifySettings } from './settings.ts';

const url = scalar('an http or https URL', (value) => (isHttpUrl(value) ? value : undefined), {
  code: 'PH073',
  secret: true,
  hint: 'such as https://hooks.example.net/pharos; a user and password belong into headers',
});

/** As in status.token: no message may show it. */
export function notify(secret: Read<string>): Read<NotifySettings> {
  const readMap = map('notify', {
    url: required(url, 'where changes are posted: url: https://hooks.example.net/pharos'),
    headers: withDefault(headers, []),
    token: optional(secret),
  });
  return (node, name, report) => {
    if (node.kind === 'scalar') {
      const alone = url(node, name, report);
      return alone === undefined ? undefined : { url: alone, headers: {}, token: undefined };
    }
    const read = readMap(node, name, report);
    return read && { url: read.url, headers: Object.fromEntries(read.headers), token: read.token };
  };
}

/** fetch takes none with a user in it. */
function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === '';
}
