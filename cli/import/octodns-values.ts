/**
 * Values of octoDNS records in presentation format. Names in them are absolute and end with a dot.
 */
import { fieldsOf, listOf, textOf, type Fields } from './values.ts';

/** The keys of a value in the order of presentation format. A field with two keys has a new and an old one. */
const FIELDS: ReadonlyMap<string, readonly (readonly string[])[]> = new Map(
  Object.entries({
    MX: [
      ['preference', 'priority'],
      ['exchange', 'value'],
    ],
    SRV: [['priority'], ['weight'], ['port'], ['target']],
    NAPTR: [['order'], ['preference'], ['flags'], ['service'], ['regexp'], ['replacement']],
    SSHFP: [['algorithm'], ['fingerprint_type'], ['fingerprint']],
    TLSA: [['certificate_usage'], ['selector'], ['matching_type'], ['certificate_association_data']],
    DS: [['key_tag'], ['algorithm'], ['digest_type'], ['digest']],
    CAA: [['flags'], ['tag'], ['value']],
    URI: [['priority'], ['weight'], ['target']],
  }),
);

/** Indexes of the fields that are quoted. */
const QUOTED: ReadonlyMap<string, readonly number[]> = new Map(
  Object.entries({ NAPTR: [2, 3, 4], CAA: [2], URI: [2] }),
);

/** Types whose value is a name. */
const NAMES: ReadonlySet<string> = new Set(['CNAME', 'DNAME', 'NS', 'PTR', 'ALIAS']);

/** One value; undefined if a field is missing, or if the type does not exist in DNS. */
export function presentation(type: string, value: unknown): string | undefined {
  if (type === 'TXT' || type === 'SPF') return textValue(value);
  if (type === 'SVCB' || type === 'HTTPS') return serviceBinding(fieldsOf(value));
  if (type === 'LOC') return location(fieldsOf(value));
  const fields = FIELDS.get(type);
  const text = textOf(value);
  if (!fields || text !== undefined) return text !== undefined && NAMES.has(type) ? whole(text) : text;
  const words = fields.map((names) => {
    const name = names.find((each) => fieldsOf(value)[each] !== undefined);
    return name === undefined ? undefined : textOf(fieldsOf(value)[name]);
  });
  if (words.includes(undefined)) return type === 'CAA' && words[0] === undefined ? caa(fieldsOf(value)) : undefined;
  return words
    .map((word = '', at) => {
      if (QUOTED.get(type)?.includes(at)) return inQuotes(word);
      const isLast = at === words.length - 1;
      return isLast && ['MX', 'SRV', 'NAPTR'].includes(type) ? whole(word) : word;
    })
    .join(' ');
}

/** In octoDNS the flags of a CAA default to 0. */
function caa(fields: Fields): string | undefined {
  const [tag, value] = [textOf(fields['tag']), textOf(fields['value'])];
  return tag === undefined || value === undefined ? undefined : `0 ${tag} ${inQuotes(value)}`;
}

/** octoDNS requires absolute names; a missing final dot is added. */
function whole(name: string): string {
  return name.endsWith('.') ? name : `${name}.`;
}

/**
 * octoDNS escapes semicolons only. Of a text that begins with a quote it removes the first and the last character, and
 * it joins pieces at `" "`. Text over 255 octets is split into several strings.
 */
function textValue(value: unknown): string | undefined {
  const written = textOf(value);
  if (written === undefined) return undefined;
  const bare = written.startsWith('"') ? written.slice(1, -1) : written;
  const text = bare.replaceAll('" "', '').replaceAll('\\;', ';');
  const octets = Buffer.from(text, 'utf8');
  const parts = Array.from({ length: Math.max(1, Math.ceil(octets.length / 255)) }, (_, at) =>
    octets.subarray(at * 255, at * 255 + 255),
  );
  return parts.map((part) => `"${escapeOctets(part)}"`).join(' ');
}

function inQuotes(text: string): string {
  return `"${escapeOctets(Buffer.from(text, 'utf8'))}"`;
}

function escapeOctets(octets: Uint8Array): string {
  return [...octets]
    .map((octet) => {
      if (octet < 0x20 || octet >= 0x7f) return `\\${String(octet).padStart(3, '0')}`;
      const c = String.fromCharCode(octet);
      return c === '"' || c === '\\' ? `\\${c}` : c;
    })
    .join('');
}

function serviceBinding(fields: Fields): string | undefined {
  const priority = textOf(fields['svcpriority']);
  const target = textOf(fields['targetname']);
  if (priority === undefined || target === undefined) return undefined;
  const params = Object.entries(fieldsOf(fields['svcparams'])).map(([key, value]) => {
    const text = listOf(value)
      .map((each) => textOf(each) ?? '')
      .join(',');
    return text === '' ? key : `${key}=${inQuotes(text)}`;
  });
  return [priority, target === '.' ? target : whole(target), ...params].join(' ');
}

function location(fields: Fields): string | undefined {
  const keys = [
    ...['lat_degrees', 'lat_minutes', 'lat_seconds', 'lat_direction'],
    ...['long_degrees', 'long_minutes', 'long_seconds', 'long_direction'],
  ];
  const words = keys.map((key) => textOf(fields[key]));
  const sizes = ['altitude', 'size', 'precision_horz', 'precision_vert'].map((key) => textOf(fields[key]));
  if (words.includes(undefined) || sizes[0] === undefined) return undefined;
  return [...words, ...sizes.flatMap((size) => (size === undefined ? [] : `${size}m`))].join(' ');
}
