/**
 * Readers of addresses, networks and places on Earth.
 */
import {
  enclosingNetwork,
  formatPrefix,
  parseAddress,
  parseEndpoint,
  parsePrefix,
  type Endpoint,
  type Prefix,
} from '../wire/address.ts';
import type { Report } from './diagnostics.ts';
import { scalar, type Read, type Tailor } from './fields.ts';
import { anyOf, like, pattern } from './schema.ts';
import type { At } from './settings.ts';
import { nodePlace, type YamlNode, type YamlScalar } from './yaml.ts';

/** Whether a country code (upper case) exists; undefined: not checked. */
export type IsCountry = ((code: string) => boolean) | undefined;

/** `127.0.0.1:53`, `[::1]:53`. */
export function endpoint(tailor: Tailor = {}): Read<Endpoint> {
  const hint = 'write 127.0.0.1:53 or "[::1]:53"';
  return scalar('an address with a port', endpointParser(), {
    hint,
    ...tailor,
    schema: ENDPOINT,
    code: tailor.code ?? 'PH021',
  });
}

const ENDPOINT = pattern(/^(?:[^:[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/);

/** Keeps the written text of an address from the environment, for messages. */
export function endpointParser(defaultPort?: number): (text: string, node: YamlScalar) => Endpoint | undefined {
  return (text, { written }) => {
    const endpoint = parseEndpoint(text, defaultPort);
    return endpoint && written !== undefined ? { ...endpoint, written } : endpoint;
  };
}

/** 4 or 16 octets; `family` narrows it to one of the two. */
export function address(family?: 'IPv4' | 'IPv6', tailor: Tailor = {}): Read<Uint8Array> {
  const octets = family === undefined ? undefined : family === 'IPv4' ? 4 : 16;
  const parse = (text: string): Uint8Array | undefined => {
    const bytes = parseAddress(text);
    return bytes && (octets === undefined || bytes.length === octets) ? bytes : undefined;
  };
  const example = family === 'IPv6' ? '"2001:db8::1"' : '192.0.2.1';
  const expected = `an ${family === undefined ? 'IP' : family} address`;
  const v6 = pattern(/^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/);
  const schema = family === 'IPv4' ? IPV4 : family === 'IPv6' ? v6 : anyOf(IPV4, v6);
  return scalar(expected, parse, { schema, hint: `such as ${example}`, ...tailor, code: tailor.code ?? 'PH022' });
}

const IPV4 = pattern(/^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/);

export function prefix(tailor: Tailor = {}): Read<Prefix> {
  const example = 'such as 10.0.0.0/8 or "2001:db8::/32", without bits after the prefix';
  const schema = pattern(/^[0-9a-fA-F:.]+(?:\/\d{1,3})?$/);
  const read = scalar('a network', parsePrefix, { hint: example, ...tailor, schema, code: tailor.code ?? 'PH023' });
  return like(read, (node: YamlNode, name: string, report: Report): Prefix | undefined => {
    const network = node.kind === 'scalar' && !parsePrefix(node.text) ? enclosingNetwork(node.text) : undefined;
    if (node.kind !== 'scalar' || node.written !== undefined || !network) return read(node, name, report);
    report.error(
      tailor.code ?? 'PH023',
      `${name} must be a network, got ${hostBits(node.text)}`,
      nodePlace(node),
      withoutHostBits(network),
    );
    return undefined;
  });
}

/** Describes a network with host bits, which `parsePrefix` rejects. */
export function hostBits(text: string): string {
  return `${text}, which has bits after its prefix`;
}

/** The hint for it. */
export function withoutHostBits(network: Prefix): string {
  return `write ${formatPrefix(network)}, without bits after the prefix`;
}

/** `"37.57,126.98"` (latitude, longitude in degrees) or a country code. */
export function at(isCountry: IsCountry): Read<At> {
  const hint = 'write "37.57,126.98" in quotes, or a country code such as KR';
  const read = scalar<At>('a position or a country', parseAt, { hint, schema: AT, code: 'PH032' });
  return like(read, (node: YamlNode, name: string, report: Report): At | undefined => {
    const found = read(node, name, report);
    if (found?.kind === 'country' && isCountry && !isCountry(found.country)) {
      report.error(
        'PH033',
        `unknown country "${found.country}"`,
        nodePlace(node),
        'use a code of ISO 3166-1, such as KR',
      );
      return undefined;
    }
    return found;
  });
}

const AT = pattern(/^(?:[A-Za-z]{2}|\s*[-+]?\d+(?:\.\d+)?\s*,\s*[-+]?\d+(?:\.\d+)?\s*)$/);

function parseAt(text: string): At | undefined {
  if (/^[A-Za-z]{2}$/.test(text)) return { kind: 'country', country: text.toUpperCase() };
  const match = /^\s*([-+]?\d+(?:\.\d+)?)\s*,\s*([-+]?\d+(?:\.\d+)?)\s*$/.exec(text);
  if (!match) return undefined;
  const [latitude, longitude] = [Number(match[1]), Number(match[2])];
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { kind: 'point', latitude, longitude } : undefined;
}
