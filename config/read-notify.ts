/**
 * `health.notify` of pharos.yaml: a URL, or a map with it.
 */
import { headers, headersOf } from './check-fields.ts';
import type { Report } from './diagnostics.ts';
import { fromEnvironment, map, optional, required, withDefault, type Read } from './fields.ts';
import { anyOf, described, schemaOf, type JsonSchema } from './schema.ts';
import type { NotifySettings } from './settings.ts';
import { httpUrl } from './url-field.ts';
import type { YamlNode } from './yaml.ts';

const url = httpUrl('PH073', 'such as https://hooks.example.net/pharos; put user and password into headers');

/** `secret` reads the token, as for status.token: messages must not show it. */
export function notify(secret: Read<string>): Read<NotifySettings> {
  const readMap = map('notify', {
    url: required(fromEnvironment(url), 'where changes are posted: url: https://hooks.example.net/pharos'),
    headers: withDefault(headers, []),
    token: optional(secret),
  });
  const schema = (): JsonSchema => anyOf(schemaOf(url, 'url'), schemaOf(readMap, 'notify'));
  return fromEnvironment(
    described(schema, (node: YamlNode, name: string, report: Report): NotifySettings | undefined => {
      if (node.kind === 'scalar') {
        const alone = url(node, name, report);
        return alone === undefined ? undefined : { url: alone, headers: {}, token: undefined };
      }
      const read = readMap(node, name, report);
      return read && { url: read.url, headers: headersOf(read.headers), token: read.token };
    }),
  );
}
