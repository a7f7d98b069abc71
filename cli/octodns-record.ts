/**
 * Record data as values of octoDNS: maps of fields for some types, text for others.
 */
import { formatRdata } from '../wire/rdata.ts';
import { typeText } from '../wire/types.ts';

/** A value of octoDNS's YAML. */
export type OctodnsYaml = string | number | boolean | readonly OctodnsYaml[] | { readonly [key: string]: OctodnsYaml };

/** The fields of a value in the order of presentation format. */
const FIELDS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    MX: ['preference', 'exchange'],
    SRV: ['priority', 'weight', 'port', 'target'],
    NAPTR: ['order', 'preference', 'flags', 'service', 'regexp', 'replacement'],
    SSHFP: ['algorithm', 'fingerprint_type', 'fingerprint'],
    TLSA: ['certificate_usage', 'selector', 'matching_type', 'certificate_association_data'],
    DS: ['key_tag', 'algorithm', 'digest_type', 'digest'],
    CAA: ['flags', 'tag', 'value'],
    URI: ['priority', 'weight', 'target'],
  }),
);
const PLAIN: ReadonlySet<string> = new Set(['A', 'AAAA', 'CNAME', 'DNAME', 'NS', 'PTR']);

/** Undefined for a type or a value that octoDNS does not have. */
export function octodnsValue(type: number, rdata: Uint8Array): OctodnsYaml | undefined {
  const name = typeText(type);
  if (name === 'TXT' || name === 'SPF') return textValue(rdata);
  const text = formatRdata(type, rdata);
  if (PLAIN.has(name)) return text;
  if (name === 'SVCB' || name === 'HTTPS') return serviceBinding(text);
  if (name === 'LOC') return location(text);
  const fields = FIELDS.get(name);
  const words = wordsOf(text);
  if (!fields || words.length !== fields.length || words.some(hasOddOctets)) return undefined;
  return Object.fromEntries(fields.map((field, at) => [field, numberOrText(words[at] ?? '')]));
}

/** The words of presentation format, without quotes and escapes. */
function wordsOf(text: string): readonly string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\[^])*)"|\S+/g)].map(([word, quoted]) =>
    quoted === undefined ? word : quoted.replace(/\\(["\\])/g, '$1'),
  );
}

/** Octets that octoDNS would have no way to write. */
function hasOddOctets(word: string): boolean {
  return /\\\d{3}/.test(word);
}

function numberOrText(word: string): string | number {
  return /^(?:0|[1-9]\d{0,9})$/.test(word) ? Number(word) : word;
}

/** octoDNS joins the texts of a record, and escapes semicolons. Undefined if the octets are not UTF-8. */
function textValue(rdata: Uint8Array): string | undefined {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < rdata.length; at += (rdata[at] ?? 0) + 1) {
    parts.push(rdata.subarray(at + 1, at + 1 + (rdata[at] ?? 0)));
  }
  // octoDNS splits a long text every 255 octets. Other pieces would be joined.
  if (parts.slice(0, -1).some((part) => part.length !== 255)) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
    // A text that begins with a quote is read as quoted.
    return text.startsWith('"') ? undefined : text.replaceAll(';', '\\;');
  } catch {
    return undefined;
  }
}

function serviceBinding(text: string): OctodnsYaml | undefined {
  const [, priority = '', target = '', rest = ''] = /^(\d+) (\S+)(.*)$/.exec(text) ?? [];
  if (priority === '' || hasOddOctets(text)) return undefined;
  const params = [...rest.matchAll(/ ([a-z0-9-]+)(?:=(?:"((?:[^"\\]|\\[^])*)"|(\S+)))?/g)].map(
    ([, key = '', quoted, bare]): [string, OctodnsYaml] => {
      const value = quoted ?? bare;
      if (value === undefined) return [key, ''];
      return [key, LISTS.has(key) ? value.split(',') : numberOrText(value)];
    },
  );
  return {
    svcpriority: Number(priority),
    targetname: target,
    ...(params.length > 0 ? { svcparams: Object.fromEntries(params) } : {}),
  };
}
const LISTS: ReadonlySet<string> = new Set(['alpn', 'ipv4hint', 'ipv6hint', 'mandatory']);

function location(text: string): OctodnsYaml | undefined {
  const words = text.split(' ');
  const keys = [
    ...['lat_degrees', 'lat_minutes', 'lat_seconds', 'lat_direction'],
    ...['long_degrees', 'long_minutes', 'long_seconds', 'long_direction'],
    ...['altitude', 'size', 'precision_horz', 'precision_vert'],
  ];
  if (words.length !== keys.length) return undefined;
  return Object.fromEntries(
    keys.map((key, at) => {
      const word = (words[at] ?? '').replace(/m$/, '');
      return [key, /^-?\d+(?:\.\d+)?$/.test(word) ? Number(word) : word];
    }),
  );
}
