/**
 * `svcb` of a service (docs/steering.md#https-and-svcb): HTTPS and SVCB records that are made from its VIPs, one record
 * for each VIP (RFC 9460).
 */
import type { Report } from '../../config/diagnostics.ts';
import { integer, list, map, optional, text, type Read, valueOf } from '../../config/fields.ts';
import { like, pattern, described } from '../../config/schema.ts';
import { nodePlace, type YamlNode } from '../../config/yaml.ts';
import { formatAddress } from '../../wire/address.ts';
import { ROOT } from '../../wire/name.ts';
import { parseRdataText } from '../../wire/rdata.ts';
import { TYPE } from '../../wire/types.ts';

/** What the records of all VIPs say. */
export type SvcbRule = { readonly alpn: readonly string[]; readonly port: number | undefined };

/** Protocol identifiers; those with other octets need escapes, and nobody uses them. */
const ALPN = /^[\w./-]{1,255}$/;

const alpnId: Read<string> = described(pattern(ALPN), (node: YamlNode, name: string, report: Report) => {
  const read = text()(node, name, report);
  if (read === undefined || ALPN.test(read)) return read;
  report.error('PH238', `${name} must be names of protocols, got ${read}`, nodePlace(node), 'such as alpn: [h2, h3]');
  return undefined;
});

const keys = map('svcb', {
  alpn: optional(list(alpnId, { min: 1, max: 16, hint: 'such as alpn: [h2, h3]' })),
  port: optional(integer({ min: 1, max: 65_535 })),
});

export const svcb: Read<SvcbRule> = like(keys, (node: YamlNode, name: string, report: Report) => {
  const read = keys(node, name, report);
  if (!read) return undefined;
  const alpn = read.alpn ?? [];
  const twice = alpn.find((each, index) => alpn.indexOf(each) !== index);
  if (twice !== undefined) {
    report.error('PH238', `alpn has ${twice} twice`, nodePlace(valueOf(node, 'alpn') ?? node), 'remove one');
  }
  return { alpn, port: read.port };
});

/** The data of a VIP's record: priority 1, the service's own name, and the VIP's addresses as hints. */
export function svcbRdata(
  { alpn, port }: SvcbRule,
  { a, aaaa }: { readonly a: Uint8Array | undefined; readonly aaaa: Uint8Array | undefined },
): Uint8Array {
  const params = [
    ...(alpn.length === 0 ? [] : [`alpn=${alpn.join(',')}`]),
    ...(port === undefined ? [] : [`port=${port}`]),
    ...(a ? [`ipv4hint=${formatAddress(a)}`] : []),
    ...(aaaa ? [`ipv6hint=${formatAddress(aaaa)}`] : []),
  ];
  return parseRdataText(TYPE.HTTPS, `1 . ${params.join(' ')}`, ROOT);
}
